"""The long measurements behind `make bench`: what Setpoint promises of its alert path and of a kill -9.

`python -m evals.bench [alert-path|storm|kill|models|all] --out var/bench` drives real `setpoint serve` processes over
HTTP, writes one JSON file and one table a measurement into the folder, and says on stderr how far it is. Exit code 1
where a promise was broken (something lost, doubled or not approved); a missed aim for time is shown, not failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evals import bench_alerts, bench_kill
from evals.bench_service import load_now

AIMS_MS = {"1000 events/s": 50.0, bench_alerts.STORM.name: 2000.0}
"""p99 from the moment an event was due to the sink's answer."""


def alert_path(options: argparse.Namespace) -> list[dict[str, Any]]:
    """10, 100 and 1,000 events/s without models: the alert path alone."""
    return _alerts(bench_alerts.loads(options.seconds), "none", options)


def storm(options: argparse.Namespace) -> list[dict[str, Any]]:
    """10,000 events within one second."""
    return _alerts([bench_alerts.STORM], "none", options) + _alerts(
        [bench_alerts.STORM], options.model, options
    )


def models(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The loads of `alert-path` once more with models on: what they cost the alert path."""
    return _alerts(bench_alerts.loads(options.seconds), options.model, options)


def kill(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Kill -9 at random instants."""
    return [bench_kill.run(options.events, options.kills, seed=options.seed, progress=_say)]


def _alerts(
    wanted: Sequence[bench_alerts.Load], model: str, options: argparse.Namespace
) -> list[dict[str, Any]]:
    rows = []
    for load in wanted:
        _say(f"{load.name}, models {model} ({load_now()})")
        rows += bench_alerts.run([load], light=model, heavy=model)
    return rows


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "alert-path": alert_path, "storm": storm, "models": models, "kill": kill,
}  # fmt: skip


# ---- what is shown ----------------------------------------------------------------------------------------------------


def alert_table(rows: Sequence[dict[str, Any]]) -> str:
    """One line a load. Times in ms from the due moment of the event to the sink's answer to its first notice."""
    head = ("load", "models", "p50", "p99", "p99.9", "received to sink p99", "P0 incidents", "lost", "twice",
            "waited for a model", "CPU ms/event", "aim p99")  # fmt: skip
    lines: list[Sequence[Any]] = [head]
    for row in rows:
        first, inside = row["first_ms"], row["received_to_sink_ms"]
        lines.append((row["load"], row["models"], _ms(first, "p50"), _ms(first, "p99"), _ms(first, "p99.9"), _ms(inside, "p99"),
                      row["p0_incidents"], lost(row), row["twice_at_sink"], f"{row['waited_share']:.0%}",
                      f"{row['cpu_ms_per_event']:.2f}", _verdict(row)))  # fmt: skip
    return _aligned(lines) + "".join(f"\n{row['load']}: {row['machine']} at start" for row in rows)


def lost(row: dict[str, Any]) -> int:
    """Everything of an alert measurement that must not be missing."""
    return int(row["lost_incidents"] + row["lost_first_notices"] + row["p0_events_not_told"] + row["posts_failed"]
               + row["events"] - row["events_ranked"])  # fmt: skip


def _verdict(row: dict[str, Any]) -> str:
    aim = AIMS_MS.get(row["load"])
    if aim is None or "p99" not in row["first_ms"]:
        return "-"
    return f"{aim:g} {'met' if row['first_ms']['p99'] <= aim else 'missed'}"


def _ms(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.1f}" if name in figures else "-"


def kill_table(rows: Sequence[dict[str, Any]]) -> str:
    """Name and figure, one a line."""
    return "\n\n".join(
        "\n".join(f"{name:24} {value}" for name, value in row.items())
        + f"\n{'verdict':24} {'; '.join(bench_kill.broken(row)) or 'nothing lost, nothing twice, nothing unapproved'}"
        for row in rows
    )


def _aligned(lines: Sequence[Sequence[Any]]) -> str:
    cells = [[str(cell) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def broken(name: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Promises that did not hold."""
    if name == "kill":
        return [problem for row in rows for problem in bench_kill.broken(row)]
    wrong = [f"{row['load']}: {lost(row)} lost" for row in rows if lost(row)]
    return wrong + [
        f"{row['load']}: {row['waited_for_a_model']} waited" for row in rows if row["waited_for_a_model"]
    ]


def _say(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.bench", description=__doc__)
    parser.add_argument("which", nargs="?", default="all", choices=[*MEASUREMENTS, "all"])
    parser.add_argument("--out", type=Path, default=Path("var/bench"), help="folder of the results")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each sustained load")
    parser.add_argument("--model", default="bundled", help="models.*.kind where models are on")
    parser.add_argument("--events", type=int, default=2000, help="events of the kill trial")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    for name in MEASUREMENTS if options.which == "all" else (options.which,):
        _say(f"{name}: {(MEASUREMENTS[name].__doc__ or '').strip()}")
        began, rows = time.monotonic(), MEASUREMENTS[name](options)
        table = kill_table(rows) if name == "kill" else alert_table(rows)
        (options.out / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
        (options.out / f"{name}.txt").write_text(table + "\n")
        print(f"{name} ({time.monotonic() - began:.0f} s)\n{table}\n", flush=True)
        problems += broken(name, rows)
    for problem in problems:
        _say(f"BROKEN: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
