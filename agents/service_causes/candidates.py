"""Every answer of the closed list that was weighed, with why it stands where it stands."""

from __future__ import annotations

from agents.service_causes import wording
from agents.service_causes.answers import category_of
from agents.service_causes.findings import Candidate, Standing
from agents.service_causes.signs import Placed
from agents.service_causes.view import View
from agents.service_causes.weigh import Weighed
from knowledge.service_causes import HEALTHY, UNKNOWN, load_catalog


def candidates_of(v: View) -> list[Candidate]:
    ranked = sorted(v.shares.items(), key=lambda pair: -pair[1])
    listed = [_candidate(v, mode, share) for mode, share in ranked]
    gone = [one for mode, one in v.weighed.items() if mode not in v.shares]
    listed += [_candidate(v, one.mode.id, 0.0) for one in sorted(gone, key=lambda one: -one.raw)]
    return listed + _set_aside(v)


def _set_aside(v: View) -> list[Candidate]:
    """Modes that only lines from another time speak for."""
    found: dict[str, Candidate] = {}
    for mode in load_catalog().modes.values():
        past = [
            s for s in v.seen.signs if s.weight == 0 and s.why and mode.signs.get(s.said.sign.id, 0.0) >= 1.2
        ]
        if mode.id in v.weighed or not past or past[-1].at is None:
            continue
        line = past[-1].said.line
        reason = f"{wording.clock(past[-1].at)}, {line.text[:160].rstrip('.')}: historical, {past[-1].why}"
        found.setdefault(reason, Candidate(
            mode=mode.id, title=mode.title, category=category_of(mode.id, v.seen.case.choices), share=0.0,
            standing="eliminated", reason=reason,
        ))  # fmt: skip
    return list(found.values())


def _candidate(v: View, mode: str, share: float) -> Candidate:
    one = v.weighed.get(mode)
    title = one.mode.title if one else load_catalog().categories[mode].title
    standing, reason = _standing(v, mode, share, one)
    pieces = sorted(one.pieces, key=lambda p: -p.weight)[:4] if one else []
    return Candidate(
        mode=mode, title=title, category=category_of(mode, v.seen.case.choices), share=share, standing=standing, reason=reason,
        supports=tuple(wording.of_piece(p, v.seen, "cause").text for p in pieces), against=tuple(one.against) if one else (),
    )  # fmt: skip


def _standing(v: View, mode: str, share: float, one: Weighed | None) -> tuple[Standing, str]:
    if mode == v.best:
        return "cause", "best explains what was seen"
    if v.second and mode == v.second.mode.id:
        return "second cause", "strong by itself, and the first cause does not bring it about"
    if one is None:
        words = {
            HEALTHY: "something is wrong at the end of the evidence",
            UNKNOWN: "a cause of the list fits better",
        }
        return ("possible" if share >= 0.1 else "eliminated"), words[mode]
    if mode in v.effects:
        return "effect", f"it follows from {load_catalog().modes[one.effect_of].title}"
    late = [
        p.source for p in one.pieces if isinstance(p.source, Placed) and p.source.why and p.source.weight == 0
    ]
    if one.against:
        reason = one.against[0]
    elif late:
        reason = late[0].why
    elif v.top and one.onset and v.top.onset and one.onset > v.top.onset + v.seen.slack:
        reason = f"it began at {wording.clock(one.onset)}, after {v.top.mode.title} at {wording.clock(v.top.onset)}"
    elif not one.proven:
        reason = "only weak signs speak for it"
    else:
        reason = "less of what was seen is explained by it"
    return ("possible" if share >= 0.1 else "eliminated"), reason
