"""Changes as people write them: what is read, on which assets it falls, and what is refused in which words."""

from __future__ import annotations

import pytest

from plant import load_site
from plant.change import KNOBS, read_changes
from plant.site import Site
from setpoint.errors import UsageError


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site("demo")


def test_the_issue_s_own_line_is_read_with_its_units(demo: Site) -> None:
    batch, clock, supply = read_changes("batch=64 clock=1.2GHz supply_temp=30C", demo)
    assert (batch.value, batch.assets) == (64, ("pool-chat", "pool-vip", "pool-batch"))
    assert (clock.value, len(clock.assets)) == (1200.0, 32)
    assert (supply.value, supply.assets) == (30.0, ("cdu-1", "cdu-2"))


def test_an_asset_stands_for_what_is_below_it_or_serves_it(demo: Site) -> None:
    assert read_changes("r-02.clock=1200MHz", demo)[0].assets == ("gpu-05", "gpu-06", "gpu-07", "gpu-08")
    assert read_changes("pool-vip.power_cap=500W", demo)[0].assets == ("gpu-13", "gpu-14", "gpu-15", "gpu-16")
    assert read_changes("cdu-1.flow=9m3/h", demo)[0].value == pytest.approx(150.0)
    assert read_changes("kv_watermark=85%", demo)[0].value == pytest.approx(85.0)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("clock=30C", "'30C' is a temperature; a frequency is wanted"),
        ("clock=99GHz", "clock lies between 100 and 4000 MHz"),
        ("clocks=1200MHz", "Use clock"),
        ("batch", "Write KEY=VALUE"),
        ("batch=64C", "a count is wanted"),
        ("batch=nan", "is not a number"),
        ("cdu-9.flow=100", "no asset 'cdu-9' on site demo. Use for example cdu-"),
        ("gpu-01.flow=100", "flow cannot be set on gpu-01, a gpu_node. Name a cdu"),
        ("", "no change is given"),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(demo: Site, written: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_changes(written, demo)
    assert words in str(refused.value)


def test_every_knob_has_a_unit_the_plant_knows_and_a_range() -> None:
    for knob in KNOBS.values():
        assert knob.low < knob.high
        assert knob.meaning
