"""Numbers in the fields of strangers."""

from __future__ import annotations

import math
import re

from setpoint.errors import InputError
from setpoint.intake.text import shown
from setpoint.intake.units import unit_of

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*(\S.{0,30})?")
_ABSENT = frozenset(("", "-", "--", "n/a", "na", "null", "none", "nil"))


def number(given: object, field: str) -> tuple[float | None, str | None]:
    """The finite number in `given` and the unit written behind it, if any; None where nothing was given.

    Raises InputError for what is no number: NaN and infinity are readings that were not taken.

    >>> number("92.4 C", "value"), number("", "value"), number(3, "value")
    ((92.4, 'C'), (None, None), (3.0, None))
    """
    if given is None:
        return None, None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise InputError(f"{field} is {shown(given)}, not a number", remedy=f"Send {field} as a number")
    if not isinstance(given, str):
        return _finite(given, field), None
    text = given.strip()
    if text.lower() in _ABSENT:
        return None, None
    match = _NUMBER.fullmatch(text)
    if match and (match[2] is None or unit_of(match[2])):
        return _finite(match[1], field), match[2]
    if text.lstrip("+-").lower() in ("nan", "inf", "infinity"):
        raise _not_finite(text, field)
    raise InputError(
        f"{field} is {shown(text)}, not a number", remedy="Write numbers like 92.4 or 1.2e3, unit apart"
    )


def _finite(given: str | int | float, field: str) -> float:
    try:
        reading = float(given)
    except OverflowError:
        reading = math.inf
    if not math.isfinite(reading):
        raise _not_finite(str(given)[:40], field)
    return reading


def _not_finite(text: str, field: str) -> InputError:
    return InputError(
        f"{field} is {shown(text)}, not a finite number",
        remedy="Leave the field out where there is no reading",
    )
