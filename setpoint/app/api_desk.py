"""Every function of the desk as a route of its own, with the schema of its arguments, made from `api_table.OFFERED`.

Calls run on threads of the HTTP face. The engine's own are few, and an alert must not wait for somebody who browses.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated, Any, get_type_hints

from fastapi import APIRouter, Body, Depends, Query
from fastapi import Path as InPath
from pydantic import AfterValidator, ConfigDict, Field, JsonValue, create_model
from starlette.concurrency import run_in_threadpool

from setpoint.app.access import require
from setpoint.app.api_table import OFFERED, Offered
from setpoint.app.desk import DESK, Call, Desk
from setpoint.app.lines import patiently
from setpoint.app.wiring import Runtime
from setpoint.contracts.accounts import Principal
from setpoint.errors import UsageError

LONGEST_TEXT = 20_000
LONGEST_PHRASE = 2000
"""Of what stands behind the question mark."""
LONGEST_NAME = 300
"""Of what stands in an address: an id, a kind, the name of a manual."""
LONGEST_FILE_NAME = 200
"""Bytes."""
MOST_ROWS = 1000
FILLED = frozenset({"desk", "who"})
"""Arguments that the server gives."""
BY_HAND = frozenset({"incidents_list", "knowledge_add"})
"""Have routes of their own in `api`: filters that can be typed, and a manual's content in place of a path of this machine."""
UNSIGNED = frozenset({"quarantine_replay", "quarantine_remove", "knowledge_remove"})
"""Change something and do not ask who: the route puts that into the audit chain."""
LONG_POLLS = frozenset({"chat_follow"})
"""Wait for news that may not come for a long time."""
_BRACES = re.compile(r"{(\w+)}")


def plain_text(text: str) -> str:
    """Text that every store can keep. Raises ValueError for a NUL character and for half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("holds a character that cannot be kept (NUL, or half of a surrogate pair)")
    return text


def plain_values(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values that every store can keep. Raises ValueError where one is not, or all of them are too long."""
    try:
        written = json.dumps(values, allow_nan=False, ensure_ascii=False)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if len(written) > LONGEST_TEXT:
        raise ValueError(f"is longer than {LONGEST_TEXT} characters")
    plain_text(written)
    return values


Values = Annotated[dict[str, Any], AfterValidator(plain_values)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(plain_text)]
Name = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(plain_text)]
Phrase = Annotated[str, Field(max_length=LONGEST_PHRASE), AfterValidator(plain_text)]
Rows = Annotated[int, Field(ge=1, le=MOST_ROWS)]
Number = Annotated[int, Field(ge=-1, le=2**53)]


def add_desk_routes(router: APIRouter, runtime: Runtime) -> None:
    """One route for each function that is offered. Raises KeyError where the table names one that is not there."""
    for one in OFFERED:
        if one.name in BY_HAND:
            continue
        router.add_api_route(
            f"/v1{one.path}", _endpoint(one, DESK[one.name], runtime), methods=[one.method], name=one.name,
            tags=[one.tag], description=inspect.getdoc(DESK[one.name]), response_model=None,
        )  # fmt: skip


def _endpoint(one: Offered, function: Call, runtime: Runtime) -> Callable[..., Any]:
    """A route's function whose signature FastAPI reads: path and query arguments, or a body with the same fields."""
    taken = inspect.signature(function).parameters

    async def answer(principal: Principal, **given: Any) -> JsonValue:
        body = given.pop("body", None)
        arguments = given | (body.model_dump() if body is not None else {})
        return await call(one, function, runtime, principal, arguments, set(taken))

    answer.__signature__ = inspect.Signature(_parameters(one, function))  # type: ignore[attr-defined]  # read by FastAPI
    answer.__name__ = one.name
    return answer


def line_of(name: str) -> Callable[..., Awaitable[Any]]:
    """The threads that this desk function runs on."""
    return patiently if name in LONG_POLLS else run_in_threadpool


async def call(
    one: Offered, function: Call, runtime: Runtime, principal: Principal, arguments: dict[str, Any], taken: set[str]
) -> JsonValue:  # fmt: skip
    """Make the call as this person. What changes something without asking who is put into the audit chain here."""
    if "who" in taken:
        arguments |= {"who": principal.name}
    if "via" in one.withheld:
        arguments |= {"via": "api" if principal.via == "token" else "command"}
    value: JsonValue = await line_of(one.name)(function, runtime.desk, **arguments)
    if one.method == "POST":
        if one.name in UNSIGNED:
            said: JsonValue = {name: str(value)[:200] for name, value in arguments.items()}
            await run_in_threadpool(runtime.ledger.audit, principal.name, "desk-called", one.name, said)
        runtime.engine.wake()
    return value


def add_manual(runtime: Runtime, who: str, name: str, content: bytes) -> JsonValue:
    """Put what was sent into the knowledge index, under the last part of its name. Nothing else of this machine is read."""
    kept = PurePosixPath(name.replace("\\", "/")).name
    if not kept.strip(". ") or len(kept.encode()) > LONGEST_FILE_NAME:
        raise UsageError(
            f"no file name that can be kept: {kept[:60]!r}", remedy="For example name=cdu-manual.pdf"
        )
    with TemporaryDirectory(prefix="manual-", dir=runtime.settings.store.dir) as folder:
        path = Path(folder) / kept
        path.write_bytes(content)
        added = DESK["knowledge_add"](runtime.desk, path=str(path))
    runtime.ledger.audit(who, "desk-called", "knowledge_add", {"name": kept})
    return added


def _parameters(one: Offered, function: Call) -> list[inspect.Parameter]:
    hints = get_type_hints(function, localns={"Desk": Desk}, include_extras=True)
    in_path = set(_BRACES.findall(one.path))
    fields = {
        name: (_bounded(name, hints[name]), parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in FILLED | one.withheld
    }
    found = [_by_name("principal", Annotated[Principal, Depends(require(one.role))])]
    found += [_by_name(name, Annotated[Name, InPath()]) for name in sorted(in_path)]
    rest = {name: field for name, field in fields.items() if name not in in_path}
    if one.method == "GET":
        found += [
            _by_name(name, Annotated[Phrase if kind is Text else kind, Query()], default)
            for name, (kind, default) in rest.items()
        ]
    elif rest:
        found.append(_by_name("body", _body_of(one, rest)))
    return found


def _body_of(one: Offered, fields: dict[str, tuple[Any, Any]]) -> Any:
    """A model of the arguments that are neither in the path nor the server's."""
    missing = inspect.Parameter.empty
    shaped: dict[str, Any] = {
        name: (kind, ... if default is missing else default) for name, (kind, default) in fields.items()
    }
    title = "".join(part.capitalize() for part in one.name.split("_"))
    model = create_model(title, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **shaped)
    return Annotated[model, Body()]


def _bounded(name: str, kind: Any) -> Any:
    """The type with the bounds that any argument from outside has."""
    if kind is str:
        return Text
    if kind is int:
        return Rows if name == "limit" else Number
    if kind == list[str] | None:
        return list[Text] | None
    if kind in (dict[str, Any], dict[str, Any] | None):
        return Values | None
    return kind


def _by_name(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
