"""JSON over HTTP for the adapters: one client a system, idempotent reads tried again, every failure in words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from setpoint.errors import BackendError

TRIES = 3


class JsonApi:
    """One base address. `get` is tried three times on a broken connection; writes are sent once."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        timeout_s: float,
        headers: dict[str, str] | None = None,
        verify: bool | Path = True,
    ) -> None:
        self._name, self._url = name, url
        trust: Any = str(verify) if isinstance(verify, Path) else verify
        self._client = httpx.Client(base_url=url, timeout=timeout_s, headers=headers or {}, verify=trust)

    def get(self, path: str, **params: str) -> Any:
        """Raises BackendError."""
        waits = wait_exponential(multiplier=0.1, max=1.0)
        broken = retry_if_exception_type(httpx.TransportError)
        try:
            for attempt in Retrying(stop=stop_after_attempt(TRIES), wait=waits, retry=broken, reraise=True):
                with attempt:
                    return self._told(self._client.get(path, params=params))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        **params: str,
    ) -> Any:
        """One write. Raises BackendError; whether a write whose answer was lost took effect is not known."""
        try:
            sent = self._client.request(
                method, path, json=body, params=params, headers={"Content-Type": content_type}
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return self._told(sent)

    def close(self) -> None:
        self._client.close()

    def _told(self, answer: httpx.Response) -> Any:
        if answer.is_error:
            raise BackendError(
                f"{self._name} answered {answer.status_code} to {answer.request.method} {answer.request.url.path}: "
                f"{answer.text[:200].strip()}",
                where=self._url, remedy=_remedy(answer.status_code),
            )  # fmt: skip
        if not answer.content:
            return {}
        try:
            return answer.json()
        except ValueError as error:
            raise BackendError(f"{self._name} answered with something that is not JSON", where=self._url,
                               remedy="Check the address") from error  # fmt: skip

    def _unreachable(self, error: httpx.HTTPError) -> BackendError:
        return BackendError(
            f"{self._name} cannot be reached: {error or type(error).__name__}",
            where=self._url,
            remedy="Check address and network",
        )


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "Check the token and what it may do"
    return "Check what is mapped" if status == 404 else ""


def secret(name: str) -> str:
    """The environment variable of that name; "" where none is named. Raises BackendError where it is not set."""
    if not name:
        return ""
    found = os.environ.get(name, "")
    if not found:
        raise BackendError(f"{name} is not set", where="environment", remedy=f"Set {name} to the secret")
    return found
