"""`setpoint diagnose`: root cause of a service incident from files alone, without a plant, a ledger or a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from setpoint.errors import SetpointError, UsageError


def diagnose(
    paths: Annotated[
        list[Path], typer.Argument(help="A folder with the alert and its evidence, or the files themselves.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page with plots of what moved here.")
    ] = None,
    question: Annotated[
        str, typer.Option("--question", help="What is asked; it may name the answers allowed.")
    ] = "",
    answers: Annotated[
        str, typer.Option("--answers", help="The closed list of answers, separated by commas.")
    ] = "",
) -> None:
    """Root cause of a service incident that no plant model covers: change points, order in time, elimination.

    Reads JSON, YAML, CSV, logs and plain text of any layout. A folder of such folders gives one answer each.

    Example: `setpoint diagnose incidents/2026-11-20-checkout --report checkout.html`
    """
    from agents.service_causes.answers import listed
    from tools.case_files import is_case

    folders = sorted(child for child in paths[0].iterdir() if is_case(child)) if paths[0].is_dir() else []
    many = len(paths) == 1 and len(folders) > 1 and not is_case(paths[0])
    if many and report:
        raise UsageError(
            "one report of many cases", where=str(paths[0]), remedy="Name one case with --report"
        )
    if many:
        _each(folders, as_json, question, listed(answers))
    else:
        _one(paths, as_json, report, question, listed(answers))


def _each(folders: list[Path], as_json: bool, question: str, choices: tuple[str, ...]) -> None:
    """Every folder that can be read; what cannot is told and left out."""
    from agents.service_causes import explain_case
    from setpoint.app.service_report import summary
    from tools.case_files import read_case

    found = []
    for folder in folders:
        try:
            found.append(explain_case(read_case([folder], question=question, choices=choices)))
        except SetpointError as error:
            typer.echo(f"setpoint: {error}", err=True)
    typer.echo(
        json.dumps([one.model_dump(mode="json") for one in found], indent=2) if as_json else summary(found)
    )


def _one(
    paths: list[Path], as_json: bool, report: Path | None, question: str, choices: tuple[str, ...]
) -> None:
    from agents.service_causes import explain_case, render
    from setpoint.app.formatting import visible
    from tools.case_files import read_case

    case = read_case(paths, question=question, choices=choices)
    found = explain_case(case)
    if report:
        from setpoint.app.service_report import write_service_report

        write_service_report(report, case, found)
        typer.echo(f"report: {report}", err=True)
    typer.echo(json.dumps(found.model_dump(mode="json"), indent=2) if as_json else visible(render(found)))
