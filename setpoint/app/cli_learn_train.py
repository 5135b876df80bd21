"""`setpoint learn train|compare|promote|rollback`: from signed lessons to a model in service, and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from setpoint.app.desk_calls import Json, Store, Who, Why, person
from setpoint.errors import BackendError, UsageError

if TYPE_CHECKING:
    from setpoint.app.promoting import Workshop

Candidate = Annotated[
    str, typer.Argument(help="Name of a model that `learn train` made.", metavar="CANDIDATE")
]


def add(learn: typer.Typer) -> None:
    """Registers the commands with `setpoint learn`."""
    learn.command("train")(learn_train)
    learn.command("compare")(learn_compare)
    learn.command("promote")(learn_promote)
    learn.command("rollback")(learn_rollback)


def learn_train(
    name: Annotated[str, typer.Option(help="Name of the new model (default: by its lessons).")] = "",
    trial: Annotated[
        Path | None, typer.Option("--from", help="A file of lessons nobody signed, to try: never promoted.")
    ] = None,
    start: Annotated[str, typer.Option(help="Model to begin with (default: the one in service).")] = "",
    seed: Annotated[int, typer.Option(help="The same seed and lessons give the same model.")] = 1,
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Train a candidate on the signed lessons. Some minutes on one core; a run that was interrupted goes on where
    it was. Nothing is in service before `learn compare` and `learn promote`.

    Example: `setpoint learn train --name autumn`
    """
    _needs_torch()
    with _workshop(store) as shop, _bar() as bar:
        card = shop.train(name, person(who), trial, start, seed, bar)
    from setpoint.app import promoting

    typer.echo(promoting.as_json(card) if as_json else "\n".join(promoting.told(card)))
    if not as_json:
        typer.echo(f"Next: setpoint learn compare {card['name']}")


def learn_compare(
    candidate: Candidate,
    against: Annotated[
        str,
        typer.Option("--with", help="Another model than the one in service: to look, it promotes nothing."),
    ] = "",
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Hold a candidate against the model in service: the lessons kept back, real incidents, the product's phrases, and
    what was not corrected. Exit 1 where the gate refuses it.

    Example: `setpoint learn compare autumn`
    """
    _needs_torch()
    with _workshop(store) as shop, _bar() as bar:
        gate = shop.compare(candidate, person(who), "" if against == "current" else against, bar)
    if as_json:
        from setpoint.app.promoting import as_json as written

        typer.echo(written({**asdict(gate), "passed": gate.passed}))
    else:
        _show(gate)
    raise typer.Exit(0 if gate.passed else 1)


def learn_promote(
    candidate: Candidate, why: Why = "", who: Who = "", as_json: Json = False, store: Store = None
) -> None:
    """Put a candidate that passed the gate in service, at once, also for a running server.

    Example: `setpoint learn promote autumn --as "Ada Lovelace" --why "reads as we write"`
    """
    _reason(why)
    with _workshop(store) as shop:
        _in_service(shop.promote(candidate, person(who), why), as_json)


def learn_rollback(why: Why = "", who: Who = "", as_json: Json = False, store: Store = None) -> None:
    """Back to the model before the last promotion, at once. Needs no model and no training packages.

    Example: `setpoint learn rollback --why "garbles rack names"`
    """
    _reason(why)
    with _workshop(store) as shop:
        _in_service(shop.rollback(person(who), why), as_json)


@contextmanager
def _workshop(store: Path | None) -> Iterator[Workshop]:
    from setpoint.app.cli import settings_from
    from setpoint.app.promoting import workshop

    with workshop(settings_from(None, None, store).settings) as found:
        yield found


def _needs_torch() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "tokenizers", "gguf") if find_spec(name) is None]
    if missing:
        raise BackendError(
            f"training needs {', '.join(missing)}, which is not installed",
            remedy="Install the extra: pip install 'setpoint[learn]'",
        )


def _reason(why: str) -> None:
    if not why.strip():
        raise UsageError("no reason given", remedy="Say it with --why; it stands in the audit chain")


def _in_service(made: Any, as_json: bool) -> None:
    if as_json:
        from setpoint.app.promoting import as_json as written

        typer.echo(written(asdict(made)))
        return
    typer.echo(
        f"In service: {made.name} ({made.sha256[:12]})" + (f", {made.warning}" if made.warning else "")
    )


def _show(gate: Any) -> None:
    from rich.table import Table

    from setpoint.app.views import make_screen

    table = Table(box=None, pad_edge=False)
    for title in ("set", "figure", "texts", "before", "after", "95 % of the change", ""):
        table.add_column(title, justify="left" if title in ("set", "figure", "") else "right")
    for one in gate.figures:
        change = f"{one.low:+.3f} to {one.high:+.3f}"
        table.add_row(
            one.set, one.name, str(one.texts), f"{one.before:.3f}", f"{one.after:.3f}", change, one.verdict
        )
    if gate.figures:
        make_screen("UTC").console.print(table)
    typer.echo(f"{gate.candidate} against {gate.against}: " + ("passed" if gate.passed else "refused"))
    for reason in gate.refused:
        typer.echo(f"  {reason}")
    if gate.passed:
        typer.echo(f'Next: setpoint learn promote {gate.candidate} --why "..."')


@contextmanager
def _bar() -> Iterator[Any]:
    """Progress on stderr: a line that is written over on a terminal, else one a quarter of the way."""
    live, told = sys.stderr.isatty(), set[tuple[str, int]]()

    def draw(what: str, share: float) -> None:
        if live:
            print(
                f"\r\x1b[K[{'#' * round(24 * share):<24}] {share:4.0%} {what}",
                end="",
                file=sys.stderr,
                flush=True,
            )
        elif (what, int(4 * share)) not in told:
            told.add((what, int(4 * share)))
            print(f"{what}: {share:.0%}", file=sys.stderr, flush=True)

    try:
        yield draw
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
