"""Tools about heat: schemas, flow against the heat balance, losses on the real model, and a live plant left alone."""

from __future__ import annotations

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from syrupy.assertion import SnapshotAssertion

from tests.tools.plant_cases import SITES, ask, ports, quiet, refused
from tools.cooling_tools import cooling_tools


def test_schemas(snapshot: SnapshotAssertion) -> None:
    assert [convert_to_openai_tool(tool) for tool in cooling_tools(ports("demo"))] == snapshot


@pytest.mark.parametrize("site", SITES)
def test_a_loop_carries_its_heat_with_flow_times_rise(site: str) -> None:
    """PG25: 15.1 K for one kW in one L/min (the rule of suppliers)."""
    found = ask(site, "cooling", asset="cdu-1")
    (cdu,) = found["assets"]
    assert cdu["delta_t_k"] == pytest.approx(15.1 * cdu["heat_kw"] / cdu["flow_lpm"], rel=0.02)
    assert found["delta_t_at_load_k"] == pytest.approx(cdu["delta_t_k"], rel=0.02)
    assert found["flow_needed_lpm"] == pytest.approx(15.1 * cdu["heat_kw"] / 10, rel=0.02)
    assert cdu["flow_limited_kw"] == pytest.approx(10 * cdu["flow_max_lpm"] / 15.1, rel=0.02)
    assert cdu["headroom_kw"] == pytest.approx(
        min(cdu["capacity_kw"], cdu["flow_limited_kw"]) - cdu["heat_kw"], rel=1e-2
    )


def test_a_load_beyond_the_pump_is_not_carried() -> None:
    found = ask("demo", "cooling", asset="cdu-1", load_kw="300kW")
    assert not found["carries_load"]
    assert found["flow_needed_lpm"] > 320
    assert "more than the 320 one pump gives" in found["note"]
    assert ask("demo", "cooling", asset="cdu-1", load_kw=140)["carries_load"]


def test_racks_air_handlers_and_chillers_have_their_own_figures() -> None:
    rack = ask("demo", "cooling", asset="r-01")
    assert "80% of its heat goes into coolant" in rack["note"]
    assert rack["air_needed_m3_s"] == pytest.approx(0.2 * rack["load_kw"] / (1.2 * 12), rel=1e-2)
    crah = ask("demo", "cooling", asset="crah-3")
    assert crah["assets"][0]["inlet_temp_c"] == pytest.approx(24.0, abs=1)
    assert crah["flow_needed_lpm"] is None
    chiller = ask("demo", "cooling", asset="chiller-1")["assets"][0]
    assert chiller["cop"] == pytest.approx(chiller["heat_kw"] / chiller["power_kw"], rel=0.02)


@pytest.mark.parametrize("site", SITES)
def test_all_gear_is_listed_with_the_least_headroom_named(site: str) -> None:
    found = ask(site, "cooling")
    least = min(found["assets"], key=lambda one: one["headroom_kw"] / one["capacity_kw"])
    assert found["least_headroom"] == least["asset"]
    assert all(one["running"] for one in found["assets"])


def test_a_lost_pump_heats_its_nodes_and_no_others() -> None:
    found = ask("demo", "asset_lost", asset="cdu-1-pump-a", minutes=10)
    assert 0 < found["minutes_to_limit"] < 5
    assert found["hottest_gpu_c"] > found["gpu_limit_c"] > found["hottest_gpu_without_c"]
    assert found["nodes_down"] == 12, "those of r-01 to r-03"
    assert found["stand_by"] == ["cdu-1-pump-b"]
    flow = next(one for one in found["readings"] if one["metric"] == "flow_lpm")
    assert (flow["asset"], flow["with_loss"]) == ("cdu-1", pytest.approx(0.0, abs=1.0))


def test_a_cdu_is_lost_with_its_pumps() -> None:
    assert "without cooling" in ask("hall-1024", "asset_lost", asset="cdu-1", minutes=5)["at_full_load"]


def test_one_of_two_chillers_is_carried_and_both_are_not() -> None:
    one = ask("demo", "asset_lost", asset="chiller-1", minutes=30)
    both = ask("demo", "asset_lost", asset="chiller-1", also=["chiller-2"], minutes=30)
    assert one["minutes_to_inlet_limit"] is None
    assert one["stand_by"] == ["chiller-2"]
    assert 2 < both["minutes_to_inlet_limit"] <= 30, "the water and the room store heat"
    assert both["warmest_inlet_c"] > one["warmest_inlet_c"]
    assert both["stand_by"] == []
    assert "without cooling" in both["at_full_load"]


@pytest.mark.parametrize(
    "asset", ["feed-a", "ups-1", "pdu-01a", "ess-1", "gpu-03", "ats-1", "ib-leaf-1", "crah-3"]
)
def test_every_kind_that_can_be_lost_is_simulated(asset: str) -> None:
    found = ask("demo", "asset_lost", asset=asset, minutes=2)
    assert found["assets"] == [asset]
    assert found["at_full_load"]
    assert found["nodes_down"] == (1 if asset == "gpu-03" else 0)


def test_the_live_plant_is_not_moved() -> None:
    before = quiet("demo").to_dict()
    ask("demo", "asset_lost", asset="feed-a", minutes=5)
    ask("demo", "cooling", asset="cdu-1")
    assert quiet("demo").to_dict() == before


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("cooling", {"asset": "gpu-03"}, "gpu-03 is a gpu_node; name a cdu or rack or crah or chiller"),
        ("cooling", {"asset": "cdu-7"}, "use for example cdu-"),
        ("cooling", {"load_kw": 100}, "which one should carry it"),
        ("cooling", {"asset": "cdu-1", "load_kw": "100LPM"}, "is a flow; a power is wanted"),
        ("asset_lost", {"asset": "store-1"}, "store-1 is a storage"),
        ("asset_lost", {"asset": "nothing"}, "no asset that this can be asked of"),
        ("asset_lost", {"asset": "cdu-1", "minutes": 600}, "less than or equal to 60"),
    ],
)
def test_what_the_caller_can_mend_is_said(tool: str, args: dict[str, object], words: str) -> None:
    assert words in refused("demo", tool, **args)
