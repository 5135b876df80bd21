"""One asset's quantities as a mapping over the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from plant.dynamics.columns import dtype, told

Value = float | str


class State(MutableMapping[str, Value]):
    """What is told of one asset, and notes beside it. Writing a column moves the plant.

    Every column can be read and written by name; iteration gives those that telemetry tells, then the notes.
    """

    def __init__(self, kind: str, row: Any, gpus: Any = None) -> None:
        """`row` is a one-row slice of the kind's table; `gpus` are the rows of a node's accelerators."""
        self.kind, self._row, self._gpus = kind, row, gpus
        self.notes: dict[str, Value] = {}
        self._columns = frozenset(dtype(kind).names or ()) if kind else frozenset()
        self.told = told(kind) if kind else ()

    def __getitem__(self, key: str) -> Value:
        return float(self._row[key][0]) if key in self._columns else self.notes[key]

    def __setitem__(self, key: str, value: Value) -> None:
        if key not in self._columns:
            self.notes[key] = value
            return
        self._row[key] = float(value)
        if key == "gpus_ok":
            self._set_gpus_ok(int(float(value)))

    def __delitem__(self, key: str) -> None:
        del self.notes[key]

    def __iter__(self) -> Iterator[str]:
        yield from self.told
        yield from self.notes

    def __len__(self) -> int:
        return len(self.told) + len(self.notes)

    def __ior__(self, other: Mapping[str, Value]) -> State:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return f"State({dict(self)!r})"

    def _set_gpus_ok(self, count: int) -> None:
        """The last GPUs of the node go first."""
        present = [k for k in range(len(self._gpus)) if self._gpus["ok"][k] == 1.0]
        for k in range(len(self._gpus)) if count > len(present) else reversed(present[max(count, 0) :]):
            if count > len(present) and sum(self._gpus["ok"]) >= count:
                break
            self._gpus["ok"][k] = float(count > len(present))
