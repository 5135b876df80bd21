"""The command line. Data goes to stdout, progress to stderr; exit codes: 0 pass, 1 gate failed, 2 usage or
configuration, 3 backend or model missing, 4 waiting for approval or denied, 5 safety invariant broken, 130
interrupted.

Nothing heavy is imported before a command needs it, so that --help answers at once.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from setpoint.errors import ConfigError, SetpointError, UsageError

app = typer.Typer(
    name="setpoint",
    help="An operations agent for AI data centers: events in; verified alerts, root causes and reviewed actions out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Files = Annotated[list[str], typer.Argument(help="Files of events, or - for standard input.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Config = Annotated[
    list[str] | None, typer.Option("--set", help="A setting, as section.key=value. Repeatable.")
]
SiteFile = Annotated[Path | None, typer.Option("--site", help="The site's YAML file.")]
Store = Annotated[Path | None, typer.Option("--store", help="Folder of ledger, checkpoints and index.")]
Fields = Annotated[
    list[str] | None, typer.Option("--field", help="Field map of your own events, as time=when. Repeatable.")
]


INTERRUPTED = 130


def main() -> None:
    """Entry point: turns expected errors into one clear line and their exit code."""
    _log_plainly()
    try:
        code = app(standalone_mode=False)
    except SetpointError as error:
        typer.echo(f"setpoint: {error}", err=True)
        raise SystemExit(error.exit_code) from None
    except typer.Exit as stop:
        raise SystemExit(stop.exit_code) from None
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("setpoint: interrupted; what was accepted is kept", err=True)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open until the process ends
        raise SystemExit(0) from None
    except OSError as error:
        typer.echo(_system_said(error), err=True)
        raise SystemExit(3) from None
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # typer's own usage errors
            typer.echo(f"setpoint: {error.format_message()} (see --help)", err=True)
            raise SystemExit(2) from None
        if os.environ.get("SETPOINT_DEBUG"):
            raise
        typer.echo(_unexpected(error), err=True)
        raise SystemExit(3) from None
    if isinstance(code, int) and code:  # outside its standalone mode, click returns the code of an Exit
        if code == INTERRUPTED:
            typer.echo("setpoint: interrupted; what was accepted is kept", err=True)
        raise SystemExit(code)


def _system_said(error: OSError) -> str:
    """What the system refused, and what to do about it."""
    where = f"{error.filename}: " if error.filename else ""
    remedy = {
        errno.ENOSPC: "Free some space; what was accepted before is kept",
        errno.EDQUOT: "Raise the quota; what was accepted before is kept",
        errno.EROFS: "Choose a store that can be written, with --store or store.dir",
        errno.EACCES: "Give Setpoint's user access, or choose another place",
        errno.EPERM: "Give Setpoint's user access, or choose another place",
    }.get(error.errno or 0, "Check that path")
    return f"setpoint: {where}{error.strerror or error}. {remedy}"


class _Plain(logging.Formatter):
    """One line an entry; what raised is named, its stack is for SETPOINT_DEBUG=1."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        what = f": {type(error).__name__}: {error}" if error else ""
        return f"setpoint: {record.getMessage()}{what}"


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _log_plainly() -> None:
    handler = _Stderr()
    if not os.environ.get("SETPOINT_DEBUG"):
        handler.setFormatter(_Plain())
    log = logging.getLogger("setpoint")
    if not log.handlers:
        log.addHandler(handler)
        log.propagate = False


def _unexpected(error: Exception) -> str:
    """A defect of Setpoint, in one line that helps whoever it is reported to."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return (
        f"setpoint: unexpected fault, {type(error).__name__}{at}: {error}. What was accepted is kept. "
        "This is a defect of Setpoint: please report it with the output under SETPOINT_DEBUG=1"
    )


def settings_from(
    sets: list[str] | None, site: Path | None = None, store: Path | None = None, **more: Any
) -> Any:
    """Settings with these flags on top."""
    from setpoint.settings import load_settings

    flags: dict[str, Any] = {}
    for item in sets or ():
        key, separator, value = item.partition("=")
        if not separator:
            raise UsageError(
                f"--set takes key=value, got {item!r}", remedy="Example: --set alerts.flood_per_10min=5"
            )
        flags[key] = _value(value)
    flags |= {"site.file": site, "store.dir": store, **more}
    loaded = load_settings(flags)
    folder = loaded.settings.store.dir
    if folder.exists() and not folder.is_dir():
        raise ConfigError("store.dir is a file", where=str(folder), remedy="Name a folder with --store")
    return loaded


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@app.command()
def run(
    files: Files,
    decide: Annotated[
        str,
        typer.Option(
            help="ask: leave actions waiting; approve (simulated sites only); reject; or a policy file (TOML)."
        ),
    ] = "ask",
    output: Annotated[
        str, typer.Option("--output", "-o", help="text, json, jsonl, junit or github.")
    ] = "text",
    report: Annotated[Path | None, typer.Option(help="Write the HTML report here.")] = None,
    telemetry: Annotated[
        Path | None,
        typer.Option(help="CSV of recorded readings (time,asset,metric,value) to test causes against."),
    ] = None,
    fail_on: Annotated[
        str, typer.Option(help="Exit 1 where an incident of this priority or higher was found.")
    ] = "",
    site: SiteFile = None,
    store: Store = None,
    field: Fields = None,
    sets: Config = None,
    keep: Annotated[
        bool, typer.Option("--keep/--fresh", help="Continue the store, or use a fresh temporary one.")
    ] = False,
) -> None:
    """Run events of your own through all of Setpoint, headless.

    Examples: `setpoint run night.jsonl --site site.yaml --decide reject --report report.html`;
    `setpoint run events.log --site site.yaml --telemetry readings.csv --report report.html`;
    `journalctl -k -o short-iso | setpoint run - --output jsonl`; `setpoint run alerts.json --fail-on P1 -o junit`.
    """
    from setpoint.app.headless import Request, run_headless

    loaded = settings_from(sets, site, store, **{"site.telemetry": telemetry})
    request = Request(files, decide, output, report, fail_on, field or [], keep)
    raise typer.Exit(run_headless(loaded, request))


@app.command()
def triage(
    files: Files,
    output: Annotated[str, typer.Option("--output", "-o", help="jsonl or text.")] = "jsonl",
    site: SiteFile = None,
    field: Fields = None,
    sets: Config = None,
) -> None:
    """Rank events and go no further: one line an event, at streaming speed.

    Example: `setpoint triage messages.csv -o jsonl | jq 'select(.priority=="P0")'`
    """
    from setpoint.app.headless import rank_only

    raise typer.Exit(rank_only(settings_from(sets, site), files, output, field or []))


@app.command()
def serve(
    site: SiteFile = None,
    store: Store = None,
    port: Annotated[int | None, typer.Option(help="TCP port.")] = None,
    sets: Config = None,
) -> None:
    """Accept events over HTTP (POST /v1/events, /v1/alertmanager), work on them, and show the console to browsers.

    On loopback it needs no accounts; any other address needs serve.accounts and TLS (docs/accounts.md).

    Example: `setpoint serve --site site.yaml --store /var/lib/setpoint`
    """
    from setpoint.app.api import serve_forever

    serve_forever(settings_from(sets, site, store, **{"serve.port": port}))


@app.command()
def demo(
    report: Annotated[Path, typer.Option(help="Where the HTML report goes.")] = Path("var/demo/report.html"),
    speed: Annotated[
        float, typer.Option(help="Night hours played per wall hour; 0 plays as fast as it goes.")
    ] = 240.0,
    seed: Annotated[
        int, typer.Option(help="Seed of the night: where things break, how badly, how long.")
    ] = 9,
    live: Annotated[
        bool, typer.Option("--live", help="Be the shift yourself: a night in real time, with the console.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="TCP port of the console, with --live.")] = None,
) -> None:
    """A night of ten faults on a simulated site, with its telemetry, streamed through Setpoint before your eyes; or live,
    with the console in the browser and you at the desk.

    Examples: `setpoint demo --live`; `setpoint demo --speed 0 --report night.html`
    """
    if live:
        from setpoint.app.demo_live import serve_night

        serve_night(port, seed)
        return
    from setpoint.app.demo import play

    raise typer.Exit(play(report, speed, seed))


@app.command()
def night(
    seed: Annotated[int, typer.Option(help="The same seed gives the same night.")] = 7,
    truth: Annotated[
        bool, typer.Option(help="Print expected priority and cause beside each line, as JSON.")
    ] = False,
) -> None:
    """Print a recorded night of the demo site, one raw event a line.

    Example: `setpoint night --seed 3 > night.log`
    """
    from plant.nights import night as lines

    for line in lines(seed):
        known = {"text": line.text, "story": line.story, "priority": line.priority, "cause": line.cause}
        typer.echo(json.dumps(known) if truth else line.text)


@app.command()
def chat(
    once: Annotated[str, typer.Option(help="Answer this one question on stdout and end.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Answers as JSON, with what was looked at and the sources.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="A plain conversation, line by line.")] = False,
    who: Annotated[
        str, typer.Option("--as", help="Who you are (default: your login name).", envvar="SETPOINT_USER")
    ] = "",
    store: Store = None,
    site: SiteFile = None,
    sets: Config = None,
) -> None:
    """The console at a terminal: the ops agent, incidents, the approval queue, plots and the stop switch. The ops agent
    reads and proposes; it cannot act. Where input or output is no terminal it is a plain conversation.

    Examples: `setpoint chat`; `setpoint chat --once "why is rack r-02 hot?"`
    """
    loaded = settings_from(sets, site, store)
    screen = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") != "dumb"
    if screen and not (once or plain or as_json):
        from setpoint.app.terminal.start import open_console

        open_console(loaded.settings, who)
        return
    from setpoint.app.conversation import converse

    converse(loaded, once, as_json)


@app.command()
def doctor(
    host: Annotated[
        bool,
        typer.Option(
            "--host",
            help="Read this Linux host: which paths between GPU, memory, disk and network it can use.",
        ),
    ] = False,
    as_json: Json = False,
    site: SiteFile = None,
    store: Store = None,
    sets: Config = None,
) -> None:
    """Check everything Setpoint stands on: packages, model, ledger, index, sinks, site file, disk.

    Examples: `setpoint doctor --site site.yaml`; on a GPU node: `setpoint doctor --host`
    """
    if host:
        from setpoint.app.host import examine_host

        raise typer.Exit(examine_host(as_json))
    from setpoint.app.doctor import examine

    raise typer.Exit(examine(settings_from(sets, site, store), as_json))


@app.command()
def stop(
    release: Annotated[bool, typer.Option("--release", help="Let actions run again.")] = False,
    why: Annotated[str, typer.Option(help="The reason; it is kept.")] = "",
    store: Store = None,
) -> None:
    """Stop every action at once: no model, no database, no second person. `--release` lets them run again.

    Example: `setpoint stop --why "technician in rack r-05"`
    """
    import getpass

    from tools.stop import StopSwitch

    switch = StopSwitch(settings_from(None, None, store).settings.store.dir / "STOP")
    if release:
        switch.release()
        typer.echo("actions may run again")
    else:
        switch.engage(os.environ.get("SETPOINT_USER") or getpass.getuser(), why or "no reason given")
        typer.echo(f"stopped: nothing is executed while {switch.path} exists")


def _mount() -> None:
    """The noun groups live in files of their own; they import nothing heavy either."""
    from setpoint.app.cli_adapters import adapters
    from setpoint.app.cli_autonomy import autonomy
    from setpoint.app.cli_desk import GROUPS
    from setpoint.app.cli_diagnose import diagnose
    from setpoint.app.cli_learn import learn
    from setpoint.app.cli_loop import loop
    from setpoint.app.cli_mcp import mcp
    from setpoint.app.cli_model import model
    from setpoint.app.cli_plan import plan
    from setpoint.app.cli_plant import plant
    from setpoint.app.cli_rehearse import rehearse
    from setpoint.app.cli_users import token, user

    app.command()(diagnose)
    app.command()(mcp)
    app.command()(plan)
    app.command()(rehearse)
    for name, group in {
        **GROUPS,
        "adapters": adapters,
        "autonomy": autonomy,
        "learn": learn,
        "loop": loop,
        "model": model,
        "plant": plant,
        "token": token,
        "user": user,
    }.items():
        app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """An operations agent for AI data centers."""
    if version:
        from setpoint import __version__

        typer.echo(f"setpoint {__version__}")
        raise typer.Exit(0)


_mount()

if __name__ == "__main__":
    main()
