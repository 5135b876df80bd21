"""The way from a cause to what was seen: as a picture (inline SVG, left to right) and as a tree of lines.

Colours come from the page's style by class name; nothing is styled inline, since the page's content policy forbids it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

from plant.diagnosis.results import CausalPath, Link
from plant.diagnosis.words import span
from setpoint.app.formatting import counted, one_line, time_of_day, visible

BOX, GAP, LEFT, TOP = 180.0, 68.0, 2.0, 6.0
APART, PAD, LINE = 14.0, 9.0, 15.0
CHARACTERS = 26
"""Of one line in a box; names are bold."""
NAME_CHARACTERS = 22
ABOUT_S = 30.0
"""Readings come in steps of so much: an event that comes a little before the fitted onset comes with it."""
MOST_LINES = 4
"""Of each text in a box; the rest is in the box's tooltip and in the step-by-step list."""


@dataclass
class _Box:
    """One box of the picture with what comes after it."""

    name: str
    link: Link | None
    """How the trouble came there; None at the root."""
    after: list[_Box] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    lines: Sequence[tuple[str, str]] = ()
    """(class, text)."""

    @property
    def height(self) -> float:
        return 2 * PAD + LINE * len(self.lines) - 3

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


# ---- lines -------------------------------------------------------------------------------------------------------


def path_lines(path: CausalPath) -> list[str]:
    """An indented tree: each asset under the one its trouble came from, with what was seen there."""
    root = _tree(path)
    said = f": {path.seen}, {_against(path.seen_after_s)}" if path.seen else ""
    lines = [f"{root.name}{said}", *_below(root, "  ")]
    if path.more:
        lines.append(f"  and {counted(path.more, 'more step')}, not shown")
    if path.unexplained:
        lines.append(f"not explained by it: {counted(len(path.unexplained), 'event')}")
    return [one_line(line) if not line.startswith(" ") else visible(line) for line in lines]


def _below(box: _Box, indent: str) -> Iterator[str]:
    for one in box.after:
        link = one.link
        if link is None:
            continue
        after = "" if link.after_s is None else f", after {span(link.after_s)}"
        yield f"{indent}-> {one.name} ({link.medium}): {link.effect}{after}"
        if link.seen:
            yield f"{indent}   seen: {link.seen}, {_against(link.seen_after_s)}"
        yield from _below(one, indent + "   ")


def _against(seconds: float | None) -> str:
    """Time of an event against the onset of the cause."""
    if seconds is None:
        return "at an unknown time"
    if -ABOUT_S <= seconds < 1.0:
        return "at the onset"
    return f"{span(abs(seconds))} {'after' if seconds > 0 else 'before'} the onset"


def _tree(path: CausalPath) -> _Box:
    """Links come with each source before its own; where a name stands for two boxes, the later one goes on."""
    root = _Box(path.root, None)
    boxes = {root.name: root}
    for link in path.links:
        made = _Box(link.target, link)
        boxes.get(link.source, root).after.append(made)
        boxes[link.target] = made
    return root


# ---- picture -----------------------------------------------------------------------------------------------------


def svg_path(path: CausalPath, zone: ZoneInfo) -> Markup:
    """The graph, times of events in the site's zone; empty where the cause reaches nothing that was seen."""
    if not path.links and not path.seen:
        return Markup("")
    root = _tree(path)
    _fill(root, path, zone)
    height = _place(root, 0, TOP) + TOP
    boxes = list(_all(root))
    width = max(box.x for box in boxes) + BOX + LEFT
    parts = [_edge(box, after) for box in boxes for after in box.after]
    parts += [_drawn(box) for box in boxes]
    return Markup(
        '<svg class="causal" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}" role="img" '
        'aria-label="{words}">{inside}</svg>'
    ).format(
        w=width,
        h=height,
        words="; ".join(line.strip() for line in path_lines(path)),
        inside=Markup("").join(parts),
    )


def _fill(box: _Box, path: CausalPath, zone: ZoneInfo) -> None:
    """What each box says: its assets, what happens there, what was seen and when."""
    link = box.link
    seen, seen_after_s = (link.seen, link.seen_after_s) if link else (path.seen, path.seen_after_s)
    lines = [("path-name", text) for text in _wrapped(box.name, NAME_CHARACTERS)]
    if link is not None:
        lines += [("path-effect", text) for text in _wrapped(link.effect)]
    if seen:
        rank = seen[:2].lower() if seen[:2] in ("P0", "P1", "P2") else "p3"
        lines += [(f"path-seen path-{rank}", text) for text in _wrapped(seen)]
        lines.append(("path-time", _when(path, seen_after_s, zone)))
    elif link is None:
        lines.append(("path-effect", "nothing was seen here itself"))
    box.lines = lines
    for after in box.after:
        _fill(after, path, zone)


def _wrapped(text: str, characters: int = CHARACTERS) -> list[str]:
    return textwrap.wrap(
        one_line(text), characters, max_lines=MOST_LINES, placeholder=" ...", break_on_hyphens=False
    )


def _when(path: CausalPath, after_s: float | None, zone: ZoneInfo) -> str:
    if after_s is None or path.onset is None:
        return "time unknown"
    clock = time_of_day(path.onset + timedelta(seconds=after_s), zone)
    if -ABOUT_S <= after_s < 1.0:
        return f"{clock}, at the onset"
    return f"{clock}, {span(abs(after_s))} {'after' if after_s > 0 else 'before'}"


def _place(box: _Box, depth: int, top: float) -> float:
    """Give the box and all after it their places. Returns where the next one may begin."""
    box.x, box.y = LEFT + depth * (BOX + GAP), top
    below = top
    for after in box.after:
        below = _place(after, depth + 1, below)
    if box.after:
        middle = (box.after[0].middle + box.after[-1].middle) / 2
        box.y = max(top, middle - box.height / 2)
    return max(below, box.y + box.height + APART)


def _all(box: _Box) -> Iterator[_Box]:
    yield box
    for after in box.after:
        yield from _all(after)


def _edge(source: _Box, target: _Box) -> Markup:
    x1, y1, x2, y2 = source.x + BOX, source.middle, target.x - 7, target.middle
    half = (x1 + x2) / 2
    curve = f"M{x1:.1f} {y1:.1f}C{half:.1f} {y1:.1f} {half:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    tip = f"{x2:.1f},{y2 - 4:.1f} {x2 + 7:.1f},{y2:.1f} {x2:.1f},{y2 + 4:.1f}"
    link = target.link
    medium = link.medium if link else ""
    after = span(link.after_s) if link and link.after_s is not None else ""
    parts = [
        Markup('<path class="path-edge path-{}" d="{}"/><polygon class="path-tip path-{}" points="{}"/>').format(medium, curve, medium, tip),
        _words(x2 - 5, y2 - 6, "path-label", medium, "end"),
    ]  # fmt: skip
    if after:
        parts.append(_words(x2 - 5, y2 + 14, "path-label", after, "end"))
    return Markup("").join(parts)


def _drawn(box: _Box) -> Markup:
    kind = (
        "path-box path-root" if box.link is None else "path-box" if box.link.seen else "path-box path-between"
    )
    full = "; ".join([box.name, *((box.link.effect, box.link.seen) if box.link else ())]).rstrip("; ")
    parts = [
        Markup("<title>{}</title>").format(visible(full)),
        Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.0f}" height="{:.1f}" rx="3"/>').format(
            kind, box.x, box.y, BOX, box.height
        ),
    ]
    for row, (line_kind, text) in enumerate(box.lines):
        parts.append(_words(box.x + PAD, box.y + PAD + 10 + row * LINE, line_kind, text))
    return Markup("<g>{}</g>").format(Markup("").join(parts))


def _words(x: float, y: float, kind: str, text: str, anchor: str = "start") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, visible(text)
    )
