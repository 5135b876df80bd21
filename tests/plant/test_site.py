"""The site description: ratings with defaults and limits, ranges, pools, the user's own hardware, the examples."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plant.ranges import dealt, expand, size, written
from plant.site import Asset, Site, included_sites, load_site, site_file_of
from plant.specs import CduSpec, EssSpec, NodeSpec, PoolSpec, PumpSpec
from setpoint.errors import ConfigError

EXAMPLES = {"demo": (32, 256), "lab-16": (2, 16), "hall-1024": (128, 1024), "gb200-row": (144, 576)}


def made(tmp_path: Path, text: str) -> Site:
    path = tmp_path / "site.yaml"
    path.write_text("name: own\n" + text)
    return load_site(path)


# ---- ratings -----------------------------------------------------------------------------------------------------


def test_a_spec_wins_over_a_limit_and_a_limit_over_the_default(tmp_path: Path) -> None:
    site = made(
        tmp_path,
        "limits: {flow_max_lpm: 500, ess_capacity_kwh: 300, soc_max_pct: 80}\n"
        "assets:\n"
        "  - {name: p, kind: pump}\n"
        "  - {name: cdu-1, kind: cdu, on: [p]}\n"
        "  - {name: cdu-2, kind: cdu, on: [p], spec: {flow_max_lpm: 7 m3/h, flow_design_lpm: 100}}\n"
        "  - {name: ess-1, kind: ess, spec: {power_kw: 0.25MW}}\n",
    )
    assert site.spec("cdu-1", CduSpec).flow_max_lpm == 500
    assert site.spec("cdu-2", CduSpec).flow_max_lpm == pytest.approx(116.667, abs=1e-3)
    ess = site.spec("ESS-1", EssSpec)
    assert (ess.capacity_kwh, ess.power_kw, ess.soc_max_pct, ess.soc_min_pct) == (300, 250, 80, 10)
    assert site.spec("p") == PumpSpec()
    assert site.spec("p") is site.spec("p")


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("p-9", None, "no asset 'p-9'.*Did you mean p-1"),
        ("door", None, "which has no ratings"),
        ("p-1", NodeSpec, "p-1 is a pump; it has no NodeSpec"),
    ],
)
def test_asking_for_ratings_that_are_not_there(name: str, kind: type[NodeSpec] | None, said: str) -> None:
    site = Site(name="s", assets=(Asset(name="p-1", kind="pump"), Asset(name="door", kind="door")))
    with pytest.raises(ConfigError) as caught:
        site.spec(name) if kind is None else site.spec(name, kind)
    assert re.search(said, str(caught.value))


def test_own_hardware_and_models_come_before_the_catalog(tmp_path: Path) -> None:
    site = made(
        tmp_path,
        "hardware:\n"
        "  - {name: H100-SXM, like: H100-SXM, tdp_w: 500W}\n"
        "  - {name: my-card, like: L40S, memory_bytes: 96GB}\n"
        "models:\n"
        "  - {name: my-70b, like: llama-3.1-70b, vocab: 64000}\n",
    )
    assert site.gpu("h100 sxm").tdp_w == 500
    assert site.gpu("My Card").memory_bytes == 96e9
    assert "L40S" in site.gpu("my-card").source
    assert site.model("my-70b").vocab == 64000
    assert site.model("llama-3.1-8b").layers == 32


def test_a_pool_is_deployed_on_what_its_nodes_hold(tmp_path: Path) -> None:
    site = made(
        tmp_path,
        "assets:\n"
        '  - {name: "n-[1-4]", kind: gpu_node, spec: {gpu: H200, gpus: 8}}\n'
        "pools:\n"
        '  - {name: chat, nodes: ["n-[1-2]"], tp: 4, max_batch: 64, block_tokens: 32}\n'
        '  - {name: big, nodes: ["n-[3-4]"], tp: 8, pp: 2, prefill_instances: 0}\n',
    )
    deployment = site.deployment("chat")
    assert (deployment.gpu.name, deployment.tp, deployment.max_batch) == ("H200-SXM", 4, 64)
    assert (deployment.block_tokens, deployment.role) == (32, "both")
    chat, big = site.instances("chat"), site.instances("big")
    assert [one.gpus for one in chat] == [(("n-1", 4),), (("n-1", 4),), (("n-2", 4),), (("n-2", 4),)]
    assert [one.nodes for one in big] == [("n-3", "n-4")]
    service = site.by_name["chat"]
    assert (service.kind, service.on) == ("service", ("n-1", "n-2"))
    held = site.pool_of("N-2")
    assert held is not None
    assert held.name == "chat"
    with pytest.raises(ConfigError, match="no pool 'chatt'"):
        site.pool("chatt")


def test_the_first_instances_of_a_split_pool_prefill() -> None:
    site = load_site(site_file_of("gb200-row"))
    roles = [instance.role for instance in site.instances("pool-frontier")]
    assert roles == ["prefill"] * 3 + ["decode"] * 5


def test_a_site_made_in_python_expands_its_pools() -> None:
    assert PoolSpec(name="p", nodes=("n-[1-3]",)).nodes == ("n-1", "n-2", "n-3")


# ---- ranges ------------------------------------------------------------------------------------------------------


def test_names_are_dealt_out_in_order(tmp_path: Path) -> None:
    site = made(
        tmp_path,
        "assets:\n"
        '  - {name: "pdu-[1-4][1-2]", kind: pdu}\n'
        '  - {name: "r-[1-4]", kind: rack, on: ["pdu-[1-4]1/1", "pdu-[1-4]2/1"]}\n'
        '  - {name: "n-[01-16]", kind: gpu_node, on: ["r-[1-4]/4", "pdu-[1-2]1"]}\n',
    )
    assert site.by_name["r-3"].on == ("pdu-31", "pdu-32")
    assert site.by_name["n-01"].on == ("r-1", "pdu-11", "pdu-21")
    assert site.by_name["n-16"].on[0] == "r-4"


@given(st.integers(0, 300), st.integers(1, 60), st.integers(1, 5))
def test_dealing_is_even_and_complete(low: int, names: int, each: int) -> None:
    targets = f"r-[{low:03d}-{low + names - 1:03d}]/{each}"
    got = [name for position in range(names * each) for name in dealt(targets, position, names * each)]
    assert got == sorted(got)
    assert all(got.count(name) == each for name in set(got))
    assert len(set(got)) == names


@given(st.lists(st.integers(1, 40), unique=True, max_size=30))
def test_the_short_form_says_the_same_names(numbers: list[int]) -> None:
    names = [f"gpu-{number:02d}" for number in sorted(numbers)]
    short = written(names)
    assert [name for part in short.split(", ") if part for name in expand(part)] == names


def test_ranges_have_bounds() -> None:
    with pytest.raises(ValueError, match="runs backwards"):
        size("gpu-[9-1]")
    with pytest.raises(ValueError, match="stands for 1000000 names"):
        list(expand("gpu-[0-999999]"))


# ---- examples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_sound(name: str) -> None:
    site = load_site(site_file_of(name))
    nodes = site.of_kind("gpu_node")
    assert (len(nodes), sum(site.spec(node.name, NodeSpec).gpus for node in nodes)) == EXAMPLES[name]
    assert site.pools
    assert site.name == name
    assert all(site.instances(pool) for pool in site.pools)
    if name != "demo":
        assert site.warnings == ()
        assert len(site_file_of(name).read_text().splitlines()) < 120


def test_the_demo_says_that_it_may_draw_more_than_it_may() -> None:
    (warning,) = load_site(site_file_of("demo")).warnings
    assert warning == "the site draws 462 kW at full load, above its limit site_power_max_kw of 430"


def test_an_example_is_found_by_name_and_a_file_by_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("name: mine\n")
    assert site_file_of(own) == own
    assert set(included_sites()) >= set(EXAMPLES)
    with pytest.raises(ConfigError, match="no site file 'nowhere'") as caught:
        site_file_of("nowhere")
    assert all(name in caught.value.remedy for name in EXAMPLES)


def test_reading_a_site_needs_no_compiler() -> None:
    """The command line reads the site at every start: numba must not come along."""
    code = (
        "import sys, plant.site as s; s.load_site(s.site_file_of('hall-1024')); print('numba' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
