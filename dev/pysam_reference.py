"""Reference numbers of a battery from NREL-PySAM, against which tests/plant/power/test_ess.py holds plant.power.ess.

PySAM is not a dependency. Run this in an environment of its own and paste what it prints:

    python -m venv /tmp/pysam && /tmp/pysam/bin/pip install nrel-pysam
    /tmp/pysam/bin/python dev/pysam_reference.py

SAM's own 10 kWh LFP and graphite bank is charged and discharged at constant DC power in steps of 6 minutes, at 25 C
and with its capacity taken as that of 23 C. Printed: SoC after each leg of a profile, energy in and out, SAM's
rainflow count with the mean range, the round trip at three powers, calendar fade after one, five and ten years at
half charge, and cycle fade after 1,000 and 3,000 cycles of 80%.
"""

from __future__ import annotations

import json

import PySAM
import PySAM.BatteryStateful as stateful

HOURS, FINE_HOURS = 0.1, 0.001
PROFILE_KW = (2.5, -3.0, 1.5, -1.0, 2.0, -2.5, 2.0, -1.75)
"""DC power of each leg, ten steps long. Positive discharges."""


def battery(*, hours: float = HOURS) -> stateful.BatteryStateful:
    """SAM's LFP bank at half charge."""
    b = stateful.default("LFPGraphite")
    b.Controls.control_mode = 1.0
    b.Controls.dt_hr = hours
    b.Controls.input_power = 0.0
    b.ParamsCell.initial_SOC = 50.0
    b.ParamsCell.minimum_SOC = 5.0
    b.ParamsCell.maximum_SOC = 95.0
    b.ParamsPack.T_room_init = 25.0
    b.ParamsPack.cap_vs_temp = ((-20.0, 100.0), (60.0, 100.0))
    b.setup()
    return b


def profile() -> dict[str, object]:
    """SoC after each leg, and what went in and came out."""
    b = battery()
    soc, charged, discharged = [], 0.0, 0.0
    for power_kw in PROFILE_KW:
        for _ in range(10):
            b.Controls.input_power = power_kw
            b.execute(0)
            given = b.StatePack.P
            charged += max(-given, 0.0) * HOURS
            discharged += max(given, 0.0) * HOURS
        soc.append(round(b.StatePack.SOC, 3))
    return {
        "profile_kw": PROFILE_KW,
        "soc_pct": soc,
        "charged_kwh": round(charged, 3),
        "discharged_kwh": round(discharged, 3),
        "cycles": b.StateCell.n_cycles,
        "range_pct": round(b.StateCell.cycle_range, 3),
    }


def round_trip(power_kw: float) -> float:
    """Energy out over energy in, DC, from 20% to 80% and back at constant power."""
    b = battery(hours=FINE_HOURS)
    energy = {-1: 0.0, 1: 0.0}
    for sign, stop in ((1, 20.0), (-1, 80.0), (1, 20.0)):
        energy[sign] = 0.0
        while (b.StatePack.SOC - stop) * sign > 0.0:
            b.Controls.input_power = sign * power_kw
            b.execute(0)
            energy[sign] += abs(b.StatePack.P) * FINE_HOURS
    return energy[1] / energy[-1]


def calendar(years: float) -> float:
    """Capacity left, %, after standing at half charge."""
    b = battery(hours=1.0)
    for _ in range(round(years * 8766)):
        b.Controls.input_power = 0.0
        b.execute(0)
    return float(b.StateCell.q_relative_calendar)


def cycling(cycles: int) -> tuple[float, float]:
    """Capacity left, %, of cycle fade alone, and mean days a cycle, after cycles between 90% and 10% at 2 kW."""
    b = battery()
    for _ in range(cycles):
        for sign, stop in ((1, 10.0), (-1, 90.0)):
            while (b.StatePack.SOC - stop) * sign > 0.0:
                b.Controls.input_power = sign * 2.0
                b.execute(0)
    return float(b.StateCell.q_relative_cycle), b.StateCell.day_age_of_battery / cycles


if __name__ == "__main__":
    print(json.dumps({
        "pysam": PySAM.__version__,
        **profile(),
        "round_trip": {str(kw): round(round_trip(kw), 4) for kw in (1.0, 2.5, 5.0)},
        "calendar_pct": {str(y): round(calendar(y), 3) for y in (1.0, 5.0, 10.0)},
        "cycle_pct": {str(n): [round(x, 3) for x in cycling(n)] for n in (1000, 3000)},
    }, indent=1))  # fmt: skip
