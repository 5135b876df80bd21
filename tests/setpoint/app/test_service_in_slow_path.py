"""Incidents of services without a plant get the conclusion from events and readings alone."""

from __future__ import annotations

from datetime import timedelta

from agents.evidence import Case
from setpoint.app.trials import PlantTrials
from setpoint.contracts import Incident
from tests.agents.cases import NIGHT, demo_site, event
from tools.telemetry import Kept


def database_case(asset: str) -> Case:
    """Connections climb to their limit; clients are refused."""
    events = tuple(
        event(asset, f"FATAL: remaining connection slots are reserved, {count} of 500 connections in use", minute,
              severity="critical", metric="connections_in_use", value=float(count), threshold=500.0)
        for minute, count in enumerate((480, 492, 499, 500, 500))
    )  # fmt: skip
    incident = Incident(
        id="INC-7", group_key="g", title="Database refuses connections", priority="P1", state="open", opened=NIGHT,
        updated=NIGHT + timedelta(minutes=4), assets=(asset,), event_count=5, path="slow", grouped_by="one condition",
    )  # fmt: skip
    return Case(incident, events, {}, demo_site())


def readings_of(asset: str) -> Kept:
    rising = [120.0] * 60 + [120.0 + 13.0 * n for n in range(30)]
    return Kept.of(
        (asset, "connections_in_use", NIGHT + timedelta(minutes=n - 85), value)
        for n, value in enumerate(rising)
    )


def test_a_service_gets_its_conclusion_with_its_own_numbers() -> None:
    trials = PlantTrials(demo_site(), readings_of("orders-db"), lambda: NIGHT)
    said = trials.explain_service(database_case("orders-db"))
    assert "connection" in said
    assert "500" in said or "490" in said


def test_what_the_plant_model_covers_is_left_to_it() -> None:
    trials = PlantTrials(demo_site(), readings_of("gpu-01"), lambda: NIGHT)
    assert trials.explain_service(database_case("gpu-01")) == ""
