"""A wrong site file is told with line, value and remedy; all faults at once; what is odd but works is a warning."""

from __future__ import annotations

import math
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.site import Asset, Site, load_site, site_file_of
from plant.specs import JobSpec, PoolSpec
from setpoint.errors import ConfigError

NODES = """name: own
assets:
  - {name: r-1, kind: rack}
  - {name: "n-[1-4]", kind: gpu_node, on: [r-1], spec: {gpu: H100-SXM}}
"""

WRONG = {
    "a unit of another kind": (
        'name: x\nassets:\n  - name: "gpu-[01-04]"\n    kind: gpu_node\n    spec:\n      gpus: 8\n      power_cap_w: 700 C\n',
        "line 7: gpu-[01-04].spec.power_cap_w: '700 C' is a temperature; a power is wanted, such as 1w. "
        "Write it as 700W",
    ),
    "an unknown field of a spec": (
        "name: x\nassets:\n  - {name: cdu-1, kind: cdu,\n     spec: {flow_max_lmp: 300}}\n",
        "line 4: unknown field 'cdu-1.spec.flow_max_lmp'. Did you mean flow_max_lpm",
    ),
    "an unknown field of an asset": (
        "name: x\nassets:\n  - {name: cdu-1, kind: cdu, knd: 3}\n",
        "line 3: unknown field 'cdu-1.knd'. Did you mean kind",
    ),
    "an unknown kind": (
        "name: x\nassets:\n  - {name: a, kind: gpu_nod}\n",
        "line 3: a.kind: 'gpu_nod' is not known here. Did you mean gpu_node or gpu",
    ),
    "a spec where there is none": (
        "name: x\nassets:\n  - {name: d, kind: door, spec: {height: 2}}\n",
        "line 3: d.spec: an asset of kind door has no spec",
    ),
    "a name where a list is wanted": (
        "name: x\nassets:\n  - {name: a, kind: rack, on: r-1}\n",
        "line 3: a.on: 'r-1' is given; a list is wanted. Write it as [r-1]",
    ),
    "a number where a mapping is wanted": (
        "name: x\npools:\n  - 3\n",
        "line 3: pools.0: 3 is given; a mapping is wanted. Write it as {field: value}",
    ),
    "own hardware like nothing known": (
        "name: x\nhardware:\n  - {name: q, like: H300}\n",
        "line 2: hardware: q.like: unknown GPU 'H300'",
    ),
    "no name": ("name: x\nassets:\n  - {kind: door}\n", "line 3: assets.0.name: is missing. Add `name:`"),
    "not a number": (
        "name: x\nassets:\n  - {name: e, kind: ess, spec: {capacity_kwh: .nan}}\n",
        "line 3: e.spec.capacity_kwh: nan is not a finite number",
    ),
    "a negative figure": (
        "name: x\nassets:\n  - {name: e, kind: ess, spec: {capacity_kwh: -4}}\n",
        "line 3: e.spec.capacity_kwh: -4.0 is out of range. Write a value above 0",
    ),
    "a battery without a window": (
        "name: x\nassets:\n  - {name: e, kind: ess, spec: {soc_min_pct: 90, soc_max_pct: 20}}\n",
        "line 3: e.spec: soc_min_pct 90 is not below soc_max_pct 20",
    ),
    "limits that cross": (
        "name: x\nlimits:\n  soc_min_pct: 90\n  soc_max_pct: 20\n",
        "line 3: limits.soc_min_pct: 90 is not below soc_max_pct 20",
    ),
    "a negative limit": ("name: x\nlimits:\n  flow_min_lpm: -3\n", "line 3: limits.flow_min_lpm: -3 is negative"),
    "an infinite limit": ("name: x\nlimits:\n  flow_min_lpm: .inf\n", "line 3: limits.flow_min_lpm: inf"),
    "bands that overlap": (
        "name: x\ntariff:\n  bands:\n    - {from_hour: 6, to_hour: 12, price_per_kwh: 1}\n"
        "    - {from_hour: 11, to_hour: 14, price_per_kwh: 2}\n",
        "line 3: tariff.bands: the bands 6 to 12 and 11 to 14 overlap",
    ),
    "a band past midnight": (
        "name: x\ntariff:\n  bands:\n    - {from_hour: 22, to_hour: 6, price_per_kwh: 1}\n",
        "line 4: tariff.bands.0: the band 22 to 6 passes midnight; write two, 22 to 24 and 0 to 6",
    ),
    "an hour that is none": (
        "name: x\ntariff:\n  bands:\n    - {from_hour: 3, to_hour: 25, price_per_kwh: 1}\n",
        "line 4: tariff.bands.0.to_hour: 25 is out of range. Write a value at most 24",
    ),
    "a wet bulb above the dry": ("name: x\nweather: {wet_bulb_c: 30}\n", "line 2: weather: wet_bulb_c 30 is above"),
    "a range that runs backwards": (
        'name: x\nassets:\n  - {name: "n-[4-1]", kind: gpu_node}\n',
        "line 3: n-[4-1]: the range [4-1] in 'n-[4-1]' runs backwards; write [1-4]",
    ),
    "names that do not deal out": (
        'name: x\nassets:\n  - {name: "r-[1-3]", kind: rack}\n  - {name: "n-[1-12]", kind: gpu_node, on: ["r-[1-3]/3"]}\n',
        "line 4: n-[1-12]: 'r-[1-3]/3' deals out 3 x 3 = 9 places to 12 assets; write r-[1-3]/4",
    ),
    "a parent that is not there": (
        NODES + "  - {name: bmc-1, kind: bmc, on: [n-11]}\n",
        "line 5: bmc-1.on: 'n-11' is no asset of the site. Did you mean n-1",
    ),
    "a name used twice": (NODES + "  - {name: N-2, kind: gpu_node}\n", "line 5: N-2.name: 'N-2' is listed twice"),
    "assets that stand on one another": (
        "name: x\nassets:\n  - {name: a, kind: pdu, on: [b]}\n  - {name: b, kind: ups, on: [a]}\n",
        "line 3: a.on: stands on itself: a -> b -> a",
    ),
    "an accelerator nobody knows": (
        "name: x\nassets:\n  - {name: n-1, kind: gpu_node, spec: {gpu: H300}}\n",
        "line 3: n-1.spec.gpu: unknown GPU 'H300'",
    ),
    "a model nobody knows": (
        NODES + "pools:\n  - {name: p, nodes: [n-1], model: llama-3.1-7b}\n",
        "line 6: p.model: unknown model 'llama-3.1-7b'",
    ),
    "a pool on a rack": (
        NODES + "pools:\n  - {name: p, nodes: [r-1]}\n",
        "line 6: p.nodes: 'r-1' is a rack, not a gpu_node. The nodes are n-[1-4]",
    ),
    "a pool on nothing": (
        NODES + 'pools:\n  - {name: p, nodes: ["n-[4-5]"]}\n',
        "line 6: p.nodes: 'n-5' is no asset of the site. Did you mean n-4",
    ),
    "a node in two pools": (
        NODES + 'pools:\n  - {name: p, nodes: ["n-[1-2]"]}\n  - {name: q, nodes: ["n-[2-3]"]}\n',
        "line 7: q.nodes: 'n-2' is also in p",
    ),
    "an instance larger than its nodes": (
        NODES + 'pools:\n  - {name: p, nodes: ["n-[1-2]"], tp: 8, pp: 3}\n',
        "line 6: p.tp: one instance takes tp 8 x pp 3 x dp 1 = 24 GPUs; its nodes have 16. Give it 3 nodes",
    ),
    "an instance that does not fill its nodes": (
        NODES + "pools:\n  - {name: p, nodes: [n-1], tp: 6}\n",
        "line 6: p.tp: instances of 6 GPUs do not fill nodes of 8 evenly",
    ),
    "experts where there are none": (
        NODES + "pools:\n  - {name: p, nodes: [n-1], model: llama-3.1-70b, ep: 8}\n",
        "line 6: p.ep: llama-3.1-70b has no experts",
    ),
    "no instance left to decode": (
        NODES + 'pools:\n  - {name: p, nodes: ["n-[1-2]"], prefill_instances: 2}\n',
        "line 6: p.prefill_instances: 2 prefill of 2 instances leaves none to decode. Use at most 1",
    ),
    "a model that does not fit": (
        NODES + "pools:\n  - {name: p, nodes: [n-1], model: llama-3.1-405b, tp: 8}\n",
        "line 6: p.model: does not fit",
    ),
    "a job larger than the site": (
        NODES + "jobs:\n  - {name: j, nodes: 5}\n",
        "line 6: j.nodes: j wants 5 nodes; the site has 4. Write at most 4",
    ),
    "a limit shorter than the job": (
        NODES + "jobs:\n  - {name: j, nodes: 1, duration_s: 2h, limit_s: 1h}\n",
        "line 6: j: limit_s 3600 is shorter than its duration_s 7200",
    ),
}  # fmt: skip


def told(tmp_path: Path, text: str) -> str:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize("case", WRONG)
def test_a_fault_is_told_with_line_value_and_remedy(tmp_path: Path, case: str) -> None:
    text, said = WRONG[case]
    message = told(tmp_path, text)
    assert message.startswith(f"FILE, {said}")
    assert "\n" not in message


def test_what_would_fit_is_named(tmp_path: Path) -> None:
    message = told(tmp_path, NODES + "pools:\n  - {name: p, nodes: [n-1], model: llama-3.1-405b, tp: 8}\n")
    assert "weights fp8" in message


def test_all_faults_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = told(
        tmp_path,
        "name: x\ntimezone: Mars/Base\nassets:\n"
        '  - {name: "n-[1-9]", kind: gpu_node, spec: {gpus: 0, clok_mhz: 3}}\n'
        '  - {name: "r-[2-1]", kind: rack}\n'
        "  - {name: e, kind: ess, spec: {power_kw: 3kWh}}\n",
    ).split("\n")
    assert [line.split(":")[0] for line in lines] == [f"FILE, line {n}" for n in (2, 4, 4, 5, 6)]
    assert lines[4].endswith("'3kWh' is an energy; a power is wanted, such as 1kw. Write it as 3kW")


def test_ten_faults_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    assets = "".join(f"  - {{name: a{n}, kind: wrong}}\n" for n in range(13))
    lines = told(tmp_path, "name: x\nassets:\n" + assets).split("\n")
    assert len(lines) == 10
    assert lines[-1].endswith("3 more faults after these")


JUNK: tuple[object, ...] = (
    None, -1, 0, math.nan, math.inf, "", "x", [], {}, [None], {"a": 1}, True, 10**30, "3kWh", "[3-1]", "n-[1-9]/2",
    {1: 2}, "700 C", ["crah-[1-2]/7"], 3.5, "1e400kW",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(JUNK))
def test_whatever_stands_in_a_file_is_read_or_told(chance: random.Random, junk: object) -> None:
    """One value of a sound file, anywhere, replaced or renamed: a site or a ConfigError with a line, nothing else."""
    raw = yaml.safe_load(site_file_of("lab-16").read_text())
    raw |= {"jobs": [{"name": "j-[1-2]", "nodes": 1}], "hardware": [{"name": "x", "like": "L4"}]}
    inside: object = raw
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))  # type: ignore[arg-type]
        key = chance.choice(keys)
        child = inside[key]  # type: ignore[index]
        if not child or not isinstance(child, (dict, list)) or chance.random() < 0.2:
            break
        inside = child
    if isinstance(inside, dict) and chance.random() < 0.2:
        inside[junk if isinstance(junk, str) else "zz"] = inside.pop(key)
    else:
        inside[key] = junk  # type: ignore[index]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "site.yaml"
        path.write_text(yaml.safe_dump(raw))
        said = ""
        try:
            load_site(path).warnings  # noqa: B018
        except ConfigError as error:
            said = str(error)
    assert said == "" or f"{path}, line" in said or "assets is a list" in said


# ---- warnings ----------------------------------------------------------------------------------------------------


def node(name: str, *on: str) -> Asset:
    return Asset.model_validate({"name": name, "kind": "gpu_node", "on": on})


def asset(name: str, kind: str, *on: str, **spec: object) -> Asset:
    return Asset.model_validate({"name": name, "kind": kind, "on": on, "spec": spec or None})


def test_what_full_load_exceeds_is_warned_of() -> None:
    """Five DGX H100 of 10.2 kW are 51 kW; a PDU that loses 1.5% still gives 51 kW; the feed takes 51.8 kW and 1%."""
    site = Site(
        name="s",
        assets=(
            asset("feed-1", "feed", capacity_kw=52),
            asset("pdu-1", "pdu", "feed-1", capacity_kw=50.9),
            asset("r-1", "rack", "pdu-1", "cdu-1", flow_design_lpm=400),
            asset("cdu-1", "cdu", capacity_kw=40),
            *(node(f"n-{i}", "r-1") for i in range(5)),
        ),
    )
    assert site.warnings == (
        "feed-1: carries 52.3 kW at full load, above its rating of 52.0 kW",
        "pdu-1: carries 51.0 kW at full load, above its rating of 50.9 kW",
        "r-1: draws 51.0 kW at full load, above its design of 45.0 kW",
        "cdu-1: must carry 40.8 kW at full load, above its rating of 40.0 kW",
        "cdu-1: has no pump; losing a pump cannot be modelled there. List pumps and put the CDU on them",
        "cdu-1: its racks want 400 LPM; it gives at most 320",
    )


def test_bare_racks_wide_pools_and_waiting_jobs_are_warned_of() -> None:
    site = Site(
        name="s",
        assets=(
            asset("pdu-1", "pdu"),
            asset("crah-1", "crah"),
            asset("r-1", "rack"),
            asset("r-2", "rack", "pdu-1", "crah-1"),
            *(node(f"n-{i}", f"r-{1 + i // 2}") for i in range(4)),
        ),
        pools=(
            PoolSpec(name="a", nodes=("n-0", "n-1"), tp=16, share=0.5),
            PoolSpec(name="b", nodes=("n-2",), tp=8, share=0.6),
        ),
        jobs=(JobSpec(name="j", nodes=2),),
    )
    said = "\n".join(site.warnings)
    assert "r-1: stands on no power (pdu, ups, feed, ats)" in said
    assert "r-1: stands on no cooling (cdu, crah)" in said
    assert "a: tp 16 is wider than the 8 H100-SXM that share fast links" in said
    assert "shares of the trace add up to 1.1" in said
    assert "j: wants 2 nodes; only 1 are outside pools" in said
