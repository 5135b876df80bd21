"""Graph state is plain values: contracts become dicts at a node's end and contracts again at the next one's start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

M = TypeVar("M", bound=BaseModel)
Plain = dict[str, Any]
"""One contract as JSON values."""


@cache
def _adapter(model: type[M]) -> TypeAdapter[list[M]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def dump(models: Iterable[BaseModel]) -> list[Plain]:
    """Contracts as plain values; defaults are left out."""
    return [model.model_dump(mode="json", exclude_defaults=True) for model in models]


def load(model: type[M], rows: Sequence[Plain]) -> list[M]:
    """Plain values as contracts. Raises pydantic.ValidationError where a row is none."""
    return _adapter(model).validate_python(rows)
