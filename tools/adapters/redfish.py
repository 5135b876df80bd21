"""Redfish: BMCs, power shelves and CDUs that speak DMTF's protocol, over sushy's connector (sessions, ETags, retries).

What is read and written is mapped by resource and JSON pointer, since sushy models servers and no cooling equipment;
a setpoint is the `SetPoint` of a Control resource (DMTF DSP0268, Control 1.0 and later).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from setpoint.contracts import Action
from setpoint.errors import BackendError
from tools.adapters.config import RedfishSource, RedfishWrite
from tools.adapters.ports import Health
from tools.adapters.web import secret
from tools.readings import Reading

ROOT = "/redfish/v1/"


class Redfish:
    """One Redfish service."""

    def __init__(self, config: RedfishSource, clock: Callable[[], datetime]) -> None:
        self.name = f"redfish {config.url}"
        self._config, self._clock = config, clock

    @cached_property
    def _connector(self) -> Any:
        from sushy.connector import Connector  # an optional extra

        verify = self._config.verify
        connector = Connector(
            self._config.url,
            verify=verify if isinstance(verify, bool) else str(verify),
            default_request_timeout=self._config.timeout_s,
        )
        connector.set_http_basic_auth(secret(self._config.user_env), secret(self._config.password_env))
        return connector

    def read(self, asset: str) -> Reading | None:
        mapped = [one for one in self._config.readings if one.asset == asset]
        if not mapped:
            return None
        found: dict[str, Any] = {}
        values: dict[str, float] = {}
        for one in mapped:
            if one.path not in found:
                found[one.path] = self._get(one.path)
            number = at_pointer(found[one.path], one.pointer)
            if number is not None:
                values[one.metric] = one.ours(number)
        return Reading(asset, self._clock(), values) if values else None

    def assets(self) -> Sequence[str]:
        return sorted({one.asset for one in self._config.readings})

    def check(self) -> Health:
        try:
            root = self._get(ROOT)
            unread = [
                f"{one.asset}.{one.metric}"
                for one in self._config.readings
                if at_pointer(self._get(one.path), one.pointer) is None
            ]
        except BackendError as error:
            return Health(self.name, False, str(error))
        said = f"Redfish {root.get('RedfishVersion', 'of unknown version')}; {len(self._config.readings) - len(unread)} readings"
        return Health(
            self.name, not unread, said + (f"; no number at: {', '.join(unread)}" if unread else "")
        )

    def close(self) -> None:
        if "_connector" in self.__dict__:
            self._connector.close()

    def can(self, action: Action) -> bool:
        return bool(self._writes(action))

    def preview(self, action: Action) -> str:
        parts = []
        for one in self._writes(action):
            now = at_pointer(self._get(one.path), f"/{one.property}")
            parts.append(f"{one.path} {one.property}: {now} -> {self._raw(one, action):g}")
        return "; ".join(parts)

    def apply(self, action: Action, key: str) -> None:
        for one in self._writes(action):
            wanted = self._raw(one, action)
            before = self._answer("GET", one.path)
            tag = before.headers.get("ETag")
            self._answer("PATCH", one.path, {one.property: wanted}, tag)
            back = at_pointer(self._get(one.path), f"/{one.property}")
            if back is None or abs(back - wanted) > max(1e-3 * abs(wanted), 1e-6):
                raise BackendError(
                    f"{one.path} shows {one.property} {back} after {wanted:g} was written", where=self.name,
                    remedy="The controller refused or changed it: look at its log",
                )  # fmt: skip

    def _writes(self, action: Action) -> list[RedfishWrite]:
        return [one for one in self._config.writes if (one.action, one.asset) == (action.name, action.asset)]

    def _raw(self, one: RedfishWrite, action: Action) -> float:
        value = float(action.args[one.arg])
        if (one.minimum is not None and value < one.minimum) or (
            one.maximum is not None and value > one.maximum
        ):
            raise BackendError(
                f"{one.arg} {value:g} is outside what this device takes ({one.minimum} to {one.maximum})",
                where=self.name, remedy="Propose a value within it",
            )  # fmt: skip
        return one.raw(value)

    def _get(self, path: str) -> Any:
        try:
            return self._answer("GET", path).json()
        except ValueError as error:
            raise BackendError(f"{path} is not JSON", where=self.name, remedy="Check the address") from error

    def _answer(self, method: str, path: str, body: Any = None, tag: str | None = None) -> Any:
        from sushy.exceptions import SushyError

        try:
            if method == "GET":
                return self._connector.get(path)
            return self._connector.patch(path, data=body, etag=tag)
        except (SushyError, OSError) as error:  # requests' errors are OSErrors
            raise BackendError(f"{method} {path}: {error}", where=self.name,
                               remedy="Check address, account and path") from error  # fmt: skip


def at_pointer(document: Any, pointer: str) -> float | None:
    """The finite number at a JSON pointer (RFC 6901); None where there is none.

    >>> at_pointer({"Fans": [{"Reading": 4200}]}, "/Fans/0/Reading")
    4200.0
    """
    found = document
    for part in pointer.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, dict) and key in found:
            found = found[key]
        else:
            return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return float(found)
