"""What a question names, as people write it in a hurry."""

from __future__ import annotations

import pytest

from agents.mentions import assets_in, incident_in, related, siblings
from agents.metric_words import metric_in, span_minutes
from agents.spoken import plainly
from tests.agents.cases import demo_site


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("is GPU-03 hot", ["gpu-03"]), ("gpu7 state", ["gpu-07"]), ("i got paged for rack 6", ["r-06"]),
        ("node 12 and cdu 2", ["gpu-12", "cdu-2"]), ("hciller-1 off?", ["chiller-1"]), ("pump b of cdu-1", ["cdu-1-pump-b"]),
        ("llama-3.1-70b on H200", []), ("gpu-99", []), ("in the last 2 hours", []), ("what is going on", []),
    ],
)  # fmt: skip
def test_assets_are_found_by_name_by_number_and_misspelt(said: str, named: list[str]) -> None:
    assert assets_in(said, demo_site()) == named


@pytest.mark.parametrize(
    ("said", "id"),
    [
        ("what about INC-40ax28vy", "INC-40AX28VY"), ("ticket 9x2wk4hd, what broke?", "INC-9X2WK4HD"),
        ("incident overview", ""), ("ticket something", ""),
    ],
)  # fmt: skip
def test_incidents_are_found_with_and_without_their_prefix(said: str, id: str) -> None:
    assert incident_in(said) == id


def test_what_stands_beside_an_asset() -> None:
    assert related("cdu-1", "pump", demo_site()) == ["cdu-1-pump-a", "cdu-1-pump-b"]
    assert siblings("ups-1", demo_site()) == ["ups-2"]
    assert siblings("nothing", demo_site()) == []


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("waht if the clcok goes up", "what if the clock goes up"), ("thirty-two degrees", "32 C"),
        ("at 120 litres per minute", "at 120 LPM"), ("some eight requests each second", "some 8 rps"),
        ("the worst one of three", "the worst one of three"), ("even odd words stay", "even odd words stay"),
    ],
)  # fmt: skip
def test_haste_and_spelled_numbers_are_set_right_and_nothing_else(said: str, plain: str) -> None:
    assert plainly(said) == plain


def test_a_reading_is_called_by_its_asset() -> None:
    assert metric_in("temps last 2h", "gpu-03", demo_site()) == "gpu_temp_c"
    assert metric_in("load on it", "ups-1", demo_site()) == "load_kw"
    assert metric_in("vibration", "ups-1", demo_site()) == ""
    assert [span_minutes(said) for said in ("last 2h", "these past three hours", "6h not 1", "now")] == [
        120,
        180,
        360,
        0,
    ]
