"""One part with its forecast and its price, and in words what that rests on."""

from __future__ import annotations

from dataclasses import dataclass

from plant.control.maintenance import survival, value
from tools.loops.maintenance_site import Part

REPAIR_HOURS = 4.0
"""Until work goes on after an unforeseen failure that nothing carries on for; assumed."""
SOON_DAYS = 14.0
PARTNER_DAYS = 30.0
"""Over which a partner's chance to fail in any one hour is averaged."""


@dataclass(frozen=True)
class Case:
    """One part with its forecast and its price."""

    part: Part
    outlook: survival.Outlook
    price: value.Price
    worth: value.Worth
    load_cost: float
    """Money an hour of work on it costs at full load: what stands still, and the risk while a partner carries all."""

    @property
    def due(self) -> bool:
        """Whether work is to be planned at all: its readings announce the end, or nobody reads it and its age is known."""
        return self.outlook.sign or (self.outlook.trend is None and self.part.age_days is not None)

    @property
    def because(self) -> str:
        """The readings it rests on, with numbers."""
        part, found = self.part, self.outlook.trend
        if found is None:
            return f"not read; {part.age_from}, usual interval {part.kind.fixed_days:.0f} days"
        signal = part.kind.by_metric[found.metric]
        read = f"{found.metric} {found.reading:.3g} {signal.unit} (usual {signal.usual:g}, limit {signal.limit:g})"
        if not found.sign:
            return f"{read} shows no sign; {part.age_from}"
        pace = f"{100.0 * found.slope_per_day:+.2g} points a day over {found.points} readings"
        return f"{read}, {found.level:.0%} of the way and {pace}; {part.age_from}"

    def chances(self, days: float) -> str:
        """Of failing within two weeks and within the plan's days, in words."""
        soon, later = self.outlook.within(SOON_DAYS), self.outlook.within(days)
        return f"fails within {SOON_DAYS:.0f} days with a chance of {_share(soon)}, within {days:.0f} with {_share(later)}"


def _share(chance: float) -> str:
    return "under 1%" if chance < 0.01 else "over 99%" if chance > 0.99 else f"{chance:.0%}"


def case_of(part: Part, record: survival.Record) -> Case:
    """The forecast of a part from what was read of it."""
    model = survival.fitted()[part.kind.name]
    heard = survival.heard(part.kind, record, model.prior)
    outlook = survival.outlook(part.kind, model, heard, part.age_days, count=part.count)
    new = value.new_part(part.kind, model)
    still = 0.0 if part.redundant else part.kind.work.load_lost_pu * part.gpus
    price = value.Price.of(part.kind, lost_gpu_hours=REPAIR_HOURS * still)
    rate, _ = value.cost_rate_per_day(new.failed_by, price)
    alone_per_hour = new.within(PARTNER_DAYS) / (PARTNER_DAYS * 24.0) if part.redundant else 0.0
    at_risk = alone_per_hour * REPAIR_HOURS * part.kind.work.load_lost_pu * part.gpus
    worth = value.Worth.of(outlook, price, rate)
    return Case(part, outlook, price, worth, value.GPU_HOUR * (still + at_risk))
