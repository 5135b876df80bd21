"""The closed catalog: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

import tools.actions
from setpoint.contracts import Action
from setpoint.contracts.site import Asset, Site, load_site
from setpoint.errors import ActionRefused, InputError
from tests.tools.bench import DEMO, action
from tools.actions import CATALOG, catalog_markdown, describe, json_schema, spec_of, validate
from tools.guards import GUARDS

SITE = load_site(DEMO)
VOCABULARY = [
    "cap_gpu_power",
    "lock_gpu_clock",
    "set_batch_limit",
    "set_kv_watermark",
    "drain_node",
    "cordon_node",
    "reset_gpu",
    "pause_job",
    "resume_job",
    "migrate_job",
    "switch_to_smaller_model",
    "scale_pool",
    "lock_pool_clock",
    "set_coolant_flow",
    "set_supply_temp",
    "set_water_temp",
    "start_standby_pump",
    "close_leak_valve",
    "charge_ess",
    "discharge_ess",
    "hold_draw",
    "shed_load",
    "open_ticket",
    "page",
]


def test_it_holds_the_vocabulary_and_nothing_else() -> None:
    assert sorted(CATALOG) == sorted(VOCABULARY)


@pytest.mark.parametrize("name", VOCABULARY)
def test_every_row_is_complete(name: str) -> None:
    spec = spec_of(name)
    assert spec.effect.endswith(".")
    assert spec.rollback.endswith(".")
    assert set(spec.interlocks) <= set(GUARDS)
    assert bool(spec.kinds) == spec.touches_site
    for arg in spec.args:
        assert arg.type == "choice" or (arg.minimum is not None and arg.maximum is not None)
        assert arg.type != "choice" or arg.choices, "no argument is free text"
        assert not arg.unit.isalpha() or arg.type != "number" or arg.name.endswith(_suffix(arg.unit))
    for ramp in spec.ramps:
        assert spec.arg(ramp.arg) is not None


def _suffix(unit: str) -> str:
    return "_" + unit.lower()


@pytest.mark.parametrize("name", VOCABULARY)
def test_schema(name: str, snapshot: SnapshotAssertion) -> None:
    assert json_schema(spec_of(name), SITE) == snapshot


def test_catalog_table(snapshot: SnapshotAssertion) -> None:
    assert catalog_markdown() == snapshot


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(tools.actions).failed == 0


def test_defaults_names_and_numbers_are_normalised() -> None:
    given_ = action("cap_gpu_power", "GPU-01.dc1.example:9400")
    assert validate(given_, SITE) == Action(name="cap_gpu_power", asset="gpu-01", args={"cap_w": 500.0})
    whole = validate(action("set_coolant_flow", "cdu-1", flow_lpm=180), SITE)
    assert repr(whole.args["flow_lpm"]) == "180.0"


def test_the_same_action_has_the_same_digest_however_it_was_written() -> None:
    one = validate(action("set_coolant_flow", "cdu-1", flow_lpm=180), SITE)
    two = validate(action("set_coolant_flow", "CDU-1", flow_lpm=180.0), SITE)
    assert one.digest("INC-1") == two.digest("INC-1") != one.digest("INC-2")


def test_normalising_twice_changes_nothing() -> None:
    once = validate(action("discharge_ess", "ess-1", power_kw=50), SITE)
    assert validate(once, SITE) == once


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        (action("drian_node", "gpu-01"), InputError, "Did you mean 'drain_node'"),
        (action("rm -rf /", "gpu-01"), InputError, "The catalog has"),
        (action("drain_node", "gpu-99"), InputError, "no asset 'gpu-99'"),
        (action("drain_node", "cdu-1"), ActionRefused, "acts on GPU node only"),
        (action("reset_gpu", "gpu-01/gpu3"), ActionRefused, "acts on the whole node gpu-01"),
        (action("set_coolant_flow", "cdu-1"), InputError, "flow_lpm: missing"),
        (action("set_coolant_flow", "cdu-1", flow=180.0), InputError, "no argument 'flow'"),
        (action("set_coolant_flow", "cdu-1", flow_lpm=1000.0), ActionRefused, "at most 320 LPM"),
        (action("set_coolant_flow", "cdu-1", flow_lpm=10.0), ActionRefused, "at least 60 LPM"),
        (action("set_coolant_flow", "cdu-1", flow_lpm=math.nan), InputError, "not a number"),
        (action("set_coolant_flow", "cdu-1", flow_lpm=math.inf), InputError, "not a number"),
        (action("set_coolant_flow", "cdu-1", flow_lpm="180"), InputError, "not a number"),
        (action("set_coolant_flow", "cdu-1", flow_lpm=True), InputError, "not a number"),
        (action("set_batch_limit", "pool-chat", batch_limit=12.5), InputError, "not a whole number"),
        (action("switch_to_smaller_model", "pool-chat", model="tiny"), InputError, "One of: large, medium, small"),
        (action("discharge_ess", "ess-1", power_kw=101.0), ActionRefused, "at most 100 kW"),
        (action("shed_load", "fire-panel-1", power_kw=1.0), ActionRefused, "acts on service or rack or PDU only"),
    ],
)  # fmt: skip
def test_it_refuses_with_bound_value_and_remedy(wanted: Action, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        validate(wanted, SITE)
    assert says in str(caught.value)


def test_telling_people_works_for_assets_nobody_has_described() -> None:
    assert validate(action("page", "strange-box-7", team="security"), SITE).asset == "strange-box-7"


def test_a_site_may_narrow_a_bound_and_never_widen_it() -> None:
    arg = spec_of("cap_gpu_power").args[0]
    assert arg.bounds(SITE) == (200.0, 700.0)
    wide = Site(
        name="wide",
        assets=(Asset(name="cdu-1", kind="cdu"),),
        limits={"flow_max_lpm": 9e9, "flow_min_lpm": -5},
    )
    assert spec_of("set_coolant_flow").args[0].bounds(wide) == (20.0, 1200.0)


@given(st.floats() | st.integers() | st.text() | st.booleans())
def test_whatever_is_given_comes_out_in_bounds_or_refused(value: float | int | str | bool) -> None:
    try:
        out = validate(Action(name="set_supply_temp", asset="cdu-1", args={"temp_c": value}), SITE)
    except (InputError, ActionRefused):
        return
    assert 18.0 <= float(out.args["temp_c"]) <= 45.0


@pytest.mark.parametrize("name", VOCABULARY)
def test_every_action_reads_as_one_line(name: str) -> None:
    spec = spec_of(name)
    values = {a.name: a.default if a.default is not None else a.maximum for a in spec.args}
    line = describe(
        Action(name=name, asset="the-asset", args={k: v for k, v in values.items() if v is not None})
    )
    assert "the-asset" in line
    assert "{" not in line
