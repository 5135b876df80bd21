"""How the console in the terminal reaches the desk: through the running server of this store, or in this process.

A console stays open all night, so a server may start, end and come back under it. It is told so; what a person does while
no server answers is refused in words, never done in two places.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from setpoint.app.client import SERVE_FILE, NotLetIn, Running, ServerGone, call_remote, find_running
from setpoint.errors import BackendError, SetpointError
from setpoint.settings import Settings
from tools.stop import StopSwitch

if TYPE_CHECKING:
    from knowledge.index import Index

Standing = Literal["server", "alone", "lost"]
"""Over a server; in this process, without one; or the server that was there does not answer."""
QUICK_S = 10.0
"""Lists and decisions must be answered within so long."""


class Link:
    """Calls of the desk from any thread: `link("incidents_show", id=...)`."""

    def __init__(self, settings: Settings) -> None:
        self.store = settings.store.dir
        self.stop = StopSwitch(self.store / "STOP")
        """The file itself: it stops everything also where no server and no database answers."""
        self._alone = Alone(settings)
        self._server = find_running(self.store)
        self._lost_since: datetime | None = None
        self.let_in = True
        """False once the server that was found refused the token."""
        self._turn = Lock()

    @property
    def standing(self) -> Standing:
        if self._lost_since is not None:
            return "lost"
        return "server" if self._server else "alone"

    @property
    def lost_since(self) -> datetime | None:
        """When the server answered last, while it does not."""
        return self._lost_since

    @property
    def server(self) -> Running | None:
        """The server that answers; None in this process alone, and while it is lost."""
        return self._server if self._lost_since is None else None

    def __call__(self, name: str, /, timeout_s: float = QUICK_S, **arguments: Any) -> Any:
        """One call of the desk. Raises ServerGone where the server does not answer, and what the desk raises."""
        server = self._reach()
        if server is None:
            return self._alone(name, arguments)
        try:
            value = call_remote(server, name, arguments, timeout_s)
        except ServerGone as error:
            self.let_in = not isinstance(error, NotLetIn)
            self._lost_since = self._lost_since or datetime.now(UTC)
            raise
        self._lost_since, self.let_in = None, True
        return value

    def _reach(self) -> Running | None:
        """The server to ask. One that was lost is looked for again; one that came up takes over from this process."""
        with self._turn:
            if self._server and self._lost_since is None:
                return self._server
            if self._server is None and not (self.store / SERVE_FILE).exists():
                return None
            found = None if self._alone.busy else find_running(self.store)
            if found is not None:
                self._alone.close()
                self._server = found
            elif self._server is not None:
                raise ServerGone(
                    "the server does not answer", where=self._server.url, remedy="What you typed is kept"
                )  # fmt: skip
            return self._server

    def close(self) -> None:
        self._alone.close()


class Alone:
    """The desk in this process, opened at the first call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: list[Index] = []
        self._desk: Any = None
        self.busy = 0
        """Calls under way."""
        self._close_ledger: Callable[[], None] = lambda: None
        self._turn = Lock()

    def __call__(self, name: str, arguments: dict[str, Any]) -> Any:
        with self._turn:
            if self._desk is None:
                self._desk = self._open()
            self.busy += 1
        try:
            return self._desk(name, arguments)
        except (SetpointError, OSError):
            raise
        except (
            Exception
        ) as error:  # as the API does: a fault of one call must not take the console and its stop key away
            raise BackendError(
                f"unexpected fault, {type(error).__name__}: {error}", where=name, remedy="Please report it"
            ) from error
        finally:
            with self._turn:
                self.busy -= 1

    def _open(self) -> Any:
        from setpoint.app.opening import (
            calls_here,
            make_desk,
            once,
            open_ledger,
            open_site,
        )  # a server spares loading it

        site, ledger = open_site(self._settings), open_ledger(self._settings)
        self._close_ledger = ledger.close
        desk = make_desk(self._settings, site, ledger, index=once(self._open_index))
        return calls_here(self._settings, desk)

    def _open_index(self) -> Index:
        from setpoint.app.opening import open_index

        index = open_index(self._settings)
        self._opened.append(index)
        return index

    def close(self) -> None:
        """Let go of the ledger and of the index, which one process alone can hold."""
        with self._turn:
            while self._opened:
                self._opened.pop().close()
            if self._desk is not None:
                self._close_ledger()
            self._desk = None
