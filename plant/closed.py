"""The base of every description read from a file: frozen, and closed to unknown fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """A value object. An unknown field is an error, so that a typing mistake is not lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)
