"""JSON from strangers: bounded in depth and size, strict about numbers."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from setpoint.errors import InputError
from setpoint.intake.limits import Limits

# An unterminated string runs to the end, so that each character is looked at once whatever the input.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?$)|[\[\]{}]', re.DOTALL)
_ESCAPED_END = re.compile(r'(?<!\\)(?:\\\\)*\\"$')
_NOT_SPACE = re.compile(r"[^ \t\r\n]")


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not a number", remedy="Leave the field out where there is no reading")


# Not strict: a raw tab inside a string is a sender's sloppiness; `text.clean` takes control characters out.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, strict=False)


def parse(text: str, limits: Limits) -> list[object]:
    """The JSON values in `text`, one after the other. Raises InputError with the place of the fault."""
    _check_size(text, limits)
    values: list[object] = []
    position = 0
    while match := _NOT_SPACE.search(text, position):
        try:
            value, position = _DECODER.raw_decode(text, match.start())
        except json.JSONDecodeError as error:
            raise InputError(
                f"malformed JSON at character {error.pos + 1}: {error.msg.lower()}",
                remedy="Mend it and send it again",
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"JSON that cannot be read: {error}", remedy="Mend it and send it again"
            ) from error
        values.append(value)
    return values


def open_depth(text: str) -> int | None:
    """Brackets opened and not closed in `text`, strings left aside; negative where more are closed.

    None where it ends within a string: no further line can make JSON of it.

    >>> open_depth('{"a": ["]"'), open_depth("[{}]"), open_depth("]}"), open_depth('{"a": "b')
    (2, 0, -2, None)
    """
    depth = 0
    for token in _TOKEN.finditer(text):
        found = token.group()
        if found in "[{":
            depth += 1
        elif found in "]}":
            depth -= 1
        elif len(found) == 1 or not found.endswith('"') or _ESCAPED_END.search(found):
            return None
    return depth


def _check_size(text: str, limits: Limits) -> None:
    containers = text.count("{") + text.count("[")
    if containers <= limits.json_depth:
        return
    if containers > limits.json_containers:
        raise InputError(
            f"one JSON document with more than {limits.json_containers} objects and arrays",
            remedy="Send it as JSON Lines",
        )
    depth = 0
    for token in _TOKEN.finditer(text):
        char = token.group()
        if char in "[{":
            depth += 1
            if depth > limits.json_depth:
                raise InputError(
                    f"JSON nested deeper than {limits.json_depth} levels", remedy="Send a flatter document"
                )
        elif char in "]}":
            depth -= 1
