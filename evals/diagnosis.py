"""The diagnosis exam: how often the cause is named on nights of a site that is not what its file says.

    python -m evals.diagnosis --nights 200 --seed 1001
        [--site demo] [--faults 3] [--hours 3] [--jobs 2] [--ways symbols,plant] [--model none|bundled] [--control]
        [--json] [--out var/diagnosis] [--plot FILE.svg]

Seeds 1 to 100 are for tuning; the reported figure is of seeds 1001 to 1200, which nobody tunes on. One JSON line a
night goes to the file in --out; a run goes on where one of the same settings and the same code stopped. `--control`
plays the same faults on a site that is just what its file says: the difference is what the mismatch costs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evals.diagnosis_report import curves, noticed_table, report, way_table
from evals.exam.cases import Mix, exam_case
from evals.exam.grouping import Grouped, grouped
from evals.exam.judging import WAYS, Answer, Judged, judge, ways_of
from evals.playing import play
from evals.reliability import picture
from plant import load_site
from setpoint.contracts.site import Site

ROOT = Path(__file__).parents[1]
_CODE = ("agents", "evals", "knowledge", "plant", "setpoint/contracts", "setpoint/intake", "tools")
_SITES: dict[str, Site] = {}


@dataclass(frozen=True)
class Exam:
    """What is asked."""

    site: str
    mix: Mix
    ways: tuple[str, ...]

    @property
    def key(self) -> str:
        """Same key, same answers: settings and the code that gives them."""
        told = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(f"{told}{code_digest()}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class NightResult:
    """One judged night."""

    seed: int
    judged: tuple[Judged, ...]
    grouped: Grouped
    notes: tuple[str, ...]
    cpu_s: float

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> NightResult:
        """From its JSON."""
        return cls(
            item["seed"], tuple(map(_judged, item["judged"])), Grouped(**item["grouped"]), tuple(item["notes"]),
            item["cpu_s"],
        )  # fmt: skip


def _judged(item: Mapping[str, Any]) -> Judged:
    answers = {
        name: Answer(**{**told, "ranked": tuple((cause, share) for cause, share in told["ranked"])})
        for name, told in item["answers"].items()
    }
    return Judged(**{**item, "answers": answers})


@cache
def code_digest() -> str:
    """Of all code and data that answers hang on."""
    found = hashlib.sha256()
    for folder in _CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml", ".json", ".csv") and "__pycache__" not in path.parts:
                found.update(path.read_bytes())
    return found.hexdigest()


def examine(exam: Exam, seed: int) -> NightResult:
    """One night, composed, played and judged."""
    began = time.process_time()
    site = _SITES.get(exam.site) or _SITES.setdefault(exam.site, load_site(exam.site))
    case = exam_case(site, seed, exam.mix)
    judged = judge(case, ways_of(exam.ways))
    counts = grouped(play(lines=case.night.events, site=case.site))
    return NightResult(seed, tuple(judged), counts, case.notes, round(time.process_time() - began, 2))


def run(exam: Exam, seeds: Sequence[int], jobs: int = 1, out: Path | None = None) -> list[NightResult]:
    """All nights in the order of their seeds; progress on stderr."""
    file = out / "nights.jsonl" if out else None
    done = {night.seed: night for night in _kept(file, exam.key)} if file else {}
    todo = [seed for seed in seeds if seed not in done]
    for count, night in enumerate(_examined(exam, todo, jobs), start=1):
        done[night.seed] = night
        if file:
            _keep(file, exam.key, night)
        print(f"\r{count} of {len(todo)} nights", end="", file=sys.stderr, flush=True)
    if todo:
        print(file=sys.stderr)
    return [done[seed] for seed in seeds]


def _examined(exam: Exam, seeds: Sequence[int], jobs: int) -> Iterator[NightResult]:
    if jobs <= 1 or len(seeds) < 2:
        yield from (examine(exam, seed) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(examine, exam, seed) for seed in seeds]):
            yield future.result()


def _kept(file: Path, key: str) -> Iterator[NightResult]:
    """Nights judged before with the same settings and code. A line cut off by a kill is judged again."""
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            item = json.loads(line)
        except json.JSONDecodeError:
            continue
        if item.get("key") == key:
            yield NightResult.of(item)


def _keep(file: Path, key: str, night: NightResult) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps({"key": key, **asdict(night)}) + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(argv)
    ways = tuple(options.ways.split(",")) + (("model",) if options.model == "bundled" else ())
    if unknown := [way for way in ways if way not in WAYS]:
        parser.error(f"no way of diagnosing {unknown[0]!r}; choose among {', '.join(WAYS)}")
    mix = Mix(faults=options.faults, hours=options.hours, as_written=options.control)
    exam = Exam(options.site, mix, tuple(dict.fromkeys(ways)))
    seeds = range(options.seed, options.seed + options.nights)
    nights = run(exam, seeds, options.jobs, options.out)
    judged = [one for night in nights for one in night.judged]
    counts = sum((night.grouped for night in nights), Grouped())
    reports = [report(way, judged) for way in exam.ways]
    if options.plot:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        options.plot.write_text(
            picture(curves(reports), f"{len(nights)} nights, site {exam.site}"), encoding="utf-8"
        )
    if options.json:
        print(
            json.dumps(
                {"nights": len(nights), "grouped": asdict(counts), "ways": [r.as_json() for r in reports]},
                indent=2,
            )
        )
        return
    cpu_s = sum(night.cpu_s for night in nights)
    print(
        f"{len(nights)} nights from seed {options.seed}, site {exam.site}, {len(judged)} faults, {cpu_s:.0f} s of processor"
    )
    print("\n\n".join([noticed_table(judged, counts), *map(way_table, reports)]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="The diagnosis exam: causes named on nights of a site that is not what its file says"
    )
    parser.add_argument("--nights", type=int, default=40, help="how many, from --seed on")
    parser.add_argument(
        "--seed", type=int, default=1, help="first seed; 1 to 100 to tune on, 1001 to 1200 to report"
    )
    parser.add_argument("--site", default="demo", help="a site file or an included site")
    parser.add_argument("--faults", type=int, default=3, help="a night")
    parser.add_argument("--hours", type=float, default=3.0, help="length of a night")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--ways", default="symbols,plant", help=f"of diagnosing: {', '.join(WAYS)}")
    parser.add_argument(
        "--model", choices=("none", "bundled"), default="none", help="bundled: add the way 'model'"
    )
    parser.add_argument("--control", action="store_true", help="the site is just what its file says")
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    parser.add_argument("--out", type=Path, default=Path("var/diagnosis"), help="folder of the judged nights")
    parser.add_argument("--plot", type=Path, help="write the reliability picture here, as SVG")
    return parser


if __name__ == "__main__":
    main()
