"""What storage does when nobody plans for it: a rule over the price of the hour and the draw of the moment.

A plan (`plant.power.tariff.dispatch`) does better, since it knows the load to come; the rule needs nothing but now.
"""

from __future__ import annotations

from plant.specs import EssSpec, Tariff

LEAST_IMPORT_PU = 0.15
"""Share of the draw that always comes from the grid: the draw moves before storage follows, and most connection
agreements forbid to feed in. GPU sites swing by a tenth from second to second."""
HOLD_AIM_PU = 0.9985
"""Of the draw that storage is told to hold: it lags a little behind the load, and what passes that draw is the next one."""
REFILL_H = 1.0
"""Energy kept for peaks is refilled within so long."""


def rule_kw(
    spec: EssSpec,
    tariff: Tariff,
    hour: float,
    soc_pct: float,
    draw_kw: float,
    cap_kw: float,
    reserve_pct: float = 0.0,
) -> float:
    """Storage power asked for; positive: discharges into the site.

    `draw_kw`: what the site would draw without storage. `cap_kw`: a draw it must not pass. Above the cap storage takes
    the excess, down to its lowest charge. In the dearest hours it gives, but leaves LEAST_IMPORT_PU of the draw to the
    grid and does not go below its reserve; in the cheapest it fills up, but never so that the draw passes the cap.

    >>> bands = ({"from_hour": 0, "to_hour": 6, "price_per_kwh": 0.05}, {"from_hour": 17, "to_hour": 21, "price_per_kwh": 0.3})
    >>> tariff, spec = Tariff.model_validate({"bands": bands}), EssSpec(power_kw=100, capacity_kwh=200)
    >>> [rule_kw(spec, tariff, hour, 50.0, 300.0, 380.0) for hour in (3, 12, 18)]
    [-80.0, 0.0, 100.0]
    >>> rule_kw(spec, tariff, 12, 50.0, 450.0, 380.0)
    70.0
    """
    lowest = max(spec.soc_min_pct, reserve_pct)
    if draw_kw > cap_kw and soc_pct > spec.soc_min_pct:
        return min(spec.power_kw, draw_kw - cap_kw)
    prices = [tariff.price_at(h) for h in range(24)]
    now = tariff.price_at(int(hour) % 24)
    if now == max(prices) > min(prices) and soc_pct > lowest:
        return min(spec.power_kw, max((1.0 - LEAST_IMPORT_PU) * draw_kw, 0.0))
    if now == min(prices) < max(prices) and soc_pct < spec.soc_max_pct:
        return -min(spec.power_kw, max(cap_kw - draw_kw, 0.0))
    return 0.0
