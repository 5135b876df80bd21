"""What a plant tool found, in a sentence with the key figures and the facts behind it.

Every number is copied from the tool's result; nothing is worked out here but which of them are worth saying.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Result = Mapping[str, Any]
Told = tuple[str, list[str]]
"""The sentence, and the lines under it."""
MOST_LINES = 12


def tell(tool: str, result: Any) -> Told:
    """Words for the tool's result; what a tool refuses is its own words."""
    if not isinstance(result, Mapping):
        said = re.sub(r"^(\w+): Field required$", r"The question lacks \1", str(result))
        return f"{said.rstrip('.')}.", [f'ask for example: "{_ASK[tool]}"'] if tool in _ASK else []
    plain, lines = _TELL[tool](result)
    note = result.get("note", "")
    return plain, [*lines[:MOST_LINES], *([f"note: {note}"] if note else [])]


def n(value: float | int | None, unit: str = "") -> str:
    """A number as people read it, with its unit.

    >>> n(1330896, "tokens"), n(0.4567), n(None, "ms"), n(40.0)
    ('1,330,896 tokens', '0.457', 'none', '40')
    """
    if value is None:
        return "none"
    large = abs(value) >= 1000
    text = f"{value:,.0f}" if large else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return f"{text} {unit}" if unit else text


def pct(share: float | None) -> str:
    """A share in percent.

    >>> pct(0.225), pct(0.0061)
    ('22.5 %', '0.61 %')
    """
    return "none" if share is None else f"{100 * share:.3g} %"


# ---- serving -----------------------------------------------------------------------------------------------------


def _kv_cache(r: Result) -> Told:
    held = f"{pct(r['occupancy_pu'])} full at {n(r['rate_rps'])} requests a second" if r["occupancy_pu"] is not None else (
        f"overrun at {n(r['rate_rps'])} requests a second")  # fmt: skip
    if r["use_now_pct"] is not None:
        held = f"{n(r['use_now_pct'], '%')} full now by its telemetry; by the model {held}"
    plain = (
        f"The KV cache of {r['what']} is {held}; a preempted sequence of {n(r['preempted_tokens'])} tokens is cheaper to "
        f"{r['cheaper']}."
    )
    swap = n(r["swap_ms"], "ms") if r["swap_ms"] is not None else "no room in CPU memory"
    return plain, [
        f"one instance ({n(r['gpus_each'])} GPUs, {n(r['instances'])} in all): {n(r['blocks'])} blocks of {n(r['block_tokens'])} "
        f"tokens, {n(r['pool_tokens'])} tokens, {n(r['pool_gb'], 'GB')} beside {n(r['weights_gb'], 'GB')} of weights",
        f"sequences that decode at once: {n(r['running'])}; longest context {n(r['longest_context_tokens'])} tokens; "
        f"{n(r['longest_sequences'])} of the longest fit",
        f"block table waste {pct(r['waste_pu'])} at {n(r['table_blocks'])} blocks a sequence",
        f"swap {swap}, recompute {n(r['recompute_ms'], 'ms')}",
    ]


def _batching(r: Result) -> Told:
    best = r["best"]
    at = f"{n(r['rate_rps'])} requests a second"
    if best:
        plain = (
            f"For {r['what']} at {at} batch {n(best['max_batch'])} with chunk {n(best['chunk_tokens'])} is best: "
            f"{n(best['tokens_per_s'])} tokens a second, TTFT {n(best['ttft_p99_ms'], 'ms')} and TPOT "
            f"{n(best['tpot_p99_ms'], 'ms')} at P99."
        )
    else:
        plain = f"For {r['what']} at {at} none of these limits keeps TTFT {n(r['ttft_slo_ms'], 'ms')} and TPOT {n(r['tpot_slo_ms'], 'ms')} at P99."  # fmt: skip
    lines = [f"now batch {n(r['present'][0])}, chunk {n(r['present'][1])}"]
    lines += [
        f"batch {n(row['max_batch'])}, chunk {n(row['chunk_tokens'])}: {n(row['tokens_per_s'])} tokens/s, TTFT "
        f"{n(row['ttft_p99_ms'], 'ms')}, TPOT {n(row['tpot_p99_ms'], 'ms')}, cache {pct(row['kv_peak_pu'])}"
        f"{'' if row['keeps_slo'] else ', breaks the SLO'}"
        for row in r["rows"]
    ]
    return plain, lines


def _request_way(r: Result) -> Told:
    plain = (
        f"A request to {r['what']} takes {n(r['total_ms'], 'ms')}, its first token after {n(r['ttft_ms'], 'ms')}; "
        f"most of it is {r['slowest']}."
    )
    whole = [leg for leg in r["legs"] if not leg["part_of"]]
    return plain, [
        f"{leg['stage']}: {leg['what']} {n(leg['ms'], 'ms')}"
        + (f" ({pct(leg['share_pu'])})" if leg["waited_for"] else " (not waited for)")
        for leg in whole
    ]


def _dvfs(r: Result) -> Told:
    best, full = r["best"], r["full"]
    how = f"a cap of {n(best['cap_w'], 'W')}" if best["cap_w"] else (
        f"{n(best['prefill_mhz'], 'MHz')} in prefill and {n(best['decode_mhz'], 'MHz')} in decode")  # fmt: skip
    slo = f"TTFT {n(r['ttft_slo_ms'], 'ms')} and TPOT {n(r['tpot_slo_ms'], 'ms')}"
    if best["keeps_slo"]:
        plain = (
            f"{r['what']} keeps {slo} at P99 with {how}: {pct(r['energy_saved_pu'])} less energy for a token, TTFT "
            f"{n(r['ttft_added_ms'], 'ms')} and TPOT {n(r['tpot_added_ms'], 'ms')} longer."
        )
    else:
        plain = f"No clock of {r['what']} keeps {slo} at P99 at {n(r['rate_rps'])} requests a second."
    return plain, [
        f"{name}: {n(one['gpu_w'], 'W')} a GPU, {n(one['joule_per_1000_tokens'], 'J')} per 1,000 tokens, TTFT "
        f"{n(one['ttft_p99_ms'], 'ms')}, TPOT {n(one['tpot_p99_ms'], 'ms')}"
        for name, one in (("full clock", full), ("best", best))
    ]


# ---- energy ------------------------------------------------------------------------------------------------------


def _ess_state(r: Result) -> Told:
    plain = (
        f"{r['asset']} stands at {n(r['soc_pct'], '%')}: {n(r['usable_kwh'], 'kWh')} usable, "
        f"{n(r['minutes_at_rated'], 'min')} at {n(r['rated_kw'], 'kW')}."
    )
    reserve = f", {n(r['soc_reserve_pct'], '%')} kept in reserve" if r["soc_reserve_pct"] is not None else ""
    return plain, [
        f"power now {n(r['power_kw'], 'kW')}, {'available' if r['available'] else 'not available'}",
        f"window {n(r['soc_min_pct'])} to {n(r['soc_max_pct'], '%')}{reserve}; room for {n(r['room_kwh'], 'kWh')}",
        f"capacity {n(r['capacity_kwh'], 'kWh')}, health {pct(r['soh_pu'])}, loss {n(r['loss_kw_at_rated'], 'kW')} at full power",
        f"the site draws {n(r['site_kw'], 'kW')}; alone it lasts {n(r['minutes_at_site_load'], 'min')}",
    ]


def _ess_runtime(r: Result) -> Told:
    if r["carries_it"]:
        plain = f"{r['asset']} carries {n(r['load_kw'], 'kW')} for {n(r['minutes'], 'min')} from {n(r['soc_pct'], '%')}."
    else:
        plain = (
            f"{r['asset']} cannot carry {n(r['load_kw'], 'kW')} alone; at its most, {n(r['most_kw'], 'kW')}, it lasts "
            f"{n(r['minutes_at_most'], 'min')} from {n(r['soc_pct'], '%')}."
        )
    return plain, [f"gives {n(r['energy_kwh'], 'kWh')} down to {n(r['keep_pct'], '%')}"]


def _ess_dispatch(r: Result) -> Told:
    money = r["currency"]
    plain = (
        f"The best plan for {r['asset']} over {n(len(r['hours']))} hours saves {n(r['saving'], money)} "
        f"({pct(r['saving_pu'])}) of {n(r['bill_without'], money)}; the peak is {n(r['peak_kw'], 'kW')} in place of "
        f"{n(r['peak_without_kw'], 'kW')}."
    )
    lines = [f"discharges {n(r['discharged_kwh'], 'kWh')}, from {n(r['soc_start_pct'], '%')}"]
    return plain, lines + [
        f"{_clock(hour['hour'])} {'discharge' if hour['ess_kw'] > 0 else 'charge'} {n(abs(hour['ess_kw']), 'kW')} at "
        f"{hour['price_per_kwh']:g} {money}/kWh, then {n(hour['soc_pct'], '%')}"
        for hour in r["hours"] if abs(hour["ess_kw"]) > 0.5
    ]  # fmt: skip


def _clock(hour: float) -> str:
    return f"{int(hour):02d}:{round(60 * (hour % 1)) % 60:02d}"


# ---- cooling -----------------------------------------------------------------------------------------------------


def _cooling(r: Result) -> Told:
    if len(r["assets"]) > 1:
        least = next(one for one in r["assets"] if one["asset"] == r["least_headroom"])
        plain = (
            f"The least cooling headroom is that of {least['asset']}: {n(least['headroom_kw'], 'kW')} above the "
            f"{n(least['heat_kw'], 'kW')} it carries."
        )
        return plain, [_cooler(one) for one in r["assets"]]
    one = r["assets"][0]
    plain = (
        f"{one['asset']} carries {n(one['heat_kw'], 'kW')} and has {n(one['headroom_kw'], 'kW')} of headroom."
    )
    if r["load_kw"] != one["heat_kw"]:
        verdict = "can" if r["carries_load"] else "cannot"
        flow = f", with {n(r['flow_needed_lpm'], 'L/min')}" if r["flow_needed_lpm"] is not None else ""
        plain = f"{one['asset']} {verdict} carry {n(r['load_kw'], 'kW')}{flow}; it carries {n(one['heat_kw'], 'kW')} now."
    lines = [_cooler(one)]
    if r["flow_needed_lpm"] is not None:
        lines.append(
            f"{n(r['load_kw'], 'kW')} need {n(r['flow_needed_lpm'], 'L/min')} at {n(r['design_delta_t_k'], 'K')}; at the "
            f"present flow the rise is {n(r['delta_t_at_load_k'], 'K')}"
        )
    if r["air_needed_m3_s"] is not None:
        lines.append(f"air needed {n(r['air_needed_m3_s'], 'm3/s')}")
    return plain, lines


def _cooler(one: Result) -> str:
    said = [
        f"{words} {n(one[key], unit)}"
        for key, words, unit in (
            ("flow_lpm", "flow", "L/min"), ("supply_temp_c", "supply", "C"), ("return_temp_c", "return", "C"),
            ("delta_t_k", "delta-T", "K"), ("inlet_temp_c", "inlet", "C"), ("cop", "COP", ""),
        )
        if one[key] is not None
    ]  # fmt: skip
    stopped = "" if one["running"] else ", not running"
    return (
        f"{one['asset']}: {n(one['heat_kw'])} of {n(one['capacity_kw'], 'kW')}, headroom {n(one['headroom_kw'], 'kW')}"
        f"{stopped}{', ' if said else ''}{', '.join(said)}"
    )


def _asset_lost(r: Result) -> Told:
    names = " and ".join(r["assets"])
    fails = "fail" if len(r["assets"]) > 1 else "fails"
    down = f", and {n(r['nodes_down'])} nodes are down" if r["nodes_down"] else ""
    if r["minutes_to_limit"] is not None:
        heat = (
            f"a GPU reaches its limit of {n(r['gpu_limit_c'], 'C')} after {n(r['minutes_to_limit'], 'min')} (hottest: "
            f"{r['hottest_gpu']}, {n(r['hottest_gpu_c'], 'C')}){down} after {n(r['minutes'], 'min')}"
        )
    else:
        moved = next((one for one in r["readings"] if one["asset"] not in r["assets"]), None)
        felt = (
            f"; {moved['asset']} {moved['metric']} goes from {n(moved['without'])} to {n(moved['with_loss'])}"
            if moved
            else ""
        )
        heat = (
            f"the hottest GPU comes to {n(r['hottest_gpu_c'], 'C')} of {n(r['gpu_limit_c'], 'C')} allowed within "
            f"{n(r['minutes'], 'min')}{down}{felt}"
        )
    lines = [f"stand-by: {', '.join(r['stand_by'])}"] if r["stand_by"] else []
    if r["minutes_to_inlet_limit"] is not None:
        lines.append(
            f"rack inlets pass {n(r['inlet_limit_c'], 'C')} after {n(r['minutes_to_inlet_limit'], 'min')}"
        )
    if r["nodes_throttled"]:
        lines.append(f"{n(r['nodes_throttled'])} nodes are throttled by heat")
    lines.append(f"at full load: {r['at_full_load']}")
    return f"If {names} {fails} and nobody acts, {heat}.", lines + [
        f"{one['asset']} {one['metric']}: {n(one['without'])} -> {n(one['with_loss'])}"
        for one in r["readings"]
    ]


def _rehearsed(r: Result) -> Told:
    refused = [f"the interlock would refuse it: {r['refused']}"] if r["refused"] else []
    ways = [
        f"{one['label']}: {n(100 * one['worst_risk'], '%')} at worst, GPU work {n(one['gpu_work_pct'], '%')}, "
        f"{n(one['energy_kwh'], 'kWh')}"
        for one in r["options"]
    ]
    runs = f"{n(r['members'])} runs each way over {n(r['horizon_min'], 'min')}, {r['note']}"
    return r["said"], [*refused, *ways, runs]


# ---- plans -------------------------------------------------------------------------------------------------------


def _what_if(r: Result) -> Told:
    rows = r["rows"]
    by_name = {row["what"]: row for row in rows}
    energy = by_name["energy per 1,000 tokens"]
    worst = max(
        (row for row in rows if row["what"].endswith("TPOT P99") and row["change_pct"] is not None),
        key=lambda row: abs(row["change_pct"]), default=None,
    )  # fmt: skip
    plain = f"With {', '.join(r['changes'])} the energy per 1,000 tokens goes from {_from_to(energy)}"
    if worst is not None:
        plain += f", TPOT P99 of {worst['what'].split(':')[0]} from {_from_to(worst)}"
    moved = [row for row in rows if row["change_pct"] is not None and abs(row["change_pct"]) >= 0.5]
    moved.sort(key=lambda row: -abs(row["change_pct"]))
    return f"{plain}.", [
        f"{row['what']}: {_from_to(row)} ({row['change_pct']:+.3g} %)" for row in moved
    ] or ["nothing else moves by half a percent"]  # fmt: skip


def _from_to(row: Result) -> str:
    unit = row["unit"]
    return f"{n(row['without'])} to {n(row['with_it'], '' if unit == 'share' else unit)}"


def _sizing(r: Result) -> Told:
    best = r["best"]
    plain = (
        f"{r['model']} at {n(r['rate_rps'])} requests a second within {r['slo']} needs {n(best['gpus'])} {r['gpu']}: "
        f"{n(best['instances'])} {'instance' if best['instances'] == 1 else 'instances'} of {_split(best)}, "
        f"{n(best['power_kw'], 'kW')}."
    )
    lines = [
        f"batch {n(best['max_batch'])}, chunk {n(best['chunk_tokens'])}, clocks {n(best['prefill_mhz'])} in prefill and "
        f"{n(best['decode_mhz'], 'MHz')} in decode",
        f"TTFT {n(best['ttft_p99_ms'], 'ms')} and TPOT {n(best['tpot_p99_ms'], 'ms')} at P99, {n(best['tokens_per_s'])} "
        f"tokens/s, {n(best['joule_per_1000_tokens'], 'J')} per 1,000 tokens",
        f"limited by {r['limited_by']}",
        f"prefill and decode {r['prefill_and_decode']}: {r['prefill_and_decode_why']}",
        f"decode on {r['decode_on'].upper()}: {r['decode_on_why']}",
    ]
    if other := r["runner_up"]:
        lines.append(f"next best: {n(other['gpus'])} GPUs, {n(other['instances'])} x {_split(other)}")
    return plain, lines


def _split(one: Result) -> str:
    ways = ", ".join(f"{k} {n(one[k])}" for k in ("tp", "pp", "dp", "ep") if one[k] > 1) or "one GPU"
    return f"{ways} in {one['weights']}"


def _parallelism(r: Result) -> Told:
    what = f"To {r['purpose']} {r['model']} on {r['gpu']}"
    plain = f"{what}, {r['best']} is best: {r['why']}." if r["best"] else f"{what}: {r['why']}."
    lines = [
        f"{one['name']}: " + (f"decode step {n(one['decode_ms'], 'ms')}, {pct(one['communication_pu'])} messages, "
        f"{n(one['weights_gb'], 'GB')} of weights each" + (f"; {one['notes']}" if one["notes"] else "")
        if one["possible"] else f"not possible: {one['why_not']}")
        for one in r["serve"]
    ]  # fmt: skip
    lines += [
        f"{one['name']}: " + (f"{n(one['tokens_per_s'])} tokens/s, {pct(one['communication_pu'])} messages, "
        f"{n(one['communication_gb'], 'GB')} sent a step, {n(one['memory_gb'], 'GB')} each" if one["possible"]
        else f"not possible: {one['why_not']}")
        for one in r["train"]
    ]  # fmt: skip
    return plain, lines


# ---- what there is -----------------------------------------------------------------------------------------------


def _site_summary(r: Result) -> Told:
    gpus = ", ".join(f"{n(count)} {name}" for name, count in r["gpus"].items())
    plain = (
        f"{r['name']} has {gpus} in {n(r['nodes'])} nodes and draws {n(r['grid_now_kw'], 'kW')} now, PUE {n(r['pue_now'])}; "
        f"{n(r['grid_full_kw'], 'kW')} at full load."
    )
    lines = [
        f"{one['name']}: {n(one['instances'])} x {one['model']} on {one['gpu']} ({one['nodes']})"
        for one in r["pools"]
    ]
    tight = min(r["gear"], key=lambda one: one["headroom_kw"] / one["capacity_kw"], default=None)
    if tight:
        lines.append(f"tightest at full load: {tight['worst']} at {pct(tight['worst_pu'])}")
    lines += [f"not redundant: {one}" for one in r["not_redundant"]]
    lines.append(
        f"ESS {n(r['ess_kwh'], 'kWh')}, {n(r['ess_kw'], 'kW')}; UPS {n(r['ups_minutes_at_full_load'], 'min')} at full load"
    )
    return plain, lines + [f"warning: {one}" for one in r["warnings"]]


def _host_paths(r: Result) -> Told:
    plain = f"{r['host']} can use {n(r['usable'])} of {n(len(r['paths']))} data paths."
    quick = [one for one in r["paths"] if one["load_s"] is not None]
    if quick:
        best = min(quick, key=lambda one: one["load_s"])
        plain = f"{plain[:-1]}; weights load fastest over {best['path']}, {n(best['load_s'], 's')}."
    lines = []
    for one in r["paths"]:
        rate = f", {n(one['gb_per_s'], 'GB/s')}" if one["gb_per_s"] is not None else ""
        load = f", weights in {n(one['load_s'], 's')}" if one["load_s"] is not None else ""
        why = f": {one['why']}" if one["usable"] != "usable" and one["why"] else ""
        lines.append(f"{one['path']}: {one['usable']}{rate}{load}{why}")
    return plain, lines


def _jobs(r: Result) -> Told:
    jobs = [one for one in r["running"] if not one["service"]]
    plain = f"{n(len(jobs))} {'job runs' if len(jobs) == 1 else 'jobs run'} and {n(len(r['waiting']))} wait; {n(r['free_nodes'])} nodes are free."
    if r["freed_kw"]:
        net = (
            ""
            if r["net_freed_kw"] == r["freed_kw"]
            else f", {n(r['net_freed_kw'], 'kW')} net of what starts in its place"
        )
        plain = f"Pausing it frees {n(r['freed_kw'], 'kW')} of node power{net}; {plain}"
    if r["moved_to"]:
        plain = f"It would move to {r['moved_to']}; {plain}"
    lines = [
        f"{one['name']}: {one['nodes'] or one['state']}, {n(one['node_count'])} nodes, priority {n(one['priority'])}"
        f"{', may be paused or moved' if one['flexible'] else ''}, {n(one['above_idle_kw'], 'kW')} above idle"
        for one in (*jobs, *r["waiting"])
    ]
    lines += [f"relieves {name} by {n(kw, 'kW')}" for name, kw in r["relieved"].items()]
    if r["tightest_budget"]:
        lines.append(f"tightest budget: {r['tightest_budget']}, {n(r['tightest_headroom_kw'], 'kW')} left")
    return plain, lines + [f"waits: {why}" for why in r["why_waiting"]]


def _faults(r: Result) -> Told:
    detail = r["detail"]
    if detail and r["faults"]:
        one = r["faults"][0]
        strikes = ", ".join(detail["can_strike"]) or "nothing on this site"
        plain = f"{one['id']}: {one['title']}, {one['onset']}; cause {one['cause']}; it can strike {strikes}."
        return plain, [
            *(f"does: {effect}" for effect in detail["effects"]),
            *(f"logged: {said}" for said in detail["lines"]),
        ]
    if not r["count"]:
        return "The catalog has no fault that strikes this.", []
    plain = f"The catalog has {n(r['count'])} {'fault' if r['count'] == 1 else 'faults'} for this."
    return plain, [f"{one['id']}: {one['title']} ({one['onset']})" for one in r["faults"]]


def _trends(r: Result) -> Told:
    plain = (
        f"The site draws {n(r['annual_gwh'], 'GWh')} a year at PUE {n(r['pue'])}: nearest to the {r['nearest_by_energy']} era "
        f"in size and to the {r['nearest_by_pue']} era in PUE."
    )
    lines = [
        f"{one['era']}: {n(one['energy_twh'], 'TWh')} a year, {n(one['data_pb_per_day'])} PB a day, {n(one['data_centers'])} "
        f"data centers, PUE {n(one['pue'])}; a mean center draws {n(one['center_gwh'], 'GWh')}"
        for one in r["eras"]
    ]
    return plain, [*lines, *r["remarks"]]


# ---- telemetry ---------------------------------------------------------------------------------------------------


def _quality(r: Result) -> Told:
    purpose = r["purpose"].replace("_", " ")
    bad = [one for one in r["metrics"] if not one["fit"]]
    if not r["metrics"]:
        return f"No readings of {r['asset']} are kept, so nothing can rest on them.", []
    verdict = "are good enough" if r["fit"] else "are not good enough"
    plain = (
        f"The readings of {r['asset']} {verdict} for {purpose}: {n(len(r['metrics']) - len(bad))} of {n(len(r['metrics']))} "
        f"metrics are; it needs one reading in {n(r['needs_step_s'], 's')} or less."
    )
    return plain, [f"{one['metric']}: {one['why']}" for one in (*bad, *(m for m in r["metrics"] if m["fit"]))]


def _history(r: Result) -> Told:
    if not r["metric"]:
        return f"{r['asset']} has readings of {_some(r['metrics'])}.", []
    if not r["readings"]:
        return f"{r['asset']} has no readings of {r['metric']} in that time.", []
    plain = (
        f"{r['metric']} of {r['asset']} was {n(r['last'])} at last, between {n(r['least'])} and {n(r['greatest'])}, "
        f"{n(r['mean'])} on average."
    )
    return plain, [f"{time} {n(value)}" for time, value in r["points"][-8:]]


def _some(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


_TELL: dict[str, Callable[[Result], Told]] = {
    "kv_cache": _kv_cache, "batching": _batching, "request_way": _request_way, "dvfs": _dvfs, "ess_state": _ess_state,
    "ess_runtime": _ess_runtime, "ess_dispatch": _ess_dispatch, "cooling": _cooling, "asset_lost": _asset_lost,
    "rehearse_action": _rehearsed, "what_if": _what_if, "sizing": _sizing, "parallelism": _parallelism, "site_summary": _site_summary,
    "host_paths": _host_paths, "jobs": _jobs, "faults": _faults, "trends": _trends, "telemetry_quality": _quality,
    "telemetry_history": _history,
}  # fmt: skip
_ASK = {
    "what_if": "what if batch=64 clock=1200MHz cdu-1.supply_temp=30C",
    "sizing": "size llama-3.1-70b on H200 for 20 rps ttft=500ms tpot=50ms",
    "parallelism": "which parallelism for deepseek-v3 on 16 H200",
    "kv_cache": "how full is the KV cache of POOL",
    "batching": "which batch limit for POOL at 20 rps",
    "dvfs": "which clock for POOL with ttft=1s tpot=60ms",
    "asset_lost": "what happens if a pump, CDU, chiller or feed fails",
    "jobs": "what would pausing JOB free",
    "rehearse_action": "rehearse set_coolant_flow on cdu-1 flow_lpm=90",
}
"""How to ask for what a tool refused."""
PLANT_TOOLS = tuple(_TELL)
"""Tools whose results can be put into words."""
