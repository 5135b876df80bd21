"""The autonomy suite: simulation and product rise together, and what must end running alone does, at once."""

from __future__ import annotations

import pytest

import evals.suites.autonomy.records as records
from evals.registry import Ask
from evals.suites import autonomy
from evals.suites.autonomy.records import SCENARIOS, agreement, fall
from setpoint.autonomy import standing as product


def judged(part: str, seed: int = 1) -> dict[str, object]:
    case = {"part": part, "seed": seed}
    return dict(autonomy.judge(case, autonomy.answer(case))) | {"case": f"{part}-{seed}"}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_each_thing_that_must_end_it_does(name: str) -> None:
    found = fall(name, 3)
    assert found["alone_before"]
    assert found["after"] is not None
    assert found["aim"] is None or found["after"] <= found["aim"]
    assert not found["signed_again"]


def test_the_product_rises_where_the_simulation_says() -> None:
    seen = [agreement(seed) for seed in (5, 6, 8)]
    assert [one["simulated"] for one in seen] == [one["product"] for one in seen]
    assert any(one["product"] is not None for one in seen)


def test_a_product_that_forgives_harm_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product._Run, "_fall", lambda self, at, why: None)
    rows = [judged("a person says it did harm"), judged("a sensor is broken")]
    assert rows[0]["problems"]
    assert rows[1]["problems"] == []
    assert "no longer alone at once" in autonomy.gate(autonomy.figures("dev", rows))


def test_an_old_record_lifts_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product._Run, "_begin_anew", lambda self, at: None)
    row = judged("it fails")
    assert row["signed_again"]
    assert "newly signed" in autonomy.gate(autonomy.figures("dev", [row]))


def test_a_simulation_that_leaves_the_product_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records.study, "alpha_of", lambda tries: 0.5)
    records.study._needs.cache_clear()
    rows = [judged("agreement", seed) for seed in (6, 8)]
    records.study._needs.cache_clear()
    assert any(row["problems"] for row in rows)


def test_every_part_is_in_a_smoke_run_and_splits_differ() -> None:
    first = list(autonomy.prepare(Ask(limit=20)).task.dataset)[:20]
    assert {(one.metadata or {})["part"] for one in first} == {"operators", "agreement", *SCENARIOS}
    held = next(iter(autonomy.prepare(Ask(split="held-out")).task.dataset))
    assert (held.metadata or {})["seed"] != (first[0].metadata or {})["seed"]
