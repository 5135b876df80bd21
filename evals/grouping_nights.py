"""Incidents grouped under their cause, over composed nights: `python -m evals.grouping_nights --seeds 10 [--cause ...]`.

Each night of the plant's fault catalog is played through intake, correlation and ranking; every incident above P3 gets
a cause, and incidents that one cause explains go under it (agents/grouping.py). `--cause` says where the causes come
from: `signatures` (event patterns alone, the default), `trial` (tested on the plant model) or `truth` (what grouping
could do if every cause were right).

An alarm is a firing event above P3. Hidden: it stands in an incident that was put under another one's cause. It
mattered where its fault is another one than that cause's, and it is of P0 to P2 in truth; worst is a fault that no
incident at the top stands for any more.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Literal, get_args

from agents.evidence import Case, gather
from agents.grouping import Grouping, regroup
from agents.troubleshooter import by_signature, by_trial, weigh_causes
from evals.figures import Figure, resampled, share, table
from evals.grouping import agreement
from evals.playing import Played, play
from evals.rca_night import analyse
from knowledge.causes import load_causes
from plant.diagnosis.results import Verdict
from plant.faults.night import Night, compose
from plant.site import load_site, site_file_of
from setpoint.contracts import Diagnosis, Hypothesis, RecoveryGuide
from tools.diagnosis import diagnose
from tools.windows import Gridded

Source = Literal["signatures", "trial", "truth"]
NOISE = "noise"
REAL = ("P0", "P1", "P2")


@dataclass(frozen=True)
class NightFigures:
    """What grouping made of one night. Alarms are firing events above P3."""

    alarms: int
    incidents: int
    """Above P3, before grouping."""
    top: int
    """Those that stand for themselves after it."""
    purity_before: float
    purity_after: float
    """Share of alarms that belong to the main trouble of their incident, with what is under it."""
    whole_before: float
    whole_after: float
    """Share of alarms that are in the main incident of their trouble."""
    grouped: int
    """Incidents put under another one."""
    grouped_wrong: int
    """Of these, where the main trouble is another one than the cause's."""
    mattered: int
    """Alarms of faults, P0 to P2 in truth."""
    hidden: int
    """Of these, how many stand under another fault's cause."""
    faults: int
    faults_lost: int
    """Faults with alarms that no incident at the top stands for."""


def measure(night: Night, source: Source) -> NightFigures:
    """Play, name causes, group, compare with the truth."""
    played = play(lines=night.events, site=night.site)
    cases = [_open(case) for case in played.cases if case.incident.priority != "P3"]
    diagnoses = {case.incident.id: _diagnosis(case, played, night, source) for case in cases}
    groupings = regroup(cases, diagnoses, load_causes())
    return _figures(played, cases, groupings)


def _open(case: Case) -> Case:
    """As it stood while it lasted: at the end of the night most have cleared."""
    return Case(case.incident.model_copy(update={"state": "open"}), case.events, case.triages, case.site)


def _diagnosis(case: Case, played: Played, night: Night, source: Source) -> Diagnosis:
    hypotheses: tuple[Hypothesis, ...]
    if source == "truth":
        hypotheses = (_true_cause(case, played, night),)
    elif source == "trial":
        hypotheses = tuple(_tried(case, night))
    else:
        hypotheses = tuple(analyse(case))
    return Diagnosis(
        incident_id=case.incident.id, revision=0, mode="facts", evidence=(), passages=(), hypotheses=hypotheses,
        steps=(), summary="", guide=RecoveryGuide(steps=()), written_by="template",
    )  # fmt: skip


def _true_cause(case: Case, played: Played, night: Night) -> Hypothesis:
    story = played.story(case)
    plan = next((plan for plan in night.plans if plan.story == story), None)
    cause = plan.fault.cause if plan else "no_fault"
    tested = plan and Verdict(
        cause=cause, asset=plan.asset, share=1.0, low=1.0, high=1.0, ramp_s=plan.fault.ramp_s,
        onset=night.start + timedelta(seconds=plan.at_s), tried=True,
    )  # fmt: skip
    return Hypothesis(cause=cause, title=cause, score=1.0, tested=tested or None)


def _tried(case: Case, night: Night) -> list[Hypothesis]:
    """As the slow path does it, on the night's readings up to the incident's last event."""
    evidence, of_event = gather(case)
    findings = weigh_causes(case, load_causes(), of_event, evidence)
    scores = {finding.cause.id: finding.score for finding in findings}
    told = night.telemetry
    history = Gridded(night.start, told.times_s, told.series)
    tried = diagnose(case.site, history, case.events, case.triages, scores, case.incident.updated)
    return by_trial(findings, tried.trial, load_causes()) if tried else by_signature(findings)


def _figures(played: Played, cases: Sequence[Case], groupings: Sequence[Grouping]) -> NightFigures:
    under = {name: one.root for one in groupings for name in one.incidents}
    of_case = {case.incident.id: played.story(case) for case in cases}
    alarms = [
        (played.truth[event.id], case.incident.id)
        for case in cases
        for event in case.events
        if event.status == "firing" and case.triages[event.id].priority != "P3"
    ]
    told = [(line.story, name) for line, name in alarms if line.story != NOISE]
    stories = [story for story, _ in told]
    before = agreement(stories, [name for _, name in told])
    after = agreement(stories, [under.get(name, name) for _, name in told])
    mattered = [(line.story, name) for line, name in alarms if line.story != NOISE and line.priority in REAL]
    hidden = [1 for story, name in mattered if name in under and story != of_case[under[name]]]
    standing = {of_case[case.incident.id] for case in cases if case.incident.id not in under}
    standing |= {story for story, name in told if name not in under}
    return NightFigures(
        alarms=len(alarms), incidents=len(cases), top=len(cases) - len(under),
        purity_before=before.purity, purity_after=after.purity,
        whole_before=before.inverse_purity, whole_after=after.inverse_purity,
        grouped=len(under), grouped_wrong=sum(of_case[name] != of_case[root] for name, root in under.items()),
        mattered=len(mattered), hidden=len(hidden), faults=len(set(stories)), faults_lost=len(set(stories) - standing),
    )  # fmt: skip


def figures(nights: Sequence[NightFigures], source: str) -> list[Figure]:
    """All nights together, with intervals over nights or counts."""

    def mean(name: str) -> Figure:
        return resampled(source, name.replace("_", " "), nights, lambda some: _mean(some, name))

    def rate(name: str, what: str) -> Figure:
        return resampled(
            source, name, nights, lambda some: _total(some, "alarms") / max(1, _total(some, what))
        )

    return [
        rate("alarms per incident before", "incidents"),
        rate("alarms per incident after", "top"),
        *(mean(name) for name in ("incidents", "top", "purity_before", "purity_after", "whole_before", "whole_after")),
        share(source, "grouped under a wrong cause", _total(nights, "grouped_wrong"), _total(nights, "grouped")),
        share(source, "alarms hidden that mattered", _total(nights, "hidden"), _total(nights, "mattered")),
        share(source, "faults without an incident at the top", _total(nights, "faults_lost"), _total(nights, "faults")),
    ]  # fmt: skip


def _mean(nights: Sequence[NightFigures], name: str) -> float:
    return float(sum(getattr(night, name) for night in nights)) / len(nights)


def _total(nights: Sequence[NightFigures], name: str) -> int:
    return sum(int(getattr(night, name)) for night in nights)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Score how incidents are grouped under causes on composed nights"
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many nights, seeds 1 to N")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--site", default="demo", help="a site file or an included site")
    parser.add_argument("--faults", type=int, default=12, help="faults a night of eight hours")
    parser.add_argument(
        "--cause", choices=get_args(Source), default="signatures", help="where causes come from"
    )
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    options = parser.parse_args(argv)
    site = load_site(site_file_of(options.site))
    seeds = range(options.first, options.first + options.seeds)
    nights = [measure(compose(site, seed, faults=options.faults), options.cause) for seed in seeds]
    found = figures(nights, options.cause)
    if options.json:
        print(
            json.dumps(
                {"figures": [one.as_json() for one in found], "nights": [asdict(n) for n in nights]}, indent=2
            )
        )
        return
    print(f"{len(nights)} nights on {site.name}, {options.faults} faults each")
    print(table(found))


if __name__ == "__main__":
    main()
