"""`setpoint model ...`: which models there are, what each is worth and costs, and which one a role runs on."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from setpoint.app.desk_calls import Json, group
from setpoint.errors import BackendError, UsageError

if TYPE_CHECKING:
    from setpoint.settings import Settings

model = group("Models: the one that ships, those trained or pulled, and any file or server a role runs on.")
Store = Annotated[Path | None, typer.Option("--store", help="Folder of the ledger; models lie in it too.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="A setting, as section.key=value. Repeatable.")]
Which = Annotated[
    str,
    typer.Argument(
        help="bundled, a name of `setpoint model list`, a GGUF file, a server's URL, or light or heavy for what runs there.",
        metavar="MODEL",
    ),
]
At = Annotated[str, typer.Option("--model", help="Name of the model at a server.")]


@model.command("list")
def model_list(as_json: Json = False, store: Store = None, sets: Sets = None) -> None:
    """The models there are: roles in service, size, how each was made, and its score in short.

    Example: `setpoint model list`
    """
    from setpoint.app.model_cards import listed
    from setpoint.app.model_text import show_list

    _show(listed(_settings(sets, store)), as_json, show_list)


@model.command("show")
def model_show(
    name: Which = "bundled", at: At = "", as_json: Json = False, store: Store = None, sets: Sets = None
) -> None:
    """The model card: what it is and is not, how it was made, its scores with intervals, its cost, and its modes.

    Examples: `setpoint model show`; `setpoint model show light`; `setpoint model show qwen.gguf --json`
    """
    from setpoint.app.model_cards import card_of
    from setpoint.app.model_text import show_card

    _show(card_of(name, _settings(sets, store), at), as_json, show_card)


@model.command("use")
def model_use(
    role: Annotated[str, typer.Argument(help="light (alerts, chat) or heavy (analyses).", metavar="ROLE")],
    name: Which,
    at: At = "",
    heavy: Annotated[bool, typer.Option("--heavy", help="Set the role heavy to it as well.")] = False,
    mode: Annotated[
        str, typer.Option(help="facts, assisted or free; `setpoint model try` says which.")
    ] = "facts",
    file: Annotated[
        Path | None,
        typer.Option(help="The settings file (default: ./setpoint.toml, else your own configuration)."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the lines and change nothing.")] = False,
    store: Store = None,
    sets: Sets = None,
) -> None:
    """Set a role to a model: the keys of its section in the settings file are changed, every other line stays.

    A running `setpoint serve` takes it over at its next start.

    Examples: `setpoint model use light qwen.gguf`;
    `setpoint model use heavy http://127.0.0.1:8080/v1 --model qwen3 --mode assisted`; `setpoint model use light bundled`
    """
    from setpoint.app.model_use import use

    roles = dict.fromkeys([role, "heavy"] if heavy else [role])
    for line in use(tuple(roles), name, at, mode, file, _settings(sets, store), dry_run=dry_run):
        typer.echo(line)


@model.command("bench")
def model_bench(
    name: Which = "bundled",
    texts: Annotated[int, typer.Option(min=3, help="Texts, of three kinds.")] = 24,
    as_json: Json = False,
    store: Store = None,
    sets: Sets = None,
) -> None:
    """How fast a model file is here: first token, tokens/s, seconds an alert and an analysis, and what Setpoint adds to
    llama.cpp's own decoding of the same file, side by side in one run.

    Examples: `setpoint model bench`; `setpoint model bench qwen.gguf --texts 12`
    """
    _needs_inspect()
    from evals.model_bench import bench
    from setpoint.app.model_cards import keep, key_of
    from setpoint.app.model_choice import label_of, settings_of
    from setpoint.app.model_text import show_bench

    settings = _settings(sets, store)
    one = settings_of(name, settings, timeout_s=120.0)
    if one.kind in ("openai", "none"):
        raise UsageError(
            "only a model file can be decoded beside ourselves",
            where=name,
            remedy="`setpoint model try` times a server",
        )
    with _Progress() as progress:
        found = {"name": label_of(one), **asdict(bench(one, texts, progress))}
    keep(key_of(one), "bench", found, settings)
    _show(found, as_json, show_bench)


@model.command("try")
def model_try(
    name: Which,
    at: At = "",
    suite: Annotated[
        str, typer.Option(help="smoke: minutes; full: enough cases to choose a mode.")
    ] = "smoke",
    need: Annotated[
        str,
        typer.Option(help="What it must be good enough for: light, heavy, assisted, free, comma between."),
    ] = "light,heavy",
    split: Annotated[str, typer.Option(help="dev, or held-out: report only, never tune on it.")] = "dev",
    as_json: Json = False,
    store: Store = None,
    sets: Sets = None,
) -> None:
    """Is a model good enough for each role? Words of alerts and analyses, order of causes beside code's, chat tools.

    Exit 1 where it is not good enough for what --need names, 3 where the model does not answer.

    Examples: `setpoint model try qwen.gguf --suite smoke`;
    `setpoint model try http://127.0.0.1:8080/v1 --model qwen3 --need light,heavy,assisted --suite full`
    """
    _needs_inspect()
    from evals.model_verdicts import as_json as trial_json
    from evals.model_verdicts import try_model
    from setpoint.app.model_cards import keep, key_of
    from setpoint.app.model_choice import label_of, settings_of
    from setpoint.app.model_text import show_trial
    from setpoint.llm import load_role

    wanted = _needs(need)
    if split not in ("dev", "held-out"):
        raise UsageError(f"no split {split!r}", remedy="One of: dev, held-out")
    settings = _settings(sets, store)
    one = settings_of(name, settings, at, timeout_s=60.0)
    if one.kind == "none":
        raise UsageError("there is no model to try", where=name)
    began = time.monotonic()
    with _Progress() as progress:
        trial = try_model(load_role(one, "heavy"), suite, split, progress)
    found = {
        "name": label_of(one), **trial_json(trial), "split": split, "seconds": round(time.monotonic() - began, 1)
    }  # fmt: skip
    keep(key_of(one), "trial", found, settings)
    _show(found, as_json, show_trial)
    raise typer.Exit(0 if all(trial.of(role).good for role in wanted) else 1)


@model.command("pull")
def model_pull(
    name: Annotated[
        str, typer.Argument(help="A name of the list, or none for the list.", metavar="[NAME]")
    ] = "",
    hub: Annotated[str, typer.Option(help="A hub or a mirror of one (default: models.hub).")] = "",
    sha256: Annotated[str, typer.Option("--sha256", help="The hash that the file must have.")] = "",
    as_json: Json = False,
    store: Store = None,
    sets: Sets = None,
) -> None:
    """Fetch a known open model by name from a hub or a mirror. What is half fetched is continued; the hash is checked
    against what the hub says, pinned at the first pull and held to ever after.

    Examples: `setpoint model pull` (the list); `setpoint model pull qwen2.5-1.5b --hub https://mirror.example.net`
    """
    from setpoint.app.model_text import show_known, show_pulled
    from setpoint.llm.pulling import known_models, pull
    from setpoint.llm.registry import Registry

    if not name:
        _show([asdict(one) for one in known_models().values()], as_json, show_known)
        return
    settings = _settings(sets, store)
    with _Progress(" MB") as progress:
        found = pull(
            name, Registry.of(settings), hub=hub or settings.models.hub, sha256=sha256, tell=progress
        )
    _show(found, as_json, show_pulled)


# ---- what they share ---------------------------------------------------------------------------------------------------


def _settings(sets: list[str] | None, store: Path | None) -> Settings:
    from setpoint.app.cli import settings_from

    found: Settings = settings_from(sets, None, store).settings
    return found


def _show(value: Any, as_json: bool, view: Any) -> None:
    if as_json:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        view(value)


def _needs_inspect() -> None:
    if find_spec("inspect_ai") is None:
        raise BackendError(
            "this measures with the eval suites", remedy="Install them: pip install 'setpoint[eval]'"
        )


def _needs(text: str) -> list[str]:
    """Roles as verdicts name them."""
    names = {"light": "light", "heavy": "heavy", "assisted": "heavy, assisted", "free": "chat, free"}
    asked = [part.strip() for part in text.split(",") if part.strip()]
    if not asked or any(part not in names for part in asked):
        raise UsageError(f"--need {text!r} is not understood", remedy=f"Of: {', '.join(names)}")
    return [names[part] for part in asked]


class _Progress:
    """How far it is, on stderr: a bar that is written over on a terminal, else a line a part."""

    def __init__(self, unit: str = "") -> None:
        self._unit, self._live, self._begun = unit, sys.stderr.isatty(), set[str]()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._begun:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(self, part: str, done: int, of: int) -> None:
        first = part not in self._begun
        self._begun.add(part)
        if self._live:
            full = 30 * done // max(of, 1)
            bar = "#" * full + "." * (30 - full)
            print(
                f"\r\x1b[K{part} [{bar}] {done:,} of {of:,}{self._unit}", end="", file=sys.stderr, flush=True
            )
        elif first:
            print(f"setpoint: {part}: {of:,}{self._unit}", file=sys.stderr, flush=True)
