"""`setpoint eval`: what Setpoint and a model in it are worth, measured.

Inspect is imported only where a suite runs or a transcript is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from setpoint.app.cli_eval_add import eval_add
from setpoint.app.desk_calls import Json, group, show
from setpoint.errors import UsageError

evals = group(
    "Eval suites of agent quality: run them, compare runs, hold a run against the baseline, look at a case."
)
OUTPUTS = ("text", "json", "junit", "github")

Suites = Annotated[list[str], typer.Argument(help="Suites of `setpoint eval list`, or all.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Who answers: bundled, none, or light=X,heavy=Y with X as bundled, none, FILE.gguf or URL#MODEL, and @assisted or @free behind it. Repeatable: one column each.",
    ),
]
Against = Annotated[str, typer.Option(help="Baselines as further columns: severity,rules,plant.")]
Limit = Annotated[int | None, typer.Option(help="At most this many cases a suite.")]
Output = Annotated[str, typer.Option("--output", "-o", help="text, json, junit or github.")]
Out = Annotated[Path, typer.Option(help="Folder of the runs.")]
Data = Annotated[str, typer.Option(help="Folder of public data; none: leave it out, as a bare clone does.")]
Parallel = Annotated[int, typer.Option(help="Suites at a time, each in a process of its own.")]
RUNS = Path("var/evals")


@evals.command("list")
def eval_list(as_json: Json = False) -> None:
    """The suites there are. Example: `setpoint eval list`"""
    from evals.registry import SUITES

    rows = [
        {"suite": name, "what": suite.what, "systems": list(suite.systems)} for name, suite in SUITES.items()
    ]
    show(rows, as_json, "suites")


@evals.command("run")
def eval_run(
    suites: Suites,
    model: Models = None,
    against: Against = "",
    epochs: Annotated[int, typer.Option(help="How often each case is asked.")] = 1,
    seed: Annotated[int, typer.Option(help="Of generated cases.")] = 1,
    split: Annotated[str, typer.Option(help="dev, or held-out: report only, never tune on it.")] = "dev",
    limit: Limit = None,
    cases: Annotated[
        list[Path] | None, typer.Option(help="Folder of case folders of your own. Repeatable.")
    ] = None,
    output: Output = "text",
    out: Out = RUNS,
    name: Annotated[str, typer.Option(help="The run's name (default: time and suites).")] = "",
    data: Data = "",
    parallel: Parallel = 1,
) -> None:
    """Run suites and write a record of it. Exit 1 where a case cannot be judged or a suite refuses its figures.

    Examples: `setpoint eval run all --limit 20`; `setpoint eval run triage rca --against severity,rules,plant`;
    `setpoint eval run alert --model bundled --model light=qwen.gguf --epochs 3`;
    `setpoint eval run rca --model heavy=http://127.0.0.1:8080/v1#qwen3@assisted -o junit > evals.xml`.
    """
    from evals.running.plan import Wanted, exit_code

    _known(output)
    others = tuple(filter(None, (part.strip() for part in against.split(","))))
    wanted = Wanted(
        suites, model or (), others, limit, seed, split, epochs, data, tuple(cases or ()), name, out, parallel
    )
    record = _run(wanted)
    _print(record, output)
    raise typer.Exit(exit_code(record))


@evals.command("compare")
def eval_compare(
    before: Annotated[str, typer.Argument(help="A record file, a run's folder or name, or latest.")],
    after: Annotated[str, typer.Argument(help="Likewise.")],
    out: Out = RUNS,
    as_json: Json = False,
) -> None:
    """Two runs, figure by figure, with the interval of each difference, and the cases that broke or were fixed.

    Example: `setpoint eval compare before-change latest`
    """
    from dataclasses import asdict

    from evals.running.compare import compare
    from evals.running.record import find, read
    from setpoint.app.eval_text import screen, show_compared

    found = compare(read(find(before, out)), read(find(after, out)))
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    else:
        show_compared(screen(), found)


@evals.command("gate")
def eval_gate(
    run: Annotated[
        str, typer.Argument(help="The run to hold against it; none: run what the baseline ran.")
    ] = "",
    baseline: Annotated[Path, typer.Option(help="The baseline's file.")] = Path("evals/baseline.json"),
    write: Annotated[bool, typer.Option("--write", help="Make this run the new baseline.")] = False,
    model: Models = None,
    output: Output = "text",
    out: Out = RUNS,
    data: Data = "",
    parallel: Parallel = 1,
) -> None:
    """Exit 1 where a figure falls below the baseline by more than its interval allows, or a case of it is missing.

    Examples: `setpoint eval gate --baseline evals/baseline.json`; `setpoint eval gate latest -o github`;
    a new baseline: `setpoint eval run all --limit 20 --data none --name base`, then `setpoint eval gate base --write`.
    """
    from evals.running.gate import baseline_of, hold
    from evals.running.plan import again
    from evals.running.record import find, read
    from evals.running.record import write as write_record

    _known(output)
    if write:
        if not run:
            raise UsageError("--write needs the run that becomes the baseline", remedy="Name it, or latest")
        write_record(baseline_of(read(find(run, out))), baseline)
        typer.echo(f"{baseline} is now the baseline")
        raise typer.Exit(0)
    before = read(baseline)
    record = (
        read(find(run, out))
        if run
        else _run(again(before, models=tuple(model or ()), data=data, out=out, parallel=parallel))
    )
    if record.model_missing:
        _print(record, output)
        raise typer.Exit(3)
    verdict = hold(before, record)
    _print_gate(record, verdict, output)
    raise typer.Exit(130 if record.interrupted else 0 if verdict.passed else 1)


@evals.command("show")
def eval_show(
    run: Annotated[str, typer.Argument(help="A record file, a run's folder or name, or latest.")] = "latest",
    suite: Annotated[str, typer.Option(help="Only this suite.")] = "",
    contender: Annotated[str, typer.Option(help="Only this column, as its head names it.")] = "",
    case: Annotated[str, typer.Option(help="One case with its whole transcript.")] = "",
    epoch: Annotated[int, typer.Option(help="Which epoch of the case.")] = 1,
    failed: Annotated[bool, typer.Option("--failed", help="Only the cases with a problem.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every case, one line each.")] = False,
    out: Out = RUNS,
    as_json: Json = False,
) -> None:
    """A run again: its tables, its failing cases, or one case with prompts, answers and judgement.

    Examples: `setpoint eval show latest --failed`; `setpoint eval show latest --suite alert --case 7-00-as-it-was`
    """
    from evals.running.record import find, read
    from setpoint.app import eval_text

    path = find(run, out)
    record = read(path)
    if suite and suite not in record.suites:
        raise UsageError(f"{record.name} has no suite {suite!r}", remedy=f"It has {', '.join(record.suites)}")
    ran = [
        one
        for one in record.ran
        if suite in ("", one.suite) and contender in ("", one.contender) and (not case or case in one.cases)
    ]
    if not ran:
        raise UsageError(
            f"nothing of that in {record.name}", remedy="setpoint eval show RUN --all lists its cases"
        )
    if case:
        _show_case(ran, path, case, epoch, as_json)
    elif as_json:
        typer.echo(json.dumps(_cases(ran, failed), indent=1, ensure_ascii=False))
    elif failed or every:
        eval_text.show_cases(eval_text.screen(), ran, failed=failed)
    else:
        eval_text.show_run(eval_text.screen(), record, tuple(dict.fromkeys(one.suite for one in ran)))


@evals.command("view")
def eval_view(
    run: Annotated[str, typer.Argument(help="A run's folder or name, latest; none: all runs.")] = "",
    port: Annotated[int, typer.Option(help="Port on the loopback address.")] = 7575,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only serve, open nothing.")] = False,
    out: Out = RUNS,
) -> None:
    """Serve Inspect's log viewer for a run: every case with its transcript. Needs no network.

    Example: `setpoint eval view latest --port 7600 --no-browser`
    """
    from evals.running.record import find
    from setpoint.app.eval_viewer import serve_viewer

    serve_viewer(find(run, out).parent if run else out, port, not no_browser)


def _known(output: str) -> None:
    if output not in OUTPUTS:
        raise UsageError(f"no output format {output!r}", remedy=f"One of: {', '.join(OUTPUTS)}")


def _run(wanted: Any) -> Any:
    """The record of the run, told as it goes on stderr."""
    from evals.running.plan import plan, run
    from setpoint.app.eval_progress import EvalProgress

    planned = plan(wanted)
    progress = EvalProgress(planned)
    try:
        return run(planned, progress)
    finally:
        progress.close()


def _print(record: Any, output: str) -> None:
    from setpoint.app import eval_outputs, eval_text

    if output == "text":
        eval_text.show_run(eval_text.screen(), record)
    else:
        typer.echo(eval_outputs.FORMATS[output](record, ()), nl=False)


def _print_gate(record: Any, verdict: Any, output: str) -> None:
    from setpoint.app import eval_outputs, eval_text

    if output == "text":
        eval_text.show_gate(eval_text.screen(), verdict)
    else:
        typer.echo(eval_outputs.FORMATS[output](record, verdict.falls), nl=False)


def _cases(ran: list[Any], failed: bool) -> list[dict[str, Any]]:
    return [
        {"suite": one.suite, "contender": one.contender, "case": case, "problems": list(outcome.problems), "error": outcome.error}
        for one in ran
        for case, outcome in one.cases.items()
        if not failed or not outcome.fine
    ]  # fmt: skip


def _show_case(ran: list[Any], path: Path, case: str, epoch: int, as_json: bool) -> None:
    from evals.running.story import story
    from setpoint.app.eval_story import show_story
    from setpoint.app.eval_text import screen

    found = [story(one, path.parent, case, epoch) for one in ran]
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], indent=1, ensure_ascii=False))
        return
    for one in found:
        show_story(screen(), one)


evals.command("add")(eval_add)
