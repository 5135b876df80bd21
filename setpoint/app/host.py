"""`setpoint doctor --host`: which data paths this Linux host can use, printed for a person or as JSON.

The judging is `plant.hardware.host`, which tools may use too; here is only its rendering.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from plant.hardware.host import HostReport, PathFinding, host_report
from plant.hardware.host_needs import counted

COLOUR = {
    "ok": "green", "usable": "green", "warning": "yellow", "cannot tell": "yellow", "not usable": "bold red",
}  # fmt: skip
WIDTH = 110

__all__ = ["examine_host", "host_report", "render_host"]


def examine_host(as_json: bool, root: Path = Path("/")) -> int:
    """Print the report of the host under that root. Returns 0: a path that cannot be used is no fault of Setpoint."""
    report = host_report(root)
    print(report.model_dump_json(indent=2) if as_json else render_host(report))
    return 0


def render_host(report: HostReport, colour: bool | None = None, width: int = WIDTH) -> str:
    """The report as text. Coloured where asked for, or on a terminal without NO_COLOR (no-color.org)."""
    coloured = _wants_colour() if colour is None else colour
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=coloured, no_color=not coloured, highlight=False, emoji=False
    )
    cards = (
        "accelerators not told"
        if report.accelerators is None
        else counted(report.accelerators, "accelerator")
    )
    console.print(escape(f"{report.host}, {cards}{f' ({report.accelerator})' if report.accelerator else ''}"))
    console.print()
    said: set[str] = set()
    for one in report.findings:
        said.add(one.detail)
        _line(console, one.mark, one.what, one.detail, _new(said, one.remedy))
    console.print()
    for path in report.paths:
        below = _new(said, *path.remedies, *path.notes)
        _line(console, path.verdict, path.path, _detail(path), below)
    for assumed in report.assumed:
        console.print(f"Assumed: {escape(assumed)}.")
    return out.getvalue().rstrip("\n")


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _detail(path: PathFinding) -> str:
    told = f"{path.title}: {'; '.join(path.reasons)}"
    if path.expected_gb_per_s is None:
        return told
    rate = f"{path.expected_gb_per_s:.1f} GB/s"
    if path.expected_all_gb_per_s and path.expected_all_gb_per_s > 1.01 * path.expected_gb_per_s:
        rate += f" ({path.expected_all_gb_per_s:.0f} all together)"
    would = "Model" if path.verdict == "usable" else "Model, were it usable"
    return f"{told}. {would}: {rate}, {path.expected_latency_us:.0f} us, set by {path.pace}"


def _new(said: set[str], *texts: str) -> tuple[str, ...]:
    """Texts not printed before: one remedy serves many paths."""
    fresh = tuple(text for text in texts if text and text not in said)
    said.update(texts)
    return fresh


def _line(console: Console, mark: str, what: str, detail: str, below: tuple[str, ...]) -> None:
    """A mark, a name and a text that wraps under itself; what to do stands below."""
    room = console.width - 29
    lines = [part for text in (detail, *below) for part in _wrapped(text, room)]
    console.print(f"[{COLOUR[mark]}]{mark:<12}[/]{escape(what):<17}{escape(lines[0])}")
    for line in lines[1:]:
        console.print(f"{'':<29}{escape(line)}")


def _wrapped(text: str, room: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
