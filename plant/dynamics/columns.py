"""Every quantity of the site's state, by kind of asset: one column each, all floats.

The kernel reads and writes them by name; telemetry, faults, saved states and tests read this one table. On/off is
1.0 and 0.0, an index of another table is a float too, -1.0 where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Column:
    """One quantity of one kind of asset."""

    name: str
    start: float
    meaning: str
    told: bool
    """Whether telemetry shows it; what is not told is inside."""


def _columns(text: str) -> tuple[Column, ...]:
    """One line each: name, start, `*` where telemetry shows it, meaning."""
    found = []
    for line in text.strip().splitlines():
        name, start, *rest = line.split(None, 2)
        words = rest[0] if rest else ""
        found.append(Column(name, float(start), words.removeprefix("* "), words.startswith("*")))
    return tuple(found)


COLUMNS: dict[str, tuple[Column, ...]] = {
    "gpu": _columns("""
        hw            0    row of its coefficients
        count         1    GPUs this row stands for
        ok            1    on the bus and usable
        hard          0    a reset does not bring it back
        tripped       0    shut itself down at TRIP_C
        thermal_pu    1    interface resistance over a sound one's
        clock_stuck_mhz 0  firmware holds this clock; 0: none
        power_w       75   W drawn
        clock_pu      1    share of the maximal clock
        die_c         35   C of the die
        plate_c       33   C of the cold plate or heat sink
        held          0    1 while its temperature holds its clock down
    """),
    "gpu_node": _columns("""
        hw            0    row of its coefficients
        count         1    nodes this row stands for
        gpu_first     0    first row of its GPUs
        gpu_rows      8    rows of its GPUs
        gpus          8    GPUs of one node
        rack          -1   row of its rack
        liquid        0    1: cold plates
        liquid_share  0.8  share of the node's heat that plates carry
        base_idle_kw  2.2  kW of all but the GPUs, at rest
        base_max_kw   4.6  kW of all but the GPUs, at full load
        clock_max_mhz 1980 MHz
        tdp_w         700  W
        r0            0.02 K/W interface of one GPU
        film          0.01 K/W film at design flow
        c_die         25   J/K
        c_plate       1000 J/K
        pooled        0    1: a serving pool sets its load
        driven        0    1: its load is set from outside
        up            1    * 1: running
        gpus_ok       8    * GPUs usable
        load_pu       0    * share of full load
        power_kw      2.8  * kW drawn by the node
        gpu_power_w   75   * W of one GPU, mean of those that are there
        gpu_temp_c    35   * C of the hottest die
        gpu_temp_mean_c 35 * C, mean of the dies
        clock_mhz     1980 * MHz, mean of the GPUs that are there
        clock_min_mhz 1980 * MHz of the slowest GPU
        clock_lock_mhz 1980 * highest clock allowed
        power_cap_w   700  * highest power of one GPU allowed
        throttled     0    * 1: temperature holds a clock down
        cordoned      0    * 1: takes no new work
        drained       0    * 1: serves nothing
        batch_limit   256  * sequences of one step, as its pool sets it
        job_running   1    * 1: a job runs where no pool does
        job_load_pu   0.92 load of that job
        job           0    * number of the job that holds it; 0: a standing one of its own, -1: none
        parked        0    * 1: taken out of its pool for want of load, drained too; 2: on its way back
        resets        0    * resets done
        psu_ok        6    * power supplies that work
        psu_all       6    power supplies there are; two can fail without loss
        fan_pu        1    * air its fans still move
        link_pu       1    * bandwidth left of NVLink and NICs
        nvme_pu       1    * bandwidth left of its drives
        clock_share_pu 1   share of the node another job leaves
        busy          0    share of time in kernels
        u_compute     0    share of peak compute while busy, at the maximal clock
        u_memory      0    share of peak bandwidth while busy, at the maximal clock
        network_pu    1    * bandwidth left on its fabric
        stretch       1    time of its work over that at the maximal clock
        liquid_kw     0    * kW into the coolant
        air_kw        0    * kW into the room
        seen_busy     -1   inputs the next two were found for
        seen_compute  -1   likewise
        seen_memory   -1   likewise
        seen_cap      -1   likewise
        seen_lock     -1   likewise
        want_clock_pu 1    clock without thermal limits
        want_w        75   power at that clock
        seen_film     -1   film factor the next four were found for
        seen_step_s   -1   step likewise
        e_dd          0    die left of die
        e_dp          0    die left of plate
        e_pd          0    plate left of die
        e_pp          0    plate left of plate
    """),
    "rack": _columns("""
        count         1    racks this row stands for
        cdu           -1   row of its CDU; -1: air alone
        hall          -1   row of its hall
        share         1    conductance of its branch over the loop's design
        design_lpm    0    flow at which its plates have their design film
        kj_per_k      100  heat its coolant stores
        recirculation_pu 0 * share of a rack's intake that is exhaust
        valve_open    1    * opening of its coolant valve
        passage_pu    1    conductance left of its branch
        leak          0    * 1: coolant runs out
        inlet_temp_c  24   * C of the air taken in
        outlet_temp_c 40   * C of the coolant leaving
        flow_lpm      0    * coolant through it
        power_kw      0    * kW drawn
        liquid_kw     0    kW into its coolant
        air_kw        0    kW into the room
        carried_kj    0    heat its coolant took to the CDU in the step
        plate_c       32   C that its plates see
        film          1    film factor of its plates
        fed           1    * 1: it has power
        allowed       1    share of its work that is not shed
        shed_kw       0    * kW taken off by an operator
        shed_of_kw    1    of so much
    """),
    "cdu": _columns("""
        water         0    row of its facility water
        litre_kj_per_k 3.97 heat of a litre for a kelvin
        kj_per_k      950  heat that tank and supply pipes store
        volume_l      400  litres
        ntu_design    1.7  transfer units of the exchanger at greatest flow
        ratio_design  0.8  heat capacity rates, coolant over water
        racks_pu      1    conductance of all its branches
        flow_lpm      150  * L/min
        mean_lpm      150  L/min, mean of the step
        flow_setpoint_lpm 150 * L/min asked
        flow_design_lpm 150 * L/min of its design
        flow_max_lpm  320  * L/min of one pump at full speed
        supply_temp_c 32   * C to the racks
        supply_setpoint_c 32 * C asked
        supply_offset_k 0  error of its own supply control
        return_temp_c 40   * C from the racks
        heat_kw       0    * kW given to the facility water
        valve_open    1    * opening of the loop's valve
        leak          0    * 1: coolant runs out
        leak_lpm      2    L/min that each leak loses
        reservoir_pct 100  * fill
        passage_pu    1    * conductance left (filter)
        pressure_pu   1    share of the system pressure left
        pressure_kpa  200  * kPa
        pressure_design_kpa 200 kPa
        pumps_running 1    * pumps that turn
        fouling_pu    0    share of the exchanger lost
        pump_kw       0    * kW of its pumps
        hx_kw         0    * kW that its exchanger gives to the facility water
    """),
    "pump": _columns("""
        cdu           -1   row of its CDU
        ats           -1   row of the transfer switch that feeds it; -1: any feed
        rated_kw      4    kW at full speed
        running       0    * 1: commanded and turning
        failed        0    * 1: cannot turn
        wear_pu       0    * head lost
        speed_pct     0    * % of full speed
        power_kw      0    * kW
    """),
    "water": _columns("""
        temp_c        20   * C of the facility water supply
        setpoint_c    20   * C asked: the lowest that its chillers are set to
        design_c      20   C of its design
        kj_per_k      30000 heat it stores
        heat_kw       0    * kW it takes up
        other_kw      0    heat of what this run does not hold
        pump_kw_per_kw 0.012 circulation pumps for each kW carried
        pump_kw       0    * kW
        capacity_kw   0    * kW its chillers can take now
    """),
    "chiller": _columns("""
        water         0    row of its facility water
        ats           -1   row of the transfer switch that feeds it; -1: any feed
        dry           0    1: dry cooler
        capacity_kw   350  kW
        cop_design    5    at 25 C wet bulb
        cop_per_k     0.1  gain for each kelvin less
        approach_k    6    dry cooler: water above air at capacity
        fan_rated_kw  10   kW of tower or cooler fans
        economiser    0    1: cools without compressors where the weather allows
        water_setpoint_c 20 * C of leaving water asked
        water_temp_c  20   * C of the facility water supply
        running       1    * 1: on
        capacity_pu   1    capacity left
        fouling_pu    0    * share of its heat transfer lost
        able_kw       0    * kW it can take out now
        heat_kw       0    * kW it takes out
        power_kw      0    * kW
        cop           0    * heat over power
    """),
    "crah": _columns("""
        hall          -1   row of its hall
        water         0    row of its facility water
        ats           -1   row of the transfer switch that feeds it; -1: any feed
        capacity_kw   90   kW
        fan_rated_kw  5    kW
        supply_temp_c 24   * C asked
        running       1    * 1: on
        fan_pu        1    * air its fan still moves
        fan_setpoint_pu 0  * share of full speed asked; 0: its own control
        reach_kw_per_k 0   conductance now; 0 while it stands
        heat_kw       0    * kW it takes out of the room
        power_kw      0    * kW
    """),
    "hall": _columns("""
        racks         0    racks in it
        kj_per_k      150  heat its air stores
        ua_kw_per_k   0.05 loss through its walls
        house_kw      0    fabric, storage and hosts
        other_kw      0    heat of what this run does not hold
        temp_c        24   * C of the cold aisles
        humidity_pct  45   * relative humidity
        heat_kw       0    * kW into its air
    """),
    "pdu": _columns("""
        ups           -1   row of its UPS
        feed          -1   row of its feed where it has no UPS
        capacity_kw   60   kW
        loss_pu       0.015 share lost at full load
        breaker_closed 1   * 1: closed
        imbalance_pu  0    * worst phase above the mean
        fed           1    * 1: has voltage
        load_kw       0    * kW out
        loss_kw       0    kW
        load_pct      0    * worst phase, % of rating
        shed_kw       0    * kW taken off by an operator
        shed_of_kw    1    of so much
    """),
    "ups": _columns("""
        feed          -1   row of its feed
        feed_2        -1   row of a second feed
        capacity_kw   300  kW
        battery_kwh   25   kWh
        fixed_pu      0.01 share of capacity lost at no load
        proportional_pu 0.03 share of load lost
        bypassed      0    1: input lost by a fault, runs on battery
        battery_capacity_pu 1 battery left by age
        on_battery    0    * 1: the battery carries it
        battery_pct   100  * charge
        empty         0    1: cut off until its input is back
        load_kw       0    * kW out
        input_kw      0    * kW in
        loss_kw       0    kW
        fed           1    1: has voltage
    """),
    "ats": _columns("""
        feed          -1   row of its first source
        feed_2        -1   row of its second source
        on_source     1    * 1 or 2; 0: stuck open
        fed           1    1: has voltage
        load_kw       0    * kW it carries
    """),
    "feed": _columns("""
        capacity_kw   430  kW
        loss_pu       0.01 share lost in its transformer
        other_kw      0    load of what this run does not hold
        available     1    * 1: has voltage
        load_kw       0    * kW drawn from the grid; negative: given back
        loss_kw       0    kW
        load_pct      0    * % of rating
    """),
    "ess": _columns("""
        feed          -1   row of its feed
        available     1    * 1: can run
        power_kw      0    * kW now; positive: discharges into the site
        power_setpoint_kw 0 * kW asked; where a draw is held, besides
        power_max_kw  100  * kW of the PCS
        soc_pct       60   * state of charge
        hold_kw       0    * draw of the site that it holds; 0: none
        charge_cap_kw 0    * draw of the site that charging does not pass
        keep_pct      0    * charge kept for what is above that draw
        floor_pct     0    lowest charge while a draw is held
        left_s        0    * seconds the setpoint still holds
        capacity_kwh  200  * kWh
        capacity_pu   1    capacity left by imbalance or age
        soc_min_pct   10   * lowest charge
        soc_max_pct   90   * highest charge
        efficiency    0.949 one way
        loss_kw       0    kW
    """),
    "service": _columns("""
        up            1    * 1: serves
        shed_kw       0    * kW taken off by an operator
        shed_of_kw    1    of so much
    """),
    "pool": _columns("""
        up            1    * 1: serves
        driven        0    1: its figures are set from outside
        arrival_rps   0    * requests a second that arrive
        queue         0    * requests waiting
        ttft_ms       180  * time to first token
        kv_use_pct    40   * KV cache in use
        kv_watermark_pct 90 * KV use at which admission stops
        batch_limit   256  * sequences of one step
        load_pu       0.6  * share of what it can serve
        healthy_nodes 0    * nodes that serve
        serving_nodes 0    * nodes asked to serve
        clock_lock_mhz 1980 * highest clock allowed, as last set for all its nodes
        model_rank    0    * 0 large, 1 medium, 2 small
        rate_rps      0    * requests a second it can serve
        other_rps     0    rate of nodes this run does not hold
        node_rps      4    of one node, large model, full clock and batch
        ttft_base_ms  180  without a queue
        prompt_tokens 1    * prompt length over the usual
        context_tokens 1   * context held over the usual
        recompute_pu  0    * work done twice
        chunk_pu      1    token budget over the usual
        compute_full  0.30 share of peak compute at full load and batch
        memory_full   0.55 share of peak bandwidth at full load
        shed_kw       0    * kW taken off by an operator
        shed_of_kw    1    of so much
    """),
    "switch": _columns("""
        up            1    * 1: forwards
        bandwidth_pu  1    * bandwidth left by congestion
        links_pu      1    share of its uplinks that carry
    """),
    "link": _columns("""
        a             -1   row of its first switch
        b             -1   row of its second switch
        up_pu         1    * share of time it is up
    """),
    "storage": _columns("""
        up            1    * 1: answers
        latency_pu    1    * latency over the usual
    """),
    "leak_sensor": _columns("""
        wet           0    * 1: water
    """),
    "site": _columns("""
        elapsed_s     0    seconds since the start
        clock_s       0    seconds of the site's day
        dry_mean_c    15   C
        wet_mean_c    11   C
        swing_k       8    K between night and day
        gpu_limit_c   87   C at which clocks are held down
        dry_bulb_c    15   * C of the air outside
        wet_bulb_c    11   * C
        house_kw      0    * fabric, storage and hosts
        lights_kw     0    * lights and offices
        it_kw         0    * nodes and house
        losses_kw     0    * conversion, of PDU, UPS and transformers
        cooling_kw    0    * pumps, fans, handlers, chillers
        ess_kw        0    * storage; positive: discharges into the site
        grid_kw       0    * kW from the grid, storage taken into account
        pue           0    * power usage effectiveness
        grid_kwh      0    * drawn since the start
        it_kwh        0    * used by IT since the start
        ups_charge_kw 0    taken by UPS batteries
        heat_out_kj   0    given off outside in the step
        stored_kj     0    stored in dies, plates, coolant, water and air at the end of the step
        battery_kj    0    stored in batteries at the end of the step
        residual_kj   0    of the energy balance of the step
        residual_pu   0    greatest residual of a step over its energy, since the start
        total_kj      0    energy drawn in the step
    """),
}  # fmt: skip


@cache
def dtype(kind: str) -> np.dtype[Any]:
    """The record of one asset of the kind."""
    return np.dtype([(column.name, "f8") for column in COLUMNS[kind]])


@cache
def told(kind: str) -> tuple[str, ...]:
    """The columns that telemetry shows."""
    return tuple(column.name for column in COLUMNS[kind] if column.told)


def table(kind: str, rows: int) -> Any:
    """So many rows of the kind, as they start."""
    made = np.zeros(rows, dtype(kind))
    for column in COLUMNS[kind]:
        made[column.name] = column.start
    return made
