"""Where notices go. A sink takes one notice and returns, or raises SinkFailed; the outbox retries.

Delivery is at least once with an idempotency key, so a sink that knows the key shows each version once.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Protocol

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from setpoint.contracts import Notice
from setpoint.contracts.sinks import sink_label
from setpoint.errors import BackendError, ConfigError

POOLS, POOL = 4, 8
"""Connections to one webhook. httpcore looks through a pool's connections at each request: one pool of 32 costs
2.9 ms a notice, four of 8 cost 0.9."""
QUICK_RETRIES = 2
"""Tries within one delivery, for a connection that was just closed; the outbox does the patient ones."""


class SinkFailed(BackendError):
    """The sink refused the notice or was not reached."""


class Sink(Protocol):
    """One place that notices are sent to."""

    name: str

    async def send(self, notice: Notice, key: str) -> None:
        """Return once the sink has accepted it. Raises SinkFailed."""

    async def close(self) -> None: ...


class ConsoleSink:
    """Hands notices to whatever prints for the person at the terminal."""

    def __init__(self, show: Callable[[Notice], None]) -> None:
        self.name, self._show = "console", show

    async def send(self, notice: Notice, key: str) -> None:
        self._show(notice)

    async def close(self) -> None:
        return None


class WebhookSink:
    """POSTs the notice as JSON; the idempotency key travels in a header of that name."""

    def __init__(self, name: str, timeout_s: float = 5.0) -> None:
        self.name, self._url = name, name.removeprefix("webhook+")
        limits = httpx.Limits(max_connections=POOL, max_keepalive_connections=POOL)
        self._clients = [httpx.AsyncClient(timeout=timeout_s, limits=limits) for _ in range(POOLS)]
        self._turn = itertools.cycle(self._clients)

    async def send(self, notice: Notice, key: str) -> None:
        try:
            response = await self._post(notice, key)
        except httpx.HTTPError as error:
            raise SinkFailed(
                f"not reached: {str(error) or type(error).__name__}", where=sink_label(self.name)
            ) from error
        if not response.is_success:
            raise SinkFailed(f"answered {response.status_code}", where=sink_label(self.name))

    @retry(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_attempt(QUICK_RETRIES),
        wait=wait_random_exponential(multiplier=0.05, max=0.5),
        reraise=True,
    )
    async def _post(self, notice: Notice, key: str) -> httpx.Response:
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        return await next(self._turn).post(self._url, content=_sent(notice), headers=headers)

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


def _sent(notice: Notice) -> str:
    """What leaves the house: not what the words were written from."""
    return notice.model_dump_json(exclude={"origin"})


class AppriseSink:
    """Any service Apprise knows (Slack, PagerDuty, mail ...), by its URL. What a service has for it (a deduplication key,
    a link, closing what is over) is used, unless the URL says otherwise; all of it stands in the text too."""

    def __init__(self, url: str) -> None:
        import apprise  # takes a while to load and few runs need it

        self.name, self._apprise = url, apprise.Apprise
        kinds = apprise.NotifyType
        self._kinds = {"P0": kinds.FAILURE, "P1": kinds.WARNING}
        self._over, self._default = kinds.SUCCESS, kinds.INFO
        if not self._apprise().add(url):
            raise ConfigError(
                f"Apprise does not know the sink {sink_label(url)!r}",
                remedy="Write alerts.sinks as Apprise does, for example slack://TOKEN_A/TOKEN_B/TOKEN_C",
            )

    async def send(self, notice: Notice, key: str) -> None:
        if not await asyncio.to_thread(self._notify, notice):
            raise SinkFailed("was not reached or refused the notice", where=sink_label(self.name))

    def _notify(self, notice: Notice) -> bool:
        service = self._apprise()
        service.add(
            self.name
        )  # one a notice: what is set on it must not reach another that is sent meanwhile
        for one in service:
            _address(one, notice, ends="action=" not in self.name)
        kind = self._over if notice.stage == "resolved" else self._kinds.get(notice.priority, self._default)
        body = "\n".join(filter(None, (notice.text, notice.link, f"Key: {notice.dedup_key}")))
        return bool(service.notify(body=body, title=f"{notice.priority} {notice.title}", notify_type=kind))

    async def close(self) -> None:
        return None


def _address(service: Any, notice: Notice, *, ends: bool) -> None:
    """Make versions of one notification one entry at the service, that leads to the incident and, where it `ends` there,
    is closed with it."""
    for name in ("dedup", "alias"):
        if hasattr(service, name) and not getattr(service, name):
            setattr(service, name, notice.dedup_key)
    if hasattr(service, "click") and not service.click:
        service.click = notice.link or None
    if ends and notice.stage == "resolved" and getattr(service, "action", "") == "trigger":
        service.action = "map"  # a success then resolves what a failure raised


def make_sink(name: str, show: Callable[[Notice], None]) -> Sink:
    """The sink a setting names. Raises ConfigError where nothing is known under that name."""
    if name == "console":
        return ConsoleSink(show)
    if name.startswith(("webhook+http://", "webhook+https://")):
        return WebhookSink(name)
    return AppriseSink(name)
