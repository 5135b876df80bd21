"""What the shape of structured evidence says: which keys name a time, a text, a weight; which fields state the answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

TIME_KEY = re.compile(
    r"(?:@?time(?:stamp|_?utc)?|ts|t|utc|epoch(?:_?m?s)?|clock|minute|tick|date|date_?time|(?:date|date_?time|minute|hour|ts|sample|local|wall)_?(?:utc|time|clock|at)|when|at|start(?:s|ed)?(?:_?at|_?time)?|(?:first|last)_?(?:time)?(?:stamp|seen)"
    r"|(?:event|log|occurred|created|finished|applied|deployed|updated|changed|detected|completed|state_?change)_?(?:at|time|on))",
    re.IGNORECASE,
)
TIMES_KEY = re.compile(r"(?:time_?)?(?:stamps|s)|dates|x|time|t|ts|utc|epoch(?:_?m?s)?|index", re.IGNORECASE)
TEXT_KEY = re.compile(
    r"(?:event_?name|operation|message|msg|text|description|details?|reason|summary|event|what|action|change|error|log|body|title|note|status_?message|cause)",
    re.IGNORECASE,
)
NAME_KEY = re.compile(
    r"(?:metric_?name|metric|label|name|statement|sql|query|digest_?text|info|title|id|key|measure|series|target|refid)",
    re.IGNORECASE,
)
SAID_KEY = re.compile(r"statement|sql|query|digest_?text|info", re.IGNORECASE)
"""Among naming keys, those that say what is being done."""
KIND_KEY = re.compile(r"type|kind|state|category", re.IGNORECASE)
METRIC_KEY = re.compile(r"(?:metric_?name|metric|measure|label|series|name)", re.IGNORECASE)
VALUE_KEY = re.compile(r"(?:value|val|v|y)", re.IGNORECASE)
UNIT_KEY = re.compile(r"units?", re.IGNORECASE)
SUBJECT_KEY = re.compile(
    r"(?:(?:\w*_)?(?:name|host|instance|pod|node|service|identifier|source_identifier|path|topic|queue|device))",
    re.IGNORECASE,
)
WEIGHT_KEY = re.compile(
    r"(?:\w*(?:load|share|percent|pct|aas|weight|total|count|time|calls|cost|bytes|latency|cpu|samples|lag|seconds|rate|size)\w*)",
    re.IGNORECASE,
)
WITHHELD_KEY = re.compile(
    r"(?:\w+_)?failure_?mode|(?:true_?|actual_?|expected_?|injected_?)?root_?causes?(?:_?categor(?:y|ies))?|adversarial\w*|model_?response"
    r"|(?:expected|required|forbidden|ruling_?out)_\w+|ground_?truth|red_?herrings?|(?:correct_?)?answer|injected_?\w*"
    r"|scenario(?:_?(?:id|name|difficulty|type))?|is_?root_?cause|fault_?(?:type|injected|class)|solution",
    re.IGNORECASE,
)
"""Fields that state the answer. They are never looked at, only named."""


def number(value: object) -> float | None:
    """A finite number, also out of text such as `12.5` or `93 %`; None otherwise.

    >>> number("93 %"), number("nan"), number(True), number("10.1.2.3")
    (93.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = (
            float(value.strip().removesuffix("%").replace(",", ""))
            if isinstance(value, str)
            else float(value)
        )
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def holds_mappings(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping | list) for one in value)


def is_record(node: Mapping[str, Any]) -> bool:
    """Whether a mapping with a time says something itself; else it only frames what it holds."""
    words = [k for k, v in node.items() if isinstance(v, str) and v and not TIME_KEY.fullmatch(k)]
    frames = any(isinstance(v, list | Mapping) and v for v in node.values())
    return any(TEXT_KEY.fullmatch(k) for k in words) or bool(words and not frames and "end_time" not in node)


def subject(node: Mapping[str, Any]) -> str:
    """What a mapping is about: its own name, or that of its metadata."""
    meta = node.get("metadata")
    if isinstance(meta, Mapping) and isinstance(meta.get("name"), str):
        return str(meta["name"])
    for key, value in node.items():
        if SUBJECT_KEY.fullmatch(key) and isinstance(value, str) and value and len(value) < 120:
            return value
    return ""


def parts_of(items: list[Any]) -> Iterable[tuple[str, float]]:
    for item in items:
        if isinstance(item, Mapping):
            label = " ".join(str(item[k]) for k in ("type", "name") if isinstance(item.get(k), str))
            weight = next(
                (
                    number(v)
                    for k, v in item.items()
                    if number(v) is not None and WEIGHT_KEY.fullmatch(str(k))
                ),
                None,
            )
            if label and weight is not None:
                yield label, weight


def own_name(node: Mapping[str, Any]) -> str:
    labels = node.get("metric")
    if isinstance(labels, Mapping) and labels.get("__name__"):
        return str(labels["__name__"])
    for pattern in (r"metric_?name", r"metric", r"label", r"name|title|series|target", r"id|key"):
        for key, value in node.items():
            if re.fullmatch(pattern, key, re.IGNORECASE) and isinstance(value, str) and value:
                return value
    return ""


def dimensions(node: Mapping[str, Any]) -> str:
    """Labels or dimensions in one text."""
    labels = node.get("metric") if isinstance(node.get("metric"), Mapping) else None
    if labels is None:
        labels = next(
            (v for k, v in node.items() if k.lower() in ("dimensions", "labels", "tags") and v), None
        )
    if isinstance(labels, Mapping):
        return " ".join(str(v) for k, v in labels.items() if k != "__name__")
    if isinstance(labels, list):
        return " ".join(
            str(d.get("Value") or d.get("value") or "") if isinstance(d, Mapping) else str(d) for d in labels
        )
    return subject({k: v for k, v in node.items() if not METRIC_KEY.fullmatch(k)})


def grid_of(node: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Rows of a mapping that keeps names of columns apart from the cells: by column (data frames of dashboards) or by
    row (answers of time series databases). None for any other mapping."""
    schema, data = node.get("schema"), node.get("data")
    if isinstance(schema, Mapping) and isinstance(data, Mapping):
        names, columns = _names(schema.get("fields")), data.get("values")
        if names and _table(columns, len(names), each=False):
            return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    for key, value in node.items():
        names = _names(value) if re.fullmatch(r"columns?|fields|headers?|head", key, re.IGNORECASE) else []
        rows = next(
            (v for k, v in node.items() if k != key and names and _table(v, len(names), each=True)), None
        )
        if rows:
            return [dict(zip(names, row, strict=True)) for row in rows]
    return None


def _names(fields: object) -> list[str]:
    """Names of columns with their labels, each once."""
    if not isinstance(fields, list):
        return []
    found: list[str] = []
    for field in fields:
        called = (
            next((field[k] for k in ("name", "text", "label") if field.get(k)), "")
            if isinstance(field, Mapping)
            else field
        )
        labels = field.get("labels") if isinstance(field, Mapping) else None
        whose = " ".join(map(str, labels.values())) if isinstance(labels, Mapping) else ""
        name = f"{called} {whose}".strip()
        found.append(f"{name} {len(found)}" if not name or name in found else name)
    return found


def _table(cells: object, width: int, *, each: bool) -> TypeGuard[list[list[Any]]]:
    """Whether this is a list of rows of that width, or of so many columns of one length."""
    if not isinstance(cells, list) or not cells or not all(isinstance(one, list) for one in cells):
        return False
    lengths = {len(one) for one in cells}
    return lengths == {width} if each else len(cells) == width and len(lengths) == 1


def unit_of(node: Mapping[str, Any]) -> str:
    return next((str(v) for k, v in node.items() if UNIT_KEY.fullmatch(k) and isinstance(v, str)), "")


def generic(key: str) -> bool:
    return (
        re.fullmatch(
            r"values?|data|data_?points|points?(?:list)?|samples|series|average|sum|maximum|minimum|avg|max|min|p\d+|v|y|val|result",
            key,
            re.IGNORECASE,
        )
        is not None
    )


def is_identity(column: str) -> bool:
    return (
        re.fullmatch(r"(?:.*_)?(?:id|pid|port|code|period|line|shard|partition|year)", column, re.IGNORECASE)
        is not None
    )


def is_words(value: object) -> bool:
    return isinstance(value, str) and bool(value) and number(value) is None


def inline(value: object) -> str:
    return (
        ", ".join(str(v) for v in value if not isinstance(v, Mapping | list))
        if isinstance(value, list)
        else str(value)
    )


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
