"""Prometheus metrics: counters that the engine feeds, gauges read from the ledger when scraped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from setpoint.ledger import Ledger

BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Listens to the engine; `render` answers a scrape."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._registry = ledger, CollectorRegistry()
        self._events = Counter("setpoint_events", "Events ranked", ["priority"], registry=self._registry)
        self._quarantined = Counter(
            "setpoint_quarantined", "Input items that could not be read", registry=self._registry
        )
        self._sent = Counter(
            "setpoint_notices_sent", "Notices accepted by a sink", ["stage", "sink"], registry=self._registry
        )
        self._failed = Counter(
            "setpoint_delivery_failures",
            "Deliveries refused or not reached",
            ["sink"],
            registry=self._registry,
        )
        self._diagnosed = Counter(
            "setpoint_diagnoses", "Root-cause analyses", ["cause"], registry=self._registry
        )
        self._latency = Histogram("setpoint_alert_latency_seconds", "Event received to first notice accepted",
                                  buckets=BUCKETS, registry=self._registry)  # fmt: skip
        self._analysis = Histogram("setpoint_analysis_seconds", "Length of one root-cause analysis",
                                   buckets=BUCKETS, registry=self._registry)  # fmt: skip
        self._waiting = Gauge(
            "setpoint_events_waiting", "Events in the inbox that are not ranked", registry=self._registry
        )
        self._open = Gauge(
            "setpoint_incidents_open", "Incidents not resolved or closed", registry=self._registry
        )
        self._pending = Gauge(
            "setpoint_reviews_pending", "Decisions that wait for a person", registry=self._registry
        )

    def __call__(self, what: str, value: Any) -> None:
        if what == "triaged":
            for ranked in value.ranked:
                self._events.labels(ranked.triage.priority).inc()
        elif what == "accepted":
            self._quarantined.inc(value[0].quarantined)
        elif what == "delivered":
            self._sent.labels(value.notice.stage, _service(value.sink)).inc()
            if value.notice.stage == "first" and value.received:
                self._latency.observe(max(0.0, (datetime.now(UTC) - value.received).total_seconds()))
        elif what == "delivery-failed":
            self._failed.labels(_service(value[0].sink)).inc()
        elif what == "diagnosed":
            self._diagnosed.labels(value.top.cause).inc()
            self._analysis.observe(value.seconds)

    def render(self) -> bytes:
        stats = self._ledger.stats()
        self._waiting.set(stats.events_waiting)
        states = stats.incidents_by_state
        self._open.set(states.get("open", 0) + states.get("acknowledged", 0))
        self._pending.set(stats.reviews_by_state.get("pending", 0))
        return generate_latest(self._registry)


def _service(sink: str) -> str:
    """The kind of sink without addresses and tokens."""
    return sink.split("://")[0].removeprefix("webhook+") if "://" in sink else sink
