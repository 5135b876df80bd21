"""Changes to a site, as people write them: `batch=64 clock=1200MHz cdu-1.supply_temp=30C`.

One change sets one knob of one asset, or of every asset of the kind where none is named.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from plant.site import Site
from plant.units import quantity
from setpoint.errors import UsageError


@dataclass(frozen=True)
class Knob:
    """What a change may set."""

    key: str
    unit: str
    """As plant.units knows it; "" for a count."""
    kinds: tuple[str, ...]
    """Of the assets it belongs to; "pool" means a serving pool."""
    low: float
    high: float
    meaning: str


KNOBS: dict[str, Knob] = {
    knob.key: knob
    for knob in (
        Knob("batch", "", ("pool",), 1, 4096, "sequences in one engine step"),
        Knob("chunk", "", ("pool",), 16, 131072, "token budget of one engine step"),
        Knob("kv_watermark", "pct", ("pool",), 10, 100, "share of the KV pool that may be filled"),
        Knob("rate", "", ("pool",), 0, 100, "factor on the rate of arrivals"),
        Knob("clock", "mhz", ("gpu_node",), 100, 4000, "highest SM clock"),
        Knob("prefill_clock", "mhz", ("gpu_node",), 100, 4000, "highest SM clock while prompts are computed"),
        Knob("decode_clock", "mhz", ("gpu_node",), 100, 4000, "highest SM clock while only tokens are generated"),
        Knob("power_cap", "w", ("gpu_node",), 50, 2000, "power cap of one GPU"),
        Knob("supply_temp", "c", ("cdu",), 5, 60, "coolant supply setpoint"),
        Knob("flow", "lpm", ("cdu",), 0, 20000, "coolant flow setpoint"),
        Knob("crah_temp", "c", ("crah",), 10, 40, "air supply setpoint"),
        Knob("ess_power", "kw", ("ess",), -1e5, 1e5, "storage power, positive: discharges into the site"),
        Knob("dry_bulb", "c", ("site",), -40, 60, "air outside"),
        Knob("wet_bulb", "c", ("site",), -40, 45, "wet bulb outside"),
    )
}  # fmt: skip
"""Every knob of a what-if, by its key."""
_SYMBOLS = {"mhz": "MHz", "pct": "%", "w": "W", "kw": "kW", "c": "C", "lpm": "L/min"}
_WRITTEN = re.compile(r"^(?:(?P<asset>[\w\-/]+)\.)?(?P<key>[a-z_]+)=(?P<value>\S+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Change:
    """One knob set to a value in the knob's unit, on these assets."""

    knob: Knob
    value: float
    assets: tuple[str, ...]

    def __str__(self) -> str:
        where = f" on {self.assets[0]}" if len(self.assets) == 1 else f" on {len(self.assets)} assets"
        unit = _SYMBOLS.get(self.knob.unit, self.knob.unit)
        return f"{self.knob.key.replace('_', ' ')} {self.value:g}{unit and ' ' + unit}{where}"


def read_changes(written: str, site: Site) -> tuple[Change, ...]:
    """All changes of a line. Raises UsageError that names the part, what is wrong and what would do."""
    parts = [part for part in re.split(r"[\s,]+", written.strip()) if part]
    if not parts:
        raise UsageError(
            "no change is given", remedy='Write for example "batch=64 clock=1200MHz supply_temp=30C"'
        )
    changes = tuple(_change(part, site) for part in parts)
    _once(changes)
    return changes


def _once(changes: tuple[Change, ...]) -> None:
    """Raises UsageError where two changes set the same knob of the same asset."""
    seen: set[tuple[str, str]] = set()
    for change in changes:
        for asset in change.assets:
            if (change.knob.key, asset) in seen:
                raise UsageError(f"{change.knob.key} is set twice on {asset}", remedy="Set it once")
            seen.add((change.knob.key, asset))


def _change(part: str, site: Site) -> Change:
    match = _WRITTEN.match(part)
    if not match:
        raise UsageError(
            f"{part!r} is not a change", remedy="Write KEY=VALUE or ASSET.KEY=VALUE, such as clock=1200MHz"
        )
    key = match["key"].lower()
    knob = KNOBS.get(key)
    if knob is None:
        near = difflib.get_close_matches(key, KNOBS, 3, 0.5) or list(KNOBS)
        raise UsageError(f"{key!r} is not something a what-if can set", remedy=f"Use {', '.join(near)}")
    return Change(knob, _value(part, match["value"], knob), _assets(match["asset"], knob, site))


def _value(part: str, written: str, knob: Knob) -> float:
    try:
        value = quantity(written, knob.unit)
    except ValueError as error:
        raise UsageError(f"{part}: {error}", remedy=f"{knob.key} is the {knob.meaning}") from error
    if not knob.unit and knob.key != "rate" and value != round(value):
        raise UsageError(f"{part}: {knob.key} is a whole number", remedy=f"Write {knob.key}={round(value)}")
    if not knob.low <= value <= knob.high:
        raise UsageError(
            f"{part}: {knob.key} lies between {knob.low:g} and {knob.high:g} {_SYMBOLS.get(knob.unit, '')}".rstrip(),
            remedy="Choose a value in that range",
        )
    return value


def _assets(named: str | None, knob: Knob, site: Site) -> tuple[str, ...]:
    """The asset named, or those below it of the knob's kind; every one of the kind where none is named."""
    fitting = _of_kinds(site, knob.kinds)
    if named is None:
        if not fitting:
            raise UsageError(
                f"site {site.name} has no {' or '.join(knob.kinds)} to set {knob.key} on", remedy="Drop it"
            )
        return fitting
    found = site.find(named)
    if found is None:
        near = difflib.get_close_matches(named, [a.name for a in site.assets], 3, 0.5) or list(fitting[:3])
        raise UsageError(
            f"no asset {named!r} on site {site.name}", remedy=f"Use for example {', '.join(near)}"
        )
    reached = {found.name, *site.downstream(found.name)}
    if found.kind == "service":
        reached |= set(site.upstream(found.name))
    below = tuple(name for name in fitting if name in reached)
    if not below:
        raise UsageError(
            f"{knob.key} cannot be set on {found.name}, a {found.kind}",
            remedy=f"Name a {' or '.join(knob.kinds)}",
        )
    return below


def _of_kinds(site: Site, kinds: tuple[str, ...]) -> tuple[str, ...]:
    if kinds == ("pool",):
        return tuple(pool.name for pool in site.pools)
    if kinds == ("site",):
        return (site.name,)
    return tuple(asset.name for asset in site.assets if asset.kind in kinds)
