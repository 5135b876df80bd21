"""`setpoint chat`: a plain conversation with the ops agent at the terminal, or one question for a script."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import typer

from setpoint.app.client import caller
from setpoint.app.desk_calls import person
from setpoint.app.formatting import visible
from setpoint.errors import SetpointError
from setpoint.settings import Loaded


def converse(loaded: Loaded, once: str, as_json: bool) -> None:
    """Answer once, or until the person leaves; then all of it is one conversation."""
    call = caller(loaded.settings.store.dir, lambda: _here(loaded))
    who = person(os.environ.get("SETPOINT_USER", ""))
    if once:
        _show(call("chat_ask", question=once, who=who), as_json)
        return
    if sys.stdin.isatty():
        hint = "Ask about incidents, assets, decisions or runbooks. An empty line or ctrl-d ends."
        print(hint, file=sys.stderr)
    thread = uuid4().hex
    while question := _next_question():
        try:
            _show(call("chat_ask", question=question, thread=thread, who=who), as_json)
        except SetpointError as error:  # the next question may be answered
            print(f"setpoint: {error}", file=sys.stderr)


def _here(loaded: Loaded) -> Callable[[str, dict[str, Any]], Any]:
    from setpoint.app.opening import local_desk  # a running server spares loading it

    return local_desk(loaded.settings)


def _next_question() -> str:
    """ "" at the end. The prompt goes to stderr: stdout holds answers alone."""
    if sys.stdin.isatty():
        print("> ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _show(reply: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(reply, indent=2, ensure_ascii=False))
        return
    typer.echo(visible(reply["answer"]))
    for line in reply["facts"]:
        typer.echo(f"  {visible(line)}")
    if reply["fallback"]:
        by_code = reply["written_by"] == "template"
        said = "said by code: the model's words did not pass verification" if by_code else reply["fallback"]
        typer.echo(f"  ({visible(said)})", err=True)
