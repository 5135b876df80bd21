"""What becomes of a proposal at each level, and everything that keeps one from running alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from plant.diagnosis.results import SensorProblem, StateNote
from setpoint.autonomy.disposition import State, disposition, may_run_alone, reason_of, sensor_troubles
from setpoint.autonomy.granting import set_level, sign, standing_of
from setpoint.contracts.autonomy import LEVELS, Limits
from setpoint.settings import AutonomySettings
from tests.setpoint.autonomy.record import CAP, Record, proposal, rehearsal

SETTINGS = AutonomySettings()


def state(record: Record, **changes: Any) -> State:
    standing = standing_of(CAP, record.ledger, SETTINGS, record.now)
    return replace(State(standing=standing, settings=SETTINGS, now=record.now), **changes)


@pytest.fixture
def signed(full: Record) -> Record:
    limits = Limits(per_hour=2, per_day=5, assets="gpu-0*")
    sign(CAP, "Ada Lovelace", "weeks without harm", limits, full.ledger, SETTINGS, full.now)
    return full


def test_the_four_levels_differ_in_what_happens(signed: Record) -> None:
    """(asks, recommended, runs alone) at each level."""
    happens = {}
    for level in LEVELS:
        if level != "closed loop":
            signed.forward(minutes=1)
            set_level(CAP, level, "ada", "trial", signed.ledger, SETTINGS, signed.now)
        else:
            signed.forward(minutes=1)
            limits = Limits(per_hour=2, per_day=5)
            sign(CAP, "ada", "trial", limits, signed.ledger, SETTINGS, signed.now)
        found = disposition(proposal(signed.now), state(signed))
        assert found.level == level
        happens[level] = (found.asks, found.recommended, found.runs_alone)
    assert happens == {
        "observe": (False, False, False),
        "assist": (True, False, False),
        "advise": (True, True, False),
        "closed loop": (False, False, True),
    }


def test_the_reason_names_the_signature_and_the_record(signed: Record) -> None:
    said = reason_of(state(signed))
    assert "signed by Ada Lovelace on 2026-03-08: weeks without harm" in said
    assert "114 of 114 decisions were a plain yes without harm (bound 0.950)" in said


def _old(record: Record) -> Any:
    return rehearsal(record.now - timedelta(minutes=16))


@pytest.mark.parametrize(
    ("changes", "asked", "words"),
    [
        ({"alone_last_hour": 2}, {}, "2 of its kind ran alone within the hour"),
        ({"alone_last_day": 5}, {}, "5 of its kind ran alone within the day"),
        ({"all_alone_last_hour": 8}, {}, "8 actions ran alone within the hour"),
        ({"troubles": ("gpu-01 gpu_temp_c has been silent for 4 min",)}, {}, "silent for 4 min"),
        ({"stopped": "by mira: technician in the rack"}, {}, "everything is stopped (by mira"),
        ({"people_needed": 2}, {}, "asks for 2 people"),
        ({}, {"asset": "gpu-20"}, "the signature is for gpu-0*, not for gpu-20"),
        ({}, {"rehearsal": None}, "it was not rehearsed"),
        ({}, {"refused": "chance of over 87 C is 40 %"}, "its rehearsal refuses it: chance of over 87 C"),
        ({}, {"confidence": 0.6}, "reproduces 60% of the readings, and 80% are required"),
        ({}, {"as_of": "old"}, "its rehearsal is 16 min old"),
    ],
)  # fmt: skip
def test_each_thing_alone_keeps_it_from_running(
    signed: Record, changes: dict[str, Any], asked: dict[str, Any], words: str
) -> None:
    now = state(signed, **changes)
    known = dict(asked)
    asset = known.pop("asset", "gpu-01")
    if known.get("as_of") == "old":
        known = {"rehearsal": _old(signed)}
    elif "rehearsal" not in known and known:
        known = {"rehearsal": rehearsal(signed.now, **known)}
    wanted = proposal(signed.now, asset, **known)
    assert may_run_alone(proposal(signed.now), state(signed)) == ()
    against = may_run_alone(wanted, now)
    assert len(against) == 1
    assert words in against[0]
    found = disposition(wanted, now)
    assert (found.asks, found.runs_alone) == (True, False)
    assert words in found.why
    assert found.recommended is ("troubles" not in changes), "no advice on readings that are not trusted"


def test_settings_tighter_than_the_signature_win(signed: Record) -> None:
    tight = replace(state(signed, alone_last_hour=1), settings=AutonomySettings(per_hour=1))
    assert "1 of its kind ran alone within the hour" in may_run_alone(proposal(signed.now), tight)[0]


def test_no_level_but_closed_loop_runs_alone_whatever_else_holds(full: Record) -> None:
    against = may_run_alone(proposal(full.now), state(full))
    assert any("its kind is at assist" in one for one in against)


def test_a_recommendation_needs_sensors_that_can_be_trusted(full: Record) -> None:
    set_level(CAP, "advise", "ada", "fine", full.ledger, SETTINGS, full.now)
    assert disposition(proposal(full.now), state(full)).recommended
    silent = disposition(proposal(full.now), state(full, troubles=("gpu-01 is silent",)))
    assert (silent.level, silent.recommended, silent.asks) == ("assist", False, True)
    refused = proposal(full.now, rehearsal=rehearsal(full.now, refused="it breaks a limit"))
    assert disposition(refused, state(full)).level == "assist"


def test_which_sensors_matter_to_an_asset(full: Record) -> None:
    def problem(kind: str, asset: str) -> SensorProblem:
        return SensorProblem.model_validate({"kind": kind, "asset": asset, "text": f"{kind} at {asset}"})

    note = StateNote(
        as_of=full.now, signals=9, confidence=0.9,
        problems=(problem("stuck", "gpu-01"), problem("silent", "gpu-01/gpu3"), problem("biased", "gpu-02"),
                  problem("contradicts", "cdu-1"), problem("clock", "gpu-09")),
    )  # fmt: skip
    near = sensor_troubles(note, "gpu-01", around=("cdu-1",))
    assert near == ("stuck at gpu-01", "silent at gpu-01/gpu3", "contradicts at cdu-1", "clock at gpu-09")
    assert sensor_troubles(None, "gpu-01") == ()
