"""The evidence of a conclusion, and what happened in order of time."""

from __future__ import annotations

from agents.service_causes import chain, wording
from agents.service_causes.changes import Movement
from agents.service_causes.findings import Cited, Role
from agents.service_causes.signs import Placed
from agents.service_causes.view import View, from_alert
from agents.service_causes.weigh import Piece

MOST_EVIDENCE, MOST_ORDER = 12, 16


def evidence_of(v: View) -> list[Cited]:
    if v.top is None:
        return _calm_evidence(v)
    pieces = sorted(v.top.pieces, key=lambda p: -p.weight)
    cited = [wording.of_piece(p, v.seen, _role(v, p, "cause")) for p in pieces if not from_alert(p)][:6]
    cited += _more_lines(v)
    for effect in sorted(v.effects, key=lambda m: -v.weighed[m].raw):
        strongest = [
            p for p in sorted(v.weighed[effect].pieces, key=lambda p: -p.weight) if not from_alert(p)
        ]
        cited += [wording.of_piece(p, v.seen, "effect") for p in strongest[:2]]
    if v.seen.loads.biggest_writer and v.best in chain.WRITTEN:
        cited.append(wording.of_consumer(*v.seen.loads.biggest_writer, "cause"))
    if v.seen.loads.holder:
        cited.append(wording.of_consumer(v.seen.loads.holder, 0.0, "cause"))
    cited += [
        limit
        for p in pieces
        if isinstance(p.source, Movement)
        and "full" in p.source.events
        and (limit := wording.of_bound(p.source))
    ][:1]
    cited += [wording.of_consumer(c, share, "cause") for c, share in v.seen.loads.leaders[:4]]
    cited += [wording.of_piece(p, v.seen, "cause") for p in (v.second.pieces if v.second else ()) if p.strong]
    cited += [
        wording.of_movement(m, v.shown_as(m)) for m in v.seen.moved if m.bad and v.shown_as(m) == "symptom"
    ]
    return list({(c.file, c.place, c.quote): c for c in reversed(cited)}.values())[::-1][:MOST_EVIDENCE]


def _more_lines(v: View) -> list[Cited]:
    """Further lines that say the first cause: a second witness is worth reading."""
    assert v.top is not None
    said = [
        s
        for s in v.seen.signs
        if not s.said.alert and s.weight > 0 and v.top.mode.signs.get(s.said.sign.id, 0.0) >= 1.0
    ]
    return [wording.of_line(s, "change" if s.said.sign.role == "change" else "cause") for s in said[:4]]


def _role(v: View, piece: Piece, usual: Role) -> Role:
    if isinstance(piece.source, Placed) and piece.source.said.sign.role == "change":
        return "change"
    return usual


def _calm_evidence(v: View) -> list[Cited]:
    moved = [m for m in v.seen.movements if m.bad or m.recovered]
    cited = [wording.of_movement(m, "symptom") for m in sorted(moved, key=lambda m: -m.noises)[:6]]
    steady = [
        m
        for m in v.seen.movements
        if not m.events
        and m.quantity.role in ("saturation", "errors", "latency", "lag", "availability", "free")
    ]
    cited += [_steady(m) for m in sorted(steady, key=lambda m: m.quantity.id not in v.seen.complaint)[:5]]
    lines = [
        s for s in v.seen.signs if not s.said.alert and s.said.sign.role in ("recovery", "routine", "failure")
    ]
    cited += [
        wording.of_line(s, "recovery" if s.said.sign.role == "recovery" else "context") for s in lines[:5]
    ]
    cited += [wording.of_consumer(c, share, "context") for c, share in v.seen.loads.leaders[:1]]
    return list({(c.file, c.place, c.quote): c for c in cited}.values())[:MOST_EVIDENCE]


def order_of(v: View) -> list[Cited]:
    """What happened, oldest first; what came long before or does not belong is marked."""
    found = [
        wording.of_movement(m, v.shown_as(m))
        for m in v.seen.moved
        if m.onset and (m.bad or m.quantity.id in ("demand", "limit", "log_volume", "write_load"))
    ]
    best: dict[tuple[str, str], Cited] = {}
    for placed in v.seen.signs:
        line = placed.said.line
        if line.time is None or placed.said.alert:
            continue
        cited = wording.of_line(placed, _line_role(v, placed))
        known = best.get((line.file, line.field))
        if known is None or known.role in ("context", "unrelated"):
            best[line.file, line.field] = cited
    found += best.values()
    alert = v.seen.case.alert
    if alert and alert.at:
        found.append(
            Cited(
                file=alert.file,
                place="time",
                quote=alert.title,
                text=f"Alert: {alert.title}",
                time=alert.at,
                role="symptom",
            )
        )
    weights = {
        "cause": 0,
        "change": 1,
        "effect": 2,
        "recovery": 3,
        "symptom": 3,
        "unrelated": 4,
        "context": 5,
    }
    chosen = sorted(found, key=lambda c: weights[c.role])[:MOST_ORDER]
    return sorted(chosen, key=lambda c: (c.time, c.role != "cause"))


def _line_role(v: View, placed: Placed) -> Role:
    sign = placed.said.sign
    if v.top is not None and placed.weight > 0 and sign.id in v.top.mode.signs:
        return "change" if sign.role == "change" else "cause"
    if any(sign.id in v.weighed[m].mode.signs for m in v.effects):
        return "effect"
    if v.second and sign.id in v.second.mode.signs:
        return "cause"
    if sign.role == "recovery":
        return "recovery"
    return "unrelated" if sign.role in ("change", "failure") else "context"


def _steady(moved: Movement) -> Cited:
    r = moved.readings
    text = (
        f"{r.name} stayed between {wording.number(min(r.values))} and {wording.number(max(r.values))} {r.unit}".rstrip()
        + ": within its usual band."
    )
    return Cited(
        file=r.file,
        place=r.field,
        quote=f"{r.name} {wording.number(moved.after)} {r.unit}".rstrip(),
        text=text,
    )
