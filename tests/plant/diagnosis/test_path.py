"""The way from a cause to what was seen: along the topology, in time, and only where an event can be an effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.causes import load_causes
from plant import load_site
from plant.diagnosis.observed import Observed, Sign
from plant.diagnosis.path import FORERUNNER_S, MOST_LINKS, Change, causal_path, changes_of, root_of
from plant.diagnosis.results import CausalPath, Curve, Medium, Verdict
from plant.diagnosis.spread import ANY, load_spread, reach
from plant.site import AssetKind, Site, included_sites, site_file_of

START = datetime(2026, 3, 14, 22, 0, tzinfo=UTC)
ONSET_S = 1200.0
SITE = load_site(site_file_of("demo"))


def sign(name: str, after_s: float, asset: str, priority: str = "P1", *hints: str, **more: Any) -> Sign:
    return Sign(name, ONSET_S + after_s, asset, priority, hints, **more)


def verdict(cause: str, asset: str, **more: Any) -> Verdict:
    values: dict[str, Any] = {
        "share": 0.9,
        "low": 0.8,
        "high": 0.95,
        "onset": START + timedelta(seconds=ONSET_S),
    }
    return Verdict(cause=cause, asset=asset, **values | more)


def path(
    cause: str, asset: str, *signs: Sign, site: Site = SITE, changes: Any = None, **more: Any
) -> CausalPath:
    observed = Observed(START, np.arange(0.0, 7200.0, 30.0), {}, signs)
    return causal_path(site, verdict(cause, asset, **more), observed, changes)


PUMP = ("coolant_pump_failure", "cdu-1-pump-a")
PUMP_SIGNS = (
    sign("pump", 0, "cdu-1-pump-a", "P1", "coolant_pump_failure", condition="coolant pump failed"),
    sign("flow", 5, "cdu-1", "P0", "coolant_flow_restricted", "coolant_pump_failure", condition="coolant flow lost"),
    sign("hot-1", 70, "gpu-01", "P1", "gpu_thermal_throttle", condition="GPU throttled"),
    sign("hot-9", 90, "gpu-09/gpu3", "P1", "gpu_thermal_throttle", condition="GPU throttled"),
    sign("slo", 200, "pool-chat", "P0", "slo_breach_queueing", condition="service level breached"),
)  # fmt: skip


def test_a_stopped_pump_is_followed_over_loop_rack_and_node_to_the_pool() -> None:
    found = path(*PUMP, *PUMP_SIGNS)
    assert [(link.source, link.target, link.medium) for link in found.links] == [
        ("cdu-1-pump-a", "cdu-1", "coolant"),
        ("cdu-1", "r-01, r-03", "coolant"),
        ("r-01, r-03", "gpu-01, gpu-09", "coolant"),
        ("gpu-01, gpu-09", "pool-chat", "work"),
    ]
    assert found.explained == ("pump", "flow", "hot-1", "hot-9", "slo")
    assert found.unexplained == ()
    assert (found.seen, found.seen_after_s) == ("P1 coolant pump failed", 0.0)
    assert (found.links[2].seen, found.links[2].seen_after_s) == ("P1 GPU throttled, and 1 more", 70.0)


@pytest.mark.parametrize(
    "stranger",
    [
        sign("x", 60, "gpu-17", "P1", "gpu_thermal_throttle"),  # on the other loop
        sign("x", -600, "gpu-01", "P1", "gpu_thermal_throttle"),  # before the pump stopped
        sign("x", 60, "gpu-01", "P1", "gpu_uncorrectable_ecc"),  # heat is no reason for it
        sign("x", 5 * 3600, "gpu-02", "P1", "gpu_thermal_throttle"),  # hours after everything else
        sign("x", 60, "door-hall-1", "P1"),
        sign("x", 60, "never-heard-of", "P1"),
    ],
)
def test_what_the_cause_cannot_have_done_is_left_unexplained(stranger: Sign) -> None:
    found = path(*PUMP, *PUMP_SIGNS, stranger)
    assert found.unexplained == ("x",)
    assert len(found.explained) == len(PUMP_SIGNS)


def test_the_struck_asset_may_have_spoken_before_the_onset() -> None:
    forerunner = sign("wear", -FORERUNNER_S / 2, "cdu-1-pump-a", "P2", condition="vibration high")
    found = path(*PUMP, forerunner, *PUMP_SIGNS)
    assert found.explained[0] == "wear"
    assert found.seen_after_s == -FORERUNNER_S / 2


def test_recoveries_and_routine_are_neither_explained_nor_missed() -> None:
    over = sign("over", 900, "cdu-1", "P2", firing=False)
    routine = sign("cron", 60, "gpu-01", "P3")
    found = path(*PUMP, *PUMP_SIGNS, over, routine)
    assert {"over", "cron"}.isdisjoint({*found.explained, *found.unexplained})


def test_a_lying_sensor_explains_its_own_alarms_and_nothing_beyond_its_place() -> None:
    own = sign("own", 10, "temp-r-07", "P2", "supply_temp_high")
    rack = sign("rack", 20, "r-07", "P2", "supply_temp_high")
    node = sign("node", 20, "gpu-25", "P1", "gpu_thermal_throttle")
    found = path("sensor_drift", "temp-r-07", own, rack, node)
    assert (found.explained, found.unexplained) == (("own", "rack"), ("node",))


def test_a_leak_that_a_rope_reports_is_in_the_rack() -> None:
    assert root_of(SITE, verdict("coolant_leak", "leak-r-02")) == "r-02"
    assert root_of(SITE, verdict("sensor_lost", "leak-r-02")) == "leak-r-02"


def test_power_goes_by_pumps_into_the_coolant() -> None:
    signs = (
        sign("ats", 0, "ats-1", "P0", "ats_transfer_failed"),
        sign("flow", 10, "cdu-2", "P0", "coolant_pump_failure"),
    )
    found = path("ats_transfer_failed", "ats-1", *signs)
    assert [link.medium for link in found.links] == ["power", "coolant"]
    assert found.links[0].target.startswith("cdu-2-pump")


def test_no_fault_and_an_unknown_place_explain_nothing() -> None:
    for cause, asset in (("no_fault", ""), ("unknown", ""), ("coolant_pump_failure", "not-there")):
        found = path(cause, asset, *PUMP_SIGNS)
        assert (found.links, found.explained) == ((), ())
        assert len(found.unexplained) == len(PUMP_SIGNS)


def test_without_a_fitted_onset_it_counts_from_the_first_event_at_the_root() -> None:
    found = path(*PUMP, *PUMP_SIGNS, onset=None)
    assert found.onset == START + timedelta(seconds=ONSET_S)


def test_links_say_what_the_model_shows_and_when() -> None:
    changes = {
        "cdu-1": Change(12.0, "flow_lpm", 170.2, 41.0),
        "gpu-01": Change(66.0, "gpu_temp_c", 60.0, 91.4),
    }
    found = path(*PUMP, *PUMP_SIGNS, changes=changes)
    assert found.links[0].after_s == 12.0
    assert found.links[0].effect == "the loop's flow falls: flow 170 to 41 L/min in the model"
    assert found.links[2].after_s == 66.0


def test_changes_are_read_from_the_curves_of_a_verdict() -> None:
    still = Curve(asset="cdu-2", metric="flow_lpm", times_s=(-30, 0, 30), observed=(None,) * 3, healthy=(100,) * 3,
                  simulated=(100, 100, 101), evidence=0.0)  # fmt: skip
    falls = Curve(asset="cdu-1", metric="flow_lpm", times_s=(-30, 0, 30, 60), observed=(None,) * 4, healthy=(100,) * 4,
                  simulated=(100, 99, 60, 20), evidence=9.0)  # fmt: skip
    assert changes_of((still, falls)) == {"cdu-1": Change(30.0, "flow_lpm", 100.0, 20.0)}


def test_a_large_path_shows_the_gravest_and_counts_the_rest() -> None:
    """A feed that fails touches every kind of asset; every event still counts as explained."""
    kinds = [("ups-1", "P1"), ("ats-1", "P1"), ("ess-1", "P2")]
    kinds += [
        (a.name, "P2") for a in SITE.of_kind("pdu", "switch", "storage", "chiller", "crah", "cdu", "pump")
    ]
    kinds += [(a.name, "P1") for a in SITE.of_kind("gpu_node")]
    kinds += [(a.name, "P0") for a in SITE.of_kind("service")]
    signs = [sign(f"e{n}", 30 + n, asset, rank) for n, (asset, rank) in enumerate(kinds)]
    found = path("power_feed_lost", "feed-a", *signs)
    assert len(found.links) == MOST_LINKS
    assert found.more > 0
    assert any(link.target.startswith("gpu-") for link in found.links)
    assert {"ups-1", "ats-1"} <= {name for link in found.links for name in link.assets}
    assert len(found.explained) > 40


# ---- whatever is observed -------------------------------------------------------------------------------------

_ROOTS = [asset.name for asset in SITE.assets]
_CAUSES = sorted(load_causes())
_SIGNS = st.lists(
    st.builds(
        sign,
        st.uuids().map(str),
        st.floats(-9000, 9000),
        st.sampled_from(_ROOTS),
        st.sampled_from(["P0", "P1", "P2", "P3"]),
        st.sampled_from(_CAUSES),
        firing=st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(_CAUSES), st.sampled_from(_ROOTS), _SIGNS)
def test_a_path_is_a_tree_from_the_root_that_accounts_for_every_event_once(
    cause: str, root: str, signs: list[Sign]
) -> None:
    found = path(cause, root, *signs)
    assert not {*found.explained} & {*found.unexplained}
    assert {*found.explained, *found.unexplained} == {
        one.id for one in signs if one.firing and (one.priority < "P3" or cause in one.hints)
    }
    assert len(found.links) <= MOST_LINKS
    known = {found.root}
    for link in found.links:
        assert link.source in known
        known.add(link.target)
    shown = [name for link in found.links for name in link.events]
    assert len(shown) == len({*shown})
    assert {*shown} <= {*found.explained}


# ---- the table --------------------------------------------------------------------------------------------------


def test_the_table_names_kinds_and_causes_that_exist() -> None:
    table, kinds = load_spread(), {*get_args(AssetKind), ANY}
    for step in table.steps:
        assert {*step.source, *step.target} <= kinds
    assert {kind for by_kind in table.shows.values() for kind in by_kind} <= kinds
    named = {cause for by_kind in table.shows.values() for causes in by_kind.values() for cause in causes}
    named |= {cause for causes in table.leaves.values() for cause in causes} | {*table.symptoms}
    assert named <= {*load_causes()}


def test_every_cause_leaves_its_asset_by_one_medium() -> None:
    table = load_spread()
    listed = [cause for causes in table.leaves.values() for cause in causes]
    assert len(listed) == len({*listed})
    assert {table.leaving(cause, "gpu_node") for cause in load_causes()} <= {*get_args(Medium)}


@pytest.mark.parametrize("name", included_sites())
def test_a_lost_feed_reaches_the_racks_of_every_included_site(name: str) -> None:
    site = load_site(site_file_of(name))
    feed = site.of_kind("feed")[0].name
    reached = reach(site, "power_feed_lost", feed)
    fed = {rack.name for rack in site.below(feed, "rack")}
    assert fed
    assert fed <= {*reached}


def test_a_network_adapter_does_not_reach_its_neighbours_over_the_switch() -> None:
    reached = reach(SITE, "nic_failure", "gpu-03")
    assert "ib-leaf-1" in reached
    assert not any(at.medium == "network" for at in reached.get("gpu-04", ()))
