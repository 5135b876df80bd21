"""One step of the whole site, in the order in which things depend on each other:

weather, who has voltage, pools, nodes with their dies and plates, coolant loops, power chain down to the UPS,
room air, facility water with chillers, feeds, totals and the balance of energy.

Stores that answer fast (die, plate, rack coolant, room air) move by the exact exponential of their linear equation;
what couples them is taken at the begin of the step. What leaves one store is what enters the next, to the last bit,
so the balance of energy closes whatever the step.
"""

from __future__ import annotations

import math
from typing import Any

from plant.compiled import njit
from plant.power.gpu import clock_under_cap_pu, gpu_power_w, stretch_at_clock
from plant.power.policy import HOLD_AIM_PU, LEAST_IMPORT_PU, REFILL_H
from plant.thermal.air import DESIGN_RISE_K, coil_rise_k, crah_kw_per_k, inlet_c
from plant.thermal.chiller import cop, dry_cooler_kw, free_share
from plant.thermal.fluids import kw_per_k
from plant.thermal.loop import effectiveness, fan_power_kw, film_share, most_flow_pu, pump_power_kw, speed_pu
from plant.thermal.plate import film_factor, propagator

stage = njit(cache=True, inline="always")
"""A part of the step. Compiled into it: handing all tables over at each call costs more than most parts do."""
TRIP_C = 95.0
"""A GPU shuts itself down to protect its die."""
DROOP_K = 4.0
"""Above its limit the clock falls in proportion; so far above, nothing but idle power would be left."""
CLOCK_FLOOR_PU, NEAR_PU = 0.1, 0.01
TAU_FLOW_S, TAU_SUPPLY_S, TAU_WATER_S, TAU_ROOM_S, TAU_INLET_S, TAU_KV_S = 3.0, 60.0, 90.0, 120.0, 60.0, 20.0
STILL_PU = 0.2
"""Share of design flow below which plates see more and more of the water they have heated themselves."""
UPS_RECHARGE_S, UPS_CHARGE_EFFICIENCY, UPS_CUT_OFF_PCT = 4 * 3600.0, 0.95, 1.0
LEAST_FAN_PU = 0.4
"""Handlers do not run their fans slower."""


@njit(cache=True)
def _relax(value: float, target: float, keep: float) -> float:
    return target + (value - target) * keep


@stage
def _weather(s: Any, h: float) -> None:
    """Warmest at 15:00; the wet bulb swings by 0.4 of the dry bulb's."""
    site = s.site[0]
    site.elapsed_s += h
    site.clock_s = (site.clock_s + h) % 86400.0
    wave = 0.5 * site.swing_k * math.cos(2.0 * math.pi * (site.clock_s / 86400.0 - 0.625))
    site.dry_bulb_c = site.dry_mean_c + wave
    site.wet_bulb_c = min(site.wet_mean_c + 0.4 * wave, site.dry_bulb_c)


@njit(cache=True)
def _live(feed: Any, row: float) -> bool:
    return bool(row >= 0.0 and feed[int(row)].available > 0.5)


@njit(cache=True)
def _any_feed(feed: Any) -> bool:
    for i in range(feed.size):
        if feed[i].available > 0.5:
            return True
    return bool(feed.size == 0)


@njit(cache=True)
def _cooling_fed(switches: Any, ats: float, any_feed: bool) -> bool:
    return bool(switches[int(ats)].fed > 0.5) if ats >= 0.0 else any_feed


@stage
def _voltage(s: Any, e: Any, h: float) -> None:
    """Who has voltage: feeds, transfer switches, UPS, PDUs, racks."""
    any_feed = _any_feed(s.feed)
    for i in range(s.ats.size):
        a = s.ats[i]
        if a.on_source > 0.5:
            first, second = _live(s.feed, a.feed), _live(s.feed, a.feed_2)
            a.on_source = 1.0 if first or not second else 2.0
            a.fed = 1.0 if first or second or (a.feed < 0.0 and any_feed) else 0.0
        else:
            a.fed = 0.0
    for i in range(s.ups.size):
        u = s.ups[i]
        source = (
            _live(s.feed, u.feed) or _live(s.feed, u.feed_2) or (u.feed < 0.0 and any_feed)
        ) and u.bypassed < 0.5
        if source:
            u.empty = 0.0
        elif u.battery_pct <= UPS_CUT_OFF_PCT:
            u.empty = 1.0
        u.on_battery = 0.0 if source or u.empty > 0.5 else 1.0
        u.fed = 1.0 if source or u.on_battery > 0.5 else 0.0
    for i in range(s.pdu.size):
        p = s.pdu[i]
        above = (
            s.ups[int(p.ups)].fed > 0.5
            if p.ups >= 0.0
            else (_live(s.feed, p.feed) or (p.feed < 0.0 and any_feed))
        )
        p.fed = 1.0 if above and p.breaker_closed > 0.5 else 0.0
    for i in range(s.rack.size):
        r = s.rack[i]
        first, last = e.rack_pdu_at[i], e.rack_pdu_at[i + 1]
        fed, allowed = first == last and any_feed, _not_shed(r.shed_kw, r.shed_of_kw)
        for j in range(first, last):
            p = s.pdu[e.rack_pdu[j]]
            fed = fed or p.fed > 0.5
            allowed *= _not_shed(p.shed_kw, p.shed_of_kw)
        r.fed, r.allowed = 1.0 if fed else 0.0, allowed


@njit(cache=True)
def _not_shed(shed_kw: float, of_kw: float) -> float:
    return 1.0 - min(1.0, max(0.0, shed_kw) / max(of_kw, 1e-9))


@stage
def _fabric(s: Any, e: Any) -> None:
    """Bandwidth left to each node: of its worst switch, by congestion and by its uplinks."""
    if s.switch.size == 0:
        return
    for i in range(s.switch.size):
        s.switch[i].links_pu = 0.0
    for i in range(s.link.size):
        k = s.link[i]
        if k.a >= 0.0:
            s.switch[int(k.a)].links_pu += k.up_pu * e.link_share[i]
    for i in range(s.switch.size):
        if e.uplinks[i] == 0:
            s.switch[i].links_pu = 1.0
    for i in range(s.gpu_node.size):
        worst = 1.0
        for j in range(e.node_switch_at[i], e.node_switch_at[i + 1]):
            w = s.switch[e.node_switch[j]]
            worst = min(worst, w.up * w.bandwidth_pu * w.links_pu)
        s.gpu_node[i].network_pu = max(worst, 0.02)


@njit(cache=True)
def _node_speed(n: Any) -> float:
    """Requests a node serves over what it would serve sound: links take a fifth of a step, the fabric a twentieth,
    drives a fiftieth."""
    link, network, drives = max(n.link_pu, 0.02), max(n.network_pu, 0.02), max(n.nvme_pu, 0.02)
    return float(n.clock_share_pu / n.stretch / (0.73 + 0.2 / link + 0.05 / network + 0.02 / drives))


@stage
def _pools(s: Any, e: Any, h: float) -> None:
    """Queue by fluid flow: arrivals less what healthy nodes serve. KV use follows load, up to its watermark."""
    for i in range(s.pool.size):
        p = s.pool[i]
        first, last = e.pool_node_at[i], e.pool_node_at[i + 1]
        speed, healthy = 0.0, 0.0
        for j in range(first, last):
            n = s.gpu_node[e.pool_node[j]]
            if n.up > 0.5 and n.drained < 0.5 and n.gpus_ok >= n.gpus and p.up > 0.5:
                speed += n.count * _node_speed(n)
                healthy += n.count
        p.healthy_nodes = healthy
        if p.driven > 0.5:
            continue
        model = 1.0 if p.model_rank < 0.5 else (1.9 if p.model_rank < 1.5 else 4.0)
        batch_pu = min(1.0, p.batch_limit / 256.0)
        work = (0.4 + 0.4 * p.prompt_tokens + 0.2 * p.context_tokens) / max(1.0 - p.recompute_pu, 0.05)
        rate = (speed * p.node_rps + p.other_rps) * model * min(1.0, 0.25 + 0.75 * batch_pu) / work
        arrivals = p.arrival_rps * _not_shed(p.shed_kw, p.shed_of_kw)
        use = min(2.0, arrivals / rate) if rate > 0.0 else 2.0
        want = 60.0 * use * p.context_tokens + min(p.queue, 400.0) * 0.1
        rate *= 1.0 - 0.3 * min(1.0, max(0.0, want - p.kv_watermark_pct) / 100.0)
        p.queue = max(0.0, p.queue + (arrivals - rate) * h)
        p.kv_use_pct = _relax(p.kv_use_pct, min(want, p.kv_watermark_pct), math.exp(-h / TAU_KV_S))
        p.load_pu = 1.0 if p.queue > 1.0 else min(1.0, use)
        p.rate_rps = rate
        wait_ms = 1000.0 * p.queue / rate if rate > 0.0 else 60000.0
        p.ttft_ms = min(60000.0, p.ttft_base_ms * (0.5 + 0.5 * p.prompt_tokens) / model + wait_ms)
        busy = min(1.0, 0.25 + 0.75 * p.load_pu) if p.load_pu > 0.0 else 0.0
        for j in range(first, last):
            n = s.gpu_node[e.pool_node[j]]
            if n.driven > 0.5:
                continue
            serves = n.up > 0.5 and n.drained < 0.5 and n.gpus_ok >= n.gpus and p.up > 0.5
            n.load_pu = p.load_pu if serves else 0.0
            n.busy = busy if serves else 0.0
            share = p.load_pu / max(busy, 1e-9)
            n.u_compute = min(
                0.7, p.compute_full * share * math.sqrt(batch_pu) * (0.5 + 0.5 * p.prompt_tokens)
            )
            n.u_memory = min(0.85, p.memory_full * (0.3 + 0.7 * share))


@njit(cache=True)
def power_at_w(p: Any, busy: float, u_compute: float, u_memory: float, clock_pu: float) -> float:
    """W of one GPU at a clock; the uses are those of the same work at the maximal clock."""
    stretch = stretch_at_clock(p, u_compute, u_memory, clock_pu)
    return float(gpu_power_w(p, busy, u_compute / stretch, u_memory / stretch, clock_pu))


@njit(cache=True)
def clock_for_w(
    p: Any, busy: float, u_compute: float, u_memory: float, allowed_w: float, high: float, near: float
) -> float:
    """Clock share, at most `high`, at which one GPU draws `allowed_w`, to 1e-4 W; the floor where none does.

    Regula falsi of Illinois: power rises with the clock, and a handful of steps do. `near` is a first guess, such
    as the clock of the step before.
    """
    low, top = max(CLOCK_FLOOR_PU, near - NEAR_PU), high
    high = min(high, near + NEAR_PU)
    over = power_at_w(p, busy, u_compute, u_memory, high) - allowed_w
    under = power_at_w(p, busy, u_compute, u_memory, low) - allowed_w
    if over < 0.0 and high < top:
        high = top
        over = power_at_w(p, busy, u_compute, u_memory, high) - allowed_w
    if under > 0.0 and low > CLOCK_FLOOR_PU:
        low = CLOCK_FLOOR_PU
        under = power_at_w(p, busy, u_compute, u_memory, low) - allowed_w
    if over <= 0.0:
        return high
    if under >= 0.0:
        return low
    side, middle = 0, high
    for _ in range(60):
        middle = (low * over - high * under) / (over - under)
        value = power_at_w(p, busy, u_compute, u_memory, middle) - allowed_w
        if abs(value) < 1e-4:
            break
        if value > 0.0:
            high, over = middle, value
            if side == 1:
                under *= 0.5
            side = 1
        else:
            low, under = middle, value
            if side == -1:
                over *= 0.5
            side = -1
    return middle


@njit(cache=True)
def _want(n: Any, p: Any) -> None:
    """Clock and power that load, cap, lock and power supplies ask for, found again when one of them has changed."""
    rated_kw = n.gpus * n.tdp_w / 1000.0 + n.base_max_kw
    supplied_kw = rated_kw * n.psu_ok / max(n.psu_all - 2.0, 1.0)
    cap_w = min(n.power_cap_w, max(50.0, 1000.0 * (supplied_kw - n.base_max_kw) / n.gpus))
    lock = min(1.0, max(CLOCK_FLOOR_PU, n.clock_lock_mhz / n.clock_max_mhz))
    same = n.seen_busy == n.busy and n.seen_compute == n.u_compute and n.seen_memory == n.u_memory
    if same and n.seen_cap == cap_w and n.seen_lock == lock:
        return
    n.seen_busy, n.seen_compute, n.seen_memory, n.seen_cap, n.seen_lock = (
        n.busy,
        n.u_compute,
        n.u_memory,
        cap_w,
        lock,
    )
    power = power_at_w(p, n.busy, n.u_compute, n.u_memory, lock)
    clock = lock
    if power > cap_w:
        clock = clock_under_cap_pu(p, n.busy, n.u_compute, n.u_memory, cap_w, lock)
        power = power_at_w(p, n.busy, n.u_compute, n.u_memory, clock)
    n.want_clock_pu, n.want_w = clock, power


@njit(cache=True)
def _cooled_by(r: Any, n: Any, h: float) -> float:
    """Film factor into the node's propagator; returns the temperature its plates or sinks give heat to."""
    if n.liquid > 0.5:
        coolant_c, film = r.plate_c, r.film
    else:
        coolant_c, film = r.inlet_temp_c, film_factor(n.fan_pu)
    if film != n.seen_film or h != n.seen_step_s:
        n.seen_film, n.seen_step_s = film, h
        n.e_dd, n.e_dp, n.e_pd, n.e_pp = propagator(n.r0, n.c_die, n.film * film, n.c_plate, h)
    return float(coolant_c)


@stage
def _nodes(s: Any, e: Any, h: float) -> None:
    """Power from load, clock and cap; dies and plates from power and coolant; clocks held down by temperature."""
    limit_c = s.site[0].gpu_limit_c
    for i in range(s.gpu_node.size):
        n = s.gpu_node[i]
        r = s.rack[int(n.rack)]
        p = e.power[int(n.hw)]
        if n.pooled < 0.5 and n.driven < 0.5:
            runs = n.job_running > 0.5 and n.drained < 0.5 and n.gpus_ok >= n.gpus
            n.load_pu = n.job_load_pu * n.clock_share_pu if runs else 0.0
            n.busy, n.u_compute, n.u_memory = n.load_pu, 0.42, 0.50
        if r.fed < 0.5:
            n.up = 0.0
        if n.up < 0.5:
            n.load_pu, n.busy = 0.0, 0.0
        elif r.allowed < 1.0:
            n.load_pu, n.busy = n.load_pu * r.allowed, n.busy * r.allowed
        _want(n, p)
        coolant_c = _cooled_by(r, n, h)
        film_r, old_allowed, old_top, old_clock, old_w = n.film * n.seen_film, -1.0, -1.0, 1.0, 0.0
        gpu_w, there, gone_kj, hottest, temp_sum, clock_sum, slowest = 0.0, 0.0, 0.0, -273.0, 0.0, 0.0, 1.0
        held, tripped, rows = 0.0, 0.0, int(n.gpu_rows)
        for k in range(int(n.gpu_first), int(n.gpu_first) + rows):
            g = s.gpu[k]
            r1 = n.r0 * g.thermal_pu
            dd, dp, pd, pp = n.e_dd, n.e_dp, n.e_pd, n.e_pp
            if g.thermal_pu != 1.0:
                dd, dp, pd, pp = propagator(r1, n.c_die, film_r, n.c_plate, h)
            power, clock = 0.0, n.want_clock_pu
            g.held = 0.0
            if n.up > 0.5 and g.ok > 0.5:
                power = n.want_w
                if g.clock_stuck_mhz > 0.0 and g.clock_stuck_mhz / n.clock_max_mhz < clock:
                    clock = max(CLOCK_FLOOR_PU, g.clock_stuck_mhz / n.clock_max_mhz)
                    power = power_at_w(p, n.busy, n.u_compute, n.u_memory, clock)
                # Die at the end of the step is a + b P; the clock holds it at limit + droop (1 - P / wanted).
                a = coolant_c + dd * (g.die_c - coolant_c) + dp * (g.plate_c - coolant_c)
                b = (r1 + film_r) * (1.0 - dd) - dp * film_r
                if a + b * power > limit_c:
                    allowed = max(0.0, (limit_c + DROOP_K - a) / (b + DROOP_K / power))
                    if allowed != old_allowed or clock != old_top:
                        old_allowed, old_top = allowed, clock
                        old_clock = clock_for_w(
                            p, n.busy, n.u_compute, n.u_memory, allowed, clock, g.clock_pu
                        )
                        old_w = power_at_w(p, n.busy, n.u_compute, n.u_memory, old_clock)
                    clock, power = old_clock, old_w
                    g.held = 1.0
            plate_ss = coolant_c + power * film_r
            die_ss = plate_ss + power * r1
            die0, plate0 = g.die_c, g.plate_c
            g.die_c = die_ss + dd * (die0 - die_ss) + dp * (plate0 - plate_ss)
            g.plate_c = plate_ss + pd * (die0 - die_ss) + pp * (plate0 - plate_ss)
            kept_j = n.c_die * (g.die_c - die0) + n.c_plate * (g.plate_c - plate0)
            gone_kj += g.count * (power * h - kept_j) / 1000.0
            g.power_w, g.clock_pu = power, clock
            gpu_w += g.count * power
            temp_sum += g.count * g.die_c
            hottest = max(hottest, g.die_c)
            if n.up > 0.5 and g.ok > 0.5:
                there += g.count
                clock_sum += g.count * clock
                slowest = min(slowest, clock)
                held = max(held, g.held)
                if g.die_c >= TRIP_C:
                    g.tripped, g.ok = 1.0, 0.0
                    there -= g.count
            tripped += g.tripped
        _node_totals(n, p, h, gpu_w, there, gone_kj, hottest, temp_sum, clock_sum, slowest, held)
        if tripped >= rows:
            n.up = 0.0


@stage
def _node_totals(
    n: Any, p: Any, h: float, gpu_w: float, there: float, gone_kj: float, hottest: float, temp_sum: float,
    clock_sum: float, slowest: float, held: float,
) -> None:  # fmt: skip
    """What telemetry shows of a node, and where its heat goes: the plates carry the GPUs' and as much of the rest
    as makes up their share of the whole."""
    live = n.up > 0.5
    ran = max(there, 1e-9)
    host_kw = n.base_idle_kw + (n.base_max_kw - n.base_idle_kw) * n.load_pu if live else 0.0
    n.gpus_ok = _present(there, n.gpus_ok, live)
    n.power_kw = gpu_w / 1000.0 + host_kw
    n.gpu_power_w = gpu_w / ran if live and there > 0.0 else 0.0
    n.gpu_temp_c, n.gpu_temp_mean_c = hottest, temp_sum / n.gpus
    if live and there > 0.0:
        n.clock_mhz, n.clock_min_mhz = min(1.0, clock_sum / ran) * n.clock_max_mhz, slowest * n.clock_max_mhz
    n.throttled = held if live else 0.0
    n.stretch = (
        stretch_at_clock(p, n.u_compute, n.u_memory, slowest) if slowest < 1.0 and n.busy > 0.0 else 1.0
    )
    if n.liquid > 0.5:
        wet_kw = min(host_kw, max(0.0, n.liquid_share * n.power_kw - gpu_w / 1000.0))
        n.liquid_kw, n.air_kw = gone_kj / h + wet_kw, host_kw - wet_kw
    else:
        n.liquid_kw, n.air_kw = 0.0, gone_kj / h + host_kw


@njit(cache=True)
def _present(there: float, before: float, live: bool) -> float:
    """A node that is down keeps the count it had."""
    return there if live else before


@stage
def _gather(s: Any) -> None:
    """Nodes into racks."""
    for i in range(s.rack.size):
        r = s.rack[i]
        r.power_kw, r.liquid_kw, r.air_kw = 0.0, 0.0, 0.0
    for i in range(s.gpu_node.size):
        n = s.gpu_node[i]
        r = s.rack[int(n.rack)]
        r.power_kw += n.count * n.power_kw
        r.liquid_kw += n.count * n.liquid_kw
        r.air_kw += n.count * n.air_kw


@stage
def _flows(s: Any, e: Any, h: float) -> None:
    """Pumps against the network of each loop, its filter, valves and fill; flow splits by conductance."""
    any_feed, keep = _any_feed(s.feed), math.exp(-h / TAU_FLOW_S)
    for i in range(s.cdu.size):
        c = s.cdu[i]
        open_pu, leaks = 0.0, c.leak
        for j in range(e.cdu_rack_at[i], e.cdu_rack_at[i + 1]):
            r = s.rack[e.cdu_rack[j]]
            open_pu += r.share * r.valve_open * r.passage_pu
            leaks += r.leak
        turning, head = 0.0, 0.0
        for j in range(e.cdu_pump_at[i], e.cdu_pump_at[i + 1]):
            p = s.pump[e.cdu_pump[j]]
            if p.failed > 0.5:
                p.running = 0.0
            if p.running > 0.5 and _cooling_fed(s.ats, p.ats, any_feed):
                turning += 1.0
                head += 1.0 - p.wear_pu
        c.reservoir_pct = max(0.0, c.reservoir_pct - 100.0 * leaks * c.leak_lpm * h / 60.0 / c.volume_l)
        primed = min(1.0, max(0.0, (c.reservoir_pct - 20.0) / 40.0)) * min(1.0, c.pressure_pu / 0.5)
        c.pressure_kpa = c.pressure_design_kpa * c.pressure_pu * (0.3 + 0.7 * c.reservoir_pct / 100.0)
        head = head / turning * primed if turning > 0.5 else 0.0
        through = open_pu * c.passage_pu * c.valve_open
        most = c.flow_max_lpm * most_flow_pu(head, through, turning)
        target = min(c.flow_setpoint_lpm, most)
        mean_lpm = target + (c.flow_lpm - target) * (1.0 - keep) * TAU_FLOW_S / h
        c.flow_lpm = _relax(c.flow_lpm, target, keep)
        if c.flow_lpm < 1e-6:
            c.flow_lpm, mean_lpm = 0.0, 0.0
        speed = speed_pu(c.flow_lpm / c.flow_max_lpm, head, through, turning) if turning > 0.5 else 0.0
        c.pumps_running, c.pump_kw = turning, 0.0
        for j in range(e.cdu_pump_at[i], e.cdu_pump_at[i + 1]):
            p = s.pump[e.cdu_pump[j]]
            own = speed if p.running > 0.5 and _cooling_fed(s.ats, p.ats, any_feed) else 0.0
            p.speed_pct, p.power_kw = 100.0 * own, pump_power_kw(own, p.rated_kw)
            c.pump_kw += p.power_kw
        for j in range(e.cdu_rack_at[i], e.cdu_rack_at[i + 1]):
            r = s.rack[e.cdu_rack[j]]
            own = r.share * r.valve_open * r.passage_pu
            r.flow_lpm = mean_lpm * own / open_pu if open_pu > 1e-9 else 0.0
            flow_pu = r.flow_lpm / max(r.design_lpm, 1e-9)
            mixed = 0.5 * min(1.0, flow_pu / STILL_PU)
            r.plate_c = r.outlet_temp_c - (r.outlet_temp_c - c.supply_temp_c) * mixed
            r.film = film_factor(flow_pu)
        c.mean_lpm = mean_lpm


@stage
def _loops(s: Any, e: Any, h: float) -> None:
    """Rack coolant, return, exchanger and supply tank of each CDU. Where the loop turns over faster than the step
    it is cut into parts."""
    for i in range(s.cdu.size):
        c = s.cdu[i]
        w = s.water[int(c.water)]
        rate = kw_per_k(c.mean_lpm, c.litre_kj_per_k)
        parts = int(max(1.0, math.ceil(h * rate / (0.3 * c.kj_per_k))))
        hs = h / parts
        full = kw_per_k(c.flow_max_lpm, c.litre_kj_per_k)
        pipe = full / c.ratio_design
        small, large = min(rate, pipe), max(rate, pipe)
        best = 0.0
        if rate > 1e-6:
            ua = c.ntu_design * full * film_share(c.mean_lpm / c.flow_max_lpm) * (1.0 - c.fouling_pu)
            best = small * effectiveness(ua / small, small / large)
        target = c.supply_setpoint_c + c.supply_offset_k
        keep = math.exp(-hs / TAU_SUPPLY_S)
        from_racks, given, hot = 0.0, 0.0, c.supply_temp_c
        for _ in range(parts):
            carried, stored, heat_rate = 0.0, 0.0, 0.0
            for j in range(e.cdu_rack_at[i], e.cdu_rack_at[i + 1]):
                r = s.rack[e.cdu_rack[j]]
                before, through = r.outlet_temp_c, kw_per_k(r.flow_lpm, c.litre_kj_per_k)
                if through * hs > 1e-9 * r.kj_per_k:
                    steady = c.supply_temp_c + r.liquid_kw / through
                    r.outlet_temp_c = steady + (before - steady) * math.exp(-through * hs / r.kj_per_k)
                else:
                    r.outlet_temp_c = before + r.liquid_kw * hs / r.kj_per_k
                carried += r.liquid_kw * hs - r.kj_per_k * (r.outlet_temp_c - before)
                stored += r.kj_per_k * r.outlet_temp_c
                heat_rate += r.kj_per_k
            back = c.supply_temp_c + carried / (rate * hs) if rate > 0.05 else stored / max(heat_rate, 1e-9)
            wanted = carried + c.pump_kw * hs + c.kj_per_k * (c.supply_temp_c - target) * (1.0 - keep)
            taken = min(max(wanted, 0.0), max(0.0, best * (back - w.temp_c)) * hs)
            c.supply_temp_c += (carried + c.pump_kw * hs - taken) / c.kj_per_k
            from_racks, given, hot = from_racks + carried, given + taken, back
        c.heat_kw, c.hx_kw, c.return_temp_c = from_racks / h, given / h, hot
        w.heat_kw += c.hx_kw


@stage
def _chain(s: Any, e: Any, h: float) -> float:
    """Racks to PDUs to UPS; returns what the racks draw that hang on feeds alone. Losses are found on the way."""
    direct = 0.0
    for i in range(s.pdu.size):
        s.pdu[i].load_kw = 0.0
    for i in range(s.ups.size):
        s.ups[i].load_kw = 0.0
    for i in range(s.rack.size):
        first, last, live = e.rack_pdu_at[i], e.rack_pdu_at[i + 1], 0.0
        for j in range(first, last):
            live += s.pdu[e.rack_pdu[j]].fed
        if live < 0.5:
            direct += s.rack[i].power_kw
            continue
        for j in range(first, last):
            p = s.pdu[e.rack_pdu[j]]
            p.load_kw += p.fed * s.rack[i].power_kw / live
    for i in range(s.pdu.size):
        p = s.pdu[i]
        # Unequal phases (1+i, 1, 1-i) raise the sum of squares by 2/3 i^2.
        p.loss_kw = p.loss_pu * p.load_kw * (1.0 + 2.0 / 3.0 * p.imbalance_pu * p.imbalance_pu)
        p.load_pct = 100.0 * p.load_kw * (1.0 + p.imbalance_pu) / p.capacity_kw
        if p.ups >= 0.0:
            s.ups[int(p.ups)].load_kw += p.load_kw + p.loss_kw
    for i in range(s.ups.size):
        _ups(s.site[0], s.ups[i], h)
    return direct


@njit(cache=True)
def _ups(site: Any, u: Any, h: float) -> None:
    """Losses, and the battery: it carries the load, or is charged again over hours."""
    kwh = u.battery_kwh * u.battery_capacity_pu
    u.loss_kw = u.fixed_pu * u.capacity_kw + u.proportional_pu * u.load_kw if u.fed > 0.5 else 0.0
    u.input_kw = 0.0
    if u.on_battery > 0.5:
        u.battery_pct -= 100.0 * (u.load_kw + u.loss_kw) * h / 3600.0 / kwh
        site.ups_charge_kw -= u.load_kw + u.loss_kw
    elif u.fed > 0.5:
        stored_kw = 0.0
        if u.battery_pct < 100.0:
            stored_kw = min(kwh * 3600.0 / UPS_RECHARGE_S, (100.0 - u.battery_pct) / 100.0 * kwh * 3600.0 / h)
            u.battery_pct = min(100.0, u.battery_pct + 100.0 * stored_kw * h / 3600.0 / kwh)
        u.loss_kw += stored_kw * (1.0 / UPS_CHARGE_EFFICIENCY - 1.0)
        u.input_kw = u.load_kw + u.loss_kw + stored_kw
        site.ups_charge_kw += stored_kw


@stage
def _rooms(s: Any, e: Any, h: float) -> float:
    """Air of each hall against its handlers and walls; returns the kJ that leave through walls."""
    any_feed, walls_kj, racks = _any_feed(s.feed), 0.0, 0.0
    gear_kw = 0.0
    for i in range(s.pdu.size):
        gear_kw += s.pdu[i].loss_kw
    for i in range(s.ups.size):
        gear_kw += s.ups[i].loss_kw
    for i in range(s.hall.size):
        racks += s.hall[i].racks
    for i in range(s.hall.size):
        a = s.hall[i]
        heat = (
            a.other_kw
            + (a.house_kw if any_feed else 0.0)
            + gear_kw * (a.racks / racks if racks > 0.0 else 1.0)
        )
        for j in range(e.hall_rack_at[i], e.hall_rack_at[i + 1]):
            heat += s.rack[e.hall_rack[j]].air_kw
        reach, pull, able, moved, target = 0.0, 0.0, 0.0, 0.0, 60.0
        for j in range(e.hall_crah_at[i], e.hall_crah_at[i + 1]):
            u = s.crah[e.hall_crah[j]]
            w = s.water[int(u.water)]
            u.power_kw, u.heat_kw, u.reach_kw_per_k = 0.0, 0.0, 0.0
            if u.running > 0.5 and u.fan_pu > 0.0 and _cooling_fed(s.ats, u.ats, any_feed):
                rise_k = coil_rise_k(w.setpoint_c - w.design_c)
                u.reach_kw_per_k = u.fan_pu * crah_kw_per_k(
                    u.capacity_kw, w.design_c, u.supply_temp_c, rise_k
                )
                reach += u.reach_kw_per_k
                pull += u.reach_kw_per_k * (w.temp_c - rise_k)
                target = min(target, u.supply_temp_c)
                if u.fan_setpoint_pu > 0.0:
                    moved += min(1.0, max(LEAST_FAN_PU, u.fan_setpoint_pu)) * u.fan_pu * u.capacity_kw
                else:
                    able += u.fan_pu * u.capacity_kw
        short = max(0.0, 1.0 - moved / heat) if moved > 0.0 and heat > 0.0 and able <= 0.0 else 0.0
        if reach > 0.0:
            blow = min(1.0, max(LEAST_FAN_PU, (heat - moved) / able)) if able > 0.0 else 0.0
            for j in range(e.hall_crah_at[i], e.hall_crah_at[i + 1]):
                u = s.crah[e.hall_crah[j]]
                if u.reach_kw_per_k > 0.0:
                    asked = (
                        min(1.0, max(LEAST_FAN_PU, u.fan_setpoint_pu)) if u.fan_setpoint_pu > 0.0 else blow
                    )
                    u.power_kw = fan_power_kw(asked, u.fan_rated_kw)
                    heat += u.power_kw
        a.heat_kw = heat
        walls_kj += _room(s, e, i, h, heat, reach, pull, target)
        for j in range(e.hall_rack_at[i], e.hall_rack_at[i + 1]):
            r = s.rack[e.hall_rack[j]]
            again = r.recirculation_pu + short * (1.0 - r.recirculation_pu)
            wanted = inlet_c(a.temp_c, DESIGN_RISE_K, again)
            r.inlet_temp_c = _relax(r.inlet_temp_c, wanted, math.exp(-h / TAU_INLET_S))
    return walls_kj


@stage
def _room(s: Any, e: Any, i: int, h: float, heat: float, reach: float, pull: float, target: float) -> float:
    """Temperature of one hall. Handlers hold their target while they can; beyond that
    C dT/dt = heat - UA (T - Tout) - sum g (T + 12 K - Tw), solved exactly."""
    a, out_c = s.hall[i], s.site[0].dry_bulb_c
    before, keep = a.temp_c, math.exp(-h / TAU_ROOM_S)
    mean = target + (before - target) * (1.0 - keep) * TAU_ROOM_S / h
    wall_kw = a.ua_kw_per_k * (mean - out_c)
    taken = heat - wall_kw - a.kj_per_k * (target - before) * (1.0 - keep) / h
    if reach > 0.0 and 0.0 <= taken <= reach * mean - pull:
        a.temp_c = _relax(before, target, keep)
    else:
        cool = reach if taken > 0.0 else 0.0
        drag = a.ua_kw_per_k + cool
        steady = (heat + a.ua_kw_per_k * out_c + (pull if cool > 0.0 else 0.0)) / drag
        fade = math.exp(-drag * h / a.kj_per_k)
        a.temp_c = _relax(before, steady, fade)
        mean = steady + (before - steady) * (1.0 - fade) * a.kj_per_k / (drag * h)
        wall_kw = a.ua_kw_per_k * (mean - out_c)
    # What is not stored and does not go through the walls went to the handlers' water (it may give a little back).
    taken = heat - wall_kw - a.kj_per_k * (a.temp_c - before) / h
    if reach <= 0.0:
        return float((wall_kw + taken) * h)
    for j in range(e.hall_crah_at[i], e.hall_crah_at[i + 1]):
        u = s.crah[e.hall_crah[j]]
        u.heat_kw = taken * u.reach_kw_per_k / reach
        s.water[int(u.water)].heat_kw += u.heat_kw
    return float(wall_kw * h)


@stage
def _waters(s: Any, e: Any, h: float) -> float:
    """Facility water against its chillers and dry coolers; returns the kJ they give off outside, work included."""
    any_feed, out_kj, site = _any_feed(s.feed), 0.0, s.site[0]
    for i in range(s.water.size):
        w = s.water[i]
        w.setpoint_c = _water_setpoint_c(s, e, i)
        w.pump_kw = w.pump_kw_per_kw * max(0.0, w.heat_kw) if any_feed else 0.0
        heat, able = w.heat_kw + w.other_kw + w.pump_kw, 0.0
        for j in range(e.water_chiller_at[i], e.water_chiller_at[i + 1]):
            k = s.chiller[e.water_chiller[j]]
            k.able_kw = _chiller_able_kw(k, _cooling_fed(s.ats, k.ats, any_feed), w.temp_c, site.dry_bulb_c)
            able += k.able_kw
        wanted = heat + w.kj_per_k * (w.temp_c - w.setpoint_c) * (1.0 - math.exp(-h / TAU_WATER_S)) / h
        taken = min(max(wanted, 0.0), able)
        w.capacity_kw = able
        w.temp_c += (heat - taken) * h / w.kj_per_k
        for j in range(e.water_chiller_at[i], e.water_chiller_at[i + 1]):
            k = s.chiller[e.water_chiller[j]]
            k.heat_kw = taken * k.able_kw / able if able > 0.0 else 0.0
            share = k.heat_kw / k.able_kw if k.able_kw > 0.0 else 0.0
            k.power_kw = fan_power_kw(share, k.fan_rated_kw)
            if k.dry < 0.5 and k.heat_kw > 0.0:
                free = (
                    free_share(w.setpoint_c, w.setpoint_c + 8.0, site.wet_bulb_c)
                    if k.economiser > 0.5
                    else 0.0
                )
                warmer_k = min(w.setpoint_c, w.temp_c) - w.design_c
                k.power_kw += (
                    (1.0 - free)
                    * k.heat_kw
                    / cop(site.wet_bulb_c, share, k.cop_design, k.cop_per_k, warmer_k)
                )
            k.cop = k.heat_kw / k.power_kw if k.power_kw > 0.0 else 0.0
            k.water_temp_c = w.temp_c
            out_kj += (k.heat_kw + k.power_kw) * h
    return out_kj


@njit(cache=True)
def _water_setpoint_c(s: Any, e: Any, i: int) -> float:
    """The lowest that the chillers of a water are set to; they share its pipes."""
    lowest = s.water[i].setpoint_c
    for j in range(e.water_chiller_at[i], e.water_chiller_at[i + 1]):
        asked = s.chiller[e.water_chiller[j]].water_setpoint_c
        lowest = asked if j == e.water_chiller_at[i] else min(lowest, asked)
    return float(lowest)


@njit(cache=True)
def _chiller_able_kw(k: Any, fed: bool, water_c: float, dry_bulb_c: float) -> float:
    """Heat it can take now."""
    if k.running < 0.5 or not fed:
        return 0.0
    sound = k.capacity_kw * k.capacity_pu * (1.0 - k.fouling_pu)
    return float(dry_cooler_kw(water_c, dry_bulb_c, sound, k.approach_k) if k.dry > 0.5 else sound)


@stage
def _storage(s: Any, h: float) -> float:
    """Moves each battery; returns the kJ it loses as heat. Charge stays inside its window."""
    lost_kj, any_feed, holding_kw = 0.0, _any_feed(s.feed), _holding_kw(s.ess)
    own_kw = s.site[0].grid_kw + s.site[0].ess_kw
    for i in range(s.ess.size):
        b = s.ess[i]
        kwh = b.capacity_kwh * b.capacity_pu
        runs = b.left_s > 0.0 and b.available > 0.5 and any_feed
        holds = runs and b.hold_kw > 0.0
        asked = _held_kw(b, own_kw, b.power_max_kw / holding_kw, kwh) if holds else b.power_setpoint_kw
        power = min(b.power_max_kw, max(-b.power_max_kw, asked)) if runs else 0.0
        if power > 0.0:
            least = max(b.soc_min_pct, b.floor_pct) if holds else b.soc_min_pct
            power = min(power, max(0.0, b.soc_pct - least) / 100.0 * kwh * b.efficiency * 3600.0 / h)
            b.loss_kw = power * (1.0 / b.efficiency - 1.0)
        else:
            power = -min(
                -power, max(0.0, b.soc_max_pct - b.soc_pct) / 100.0 * kwh / b.efficiency * 3600.0 / h
            )
            b.loss_kw = -power * (1.0 - b.efficiency)
        b.soc_pct -= 100.0 * (power + b.loss_kw) * h / 3600.0 / kwh
        b.left_s = max(0.0, b.left_s - h)
        if b.left_s <= 0.0 or not runs:
            b.power_setpoint_kw, b.hold_kw = 0.0, 0.0
        elif power == 0.0 and not holds:
            b.power_setpoint_kw = 0.0
        b.power_kw = power
        lost_kj += b.loss_kw * h
    return lost_kj


@njit(cache=True)
def _holding_kw(batteries: Any) -> float:
    """Rating of all that hold a draw."""
    total = 0.0
    for i in range(batteries.size):
        if batteries[i].left_s > 0.0 and batteries[i].available > 0.5 and batteries[i].hold_kw > 0.0:
            total += batteries[i].power_max_kw
    return total


@njit(cache=True)
def _held_kw(b: Any, own_kw: float, part: float, kwh: float) -> float:
    """What a battery gives of `own_kw`, the site's draw without storage a step ago, to hold its draw with its part of
    the storage: what is above it; else the power asked besides, charging only up to its cap, and energy kept for peaks
    is refilled within REFILL_H."""
    base, target_kw = b.power_setpoint_kw, HOLD_AIM_PU * b.hold_kw
    if b.soc_pct < b.keep_pct:
        base = min(base, 0.0, (b.soc_pct - b.keep_pct) / 100.0 * kwh / b.efficiency / REFILL_H)
    if own_kw > target_kw:
        asked = max((own_kw - target_kw) * part, base)
    elif base < 0.0:
        asked = -min(-base, max(min(b.charge_cap_kw, target_kw) - own_kw, 0.0) * part)
    else:
        asked = base
    return float(min(asked, max((1.0 - LEAST_IMPORT_PU) * own_kw, 0.0) * part))


@stage
def _feeds(s: Any, e: Any, direct_kw: float) -> float:
    """What each feed carries: its UPS, PDUs, transfer switches, and a share of what names none; returns its losses.

    Storage relieves its own feed while that has voltage, else the others.
    """
    live, site = 0.0, s.site[0]
    for i in range(s.feed.size):
        s.feed[i].load_kw = s.feed[i].other_kw
        live += s.feed[i].available
    for i in range(s.ats.size):
        s.ats[i].load_kw = 0.0
    shared = direct_kw
    cooling = 0.0
    for i in range(s.pump.size):
        shared, cooling = _cool_load(s.ats, s.pump[i].ats, s.pump[i].power_kw, shared, cooling)
    for i in range(s.crah.size):
        shared, cooling = _cool_load(s.ats, s.crah[i].ats, s.crah[i].power_kw, shared, cooling)
    for i in range(s.chiller.size):
        shared, cooling = _cool_load(s.ats, s.chiller[i].ats, s.chiller[i].power_kw, shared, cooling)
    for i in range(s.water.size):
        shared, cooling = shared + s.water[i].pump_kw, cooling + s.water[i].pump_kw
    site.cooling_kw = cooling
    if _any_feed(s.feed):
        shared += site.house_kw + site.lights_kw
    for i in range(s.ats.size):
        a = s.ats[i]
        shared += _onto(s.feed, a.feed if a.on_source < 1.5 else a.feed_2, a.load_kw)
    for i in range(s.ups.size):
        u = s.ups[i]
        shared += _onto(s.feed, u.feed if _live(s.feed, u.feed) else u.feed_2, u.input_kw)
    for i in range(s.pdu.size):
        if s.pdu[i].ups < 0.0:
            shared += _onto(s.feed, s.pdu[i].feed, s.pdu[i].load_kw + s.pdu[i].loss_kw)
    for i in range(s.feed.size):
        s.feed[i].load_kw += shared * s.feed[i].available / live if live > 0.5 else 0.0
    lost_kw, stored_kw, spread = 0.0, 0.0, 0.0
    for i in range(s.feed.size):
        f = s.feed[i]
        f.loss_kw = f.loss_pu * max(0.0, f.load_kw)
        f.load_kw += f.loss_kw
        lost_kw += f.loss_kw
    for i in range(s.ess.size):
        b = s.ess[i]
        stored_kw += b.power_kw
        spread += _onto(s.feed, b.feed, -b.power_kw)
    site.grid_kw, site.ess_kw = 0.0, stored_kw
    for i in range(s.feed.size):
        f = s.feed[i]
        f.load_kw += spread * f.available / live if live > 0.5 else 0.0
        f.load_pct = 100.0 * f.load_kw / f.capacity_kw
        site.grid_kw += f.load_kw
    if s.feed.size == 0:
        site.grid_kw = shared - stored_kw
    return lost_kw


@njit(cache=True)
def _cool_load(
    switches: Any, ats: float, power_kw: float, shared: float, cooling: float
) -> tuple[float, float]:
    if ats >= 0.0:
        switches[int(ats)].load_kw += power_kw
    else:
        shared += power_kw
    return shared, cooling + power_kw


@njit(cache=True)
def _onto(feeds: Any, feed: float, load_kw: float) -> float:
    """Puts a load on that feed and returns 0; returns the load where the feed has no voltage or is not named."""
    if _live(feeds, feed):
        feeds[int(feed)].load_kw += load_kw
        return 0.0
    return load_kw


@njit(cache=True)
def stored_kj(s: Any) -> float:
    """Heat in dies, plates, coolant, facility water and air, above 0 C."""
    kj = 0.0
    for i in range(s.gpu_node.size):
        n = s.gpu_node[i]
        for k in range(int(n.gpu_first), int(n.gpu_first) + int(n.gpu_rows)):
            g = s.gpu[k]
            kj += n.count * g.count * (n.c_die * g.die_c + n.c_plate * g.plate_c) / 1000.0
    for i in range(s.rack.size):
        if s.rack[i].cdu >= 0.0:
            kj += s.rack[i].kj_per_k * s.rack[i].outlet_temp_c
    for i in range(s.cdu.size):
        kj += s.cdu[i].kj_per_k * s.cdu[i].supply_temp_c
    for i in range(s.water.size):
        kj += s.water[i].kj_per_k * s.water[i].temp_c
    for i in range(s.hall.size):
        kj += s.hall[i].kj_per_k * s.hall[i].temp_c
    return kj


@njit(cache=True)
def battery_kj(s: Any) -> float:
    """Energy in storage and UPS batteries."""
    kj = 0.0
    for i in range(s.ess.size):
        kj += 36.0 * s.ess[i].soc_pct * s.ess[i].capacity_kwh * s.ess[i].capacity_pu
    for i in range(s.ups.size):
        kj += 36.0 * s.ups[i].battery_pct * s.ups[i].battery_kwh * s.ups[i].battery_capacity_pu
    return kj


@stage
def _totals(s: Any, h: float, grid_lost_kw: float) -> None:
    """Sums of the site, PUE, meters."""
    site = s.site[0]
    it_kw, losses_kw = site.house_kw if _any_feed(s.feed) else 0.0, grid_lost_kw
    for i in range(s.rack.size):
        it_kw += s.rack[i].power_kw
    for i in range(s.pdu.size):
        losses_kw += s.pdu[i].loss_kw
    for i in range(s.ups.size):
        losses_kw += s.ups[i].loss_kw
    site.it_kw, site.losses_kw = it_kw, losses_kw
    lights_kw = site.lights_kw if _any_feed(s.feed) else 0.0
    site.pue = (it_kw + losses_kw + site.cooling_kw + lights_kw) / it_kw if it_kw > 0.0 else 0.0
    site.grid_kwh += site.grid_kw * h / 3600.0
    site.it_kwh += it_kw * h / 3600.0


@njit(cache=True)
def _balance(s: Any, h: float, heat0: float, battery0: float, out_kj: float, foreign_kw: float) -> None:
    """All that came from the grid has left, or is stored as heat or charge."""
    site = s.site[0]
    site.stored_kj, site.battery_kj, site.heat_out_kj = stored_kj(s), battery_kj(s), out_kj
    drawn = (site.grid_kw + foreign_kw) * h
    moved = abs(drawn) + abs(site.battery_kj - battery0) + abs(out_kj)
    site.residual_kj = drawn - out_kj - (site.stored_kj - heat0) - (site.battery_kj - battery0)
    site.total_kj = drawn
    if moved > 0.0:
        site.residual_pu = max(site.residual_pu, abs(site.residual_kj) / moved)


@njit(cache=True)
def _foreign_kw(s: Any) -> float:
    """Heat that comes in from what this run does not hold, less its load that is counted on the feeds."""
    kw = 0.0
    for i in range(s.water.size):
        kw += s.water[i].other_kw
    for i in range(s.hall.size):
        kw += s.hall[i].other_kw
    for i in range(s.feed.size):
        kw -= s.feed[i].other_kw
    return kw


@stage
def step(s: Any, e: Any, h: float, check: bool) -> None:
    """Moves everything by `h` seconds. With `check` the balance of energy is taken, which costs two sums."""
    heat0 = stored_kj(s) if check else 0.0
    battery0 = battery_kj(s) if check else 0.0
    _weather(s, h)
    _voltage(s, e, h)
    _fabric(s, e)
    _pools(s, e, h)
    _flows(s, e, h)
    _nodes(s, e, h)
    _gather(s)
    for i in range(s.water.size):
        s.water[i].heat_kw = 0.0
    s.site[0].ups_charge_kw = 0.0
    _loops(s, e, h)
    direct_kw = _chain(s, e, h)
    out_kj = _rooms(s, e, h)
    out_kj += _waters(s, e, h)
    out_kj += _storage(s, h)
    grid_lost_kw = _feeds(s, e, direct_kw)
    out_kj += (grid_lost_kw + (s.site[0].lights_kw if _any_feed(s.feed) else 0.0)) * h
    _totals(s, h, grid_lost_kw)
    if check:
        _balance(s, h, heat0, battery0, out_kj, _foreign_kw(s))


@njit(cache=True)
def _ramp(values: Any, ramps: Any, now_s: float) -> None:
    """Quantities on their way: rows of offset, from, to, start and length in seconds."""
    for k in range(ramps.shape[0]):
        share = (now_s - ramps[k, 3]) / ramps[k, 4] if ramps[k, 4] > 0.0 else 1.0
        if share >= 0.0:
            values[int(ramps[k, 0])] = ramps[k, 1] + (ramps[k, 2] - ramps[k, 1]) * min(1.0, share)


@njit(cache=True)
def run(
    s: Any,
    e: Any,
    values: Any,
    h: float,
    steps: int,
    check: bool,
    ramps: Any,
    probes: Any,
    every: int,
    history: Any,
) -> None:
    """So many steps. `ramps` move quantities; after each `every` steps `probes` (offsets) are written to a row of
    `history`."""
    row = 0
    for k in range(steps):
        if ramps.shape[0] > 0:
            _ramp(values, ramps, s.site[0].elapsed_s + h)
        step(s, e, h, check)
        if every > 0 and (k + 1) % every == 0 and row < history.shape[0]:
            for j in range(probes.size):
                history[row, j] = values[probes[j]]
            row += 1
