"""Quantities with units, read from what people write: `1200MHz`, `30 C`, `500ms`, `2.5 MW`.

A field names its unit (`clock_mhz`); what is written with another unit of the same kind is converted, what is of
another kind is refused. A bare number is in the field's own unit.
"""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator

_FACTORS: dict[str, dict[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    "frequency": {"mhz": 1.0, "ghz": 1e3, "khz": 1e-3, "hz": 1e-6},
    "power": {"w": 1.0, "kw": 1e3, "mw": 1e6, "gw": 1e9},
    "energy": {"j": 1.0, "kj": 1e3, "mj": 1e6, "wh": 3600.0, "kwh": 3.6e6, "mwh": 3.6e9, "twh": 3.6e15},
    "flow": {"lpm": 1.0, "l/min": 1.0, "l/s": 60.0, "m3/h": 1000.0 / 60.0, "gpm": 3.785411784},
    "temperature": {"c": 1.0, "degc": 1.0},
    "temperature difference": {"k": 1.0},
    "pressure": {"kpa": 1.0, "pa": 1e-3, "bar": 100.0, "psi": 6.894757},
    "data": {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "pb": 1e15,
             "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40},
    "rate of data": {"b/s": 1.0, "mb/s": 1e6, "gb/s": 1e9, "tb/s": 1e12},
    "share": {"pu": 1.0, "%": 0.01, "pct": 0.01},
    "rate": {"rps": 1.0, "/s": 1.0, "req/s": 1.0, "/min": 1.0 / 60.0},
    "count": {"": 1.0},
}  # fmt: skip
"""Factor of each unit to the base of its kind. Letters of any case: in a plant `mW` means megawatts."""
_WRITTEN = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z%/][A-Za-z0-9%/]*)?\s*$")


def kind_of(unit: str) -> str:
    """What a unit measures.

    >>> kind_of("MHz"), kind_of("kW")
    ('frequency', 'power')
    """
    for kind, units in _FACTORS.items():
        if unit.lower() in units:
            return kind
    raise ValueError(f"unknown unit {unit!r}; known are {', '.join(known_units())}")


def known_units() -> list[str]:
    return sorted(unit for units in _FACTORS.values() for unit in units if unit)


def quantity(written: object, unit: str) -> float:
    """A finite number in `unit`, from a number or a text with a unit of the same kind.

    Raises ValueError for another kind of unit, an unknown one, NaN, infinity or no number at all.

    >>> quantity("1.2GHz", "mhz"), quantity(30, "c"), quantity("500ms", "s"), quantity("2.5 MW", "kw")
    (1200.0, 30.0, 0.5, 2500.0)
    >>> quantity("30C", "mhz")
    Traceback (most recent call last):
    ...
    ValueError: '30C' is a temperature; a frequency is wanted, such as 1mhz
    """
    if isinstance(written, bool) or not isinstance(written, (int, float, str)):
        raise ValueError(f"{written!r} is not a number in {unit}")
    if isinstance(written, (int, float)):
        return _finite(float(written), written)
    match = _WRITTEN.match(written)
    if not match:
        raise ValueError(f"{written!r} is not a number with a unit; write it as 1{unit}")
    number, own = float(match[1]), (match[2] or unit).lower()
    wanted, given = kind_of(unit), kind_of(own)
    if wanted != given:
        article = "an" if given[0] in "aeiou" else "a"
        raise ValueError(f"{written!r} is {article} {given}; a {wanted} is wanted, such as 1{unit}")
    factors = _FACTORS[wanted]
    return _finite(number * factors[own] / factors[unit.lower()], written)


def _finite(number: float, written: object) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{written!r} is not a finite number")
    return number


def _in(unit: str) -> BeforeValidator:
    return BeforeValidator(lambda written: quantity(written, unit))


Seconds = Annotated[float, _in("s")]
Milliseconds = Annotated[float, _in("ms")]
Mhz = Annotated[float, _in("mhz")]
Watts = Annotated[float, _in("w")]
Kw = Annotated[float, _in("kw")]
Kwh = Annotated[float, _in("kwh")]
Lpm = Annotated[float, _in("lpm")]
Celsius = Annotated[float, _in("c")]
Kelvin = Annotated[float, _in("k")]
"""A difference of temperatures."""
Kpa = Annotated[float, _in("kpa")]
Bytes = Annotated[float, _in("b")]
BytesPerSecond = Annotated[float, _in("b/s")]
PerUnit = Annotated[float, _in("pu")]
"""A share: 0.9, or 90%."""
PerSecond = Annotated[float, _in("rps")]
