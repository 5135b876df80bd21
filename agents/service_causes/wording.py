"""Evidence and conclusion in plain words. Numbers, names and quotes come from the evidence as they stand there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from agents.service_causes.changes import Movement, runs_out
from agents.service_causes.findings import Certainty, Cited, Role
from agents.service_causes.signs import Placed
from agents.service_causes.weigh import Piece, Seen
from tools.case_types import Consumer, Fact, Line

LONGEST_QUOTE = 420


def number(value: float) -> str:
    """As many figures as say something.

    >>> number(1468.3), number(214748364800.0), number(0.00123456)
    ('1468.3', '214748364800', '0.001235')
    """
    return f"{value:.0f}" if abs(value) >= 1e5 else f"{value:.4g}" if abs(value) < 1000 else f"{value:.6g}"


def measured(value: float, unit: str) -> str:
    """A value with its unit as the source has them; large byte counts also in what people read.

    >>> measured(107374182400.0, "Bytes"), measured(84.7, "Percent")
    ('107374182400 Bytes (100.0 GiB)', '84.7 Percent')
    """
    text = f"{number(value)} {unit}".rstrip()
    if unit.lower() not in ("bytes", "byte", "b") or abs(value) < 2**20:
        return text
    scale, name = next((s, n) for s, n in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB")) if abs(value) >= s)
    return f"{text} ({value / scale:.1f} {name})"


def source(file: str) -> str:
    """A file's name as the source it comes from.

    >>> source("aws_performance_insights.json"), source("logs/k8s-events.log")
    ('AWS Performance Insights', 'K8S Events')
    """
    stem = file.rsplit("/", 1)[-1].split(".")[0]
    return " ".join(w.upper() if len(w) <= 3 else w.capitalize() for w in re.split(r"[_\W]+", stem) if w)


def clock(at: datetime) -> str:
    """`13:01:04 UTC`; the day is named once, in the head."""
    return at.strftime("%H:%M:%S UTC")


def of_movement(moved: Movement, role: Role) -> Cited:
    """A movement as evidence."""
    r = moved.readings
    return Cited(
        file=r.file, place=r.field, quote=f"{r.name} {number(moved.before)} to {number(moved.after)} {r.unit}".rstrip(),
        text=movement_words(moved), time=moved.onset, role=role,
    )  # fmt: skip


def movement_words(moved: Movement) -> str:
    """How a series moved, in one sentence."""
    r = moved.readings
    whose = f" of {r.of}" if r.of and len(r.of) < 60 else ""
    bound = _share_of_bound(moved)
    if not moved.events or moved.before == moved.after:
        return f"{r.name}{whose} was at {measured(moved.after, r.unit)}{bound}."
    if moved.spikes:
        often = f"{r.name}{whose} jumped {len(moved.spikes)} times from {number(moved.before)} to about"
        return f"{often} {measured(moved.peak, r.unit)}, first at {clock(moved.spikes[0])}, and came back each time."
    end = r.values[-1]
    way = "rose" if moved.peak > moved.before else "fell"
    since = f" from {clock(moved.onset)} on" if moved.onset else ""
    first = moved.before
    text = f"{r.name}{whose} {way} from {number(first)} to {measured(moved.peak, r.unit)}{since}"
    if moved.recovered:
        return f"{text} and came back to {measured(end, r.unit)}: recovered."
    if end != moved.peak:
        text += f", last {measured(end, r.unit)}"
    left = runs_out(moved)
    tail = (
        f"; at this pace it runs out in {left.total_seconds() / 60:.0f} minutes"
        if left and left.total_seconds() < 6 * 3600 and end > 0
        else ""
    )
    return f"{text}{bound}{tail}."


def _share_of_bound(moved: Movement) -> str:
    if moved.bound is None or moved.quantity.role not in ("saturation", "queue") or moved.bound.value <= 0:
        return ""
    share = max(moved.peak, moved.after) / moved.bound.value
    stated = f", limit {number(moved.bound.value)} in {moved.bound.file}" if moved.bound.file else ""
    return f" ({share:.0%} of what there is{stated})" if share >= 0.5 else ""


def of_line(placed: Placed, role: Role) -> Cited:
    """A line as evidence."""
    line = placed.said.line
    quote = line.text if len(line.text) <= LONGEST_QUOTE else f"{line.text[:LONGEST_QUOTE]} ..."
    often = f" ({placed.said.times} such lines)" if placed.said.times > 1 else ""
    about = f" [{line.about}]" if line.about and len(line.about) < 60 and line.about not in line.text else ""
    return Cited(
        file=line.file,
        place=line.field,
        quote=quote,
        text=f"{quote}{about}{often}",
        time=line.time,
        role=role,
    )


def of_consumer(consumer: Consumer, share: float, role: Role) -> Cited:
    """The first of a ranking as evidence."""
    parts = ", ".join(f"{name} {weight:g}" for name, weight in consumer.parts[:3])
    text = f"{consumer.name} leads {consumer.table} of {source(consumer.file)} with {consumer.measure} {consumer.weight:g}{f' ({share:.0%})' if share else ''}{f', {consumer.kind}' if consumer.kind and len(consumer.kind) < 60 else ''}"
    return Cited(
        file=consumer.file, place=consumer.field, quote=consumer.name, text=text + (f": {parts}" if parts else "") + ".", role=role,
    )  # fmt: skip


def of_bound(moved: Movement) -> Cited | None:
    """The stated limit a movement ran against, as evidence; None for a natural bound."""
    bound = moved.bound
    if bound is None or not bound.file:
        return None
    return Cited(
        file=bound.file,
        place=bound.place,
        quote=bound.words,
        text=f"The limit: {bound.words}.",
        role="context",
    )


def of_facts(pair: tuple[Fact, Fact], role: Role) -> Cited:
    """A use beside its limit as evidence."""
    use, limit = pair
    text = f"{use.key} is {use.text}, {limit.key} is {limit.text}."
    return Cited(file=use.file, place=use.field, quote=f"{use.key} {use.text}", text=text, role=role)


def of_item(source: Movement | Placed | Line | Fact, seen: Seen) -> Cited:
    """A piece of evidence that no mode of ours asked for."""
    if isinstance(source, Movement):
        return of_movement(source, "symptom" if source.events else "context")
    if isinstance(source, Placed):
        return of_line(source, "change" if source.said.sign.role == "change" else "cause")
    if isinstance(source, Fact):
        text = f"{source.of} {source.key}: {source.text}".strip()
        return Cited(
            file=source.file, place=source.field, quote=text[:LONGEST_QUOTE], text=text[:LONGEST_QUOTE]
        )
    return Cited(
        file=source.file,
        place=source.field,
        quote=source.text[:LONGEST_QUOTE],
        text=source.text[:LONGEST_QUOTE],
        time=source.time,
    )


def of_piece(piece: Piece, seen: Seen, role: Role) -> Cited:
    """Any piece of evidence."""
    if isinstance(piece.source, Movement):
        return of_movement(piece.source, role)
    if isinstance(piece.source, Placed):
        return of_line(piece.source, role)
    if isinstance(piece.source, tuple):
        return of_facts(piece.source, role)
    row = seen.loads.wait_rows[piece.source]
    return of_consumer(row, seen.loads.waits[piece.source], role)


def certainty(share: float, mode: str) -> Certainty:
    if mode == "unknown":
        return "open"
    return "clear" if share >= 0.8 else "likely" if share >= 0.5 else "open"


def sure(how: Certainty, share: float) -> str:
    """How firmly the first sentence speaks."""
    if how == "clear":
        return "The root cause is"
    return f"{'The likely root cause' if how == 'likely' else 'The most likely of several causes'} ({share:.0%}) is"


def joined(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
