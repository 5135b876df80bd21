"""Full load and single losses against sums worked by hand; the summary and the tree of the included sites."""

from __future__ import annotations

import doctest
import importlib
import math

import pytest

from plant.capacity import Capacity, node_full_kw
from plant.ranges import expand
from plant.show import ANSWER_TOKENS, PROMPT_TOKENS, describe, tree
from plant.site import Asset, Site, included_sites, load_site, site_file_of

SITES = ("demo", "lab-16", "hall-1024", "gb200-row")


def asset(name: str, kind: str, *on: str, **spec: object) -> Asset:
    return Asset.model_validate({"name": name, "kind": kind, "on": on, "spec": spec or None})


@pytest.fixture
def two_sides() -> Site:
    """One rack of four DGX H100 on air, two sides of power, one chiller behind a switch."""
    return Site(
        name="two-sides",
        assets=(
            asset("feed-a", "feed", capacity_kw=100, loss_pu=0.01),
            asset("feed-b", "feed", capacity_kw=100, loss_pu=0.01),
            asset("ups-a", "ups", "feed-a", capacity_kw=40, fixed_loss_pu=0.01, proportional_loss_pu=0.03),
            asset("ups-b", "ups", "feed-b", capacity_kw=60, fixed_loss_pu=0.01, proportional_loss_pu=0.03),
            asset("pdu-a", "pdu", "ups-a", capacity_kw=50, loss_pu=0.015),
            asset("pdu-b", "pdu", "ups-b", capacity_kw=50, loss_pu=0.015),
            asset("ats-1", "ats", "feed-a", "feed-b"),
            asset("chiller-1", "chiller", "ats-1", capacity_kw=60, cop_design=5.0, fan_rated_kw=3.0),
            asset("crah-1", "crah", "ats-1", "chiller-1", capacity_kw=45, fan_rated_kw=2.0),
            asset("r-1", "rack", "pdu-a", "pdu-b", "crah-1", design_kw=45),
            *(asset(f"n-{i}", "gpu_node", "r-1") for i in range(4)),
        ),
    )


def test_full_load_by_hand(two_sides: Site) -> None:
    load = Capacity(two_sides).whole
    it_kw = 4 * 10.2
    assert node_full_kw(two_sides, "n-0") == pytest.approx(10.2)
    assert load.output_kw["pdu-a"] == pytest.approx(it_kw / 2)
    ups_out = it_kw / 2 * 1.015
    assert load.output_kw["ups-a"] == pytest.approx(ups_out)
    assert load.input_kw["ups-a"] == pytest.approx(ups_out * 1.03 + 0.4)
    cooling = it_kw / 5 + 3 * it_kw / 60 + 2
    assert load.heat_kw == pytest.approx({"crah-1": it_kw, "chiller-1": it_kw})
    feed_a = (ups_out * 1.03 + 0.4 + cooling) * 1.01
    assert load.input_kw["feed-a"] == pytest.approx(feed_a)
    assert load.grid_kw == pytest.approx(feed_a + (ups_out * 1.03 + 0.6) * 1.01)


def test_losing_one_side_by_hand(two_sides: Site) -> None:
    """41.4 kW on the UPS of 40 kW is too much, on that of 60 kW it is not; the switch moves over with the feed."""
    capacity = Capacity(two_sides)
    b_lost, a_lost = capacity.lose("feed-b"), capacity.lose("feed-a")
    assert (b_lost.worst, b_lost.carried) == ("ups-a", False)
    assert b_lost.worst_pu == pytest.approx(40.8 * 1.015 / 40)
    assert a_lost.carried
    assert a_lost.unfed_kw == 0
    assert capacity.full_load(frozenset({"feed-a"})).input_kw["feed-b"] > 50


def test_a_dead_switch_takes_the_cooling_with_it(two_sides: Site) -> None:
    lost = Capacity(two_sides).lose("ats-1")
    assert lost.uncooled_kw == pytest.approx(40.8)
    assert not lost.carried


def test_with_both_feeds_gone_nothing_is_fed(two_sides: Site) -> None:
    load = Capacity(two_sides).full_load(frozenset({"feed-a", "feed-b"}))
    assert load.unfed_kw == pytest.approx(40.8)
    assert load.grid_kw == 0


def test_a_power_cap_lowers_full_load() -> None:
    site = Site(name="s", assets=(asset("n", "gpu_node", power_cap_w=400),))
    assert node_full_kw(site, "n") == pytest.approx(8 * 0.4 + 4.6)


@pytest.mark.parametrize("name", SITES)
def test_power_and_heat_balance_whatever_is_lost(name: str) -> None:
    """At the boundary: nodes and cooling that run, and the losses on the way. Heat taken up: all that nodes draw."""
    site = load_site(site_file_of(name))
    capacity = Capacity(site)
    cases = [a.name for kind in ("feed", "ups", "ats", "chiller", "cdu", "crah") for a in site.of_kind(kind)]
    for lost in [frozenset[str](), *(frozenset({case}) for case in cases)]:
        load = capacity.full_load(lost)
        own = [a.name for a in site.of_kind("gpu_node", "chiller", "pump", "crah") if a.name in load.input_kw]
        losses = [
            load.input_kw[a.name] - load.output_kw[a.name]
            for a in site.of_kind("pdu", "ups", "feed")
            if a.name in load.input_kw
        ]
        used = math.fsum(load.output_kw[n] for n in own) + math.fsum(losses)
        assert load.grid_kw == pytest.approx(used, rel=1e-9)
        nodes_kw = math.fsum(load.input_kw.get(n, 0.0) for n in capacity.nodes_kw)
        taken = math.fsum(kw for n, kw in load.heat_kw.items() if site.by_name[n].kind in ("cdu", "crah"))
        rejected = math.fsum(kw for n, kw in load.heat_kw.items() if site.by_name[n].kind == "chiller")
        assert rejected + load.uncooled_kw == pytest.approx(nodes_kw, rel=1e-9)
        assert taken <= nodes_kw * (1 + 1e-9)
        assert nodes_kw + load.unfed_kw == pytest.approx(math.fsum(capacity.nodes_kw.values()), rel=1e-9)


# ---- summary -----------------------------------------------------------------------------------------------------


def test_the_hall_in_figures() -> None:
    site = describe(load_site(site_file_of("hall-1024")))
    assert (site.racks_liquid, site.racks_air, site.nodes, site.gpus) == (24, 16, 128, {"H100-SXM": 1024})
    assert site.it_kw == pytest.approx(128 * 10.2)
    assert site.gpu_kw == pytest.approx(1024 * 0.7)
    assert 1.3 < site.pue_full_load < 1.45
    by_kind = {gear.kind: gear for gear in (*site.power, *site.cooling)}
    assert by_kind["cdu"].load_kw == pytest.approx(96 * 10.2 * 0.8)
    assert by_kind["rack"].headroom_kw == pytest.approx(44 - 40.8)
    kept = {one.kind: one.carried for one in site.redundancy}
    assert kept == {"feed": True, "ups": True, "pdu": True, "ats": True, "chiller": True, "pump": True,
                    "crah": True, "cdu": False}  # fmt: skip
    assert site.free_nodes == 92
    assert site.price_span == (0.11, 0.21)
    assert site.storage.ess_usable_kwh == pytest.approx(2000 * 0.8 * 0.949)
    assert site.storage.ess_hours_at_power == pytest.approx(2 * 0.8 * 0.949)


@pytest.mark.parametrize("name", SITES)
def test_pools_stay_below_the_roofs(name: str) -> None:
    """No pool computes above the peak of its accelerators, nor steps faster than its weights can be read."""
    site = load_site(site_file_of(name))
    for pool in describe(site).pools:
        deployment = site.deployment(pool.name)
        gpus = pool.gpus_each * pool.instances
        flops = 2 * deployment.model.params_active * (1 + PROMPT_TOKENS / ANSWER_TOKENS) * pool.tokens_per_s
        assert 0.02 < flops / (gpus * deployment.gpu.peak(deployment.weights)) < 1
        read_s = pool.weights_gb * 1e9 / (pool.gpus_each * deployment.gpu.memory_bytes_per_s)
        assert pool.step_ms / 1e3 > 0.5 * read_s
        assert pool.batch * (PROMPT_TOKENS + ANSWER_TOKENS / 2) <= pool.kv_tokens * (1 + 1e-9)


def test_the_weights_of_a_pool_are_known() -> None:
    (pool,) = describe(load_site(site_file_of("lab-16"))).pools
    assert pool.weights_gb == pytest.approx(141.1, abs=0.1)  # 70.55e9 parameters of two bytes
    assert (pool.instances, pool.split, pool.nodes) == (2, "tp 8", "gpu-[1-2]")


# ---- tree --------------------------------------------------------------------------------------------------------


def test_the_tree_draws_alike_things_once() -> None:
    lines = tree(load_site(site_file_of("hall-1024")))
    assert lines[:6] == [
        "power",
        "feed-a  feed, 2000 kW, 45% at full load",
        "├─ ups-1  ups, 750 kW, 44% at full load",
        "│  └─ pdu-[01-16]a  pdu, each 45 kW, 45% at full load",
        "│     └─ r-[01-16]  rack, each 44 kW, 93% at full load",
        "│        └─ gpu-[001-064]  64 x 8 H100-SXM, each 10.2 kW",
    ]
    assert any("cdu-[1-6]-pump-a" in line for line in lines)
    assert len(lines) < 60


@pytest.mark.parametrize("name", SITES)
def test_every_node_is_in_the_tree(name: str) -> None:
    site = load_site(site_file_of(name))
    words = {word.rstrip(",") for line in tree(site) for word in line.split()}
    named = {one for word in words for one in expand(word)}
    assert {node.name for node in site.of_kind("gpu_node", "rack", "ups", "feed", "chiller")} <= named


def test_a_site_with_nothing_on_it_is_described() -> None:
    empty = describe(Site(name="empty"))
    assert (empty.nodes, empty.it_kw, empty.pue_full_load, empty.pools) == (0, 0.0, 0.0, ())
    assert tree(Site(name="empty")) == ["power"]


@pytest.mark.parametrize(
    "module", ["ranges", "site_check", "site_file", "specs", "jobs.work", "jobs.places", "jobs.reliability"]
)
def test_the_examples_in_docstrings_hold(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"plant.{module}")).failed == 0


def test_all_included_sites_are_tested() -> None:
    assert set(included_sites()) == set(SITES)
