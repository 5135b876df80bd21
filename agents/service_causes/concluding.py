"""The conclusion in plain sentences: what, why, since when, who drives it, whether it lasts, what it is not."""

from __future__ import annotations

from agents.service_causes import chain, wording
from agents.service_causes.signs import Placed
from agents.service_causes.view import View, from_alert
from agents.service_causes.weigh import Piece, Seen
from knowledge.service_causes import HEALTHY, load_catalog


def conclusion_of(v: View) -> str:
    case = v.seen.case
    if v.top is None:
        return _calm_conclusion(v)
    mode = v.top.mode
    said = [f"{wording.sure(v.how, v.shares[v.best])} {mode.title}: {_small(mode.mechanism)}"]
    strongest = [p for p in sorted(v.top.pieces, key=lambda p: -p.weight) if not from_alert(p)][:2]
    said += [_sentence(p, v.seen) for p in strongest]
    if who := chain.driver(v.seen.loads, mode):
        said.append(who)
    said += _trigger(v)
    if shown := [
        v.weighed[m].mode.title for m in sorted(v.effects) if v.weighed[m].proven and m not in chain.CHANGES
    ]:
        said.append(
            f"It also explains {wording.joined(shown)}: {'that is a symptom' if len(shown) == 1 else 'those are symptoms'} of it, not the root cause."
        )
    if v.second:
        said.append(
            f"Two things are wrong at once. Beside it, and not explained by it: {v.second.mode.title}. {v.second.mode.mechanism}"
        )
    aside = [m for m in v.seen.moved if m.bad and v.shown_as(m) == "unrelated"]
    if aside:
        names = wording.joined(list(dict.fromkeys(m.readings.name for m in aside))[:3])
        said.append(
            f"{names} moved too, but nothing links that to {mode.title}: it is causally independent, not the root cause."
        )
    said += _since(v)
    said += missing_of(v)
    if case.problems:
        said.append(f"{len(case.problems)} parts of the input could not be used; that lowers confidence.")
    return " ".join(said)


def _trigger(v: View) -> list[str]:
    """The change that came right before, where it is the first cause's own or hangs under it."""
    assert v.top is not None
    pieces = [
        p for one in (v.top, *(v.weighed[m] for m in v.effects if m in chain.CHANGES)) for p in one.pieces
    ]
    lines = [
        p.source.said.line
        for p in pieces
        if isinstance(p.source, Placed) and p.source.said.sign.role == "change" and not p.source.said.alert
    ]
    dated = [line for line in lines if line.time]
    return [f"Before it, at {wording.clock(line.time)}: {line.text}." for line in dated[:1] if line.time]


def _since(v: View) -> list[str]:
    """Whether it lasts, and what the evidence says of a recovery."""
    assert v.top is not None
    moved = [m for m in v.seen.moved if m.bad and m.onset and v.shown_as(m) != "unrelated"]
    after = [
        s.said.line
        for s in v.seen.signs
        if s.said.sign.role == "recovery" and s.weight > 0 and s.said.line.time
    ]
    if moved and all(m.recovered for m in moved):
        quote = f" {after[-1].text.rstrip('.')}." if after else ""
        return [f"It is over: what moved came back, and the workload resumed normally.{quote}"]
    return ["At the end of the evidence it still lasts."] if any(not m.recovered for m in moved) else []


def _calm_conclusion(v: View) -> str:
    bad = [m for m in v.seen.movements if m.bad and not m.recovered]
    if v.best == HEALTHY:
        back = [m for m in v.seen.movements if m.recovered and m.bad]
        head = (
            "No fault: the service works normally, without error."
            if not back
            else "No active fault: what moved has recovered."
        )
        said = [head, *_announced(v)]
        said += [wording.movement_words(m) for m in sorted(back, key=lambda m: -m.noises)[:2]]
        if not bad:
            said.append(
                f"All {len(v.seen.movements)} series are within normal bounds at the end, and no failure is reported."
                if v.seen.movements
                else "No failure is reported."
            )
        return " ".join(said)
    said = ["The cause is unknown: the evidence does not single one out."]
    said += [wording.movement_words(m) for m in sorted(bad, key=lambda m: -m.noises)[:2]]
    near = sorted(((s, m) for m, s in v.shares.items() if m in v.weighed), reverse=True)[:2]
    if near:
        said.append(f"Nearest: {wording.joined([f'{v.weighed[m].mode.title} ({s:.0%})' for s, m in near])}.")
    return " ".join(said)


def _announced(v: View) -> list[str]:
    """That somebody announced what happened, or that it happens again and again, in their own words."""
    lines = list(dict.fromkeys(s.said.line.text for s in chain.planned(v.seen)))
    return (
        [f"It was to be expected: {'; '.join(text[:200].rstrip('. ') for text in lines[:2])}."]
        if lines
        else []
    )


def missing_of(v: View) -> list[str]:
    """The series that would show the cause best, where none of its kind is there."""
    if v.top is None:
        return []
    mode = v.top.mode
    wanted = [event.split(".")[0] for event, weight in mode.moves.items() if weight >= 2.0]
    there = {m.quantity.id for m in v.seen.movements}
    if not wanted or there & set(wanted) or not v.seen.movements:
        return []
    title = next(q.title for q in load_catalog().quantities if q.id == wanted[0])
    return [f"No series of {title} is in the evidence: the conclusion rests on other signs."]


def _sentence(piece: Piece, seen: Seen) -> str:
    """A piece of evidence inside the conclusion: the words alone."""
    words = (
        piece.source.said.line.text
        if isinstance(piece.source, Placed)
        else wording.of_piece(piece, seen, "cause").text
    )
    return words[:300].rstrip(". ") + "."


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence
