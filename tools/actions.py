"""The closed catalog of actions: one table, read by the validator, the guards, the documents and the tests.

Nothing outside this table can be proposed, approved or executed. No argument is free text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from setpoint.contracts import Action, RiskClass
from setpoint.contracts.action import ArgValue
from setpoint.contracts.autonomy import ActionKind
from setpoint.contracts.site import Asset, AssetKind, Site
from setpoint.errors import ActionRefused, InputError

CATALOG_VERSION = "1"
ArgType = Literal["number", "integer", "choice"]
RISK_BOUNDS: Mapping[RiskClass, float] = {"low": 0.05, "medium": 0.10, "high": 0.02}
"""Highest chance of breaking a limit that an action may bring, by its class. Low risk may come to run alone, so it must
hardly ever do harm. Medium is judged by a person who sees the chance and is done in trouble, where some is the price
of acting. High cannot be taken back: of 32 members of a rehearsal none may break a limit."""


@dataclass(frozen=True)
class ArgSpec:
    """One argument. Its unit is the end of its name."""

    name: str
    type: ArgType
    unit: str
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    min_limit: str = ""
    """Site limit that raises the minimum where the site file has it."""
    max_limit: str = ""
    """Site limit that lowers the maximum where the site file has it."""
    choices: tuple[str, ...] = ()
    default: ArgValue | None = None
    """None: the argument must be given."""

    def bounds(self, site: Site) -> tuple[float, float]:
        """Tighter of the catalog's and the site's bounds."""
        low = self.minimum if self.minimum is not None else -math.inf
        high = self.maximum if self.maximum is not None else math.inf
        return max(low, site.limits.get(self.min_limit, low)), min(
            high, site.limits.get(self.max_limit, high)
        )


@dataclass(frozen=True)
class Ramp:
    """Largest change of a setpoint in one action."""

    arg: str
    metric: str
    """The setpoint's reading on the asset."""
    step: float
    limit: str = ""
    """Site limit that replaces `step`."""


@dataclass(frozen=True)
class Confirm:
    """A reading that shows the action is in effect: equal to an argument (by name) or to a number."""

    metric: str
    equals: str | float
    times: float = 1.0
    """Of the argument: 0.01 where it is given in per cent and read as a share."""


@dataclass(frozen=True)
class ActionSpec:
    """One row of the catalog."""

    name: str
    title: str
    kinds: tuple[AssetKind, ...]
    """Kinds of asset it may be done to; empty: any, known or not."""
    risk: RiskClass
    phrase: str
    """One line for an operator, with the asset and the arguments as slots."""
    effect: str
    rollback: str
    args: tuple[ArgSpec, ...] = ()
    interlocks: tuple[str, ...] = ()
    """Names of guards in tools/guards.py, beyond those every action passes."""
    ramps: tuple[Ramp, ...] = ()
    confirm: tuple[Confirm, ...] = ()
    """Empty: the site cannot show afterwards whether it was done."""
    watch: tuple[tuple[AssetKind, str], ...] = ()
    """Readings elsewhere that tell its effect: kind of what stands on the asset, and the metric."""
    settle_s: float = 30.0
    """How long after it the readings tell its effect."""
    touches_site: bool = True
    """False: it only tells people; it needs no telemetry and is allowed during maintenance."""
    reversible: bool = False
    """What it does can be taken back within minutes, and nothing stays lost."""
    may_run_alone: bool = False
    """It may earn to run without being asked: low risk, reversible, and worth much, since the minutes that a person
    would take cost throttled or tripped GPUs. docs/autonomy.md has the reason of each."""
    why_not_alone: str = ""
    """The reason where it is of low risk and still may not."""

    @property
    def risk_bound(self) -> float:
        """Highest chance of breaking a limit that a rehearsal may find for it."""
        return RISK_BOUNDS[self.risk]

    def arg(self, name: str) -> ArgSpec | None:
        return next((arg for arg in self.args if arg.name == name), None)


_QUEUES = ("facilities", "hardware", "inference", "network", "security", "storage")

_ROWS = (
    ActionSpec(
        "cap_gpu_power", "Cap GPU power", ("gpu_node",), "low",
        phrase="Cap the GPUs of {asset} at {cap_w} W each",
        effect="Limits each GPU of the node to the given power; work goes on more slowly.",
        rollback="Set the cap back to the value read before.",
        args=(ArgSpec("cap_w", "number", "W", "Limit of each GPU", 200.0, 700.0, default=500.0),),
        confirm=(Confirm("power_cap_w", "cap_w"),),
        reversible=True, may_run_alone=True,
    ),
    ActionSpec(
        "lock_gpu_clock", "Lock GPU clock", ("gpu_node",), "low",
        phrase="Lock the GPU clock of {asset} at {clock_mhz} MHz",
        effect="Holds the SM clock of the node's GPUs at or below the given value; decode loses little, prefill more.",
        rollback="Set the lock back to the value read before.",
        args=(ArgSpec("clock_mhz", "number", "MHz", "Highest SM clock", 510.0, 1980.0, default=1410.0),),
        confirm=(Confirm("clock_lock_mhz", "clock_mhz"),),
        reversible=True, may_run_alone=True,
    ),
    ActionSpec(
        "set_batch_limit", "Set batch limit", ("service",), "low",
        phrase="Limit the batch size of {asset} to {batch_limit}",
        effect="Limits how many sequences one engine of the service batches; less power and memory, longer queue.",
        rollback="Set the limit back to the value read before.",
        args=(ArgSpec("batch_limit", "integer", "sequences", "Largest batch", 8.0, 256.0, default=128),),
        confirm=(Confirm("batch_limit", "batch_limit"),),
        reversible=True, may_run_alone=True,
    ),
    ActionSpec(
        "set_kv_watermark", "Set KV watermark", ("service",), "low",
        phrase="Set the KV watermark of {asset} to {watermark_pct}%",
        effect="Stops admitting requests once this share of the KV cache is used; fewer preemptions, longer queue.",
        rollback="Set the watermark back to the value read before.",
        args=(ArgSpec("watermark_pct", "number", "%", "KV use at which admission stops", 50.0, 98.0, default=85.0),),
        confirm=(Confirm("kv_watermark_pct", "watermark_pct"),),
        reversible=True, may_run_alone=True,
    ),
    ActionSpec(
        "drain_node", "Drain node", ("gpu_node",), "medium",
        phrase="Drain {asset}",
        effect="Moves work off the node and keeps new work away; the pool loses its capacity.",
        rollback="Return the node to its pool.",
        interlocks=("pool_keeps_a_node",),
        confirm=(Confirm("drained", 1.0),),
        reversible=True,
    ),
    ActionSpec(
        "cordon_node", "Cordon node", ("gpu_node",), "low",
        phrase="Cordon {asset}",
        effect="Keeps new work away from the node; running work goes on.",
        rollback="Lift the cordon.",
        confirm=(Confirm("cordoned", 1.0),),
        reversible=True,
        why_not_alone="no reading shows within minutes whether the cordon was right, and the pool is left smaller",
    ),
    ActionSpec(
        "reset_gpu", "Reset GPUs", ("gpu_node",), "high",
        phrase="Reset all GPUs of {asset}",
        effect="Resets all GPUs of the node; whatever still runs on them is lost.",
        rollback="None: a reset cannot be taken back. If a GPU stays away, drain the node and open a ticket.",
        interlocks=("pool_keeps_a_node", "idle_before_reset"),
        settle_s=60.0,
    ),
    ActionSpec(
        "pause_job", "Pause job", ("gpu_node",), "medium",
        phrase="Pause the job on {asset}",
        effect="Pauses the batch or training job on the node; it keeps its place and resumes from its checkpoint.",
        rollback="Resume the job.",
        interlocks=("not_in_pool",),
        confirm=(Confirm("job_running", 0.0),),
        reversible=True,
    ),
    ActionSpec(
        "resume_job", "Resume job", ("gpu_node",), "low",
        phrase="Resume the job on {asset}",
        effect="Lets a paused job go on from its checkpoint, on all its nodes; the site draws their power again.",
        rollback="Pause the job.",
        interlocks=("not_in_pool", "job_is_paused", "feed_carries_job"),
        confirm=(Confirm("job_running", 1.0),),
        settle_s=60.0,
        reversible=True,
        why_not_alone="a job that goes on draws its power for hours, and no reading within minutes shows whether the peak is over",
    ),
    ActionSpec(
        "migrate_job", "Migrate job", ("gpu_node",), "medium",
        phrase="Migrate the job off {asset}",
        effect="Checkpoints the job on the node and starts it elsewhere; the scheduler chooses where.",
        rollback="Lift the cordon; the scheduler may place the job here again.",
        interlocks=("not_in_pool",),
        confirm=(Confirm("job_running", 0.0), Confirm("cordoned", 1.0)),
    ),
    ActionSpec(
        "switch_to_smaller_model", "Switch to a smaller model", ("service",), "medium",
        phrase="Switch {asset} to the {model} model",
        effect="Serves a smaller model; more requests a second and lower latency, at lower answer quality.",
        rollback="Switch back to the model served before.",
        args=(ArgSpec("model", "choice", "", "Size class to serve", choices=("large", "medium", "small"),
                      default="medium"),),
        interlocks=("smaller_than_now",),
        confirm=(Confirm("model_rank", "model"),),
        settle_s=60.0,
        reversible=True,
    ),
    ActionSpec(
        "scale_pool", "Scale pool", ("service",), "medium",
        phrase="Let {nodes} nodes of {asset} serve",
        effect="Lets so many nodes of the pool serve and parks the others idle; a parked node needs a minute or more to come "
               "back, to start its engine and load its weights.",
        rollback="Let as many nodes serve as before; those that were parked need a minute or more.",
        args=(ArgSpec("nodes", "integer", "nodes", "Nodes that serve", 1.0, 4096.0),),
        interlocks=("pool_has_nodes", "pool_carries_load"),
        confirm=(Confirm("serving_nodes", "nodes"),),
        settle_s=60.0,
        reversible=True,
    ),
    ActionSpec(
        "lock_pool_clock", "Lock pool clock", ("service",), "low",
        phrase="Lock the GPU clock of all nodes of {asset} at {clock_mhz} MHz",
        effect="Holds the SM clock of the pool's GPUs at or below the given value; decode loses little, prefill more.",
        rollback="Set the lock back to the value read before.",
        args=(ArgSpec("clock_mhz", "number", "MHz", "Highest SM clock", 510.0, 1980.0, default=1410.0),),
        interlocks=("not_slower_with_queue",),
        confirm=(Confirm("clock_lock_mhz", "clock_mhz"),),
        settle_s=60.0,
        reversible=True, may_run_alone=True,
    ),
    ActionSpec(
        "set_coolant_flow", "Set coolant flow", ("cdu",), "medium",
        phrase="Set the coolant flow of {asset} to {flow_lpm} LPM",
        effect="Changes the flow setpoint of the CDU loop; more flow lowers the coolant's rise across the racks.",
        rollback="Set the flow back to the value read before.",
        args=(ArgSpec("flow_lpm", "number", "LPM", "Flow setpoint of the loop", 20.0, 1200.0,
                      min_limit="flow_min_lpm", max_limit="flow_max_lpm"),),
        interlocks=("flow_carries_heat", "no_flow_into_leak"),
        ramps=(Ramp("flow_lpm", "flow_setpoint_lpm", 80.0, "flow_ramp_lpm"),),
        confirm=(Confirm("flow_setpoint_lpm", "flow_lpm"),),
        settle_s=60.0,
        reversible=True,
    ),
    ActionSpec(
        "set_supply_temp", "Set supply temperature", ("cdu",), "high",
        phrase="Set the supply temperature of {asset} to {temp_c} C",
        effect="Changes the coolant supply setpoint of the CDU; every rack on the loop follows within minutes.",
        rollback="Set the temperature back to the value read before, within the ramp limit.",
        args=(ArgSpec("temp_c", "number", "C", "Supply setpoint", 15.0, 50.0,
                      min_limit="supply_temp_min_c", max_limit="supply_temp_max_c"),),
        interlocks=("above_dew_point",),
        ramps=(Ramp("temp_c", "supply_setpoint_c", 3.0, "supply_temp_ramp_c"),),
        confirm=(Confirm("supply_setpoint_c", "temp_c"),),
        settle_s=120.0,
        reversible=True,
    ),
    ActionSpec(
        "set_water_temp", "Set chilled water temperature", ("chiller",), "medium",
        phrase="Set the water of {asset} to {temp_c} C",
        effect="Changes the leaving water setpoint of the chiller and of all that share its water; warmer water takes less "
               "power to make, and every loop and air handler on it has less reserve.",
        rollback="Set the temperature back to the value read before.",
        args=(ArgSpec("temp_c", "number", "C", "Leaving water setpoint", 6.0, 32.0,
                      min_limit="water_temp_min_c", max_limit="water_temp_max_c"),),
        interlocks=("water_below_its_users",),
        ramps=(Ramp("temp_c", "water_setpoint_c", 3.0, "water_temp_ramp_c"),),
        confirm=(Confirm("water_setpoint_c", "temp_c"),),
        settle_s=300.0,
        reversible=True,
    ),
    ActionSpec(
        "start_standby_pump", "Start standby pump", ("pump",), "medium",
        phrase="Start standby pump {asset}",
        effect="Starts the standby pump; the loop's flow returns to its setpoint within seconds.",
        rollback="Stop the pump once the other one runs again.",
        interlocks=("pump_can_start", "no_pump_into_leak"),
        confirm=(Confirm("running", 1.0),),
        watch=(("cdu", "flow_lpm"), ("cdu", "return_temp_c")),
        reversible=True,
    ),
    ActionSpec(
        "close_leak_valve", "Close isolation valve", ("rack", "cdu"), "high",
        phrase="Close the isolation valve of {asset}",
        effect="Shuts off coolant to the rack or loop; the leak stops and so does cooling of its nodes.",
        rollback="Open the valve after the leak is repaired and the loop is refilled and vented.",
        interlocks=("capped_before_valve",),
        confirm=(Confirm("valve_open", 0.0),),
    ),
    ActionSpec(
        "charge_ess", "Charge energy storage", ("ess",), "low",
        phrase="Charge {asset} at {power_kw} kW for {duration_min} min",
        effect="Charges the storage from the site's feed.",
        rollback="Set its power to zero.",
        args=(
            ArgSpec("power_kw", "number", "kW", "Charging power", 1.0, 5000.0, max_limit="ess_power_max_kw"),
            ArgSpec("duration_min", "number", "min", "For how long", 1.0, 480.0, default=30.0),
        ),
        interlocks=("soc_stays_below_max", "feed_has_headroom"),
        settle_s=60.0,
        confirm=(Confirm("power_setpoint_kw", "-power_kw"),),
        reversible=True, may_run_alone=True,
    ),
    ActionSpec(
        "discharge_ess", "Discharge energy storage", ("ess",), "medium",
        phrase="Discharge {asset} at {power_kw} kW for {duration_min} min",
        effect="Discharges the storage into the site; the feed carries that much less.",
        rollback="Set its power to zero.",
        args=(
            ArgSpec("power_kw", "number", "kW", "Discharging power", 1.0, 5000.0, max_limit="ess_power_max_kw"),
            ArgSpec("duration_min", "number", "min", "For how long", 1.0, 480.0, default=30.0),
        ),
        interlocks=("soc_stays_above_min",),
        settle_s=60.0,
        confirm=(Confirm("power_setpoint_kw", "power_kw"),),
        reversible=True,
    ),
    ActionSpec(
        "hold_draw", "Hold the site's draw by storage", ("ess",), "medium",
        phrase="Hold the site's draw at {target_kw} kW with {asset} for {duration_min} min; base power {base_kw} kW, "
               "charging below {charge_cap_kw} kW of draw, {keep_pct} % kept",
        effect="Storage gives what the site draws above the target; below it it runs its base power, where positive "
               "discharges. Charging never lifts the draw above its cap, and the reserve stays.",
        rollback="Hand the storage back to its local controller, or set its power to zero.",
        args=(
            ArgSpec("target_kw", "number", "kW", "Draw of the site that is held", 1.0, 500000.0, max_limit="site_power_max_kw"),
            ArgSpec("base_kw", "number", "kW", "Below the target; positive discharges, negative charges", -5000.0, 5000.0,
                    default=0.0, max_limit="ess_power_max_kw"),
            ArgSpec("charge_cap_kw", "number", "kW", "Draw that charging does not pass", 0.0, 500000.0, default=0.0,
                    max_limit="site_power_max_kw"),
            ArgSpec("keep_pct", "number", "%", "Charge kept for what is above the target", 0.0, 100.0, default=0.0,
                    min_limit="soc_reserve_pct", max_limit="soc_max_pct"),
            ArgSpec("duration_min", "number", "min", "For how long", 1.0, 720.0, default=60.0),
        ),
        interlocks=("storage_can_hold",),
        settle_s=60.0,
        confirm=(Confirm("hold_kw", "target_kw"), Confirm("power_setpoint_kw", "base_kw"),
                 Confirm("charge_cap_kw", "charge_cap_kw"), Confirm("keep_pct", "keep_pct")),
        reversible=True,
    ),
    ActionSpec(
        "shed_load", "Shed load", ("service", "rack", "pdu"), "high",
        phrase="Shed {power_kw} kW of load on {asset}",
        effect="Takes that much load off; the work it carried stops.",
        rollback="Restore the load in steps, watching the feed.",
        args=(ArgSpec("power_kw", "number", "kW", "Load to take off", 1.0, 5000.0, max_limit="site_power_max_kw"),),
        interlocks=("not_life_safety", "not_for_many"),
        confirm=(Confirm("shed_kw", "power_kw"),),
        settle_s=60.0,
    ),
    ActionSpec(
        "open_ticket", "Open ticket", (), "low",
        phrase="Open a ticket on {asset} for {queue}",
        effect="Opens a ticket with the incident's evidence in the given queue.",
        rollback="Close the ticket.",
        args=(ArgSpec("queue", "choice", "", "Who works on it", choices=_QUEUES, default="hardware"),),
        touches_site=False, settle_s=0.0,
        reversible=True,
        why_not_alone="a ticket is work for people, and no reading shows whether it was right",
    ),
    ActionSpec(
        "page", "Page on-call", (), "low",
        phrase="Page the {team} on-call about {asset}",
        effect="Calls the person on duty of the given team.",
        rollback="None: tell the person it was not needed.",
        args=(ArgSpec("team", "choice", "", "Who is called", choices=_QUEUES, default="facilities"),),
        touches_site=False, settle_s=0.0,
        why_not_alone="a person who was called cannot be un-called",
    ),
)  # fmt: skip

CATALOG: Mapping[str, ActionSpec] = {row.name: row for row in _ROWS}
LOOP_ACTIONS = frozenset({"hold_draw", "scale_pool", "lock_pool_clock", "resume_job", "set_water_temp"})
"""Called for by control loops (tools/loops) alone: they answer no root cause, and no runbook names them."""


def spec_of(name: str) -> ActionSpec:
    """The catalog row. Raises InputError, with the nearest name, for one that is not in the catalog."""
    if name in CATALOG:
        return CATALOG[name]
    near = get_close_matches(name, CATALOG, n=1)
    remedy = f"Did you mean {near[0]!r}?" if near else f"The catalog has: {', '.join(CATALOG)}"
    raise InputError(f"no action {name!r} in the catalog", where="action", remedy=remedy)


def kind_of(name: str) -> ActionKind:
    """What autonomy asks of the catalog. Raises InputError as `spec_of` does."""
    spec = spec_of(name)
    return ActionKind(
        name=spec.name, risk=spec.risk, reversible=spec.reversible, may_run_alone=spec.may_run_alone,
        why_not_alone=spec.why_not_alone,
    )  # fmt: skip


def validate(action: Action, site: Site) -> Action:
    """The action as it would be executed: the asset's own name, defaults filled in, numbers as floats.

    Raises InputError for what cannot be read (unknown name, asset, argument, type, unit-less text) and
    ActionRefused for what is out of bounds; each names the bound, the value and the remedy.
    """
    spec = spec_of(action.name)
    asset = _target(spec, action.asset, site)
    unknown = [name for name in action.args if spec.arg(name) is None]
    if unknown:
        known = ", ".join(arg.name for arg in spec.args) or "none"
        raise InputError(f"no argument {unknown[0]!r}", where=spec.name, remedy=f"Arguments are: {known}")
    args = {arg.name: _value(arg, action.args.get(arg.name, arg.default), spec, site) for arg in spec.args}
    return Action(name=spec.name, asset=asset, args=args)


def json_schema(spec: ActionSpec, site: Site | None = None) -> dict[str, object]:
    """JSON schema of one action; with a site, bounds are that site's."""
    bounds_of = site or Site(name="any")
    properties = {arg.name: _arg_schema(arg, bounds_of) for arg in spec.args}
    args = {
        "type": "object", "additionalProperties": False, "properties": properties,
        "required": [arg.name for arg in spec.args if arg.default is None],
    }  # fmt: skip
    return {
        "title": spec.title, "description": spec.effect, "type": "object", "additionalProperties": False,
        "properties": {"name": {"const": spec.name}, "asset": {"type": "string"}, "args": args},
        "required": ["name", "asset", "args"],
    }  # fmt: skip


def catalog_markdown() -> str:
    """The catalog as a Markdown table, for the documents."""
    head = "| action | on | arguments | risk | effect | rollback |\n|---|---|---|---|---|---|"
    rows = [
        f"| `{spec.name}` | {', '.join(spec.kinds) or 'anything'} | {_args_in_words(spec)} | {spec.risk} "
        f"| {spec.effect} | {spec.rollback} |"
        for spec in CATALOG.values()
    ]
    return "\n".join([head, *rows]) + "\n"


def describe(action: Action) -> str:
    """One line for an operator.

    >>> describe(Action(name="set_coolant_flow", asset="cdu-1", args={"flow_lpm": 180.0}))
    'Set the coolant flow of cdu-1 to 180 LPM'
    """
    values = {
        name: f"{value:g}" if isinstance(value, float) else value for name, value in action.args.items()
    }
    return spec_of(action.name).phrase.format(asset=action.asset, **values)


def _target(spec: ActionSpec, name: str, site: Site) -> str:
    found = site.find(name)
    if not spec.kinds:
        return found.name if found else name
    if found is None:
        raise InputError(f"no asset {name!r} on site {site.name!r}", where=spec.name,
                         remedy="Use a name from the site file")  # fmt: skip
    if found.kind not in spec.kinds:
        raise ActionRefused(
            f"{found.name} is of kind {_words(found.kind)}; {spec.name} acts on {_kinds(spec)} only",
            where=spec.name,
            remedy="Choose another asset or another action",
        )
    return _exact(found, name, spec)


def _exact(found: Asset, name: str, spec: ActionSpec) -> str:
    """A GPU's name must not silently widen to its node for what is done to the whole node."""
    if "/" in name:
        raise ActionRefused(
            f"{name} is one GPU; {spec.name} acts on the whole node {found.name}",
            where=spec.name, remedy=f"Name {found.name} if the whole node is meant",
        )  # fmt: skip
    return found.name


def _value(arg: ArgSpec, value: ArgValue | None, spec: ActionSpec, site: Site) -> ArgValue:
    where = f"{spec.name}.{arg.name}"
    if value is None:
        raise InputError("missing", where=where, remedy=f"Give {arg.doc.lower()}{_in_unit(arg)}")
    if arg.type == "choice":
        if value not in arg.choices:
            raise InputError(
                f"{value!r} is not a choice", where=where, remedy=f"One of: {', '.join(arg.choices)}"
            )
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(
            f"{value!r} is not a number", where=where, remedy=f"Give a plain number{_in_unit(arg)}"
        )
    if arg.type == "integer" and value != int(value):
        raise InputError(f"{value:g} is not a whole number", where=where)
    low, high = arg.bounds(site)
    if not low <= value <= high:
        bound, side = (low, "least") if value < low else (high, "most")
        raise ActionRefused(f"{value:g} {arg.unit} asked, at {side} {bound:g} {arg.unit} allowed", where=where,
                            remedy=f"Choose between {low:g} and {high:g} {arg.unit}")  # fmt: skip
    return int(value) if arg.type == "integer" else float(value)


def _arg_schema(arg: ArgSpec, site: Site) -> dict[str, object]:
    if arg.type == "choice":
        schema: dict[str, object] = {"type": "string", "enum": list(arg.choices)}
    else:
        low, high = arg.bounds(site)
        schema = {"type": arg.type, "minimum": low, "maximum": high}
    schema["description"] = f"{arg.doc}, {arg.unit}" if arg.unit else arg.doc
    return schema | ({"default": arg.default} if arg.default is not None else {})


def _args_in_words(spec: ActionSpec) -> str:
    def one(arg: ArgSpec) -> str:
        if arg.type == "choice":
            return f"`{arg.name}`: {', '.join(arg.choices)}"
        return f"`{arg.name}`: {arg.minimum:g} to {arg.maximum:g} {arg.unit}"

    return "; ".join(one(arg) for arg in spec.args) or "none"


def _in_unit(arg: ArgSpec) -> str:
    return f" in {arg.unit}" if arg.unit else ""


_KIND_WORDS = {"gpu_node": "GPU node", "cdu": "CDU", "pdu": "PDU", "ups": "UPS", "ats": "transfer switch",
               "crah": "CRAH", "bmc": "BMC", "ess": "energy storage"}  # fmt: skip


def _words(kind: str) -> str:
    return _KIND_WORDS.get(kind, kind.replace("_", " "))


def _kinds(spec: ActionSpec) -> str:
    return " or ".join(_words(kind) for kind in spec.kinds)
