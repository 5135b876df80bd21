"""The report's pictures as inline SVG: the timeline of all incidents, and readings against their limits.

Colours come from the page's style by class name, so that one picture serves the light, dark and printed page.
Nothing in here is styled inline: the page's content policy forbids it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from setpoint.app.dossier import CaseFiles, Dossier, IncidentFile, Sighting
from setpoint.app.formatting import counted, number, one_line, time_of_day, visible
from setpoint.contracts import PRIORITIES, Event, Priority

MarkKind = Literal["alert", "analysis", "decision", "action"]
LANES = 20
WIDTH, LEFT, RIGHT = 1200.0, 268.0, 18.0
TOP, LANE, STRIP = 30.0, 32.0, 44.0
COLUMN = 3.0
"""Events of one rank within so many units are one dot."""
APART = 13.0
"""Marks keep this distance, so that each can be seen."""
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
            2592000, 7776000, 31536000)  # fmt: skip
MAX_PLOTS = 8


@dataclass(frozen=True)
class Axis:
    """Seconds since 1970 to units of the picture."""

    first: float
    last: float
    left: float
    right: float

    def x(self, time: datetime | float) -> float:
        """Clamped to the picture."""
        seconds = time.timestamp() if isinstance(time, datetime) else time
        share = (seconds - self.first) / (self.last - self.first)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def ticks(self, zone: ZoneInfo, most: int) -> Iterator[tuple[float, str]]:
        """Round times of the zone: position and label."""
        length = self.last - self.first
        step = next((s for s in _STEPS_S if length / s <= most), _STEPS_S[-1])
        offset = datetime.fromtimestamp(self.first, zone).utcoffset() or timedelta()
        local = self.first + offset.total_seconds()
        seconds = local - local % step + step - offset.total_seconds()
        while seconds <= self.last:
            yield self.x(seconds), _label(datetime.fromtimestamp(seconds, zone), step)
            seconds += step


def _label(time: datetime, step: int) -> str:
    if step >= 86400:
        return f"{time:%Y-%m-%d}"
    if (time.hour, time.minute, time.second) == (0, 0, 0):
        return f"{time:%d %b}"
    return f"{time:%H:%M:%S}" if step < 60 else f"{time:%H:%M}"


def _axis(times: Sequence[float], left: float, right: float) -> Axis:
    """Over all the times, with a little room on both sides."""
    first, last = min(times), max(times)
    room = max((last - first) * 0.015, 1.0)
    return Axis(first - room, last + room, left, right)


def _text(x: float, y: float, words: str, kind: str, **more: str) -> Markup:
    return _tag("text", escape(visible(words)), x=x, y=y, **{"class": kind}, **more)


def _tag(name: str, inside: str | Markup = "", **attributes: object) -> Markup:
    """One element; attribute names with _ for -."""
    pairs = [
        Markup(' {}="{}"').format(
            key.replace("_", "-"), f"{value:.1f}" if isinstance(value, float) else value
        )
        for key, value in attributes.items()
    ]
    return Markup("<{}{}>{}</{}>").format(Markup(name), Markup("").join(pairs), inside, Markup(name))


def _title(words: str) -> Markup:
    return _tag("title", escape(visible(words)))


# ---- timeline -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """One thing Setpoint or a person did."""

    kind: MarkKind
    time: datetime
    words: str


def marks_of(file: IncidentFile, dossier: Dossier) -> list[Mark]:
    """In order of time, on the clock of the events."""
    found = [*_alerts(file), *_analyses(file), *_decisions(file, dossier), *_actions(file)]
    return sorted(found, key=lambda mark: mark.time)


def _alerts(file: IncidentFile) -> Iterator[Mark]:
    for version in file.notices:
        if (sent := version.first_sent) is not None and version.notice.stage in (
            "first",
            "escalation",
            "storm",
        ):
            yield Mark(
                "alert", file.noticed(version, sent), f"{version.notice.stage} notice: {version.notice.title}"
            )


def _analyses(file: IncidentFile) -> Iterator[Mark]:
    for item in file.story:
        if item.kind == "diagnosis":
            yield Mark("analysis", file.placed(item.time), f"analysis: {item.text}")


def _decisions(file: IncidentFile, dossier: Dossier) -> Iterator[Mark]:
    for review in file.reviews:
        said = dossier.decision_of(review.id)
        if review.decision and said:
            words = f"{review.decision.type} by {review.decision.who}: {review.subject}"
            yield Mark("decision", file.placed(said.time), words)


def _actions(file: IncidentFile) -> Iterator[Mark]:
    for record in file.actions:
        done = record.finished or record.begun
        words = f"{record.action.name} on {record.action.asset}: {record.state.replace('_', ' ')}"
        yield Mark("action", file.placed(done), words)


def timeline(dossier: Dossier) -> Markup | None:
    """A lane for each of the most urgent incidents, and how many routine events there were; None without events."""
    files = [file for file in dossier.files if not file.is_routine][:LANES]
    if dossier.first_event is None or dossier.last_event is None:
        return None
    marks = {file.incident.id: marks_of(file, dossier) for file in files}
    times = [dossier.first_event.timestamp(), dossier.last_event.timestamp()]
    times += [mark.time.timestamp() for file in files for mark in marks[file.incident.id]]
    axis = _axis(times, LEFT, WIDTH - RIGHT)
    height = TOP + LANE * len(files) + STRIP + 8
    zone = dossier.site.zone
    parts = [_ticks(axis, zone, height)]
    for row, file in enumerate(files):
        parts.append(_lane(file, marks[file.incident.id], axis, TOP + row * LANE, zone))
    parts.append(_strip(dossier.routine_times, axis, TOP + len(files) * LANE))
    words = f"Timeline of {counted(len(files), 'incident')} and {counted(len(dossier.routine_times), 'routine event')}"
    return _tag(
        "svg", Markup("").join(parts), **{"class": "timeline"}, viewBox=f"0 0 {WIDTH:.0f} {height:.0f}", role="img",
        aria_label=words, width=int(WIDTH), height=int(height),
    )  # fmt: skip


def _ticks(axis: Axis, zone: ZoneInfo, height: float, most: int = 10) -> Markup:
    parts = [
        _text(
            LEFT - 12,
            15.0,
            f"{datetime.fromtimestamp(axis.first, zone):%Y-%m-%d %Z}",
            "tick",
            text_anchor="end",
        )
    ]
    for x, label in axis.ticks(zone, most):
        parts.append(_tag("line", x1=x, x2=x, y1=20.0, y2=height - 4, **{"class": "grid"}))
        parts.append(_text(x, 15.0, label, "tick", text_anchor="middle"))
    return Markup("").join(parts)


def _lane(file: IncidentFile, marks: Sequence[Mark], axis: Axis, y: float, zone: ZoneInfo) -> Markup:
    incident = file.incident
    label = f"{incident.id}: {incident.title}"
    shown = one_line(incident.title, 40)
    badge = _tag(
        "rect",
        x=4.0,
        y=y + 8,
        width=22.0,
        height=15.0,
        rx=2,
        **{"class": f"badge-{incident.priority.lower()}"},
    )
    rank = _text(15.0, y + 19, incident.priority, "badge-text", text_anchor="middle")
    name = _text(33.0, y + 19.5, shown, "lane-name")
    link = _tag("a", badge + rank + name + _title(label), href=f"#{anchor('i', incident.id)}")
    rule = _tag("line", x1=0.0, x2=WIDTH, y1=y, y2=y, **{"class": "lane-rule"})
    reach = _tag("line", x1=axis.x(incident.opened), x2=max(axis.x(incident.updated), axis.x(incident.opened) + 1),
                 y1=y + 10, y2=y + 10, **{"class": "reach"})  # fmt: skip
    dots = Markup("").join(_dots(file.sightings, axis, y + 10, zone))
    return rule + link + reach + dots + Markup("").join(_marks(marks, axis, y + 23, zone))


def _dots(sightings: Iterable[Sighting], axis: Axis, y: float, zone: ZoneInfo) -> Iterator[Markup]:
    """Least urgent first, so that the urgent ones lie on top."""
    columns: dict[tuple[Priority, int], list[Sighting]] = {}
    for sighting in sightings:
        columns.setdefault((sighting.priority, int(axis.x(sighting.event.time) / COLUMN)), []).append(
            sighting
        )
    for (priority, _), group in sorted(
        columns.items(), key=lambda item: (-PRIORITIES.index(item[0][0]), item[0][1])
    ):
        event = group[0].event
        more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
        words = (
            f"{time_of_day(event.time, zone)} {priority} {event.asset}: {one_line(event.message, 120)}{more}"
        )
        radius = min(3.0 + 0.6 * (len(group) - 1), 6.0)
        yield _tag(
            "circle",
            _title(words),
            cx=axis.x(event.time),
            cy=y,
            r=radius,
            **{"class": f"dot-{priority.lower()}"},
        )


def _marks(marks: Sequence[Mark], axis: Axis, y: float, zone: ZoneInfo) -> Iterator[Markup]:
    """Those of one moment are gathered by kind, with their number; each stands at its time, or just after the one
    before where they would cover each other."""
    free = 0.0
    for group in _gathered(marks, axis):
        x = min(max(axis.x(group[0].time), free), axis.right + 10)
        free = x + APART
        yield shape(group[0].kind, x, y, "\n".join(f"{time_of_day(m.time, zone)} {m.words}" for m in group))
        if len(group) > 1:
            yield _text(x + 6.5, y + 3.5, str(len(group)), "mark-count")
            free += 6.0


def _gathered(marks: Sequence[Mark], axis: Axis) -> Iterator[list[Mark]]:
    """Marks of like kind that fall on one place of the picture, in order of time."""
    place, groups = float("-inf"), dict[MarkKind, list[Mark]]()
    for mark in marks:
        if axis.x(mark.time) - place > APART:
            yield from groups.values()
            place, groups = axis.x(mark.time), {}
        groups.setdefault(mark.kind, []).append(mark)
    yield from groups.values()


_CORNERS: dict[MarkKind, tuple[tuple[float, float], ...]] = {
    "alert": ((0, -5), (5, 4), (-5, 4)),
    "analysis": ((0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)),
    "decision": ((-4.2, -4.2), (4.2, -4.2), (4.2, 4.2), (-4.2, 4.2)),
}
"""Signs that are not a circle, around their middle."""


def shape(kind: MarkKind, x: float, y: float, words: str) -> Markup:
    """The sign of one kind of mark, also for the legend."""
    points = _CORNERS.get(kind)
    if points is None:
        return _tag("circle", _title(words), cx=x, cy=y, r=4.3, **{"class": f"mark-{kind}"})
    placed = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points)
    return _tag("polygon", _title(words), points=placed, **{"class": f"mark-{kind}"})


def _strip(times: Sequence[float], axis: Axis, y: float) -> Markup:
    """Routine events per slice of time, as bars."""
    slices = 120
    counts = [0] * slices
    for seconds in times:
        share = (seconds - axis.first) / (axis.last - axis.first)
        counts[min(max(int(share * slices), 0), slices - 1)] += 1
    most, wide = max(max(counts), 1), (axis.right - axis.left) / slices
    minutes = (axis.last - axis.first) / slices / 60
    base = y + STRIP - 4
    label = _text(33.0, y + 22, f"routine (P3), {len(times)}", "lane-name")
    rule = _tag("line", x1=0.0, x2=WIDTH, y1=y, y2=y, **{"class": "lane-rule"})
    bars = [
        _tag("rect", _title(f"{counted(many, 'routine event')} in {number(minutes)} min"), x=axis.left + place * wide,
             y=base - 30 * many / most, width=wide - 0.8, height=30 * many / most, **{"class": "routine"})
        for place, many in enumerate(counts) if many
    ]  # fmt: skip
    return rule + label + Markup("").join(bars)


def anchor(prefix: str, name: str) -> str:
    """A fragment name: letters, digits, dot, dash.

    >>> anchor("p", "pump-failure#steps")
    'p-pump-failure.steps'
    """
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "-.") else "." for char in name)
    return f"{prefix}-{kept}"


# ---- readings -------------------------------------------------------------------------------------------------

PLOT_W, PLOT_H = 380.0, 148.0
_PLOT_LEFT, _PLOT_RIGHT, _PLOT_TOP, _PLOT_BOTTOM = 50.0, 14.0, 26.0, 22.0
_BEFORE, _AFTER = timedelta(hours=2), timedelta(hours=1)
"""Readings of the same metric this long before and after the incident are drawn along, for comparison."""


@dataclass(frozen=True)
class Single:
    """A reading with nothing to compare it to but its limit."""

    event: Event
    priority: Priority

    @property
    def beyond(self) -> str:
        """How far from the limit, in words."""
        limit, value = self.event.threshold, self.event.value
        if limit is None or value is None:
            return ""
        if value == limit:
            return "at the limit"
        side = "above" if value > limit else "below"
        return f"{number(abs(value - limit))} {side}"


def readings(file: IncidentFile, dossier: CaseFiles) -> tuple[list[Markup], list[Single]]:
    """For each metric that the incident's events carry a picture, where there are at least two readings, else the
    one reading. The most urgent first, MAX_PLOTS pictures at most."""
    pictures: list[Markup] = []
    singles: list[Single] = []
    ranks = {s.event.id: s.priority for s in file.sightings}
    for sighting in _first_of_each_metric(file):
        near = _near(file, sighting.event, dossier, ranks)
        if len(near) < 2:
            singles.append(Single(sighting.event, sighting.priority))
        elif len(pictures) < MAX_PLOTS:
            pictures.append(plot(near, ranks, dossier.site.zone))
    return pictures, singles


def _first_of_each_metric(file: IncidentFile) -> list[Sighting]:
    first: dict[tuple[str, str | None], Sighting] = {}
    for sighting in sorted(file.sightings, key=lambda s: PRIORITIES.index(s.priority)):
        if sighting.event.metric and sighting.event.value is not None:
            first.setdefault((sighting.event.asset, sighting.event.metric), sighting)
    return list(first.values())


def _near(file: IncidentFile, event: Event, dossier: CaseFiles, ranks: dict[str, Priority]) -> list[Event]:
    """Readings of that metric in the incident and around it."""
    first, last = file.incident.opened - _BEFORE, file.incident.updated + _AFTER
    series = dossier.readings.get((event.asset, str(event.metric)), ())
    return [one for one in series if one.id in ranks or first <= one.time <= last]


def plot(events: Sequence[Event], ranks: dict[str, Priority], zone: ZoneInfo) -> Markup:
    """Values over time against their limit. Events in `ranks` are the incident's own; the others are context."""
    values = [float(event.value or 0.0) for event in events]
    limits = [event.threshold for event in events if event.threshold is not None]
    unit = next((event.unit for event in events if event.unit), "")
    axis = _axis([event.time.timestamp() for event in events], _PLOT_LEFT, PLOT_W - _PLOT_RIGHT)
    low, high = min([*values, *limits]), max([*values, *limits])
    room = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    bottom = PLOT_H - _PLOT_BOTTOM

    def y(value: float) -> float:
        return bottom - (value - low + room) / (high - low + 2 * room) * (bottom - _PLOT_TOP)

    head = f"{events[0].asset}  {events[0].metric}{f' [{unit}]' if unit and not str(events[0].metric).endswith(unit) else ''}"
    parts = [_text(_PLOT_LEFT - 44, 14.0, one_line(head, 54), "plot-head")]
    parts.append(
        _tag(
            "rect",
            x=_PLOT_LEFT,
            y=_PLOT_TOP,
            width=axis.right - axis.left,
            height=bottom - _PLOT_TOP,
            **{"class": "plot-frame"},
        )
    )
    if limits:
        parts += _limit_line(limits[-1], y(limits[-1]), axis)
    line = " ".join(
        f"{axis.x(event.time):.1f},{y(value):.1f}" for event, value in zip(events, values, strict=True)
    )
    parts.append(_tag("polyline", points=line, **{"class": "plot-line"}))
    taken = [y(limits[-1])] if limits else []
    parts += _scale(values, y, taken)
    for event, value in zip(events, values, strict=True):
        parts.append(_reading(event, value, axis.x(event.time), y(value), ranks.get(event.id), unit, zone))
    if len(events) == 1:
        parts.append(
            _text(
                axis.x(events[0].time),
                PLOT_H - 7,
                time_of_day(events[0].time, zone),
                "tick",
                text_anchor="middle",
            )
        )
    else:
        parts.append(
            _text(axis.left, PLOT_H - 7, time_of_day(events[0].time, zone), "tick", text_anchor="start")
        )
        parts.append(
            _text(axis.right, PLOT_H - 7, time_of_day(events[-1].time, zone), "tick", text_anchor="end")
        )
    words = f"{head}: {', '.join(number(v) for v in values[:6])}" + (
        f"; limit {number(limits[-1])}" if limits else ""
    )
    return _tag("svg", Markup("").join(parts), **{"class": "plot"}, viewBox=f"0 0 {PLOT_W:.0f} {PLOT_H:.0f}", role="img",
                aria_label=words, width=int(PLOT_W), height=int(PLOT_H))  # fmt: skip


def _limit_line(limit: float, y: float, axis: Axis) -> list[Markup]:
    return [
        _tag(
            "line",
            _title(f"limit {number(limit)}"),
            x1=axis.left,
            x2=axis.right,
            y1=y,
            y2=y,
            **{"class": "plot-limit"},
        ),
        _text(
            axis.right - 4,
            y - 4 if y > _PLOT_TOP + 18 else y + 13,
            f"limit {number(limit)}",
            "plot-limit-text",
            text_anchor="end",
        ),
        _text(axis.left - 5, y + 4, number(limit), "tick", text_anchor="end"),
    ]


def _scale(values: Sequence[float], y: object, taken: list[float]) -> list[Markup]:
    """The lowest and the highest value beside the axis, unless something stands there."""
    made = []
    for value in dict.fromkeys((max(values), min(values))):
        place = y(value)  # type: ignore[operator]
        if all(abs(place - other) >= 12 for other in taken):
            taken.append(place)
            made.append(_text(_PLOT_LEFT - 5, place + 4, number(value), "tick", text_anchor="end"))
    return made


def _reading(
    event: Event, value: float, x: float, y: float, rank: Priority | None, unit: str, zone: ZoneInfo
) -> Markup:
    words = f"{time_of_day(event.time, zone)}  {number(value)} {unit}".rstrip()
    kind, radius = (f"dot-{rank.lower()}", 4.0) if rank else ("dot-context", 2.2)
    return _tag("circle", _title(words), cx=x, cy=y, r=radius, **{"class": kind})


def share_bar(share: float) -> Markup:
    """A belief between 0 and 1 as a bar."""
    whole = _tag("rect", width=100, height=8, **{"class": "bar-whole"})
    part = _tag("rect", width=f"{100 * min(max(share, 0.0), 1.0):.1f}", height=8, **{"class": "bar-part"})
    return _tag(
        "svg",
        whole + part,
        **{"class": "bar"},
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def legend_sign(kind: MarkKind) -> Markup:
    return _tag(
        "svg", shape(kind, 7.0, 7.0, kind), **{"class": "sign"}, viewBox="0 0 14 14", aria_hidden="true"
    )


def legend_dot(priority: Priority) -> Markup:
    dot = _tag("circle", cx=7.0, cy=7.0, r=4.0, **{"class": f"dot-{priority.lower()}"})
    return _tag("svg", dot, **{"class": "sign"}, viewBox="0 0 14 14", aria_hidden="true")
