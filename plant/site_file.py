"""Reading a site file: ranges expanded, and every fault named with its line, value and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from plant.marks import Marks, Place
from plant.ranges import dealt, expand
from plant.site_check import Found, near
from plant.specs import SPECS
from setpoint.errors import ConfigError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where it is there: ten times faster, and a start must be quick."""
MOST_FAULTS = 10
"""Told at once; more would not be read."""
_RANGED = ("assets", "jobs")
"""Lists whose items may stand for several by a range in their name."""
T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a site file."""

    place: Place
    """In the file as written, before ranges are expanded."""
    label: str
    what: str
    remedy: str


def included() -> tuple[str, ...]:
    """Names of the example sites that ship with Setpoint."""
    found = files("plant").joinpath("sites").iterdir()
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in found if entry.name.endswith(".yaml")))


def site_file(name: str | Path) -> Path:
    """The path of an included example by its name, or of the user's own file.

    Raises ConfigError that lists the examples where neither is there.

    >>> site_file("demo").name
    'demo.yaml'
    """
    own = Path(name)
    if own.is_file():
        return own
    if str(name).removesuffix(".yaml") in included():
        return Path(str(files("plant").joinpath("sites", f"{str(name).removesuffix('.yaml')}.yaml")))
    raise ConfigError(
        f"no site file {str(name)!r}", remedy=f"Give a path, or one of the included {', '.join(included())}"
    )


def read(path: Path, into: type[T], check: Callable[[T], list[Found]]) -> T:
    """Read and check a site file. Raises ConfigError with every fault, one a line."""
    text = _text(path)
    raw = _mapping(text, path)
    found: list[Fault] = []
    origin = _expand_all(raw, found)
    try:
        site = into.model_validate(raw)
    except ValidationError as error:
        found += [_translated(detail, raw, origin, into) for detail in error.errors()]
    else:
        if not found:
            found = [Fault(*_place(at, raw, origin), what, remedy) for at, what, remedy in check(site)]
        if not found:
            return site
    raise _error(found, Marks(text), path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the site file: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("not text in UTF-8", where=str(path), remedy="Save it as UTF-8") from error


def _mapping(text: str, path: Path) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"not valid YAML: {_one_line(error)}", where=str(path), remedy="Mend it there"
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError("a site file is a mapping with at least `name`", where=str(path))
    listed = raw.get("assets") or []
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise ConfigError(
            "assets is a list of mappings", where=str(path), remedy="Write `- {name: gpu-01, kind: gpu_node}`"
        )
    # YAML 1.1 reads a bare `on:` key as true; an empty section is as good as none.
    raw["assets"] = [{("on" if key is True else key): part for key, part in item.items()} for item in listed]
    return {key: part for key, part in raw.items() if part is not None}


def _one_line(error: yaml.YAMLError) -> str:
    """What and where, without the excerpt."""
    mark = getattr(error, "problem_mark", None)
    at = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or 'cannot be parsed'}{at}"


# ---- ranges ------------------------------------------------------------------------------------------------------


def _expand_all(raw: dict[str, Any], found: list[Fault]) -> dict[str, list[tuple[int, str]]]:
    """Expand the ranges in place; returns, a list, the written item (position, name) of each expanded one."""
    origin: dict[str, list[tuple[int, str]]] = {}
    for section in _RANGED:
        listed = raw.get(section)
        if not isinstance(listed, list):
            continue
        expanded, origin[section] = [], []
        for position, item in enumerate(listed):
            written = str(item.get("name", "")) if isinstance(item, dict) else ""
            try:
                items = list(_expanded(item, written)) if isinstance(item, dict) else [item]
            except ValueError as error:
                place = (section, position)
                found.append(Fault(place, written or f"{section}.{position}", str(error), "Mend the range"))
                continue
            expanded += items
            origin[section] += [(position, written)] * len(items)
        raw[section] = expanded
    return origin


def _expanded(item: Mapping[str, Any], written: str) -> Iterator[dict[str, Any]]:
    names = list(expand(written))
    for position, name in enumerate(names):
        one = {**item, "name": name} if written else dict(item)
        for field in ("on", "redundant_with"):
            if isinstance(one.get(field), list):
                one[field] = [
                    target for part in one[field] for target in _targets(part, position, len(names))
                ]
        yield one


def _targets(part: object, position: int, of: int) -> list[object]:
    return list(dealt(part, position, of)) if isinstance(part, str) else [part]


# ---- faults ------------------------------------------------------------------------------------------------------


def _translated(
    detail: ErrorDetails,
    raw: Mapping[str, Any],
    origin: Mapping[str, list[tuple[int, str]]],
    into: type[BaseModel],
) -> Fault:
    """A pydantic error in words, with its place in the file as written."""
    loc = tuple(detail["loc"])
    place, label = _place(loc, raw, origin)
    given = detail["input"]
    if detail["type"] == "extra_forbidden":
        return Fault(place, "", f"unknown field {label!r}", _near_field(loc, raw, into))
    if detail["type"] == "missing":
        return Fault(place[:-1], label, "is missing", f"Add `{loc[-1]}:`")
    return Fault(place, label, *_said(detail, given))


def _said(detail: ErrorDetails, given: object) -> tuple[str, str]:
    """What is wrong with the value, and what to write."""
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return message, _unit_remedy(message)
    bound = detail.get("ctx", {})
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    for key, word in words.items():
        if key in bound:
            return f"{given!r} is out of range", f"Write a value {word} {bound[key]:g}"
    if detail["type"] == "literal_error":
        expected = re.findall(r"'([^']*)'", str(bound.get("expected", "")))
        return f"{given!r} is not known here", near(str(given), expected)
    shown = repr(given) if len(repr(given)) <= 60 else f"a {type(given).__name__}"
    if detail["type"] in _WANTED:
        what, remedy = _WANTED[detail["type"]]
        return f"{shown} is given; {what} is wanted", remedy.format(given=given)
    return f"{shown}: {message[0].lower() + message[1:]}", "Mend this field"


_WANTED = {
    "tuple_type": ("a list", "Write it as [{given}]"),
    "string_type": ("text", "Write it as '{given}', in quotes"),
    "model_type": ("a mapping", "Write it as {{field: value}}"),
    "dict_type": ("a mapping", "Write it as {{field: value}}"),
    "float_parsing": ("a number", "Write a number"),
    "float_type": ("a number", "Write a number"),
    "int_parsing": ("a whole number", "Write a whole number"),
    "int_type": ("a whole number", "Write a whole number"),
    "int_from_float": ("a whole number", "Write a whole number"),
    "bool_parsing": ("true or false", "Write true or false"),
    "bool_type": ("true or false", "Write true or false"),
    "invalid_key": ("a field name", "Mend its name or drop it"),
}
"""Kind of pydantic error: what the field wants, and how to write it."""
_UNITS = {"w": "W", "kw": "kW", "kwh": "kWh", "mhz": "MHz", "c": "C", "k": "K", "lpm": "LPM", "kpa": "kPa", "b": "B",
          "b/s": "B/s"}  # fmt: skip


def _unit_remedy(message: str) -> str:
    """`'700 C' is a temperature; a power is wanted, such as 1w` is mended by 700W."""
    match = re.search(r"'\s*([-+0-9.eE]+)\s*\S*' is an? .* is wanted, such as 1(\S+)$", message)
    return f"Write it as {match[1]}{_UNITS.get(match[2], match[2])}" if match else "Mend this field"


def _place(
    loc: Place, raw: Mapping[str, Any], origin: Mapping[str, list[tuple[int, str]]]
) -> tuple[Place, str]:
    """The place as written, and its name for people: list items by their name."""
    section, position = str(loc[0]) if loc else "", loc[1] if len(loc) > 1 else None
    if not isinstance(position, int):
        return loc, ".".join(map(str, loc))
    rest, written = loc[2:], position
    if position < len(origin.get(section, ())):
        written, name = origin[section][position]
    else:
        item = raw[section][position] if isinstance(raw.get(section), list) else None
        name = str(item.get("name", "")) if isinstance(item, dict) else ""
    label = name or f"{section}.{written}"
    return (section, written, *rest), ".".join([label, *map(str, rest)])


def _near_field(loc: Place, raw: Mapping[str, Any], into: type[BaseModel]) -> str:
    """Fields that were perhaps meant: those of the model that stands at the place; of a spec those of its kind."""
    model: object = into
    for part in loc[:-1]:
        if isinstance(part, int):
            model = get_args(model)[0] if get_args(model) else None
        elif part == "spec" and loc[0] == "assets":
            model = SPECS[raw["assets"][loc[1]]["kind"]]
        elif isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[part].annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        return near(str(loc[-1]), model.model_fields)
    return "Mend its name or drop it"


def _error(found: list[Fault], marks: Marks, path: Path) -> ConfigError:
    """One ConfigError for all; faults that one written line causes in each of its assets are told once."""
    single = list({(fault.place, fault.label): fault for fault in reversed(found)}.values())[::-1]
    lines = sorted((marks.line(fault.place), index, fault) for index, fault in enumerate(single))
    errors = [
        ConfigError(
            f"{fault.label}: {fault.what}" if fault.label else fault.what,
            where=f"{path}, line {line}",
            remedy=fault.remedy,
        )
        for line, _, fault in lines
    ]
    if len(errors) == 1:
        return errors[0]
    told = [str(error) for error in errors[:MOST_FAULTS]]
    left = len(errors) - len(told)
    more = f"{left} more {'fault' if left == 1 else 'faults'} after these" if left else ""
    return ConfigError("\n".join(told), remedy=more)
