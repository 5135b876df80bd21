"""Movements: found where there is one, with onset and kind, and none in noise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.service_causes.changes import Movement, movement, runs_out
from agents.service_causes.meaning import quantity_of
from tools.case_types import Alert, Fact, Line, Readings, ServiceCase

START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
EMPTY = ServiceCase("c", Alert("alert.json", "t", "t"))


def series(name: str, values: list[float], unit: str = "") -> Readings:
    times = tuple(START + timedelta(minutes=n) for n in range(len(values)))
    return Readings("m.csv", "", name, unit, "", times, tuple(values))


def moved(name: str, values: list[float], unit: str = "", case: ServiceCase = EMPTY) -> Movement:
    return movement(series(name, values, unit), case)


def noisy(level: float, count: int, seed: int, share: float = 0.03) -> list[float]:
    return [float(v) for v in level * (1 + share * np.random.default_rng(seed).standard_normal(count))]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), level=st.floats(0.5, 5e6), at=st.integers(3, 25), times=st.floats(3.0, 50.0)
)
def test_a_step_is_found_where_it_is(seed: int, level: float, at: int, times: float) -> None:
    values = noisy(level, at, seed) + noisy(level * times, 30 - at, seed + 1)
    found = moved("request_latency", values)
    assert found.events == {"up"}
    assert found.onset is not None
    assert abs((found.onset - START).total_seconds() / 60 - at) <= 1
    assert not found.recovered


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), level=st.floats(0.5, 5e6), count=st.integers(4, 60))
def test_noise_is_no_movement(seed: int, level: float, count: int) -> None:
    for name in ("request_latency", "error_count", "connections", "requests_per_s"):
        assert moved(name, noisy(level, count, seed)).events == frozenset()


def test_an_excursion_is_recovered() -> None:
    found = moved("latency_ms", noisy(100, 12, 1) + noisy(600, 5, 2) + noisy(100, 12, 3))
    assert found.recovered
    assert found.onset == START + timedelta(minutes=12)
    assert found.ends == START + timedelta(minutes=17)


def test_a_percentage_is_full_near_its_bound_only() -> None:
    assert "full" in moved("CPUUtilization", noisy(30, 10, 1) + noisy(96, 10, 2, 0.01), "Percent").events
    assert moved("CPUUtilization", noisy(30, 10, 1) + noisy(60, 10, 2), "Percent").events == {"up"}


def test_an_oscillation_below_the_bound_is_not_full() -> None:
    values = [72 + 9 * float(np.sin(1.3 * n)) for n in range(40)]
    assert not moved("cpu_percent", values).bad


@pytest.mark.parametrize(
    "case",
    [
        ServiceCase("c", None, facts=(Fact("q.yaml", "max_connections", "max_connections", "500", 500.0),)),
        ServiceCase("c", None, lines=(Line("e.json", "[0]", "Current connections: 469 of 500."),)),
        ServiceCase("c", None, lines=(Line("e.json", "[0]", "469 connections, near the maximum of 500."),)),
        ServiceCase("c", None, readings=(series("connections_limit", [500.0] * 12),)),
    ],
    ids=["setting", "x of y", "maximum of", "limit series"],
)
def test_a_bound_is_found_wherever_it_is_said(case: ServiceCase) -> None:
    values = noisy(200, 6, 1, 0.01) + noisy(490, 6, 2, 0.005)
    assert "full" not in moved("DatabaseConnections", values).events
    found = moved("DatabaseConnections", values, case=case)
    assert "full" in found.events
    assert found.bound is not None
    assert found.bound.value == 500.0
    assert found.bound.file


def test_what_runs_out_is_low_and_says_when() -> None:
    found = moved("FreeStorageSpace", [100.0, 100.0, 100.0] + [100.0 - 9 * n for n in range(1, 11)], "GB")
    assert "low" in found.events
    left = runs_out(found)
    assert left is not None
    assert timedelta(seconds=30) < left < timedelta(minutes=2)


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("AWS/RDS FreeableMemory", "memory_free"), ("pg_replication_lag_seconds", "replication_lag"), ("MySQL Seconds_Behind_Master", "replication_lag"),
        ("kafka_consumergroup_lag", "queue_lag"), ("ApproximateAgeOfOldestMessage", "queue_lag"), ("HTTPCode_Target_5XX_Count", "errors"),
        ("UnHealthyHostCount", "host_check"), ("HealthyHostCount", "replicas_ready"), ("node_filesystem_avail_bytes", "storage_free"),
        ("container_memory_working_set_bytes", "memory"), ("redis_evicted_keys_total", "evictions"), ("keyspace_hit_ratio", "hit_ratio"),
        ("BurstBalance", "credits"), ("CPUCreditBalance", "cpu_credits"), ("ThrottledRequests", "throttles"), ("ConcurrentExecutions", "concurrency"),
        ("hikaricp_pool_active", "pool"), ("connection_timeouts", "connection_errors"), ("DiskQueueDepth", "disk_queue"), ("WriteLatency", "io_latency"),
        ("p99_latency_ms", "latency"), ("request_rate", "demand"), ("coredns_dns_errors", "dns_errors"), ("packet_loss_percent", "packet_loss"),
    ],
)  # fmt: skip
def test_names_mean_the_same_across_services(name: str, quantity: str) -> None:
    assert quantity_of(name).id == quantity
