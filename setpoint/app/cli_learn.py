"""`setpoint learn ...`: from people's corrections to a better model, each step readable and each signed for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from setpoint.app.desk_calls import Json, Store, Who, Why, desk_of, group, person, show, tell
from setpoint.errors import UsageError

learn = group(
    "Learn from corrections: what people left unchanged, the lessons in what they changed, training, and the way back."
)


@learn.command("status")
def learn_status(as_json: Json = False, store: Store = None) -> None:
    """How much of what Setpoint says and proposes people leave unchanged, per kind, with its 95 % interval; lessons that wait;
    which model is in service.

    Example: `setpoint learn status`
    """
    tell(store, as_json, "learning", "learning_show")


@learn.command("prepare")
def learn_prepare(
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign the set as it lies there; it is not made anew.")
    ] = False,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Leave out the lesson of this id. Repeatable.")
    ] = None,
    why: Why = "",
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Make lessons of what people corrected, approved and refused, and list what to look at before anybody signs.

    Look at them, leave out what should not be learned, then sign: `learn train` takes signed lessons only, and one changed byte
    ends a signature. What was corrected again and again is put to review as a change of rules.

    Examples: `setpoint learn prepare`; `setpoint learn prepare --without 3f0c9a51d2e04b7788aa01bc`;
    `setpoint learn prepare --sign --as ada --why "read all 40"`
    """
    if sign and without:
        raise UsageError("--sign signs the set as it lies there", remedy="Prepare it --without them first")
    if sign:
        tell(store, as_json, "lessons_signed", "learning_sign", who=person(who), why=why)
        return
    desk = desk_of(store)
    value = desk("learning_prepare", who=person(who), without=without or [])
    show(value, as_json, "lessons", lambda: desk("site_info")["timezone"])


def _add_training() -> None:
    """The commands that train and promote live in a module of their own."""
    if find_spec("setpoint.app.cli_learn_train"):
        from setpoint.app.cli_learn_train import add

        add(learn)


_add_training()
