"""What the tools that only a conversation has found, in words: a sentence and the lines behind it. Numbers are copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents.alert_facts import quoted
from agents.plant_answers import Result, Told, n

MOST = 8


def _plan(r: Result) -> Told:
    plain = (
        r["headline"]
        if not r["nothing"]
        else f"Nothing can be planned by the {r['loop']} loop: {r['nothing']}"
    )
    lines = [f"foreseen: {r['foreseen']}"] + ([f"advice: {r['advice']}"] if r["nothing"] else [])
    lines += [f"{move['at']}: {move['action']}; {move['why']}{_saves(move)}" for move in r["moves"][:4]]
    more = len(r["moves"]) - 4 + r["moves_left_out"]
    lines += [f"and {more} more moves: setpoint plan {r['loop']}"] if more > 0 else []
    lines += [
        f"worth: {n(one['saved'], one['unit'])} of {one['what']} ({n(one['saved_pct'])} %) against {one['against']}"
        for one in r["savings"]
    ]
    lines += [f"risk: {one['what']}{_chance(one)}" for one in r["risks"][:3]]
    lines += [f"trouble: {what}" for what in r["troubles"][:3]]
    return plain, [*lines, f"note: {r['note']}"]


def _saves(move: Mapping[str, Any]) -> str:
    return f" (saves {move['saves']})" if move["saves"] else ""


def _chance(risk: Mapping[str, Any]) -> str:
    return "" if risk["chance_pct"] is None else f", chance {n(risk['chance_pct'])} %"


def _forecast(r: Result) -> Told:
    if not r["courses"]:
        return f"Nothing can be foreseen by the {r['loop']} loop.", [*r["troubles"], f"note: {r['note']}"]
    first = r["courses"][0]
    plain = f"{first['what']}: at most {n(first['highest'], first['unit'])} at {first['highest_at']} within {n(r['hours'], 'h')}."
    lines = [
        f"{point['at']}: {n(point['expected'], first['unit'])} ({n(point['low'])} to {n(point['high'])})"
        for point in first["points"]
    ]
    lines += [
        f"{one['what']}: at most {n(one['highest'], one['unit'])} at {one['highest_at']}"
        for one in r["courses"][1:]
    ]
    sure = f"intervals hold {n(first['level_pct'])} % of the values"
    return plain, [*lines, f"{sure}; {first['method']}", f"note: {r['note']}"]


def _headroom(r: Result) -> Told:
    if not r["gear"]:
        return "No load of that gear is read.", [f"not read: {', '.join(r['not_read'])}"] if r[
            "not_read"
        ] else []
    least = r["gear"][0]
    which = f"The tightest, {least['asset']}," if len(r["gear"]) > 1 else least["asset"]
    plain = (
        f"{which} carries {n(least['load_kw'], 'kW')} of {n(least['rated_kw'], 'kW')} ({n(least['use_pct'])} %): "
        f"{n(least['headroom_kw'], 'kW')} left."
    )
    lines = [
        f"{one['asset']}: {n(one['load_kw'])} of {n(one['rated_kw'], 'kW')}, {n(one['headroom_kw'], 'kW')} left"
        for one in r["gear"][1:MOST]
    ]
    if r["site_kw"] is not None and r["contracted_kw"] is not None:
        lines.append(f"the site draws {n(r['site_kw'], 'kW')}, contracted are {n(r['contracted_kw'], 'kW')}")
    return plain, [*lines, f"note: {r['note']}"]


def _decisions(r: Result) -> Told:
    about = f" on {r['subject']}" if r["subject"] else ""
    judged = r["judgements"]
    lines = [_judgement(one) for one in judged]
    lines += [f"and {n(r['left_out'])} more: setpoint review list --all"] if r["left_out"] else []
    lines += [
        f"{one['at']}: {one['who']}: {one['what']} {one['subject']}{_because(one['why'])}"
        for one in r["deeds"]
    ]
    if not judged:
        return f"Nobody has been asked to decide anything{about}.", lines
    last = next((one for one in judged if one["decision"]), judged[0])
    if not last["decision"]:
        return f"{last['review']} ({last['asked']}) is {last['state']}; nobody has decided it.", lines
    return f"{last['review']} ({last['asked']}): {_verdict(last)}.", lines


def _verdict(one: Mapping[str, Any]) -> str:
    agreed = ", ".join(one["agreed"])
    by = agreed if one["decision"] == "approve" and agreed else one["decided_by"]
    return f"{_DONE.get(one['decision'], one['decision'])} by {by}{_because(one['reason'])}"


_DONE = {"approve": "approved", "edit": "approved with changes", "reject": "rejected", "respond": "answered"}


def _judgement(one: Mapping[str, Any]) -> str:
    state = (
        _verdict(one)
        if one["decision"]
        else f"{one['state']}, {len(one['agreed'])} of {one['needed']} agreed"
    )
    act = f"; {one['act']}" if one["act"] else ""
    return f"{one['asked_at']}: {one['review']} {one['asked']} (asked by {one['proposed_by']}): {state}{act}"


def _because(why: str) -> str:
    return f", because: {quoted(why)}" if why else ""


def _evidence(r: Result) -> Told:
    first = r["causes"][0] if r["causes"] else None
    plain = (
        f"{r['id']}: {first['title']} ({n(first['share_pct'])} %)."
        if first
        else f"{r['id']}: no cause is named."
    )
    lines = [
        f"{one['title']}: {n(one['share_pct'])} %; for it {', '.join(one['supports']) or 'nothing'}; against it "
        f"{', '.join(one['contradicts']) or 'nothing'}{_missing(one)}"
        for one in r["causes"][:4]
    ]
    lines += [f"{one['id']}: {one['quoted']}" for one in r["evidence"]]
    return plain, [*lines, *([f"and {n(r['left_out'])} more pieces"] if r["left_out"] else [])]


def _missing(one: Mapping[str, Any]) -> str:
    return f"; not seen: {', '.join(one['missing'])}" if one["missing"] else ""


def _draft(r: Result) -> Told:
    plain = f'I can put that to review: {_lower(r["words"])} ({r["risk"]} risk). It is asked once you say "propose it".'
    lines = [
        f"effect: {r['effect']}",
        f"undo: {r['rollback']}",
        f"needs the yes of {_people(r['people'])} who did not propose it",
    ]
    return plain, [
        *lines,
        *([f"as things stand an interlock refuses it: {r['against']}"] if r["against"] else []),
    ]


def _people(many: int) -> str:
    return "one person" if many == 1 else f"{many} people"


def _proposed(r: Result) -> Told:
    review = r["review"]
    proposal = review["proposal"] or {}
    lines = (
        [f"why: {quoted(proposal['why'])}", f"{proposal['risk']} risk; {proposal['effect']}"]
        if proposal
        else []
    )
    rehearsed = (proposal.get("rehearsal") or {}).get("said") if proposal else ""
    lines += [f"rehearsed: {rehearsed}"] if rehearsed else []
    return f"{r['said']}.", [*lines, "it waits for the yes of somebody else; I cannot give it"]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


TELL_MORE: dict[str, Callable[[Result], Told]] = {
    "plan": _plan, "forecast": _forecast, "headroom": _headroom, "decisions": _decisions, "evidence": _evidence,
    "draft_action": _draft, "propose": _proposed,
}  # fmt: skip
"""Tools whose results are put into words here."""


def tell_more(tool: str, result: Any) -> Told:
    """Words for the tool's result; what a tool refuses is its own words."""
    if isinstance(result, Mapping):
        return TELL_MORE[tool](result)
    said = str(result).strip().rstrip(".")
    return f"{_REFUSED.get(tool, '')}{said[:1].upper() if tool not in _REFUSED else said[:1]}{said[1:]}.", []


_REFUSED = {"draft_action": "I cannot put that to review: ", "propose": "I cannot put that to review: "}
