"""Sheets in which a person decides a review: the whole of it to read, then approve, edit, reject or respond.

A decision is bound to what was on the sheet. Where somebody else decided or edited meanwhile, the sheet says so and shows
what stands now.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich.text import Text
from textual import on
from textual.widgets import Input, Static

from setpoint.app.formatting import number, visible
from setpoint.app.terminal.forms import Field, Form, needed
from setpoint.app.terminal.picture import Call, Picture, Row
from setpoint.app.terminal.words import fate, now_utc, time_left, viewed
from setpoint.errors import NotDecidable, SetpointError, UsageError

Kind = Literal["approve", "edit", "reject", "respond"]
YES = {
    "approve": "Approve",
    "edit": "Approve with these values",
    "reject": "Reject",
    "respond": "Send the answer",
}
REASON = "kept with the decision; others and later learning read it"


class Deciding(Form):
    """One decision about one review. Its value is what the desk answered."""

    def __init__(
        self, kind: Kind, review: Row, args: Sequence[Row], *, call: Call, who: str, zone: str
    ) -> None:
        """`review` is what `review_show` gives; `args` what may be changed, from `review_fields_list`."""
        self.review, self._kind, self._args = review, kind, args
        self._call, self._who, self._zone = call, who, zone
        super().__init__(
            f"{YES[kind]}? {review['subject']}" if kind in ("approve", "reject") else f"{YES[kind]}: {review['subject']}",
            self._page, _fields(kind, review, args), self._decide, yes=YES[kind],
            danger=kind in ("approve", "edit") and is_high(review), read_first=kind == "approve" and not is_high(review),
        )  # fmt: skip

    def _page(self, width: int) -> Text:
        text = Text("\n").join([*_warnings(self.review), viewed("review", self.review, width, self._zone)])
        return text

    def _decide(self, typed: Mapping[str, str]) -> Any:
        more: dict[str, Any] = {"reason": typed.get("reason", ""), "asset": typed.get("asset", "")}
        if self._kind == "edit":
            more["args"] = changes(self._args, typed)
            if not more["args"]:
                raise UsageError(
                    "nothing is changed", remedy="Change a value, or go back and approve it as it is"
                )
        if self._kind == "respond":
            more["answer"] = typed["answer"]
        return self._call(
            "review_decide", id=self.review["id"], type=self._kind, who=self._who, digest=self.review["digest"], **more
        )  # fmt: skip

    # ---- while it is open -----------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self._count_down()
        self.set_interval(1.0, self._count_down)

    def _count_down(self) -> None:
        line = self.query_one("#beside", Static)
        line.update(fate(self.review) or time_left(self.review["expires"], now_utc()))

    @on(Input.Changed)
    def _show_difference(self) -> None:
        if self._kind == "edit" and self.is_mounted:
            said = difference(self._args, self.typed)
            self.say(f"changes {said}" if said else "nothing is changed yet")

    def noticed(self, picture: Picture) -> None:
        """Somebody may have decided or edited it meanwhile."""
        waiting = picture.review(self.review["id"])
        gone = waiting is None and self.review["state"] == "pending"
        if gone or (waiting and any(waiting[part] != self.review[part] for part in ("digest", "approvals"))):
            self.run_worker(self._read_again(), exclusive=True, group="again")

    def refused(self, error: Exception) -> None:
        super().refused(error)
        if isinstance(error, NotDecidable) or getattr(error, "exit_code", 1) == NotDecidable.exit_code:
            self.run_worker(self._read_again(), exclusive=True, group="again")

    async def _read_again(self) -> None:
        before = self.review
        try:
            self.review = await asyncio.to_thread(self._call, "review_show", id=before["id"])
        except SetpointError:
            return  # the console's header tells what is wrong; the next look tries again
        self.page.again()
        self._count_down()
        if word := fate(self.review):
            self.say(
                f"already decided: {word}" if self.review["decision"] else f"no longer to be decided: {word}",
                wrong=True,
            )
        elif self.review["digest"] != before["digest"]:
            self.say("somebody changed it meanwhile: read again what is asked now", wrong=True)
        elif self.review["approvals"] != before["approvals"]:
            self.say(f"agreed meanwhile: {', '.join(self.review['approvals'])}")


def is_high(review: Row) -> bool:
    """Whether the asset's name has to be typed."""
    return bool(review["proposal"]) and review["proposal"]["risk"] == "high"


def _warnings(review: Row) -> list[Text]:
    said: list[Text] = []
    if is_high(review):
        said.append(Text("High risk: what it does cannot be taken back.", "bold red"))
    if review["needed"] > 1 and review["state"] == "pending":
        agreed = ", ".join(map(visible, review["approvals"])) or "nobody yet"
        said.append(
            Text(f"{review['needed']} people have to agree, each by themselves. Agreed so far: {agreed}.", "bold")
        )  # fmt: skip
    return said


# ---- fields ----------------------------------------------------------------------------------------------------------


def _fields(kind: Kind, review: Row, args: Sequence[Row]) -> list[Field]:
    reason = Field("reason", "reason", hint=REASON)
    fields = [reason]
    if kind == "reject":
        return [Field("reason", "reason", hint=REASON, problem=needed("a reason for the no"))]
    if kind == "respond":
        return [
            Field("answer", "answer", hint="neither a yes nor a no: it is asked again with your answer beside it",
                  problem=needed("an answer"))
        ]  # fmt: skip
    if kind == "edit":
        fields = [*(_argument(arg) for arg in args), reason]
    if kind in ("approve", "edit") and is_high(review):
        fields = [_asset(str(review["proposal"]["action"]["asset"])), *fields]
    return fields


def _asset(name: str) -> Field:
    return Field(
        "asset", "asset", hint=f"type {visible(name)}, the asset it is done to",
        problem=lambda typed: "" if typed == name else f"type the asset's name, {visible(name)}, to say yes",
    )  # fmt: skip


def _argument(arg: Row) -> Field:
    return Field(
        f"arg-{arg['name']}",
        str(arg["name"]),
        shown(arg["value"]),
        bounds_words(arg),
        lambda typed: wrong(arg, typed),
    )


def shown(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def bounds_words(arg: Row) -> str:
    """
    >>> bounds_words({"doc": "Limit of each GPU", "unit": "W", "least": 200.0, "most": 700.0, "choices": []})
    'Limit of each GPU: 200 to 700 W'
    """
    if arg["choices"]:
        return f"{arg['doc']}: one of {', '.join(arg['choices'])}"
    low, high = (None if edge is None else number(edge) for edge in (arg["least"], arg["most"]))
    span = (
        f"{low} to {high}"
        if low and high
        else f"at least {low}"
        if low
        else f"at most {high}"
        if high
        else "any"
    )
    return f"{arg['doc']}: {span} {arg['unit']}".rstrip()


def value_of(arg: Row, typed: str) -> Any:
    """What was typed, by the argument's type. Raises ValueError."""
    if arg["type"] == "choice":
        return typed
    value = int(typed) if arg["type"] == "integer" else float(typed)
    if not math.isfinite(value):
        raise ValueError(typed)
    return value


def wrong(arg: Row, typed: str) -> str:
    """Why it cannot be used; "" where it can. What only the site's state forbids is found by the desk."""
    if arg["choices"]:
        return "" if typed in arg["choices"] else f"{arg['name']} is one of {', '.join(arg['choices'])}"
    try:
        value = value_of(arg, typed)
    except ValueError:
        return f"{arg['name']} has to be {'a whole number' if arg['type'] == 'integer' else 'a number'}"
    least = -math.inf if arg["least"] is None else arg["least"]
    most = math.inf if arg["most"] is None else arg["most"]
    return "" if least <= value <= most else f"{arg['name']} is out of bounds. {bounds_words(arg)}"


def changes(args: Sequence[Row], typed: Mapping[str, str]) -> dict[str, Any]:
    """The arguments that are not as proposed."""
    found: dict[str, Any] = {}
    for arg in args:
        text = typed[f"arg-{arg['name']}"]
        if text != shown(arg["value"]) and not wrong(arg, text):
            found[str(arg["name"])] = value_of(arg, text)
    return found


def difference(args: Sequence[Row], typed: Mapping[str, str]) -> str:
    """`cap_w 500 -> 450 W`; a value that cannot be used is named with the reason."""
    said = [problem for arg in args if (problem := wrong(arg, typed[f"arg-{arg['name']}"]))]
    new = changes(args, typed)
    said += [
        f"{arg['name']} {shown(arg['value'])} -> {shown(new[arg['name']])} {arg['unit']}".rstrip()
        for arg in args if arg["name"] in new
    ]  # fmt: skip
    return ", ".join(said)
