"""How a typed tool is made: pydantic in, pydantic out, and two audiences for what goes wrong.

What the caller can mend (an unknown name, a value out of bounds) is a ToolError and comes back as words; a fault of
Setpoint's own is raised and ends the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict

from setpoint.errors import InputError, UsageError


class ToolError(ToolException):
    """The call cannot be done as asked; the words say what would do."""


class Args(BaseModel):
    """Arguments of a tool. Unknown ones are refused, so that a misspelt name is not lost."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What a tool found. Units are in the names; `note` is for a reader."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A = TypeVar("A", bound=Args)


def typed_tool(name: str, what: str, args: type[A], answer: Callable[[A], Answer]) -> BaseTool:
    """A tool over `answer`. Usage and input errors of the plant become a ToolError with the same words."""

    def call(**given: Any) -> dict[str, Any]:
        try:
            return answer(args.model_validate(given)).model_dump(mode="json")
        except (UsageError, InputError) as error:
            raise ToolError(str(error)) from error

    return StructuredTool.from_function(
        func=call,
        name=name,
        description=what,
        args_schema=args,
        handle_tool_error=True,
        handle_validation_error=in_words,
    )


def in_words(error: Any) -> str:
    """The first thing that is wrong with the arguments, for the one who wrote them."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg'].removeprefix('Value error, ')}"
