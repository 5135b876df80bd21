"""What an adapter is: a source of readings, and perhaps an actuator. Small, so that a site's own system is a page.

An adapter never decides. It reads what its part of the adapter file maps, and does one catalog action that the one
executor hands it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from setpoint.contracts import Action
from tools.readings import Reading


@dataclass(frozen=True)
class Health:
    """What a look at the other side showed."""

    adapter: str
    reachable: bool
    said: str
    """Version or count where it answers, else what went wrong and the remedy."""


class Source(Protocol):
    """Where readings of some assets come from."""

    name: str

    def read(self, asset: str) -> Reading | None:
        """Latest values of the asset with the time of the oldest of them; None where nothing is mapped or answered.

        Raises BackendError where the other side cannot be reached or answers with nonsense.
        """

    def assets(self) -> Sequence[str]:
        """Assets that something is mapped for."""

    def check(self) -> Health:
        """Reach it once. Raises nothing."""

    def close(self) -> None:
        """Give connections back."""


class Actuator(Protocol):
    """What can do some catalog actions."""

    name: str

    def can(self, action: Action) -> bool:
        """Whether this action on this asset is mapped here."""

    def preview(self, action: Action) -> str:
        """What would be written where, in one line; the other side's own dry run where it has one. Moves nothing.

        Raises BackendError as `apply` would.
        """

    def apply(self, action: Action, key: str) -> None:
        """Do it, and read back where the other side can be read back. `key` travels along where it can.

        Raises BackendError where it was not accepted, or not taken on.
        """
