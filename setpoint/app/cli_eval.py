"""`setpoint eval`: the suites of agent quality."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setpoint.app.desk_calls import Json, group, show

evals = group("Eval suites of agent quality.")


@evals.command("list")
def eval_list(as_json: Json = False) -> None:
    """The suites there are. Example: `setpoint eval list`"""
    from evals.registry import SUITES

    show([{"suite": name, "what": suite.what} for name, suite in SUITES.items()], as_json, "suites")


@evals.command("run")
def eval_run(
    suites: Annotated[list[str], typer.Argument(help="triage, alert.")],
    limit: Annotated[int | None, typer.Option(help="At most this many samples.")] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    logs: Annotated[Path, typer.Option(help="Where Inspect's logs go.")] = Path("var/evals"),
    data: Annotated[
        Path | None, typer.Option(help="Folder of public data, for the suites that use it.")
    ] = None,
) -> None:
    """Run eval suites on Inspect. Example: `setpoint eval run triage alert`"""
    from evals.registry import Ask
    from evals.runner import run_suites

    raise typer.Exit(run_suites(suites, Ask(limit=limit, data=data), output=output, logs=logs))
