"""The cases of suite `triage`, set by set. The sets are kept apart: a mean over different machines means nothing.

A public set is cut in two by wording, so that dev and held-out share none; the ranker was trained on both halves
(except of the routine logs), which each figure of them says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from inspect_ai.dataset import Sample

from evals import triage_data
from evals.playing import Played, play
from evals.registry import Ask, Split
from evals.running.tasks import interleaved
from evals.suites.triage.texts import by_hand
from evals.triage_data import Labelled
from knowledge.text import mask
from plant import load_site
from plant.faults.night import compose
from setpoint.contracts import Event
from setpoint.errors import UsageError

PUBLIC: dict[str, Callable[[Path], list[Labelled]]] = {
    "mercury": triage_data.mercury,
    "titan": triage_data.titan,
    "redfish": triage_data.redfish,
    "prometheus": triage_data.prometheus,
    "xid": triage_data.xid_texts,
}
NIGHTS, FAULT_NIGHTS = 2, 3
"""Nights of a full run; one of each where few cases are asked for."""
FAULT_SITES = ("demo", "lab-16", "demo")
SEEDS_PER_RUN = 100
NIGHT_HOURS, NIGHT_FAULTS = 8.0, 12
ROUTINE = "routine logs"
NIGHTS_SET, FAULTS = "nights", "fault nights"
BY_HAND = "by hand"
_NOTES = {
    **dict.fromkeys(PUBLIC, "wordings the ranker was trained on"),
    ROUTINE: "wordings weighted by how often they come",
    NIGHTS_SET: "generated; the rules were written with such nights in sight",
    FAULTS: "generated; truth is the fault catalog's",
}
_BY_HAND_NOTES: dict[Split, str] = {
    "dev": "by another hand who never saw the rules; the rules were then mended on this half",
    "held-out": "by another hand who never saw the rules; nobody looked at this half",
}


def cases(ask: Ask) -> tuple[list[Sample], list[str]]:
    """All samples, ordered so that the first few are a fair picture of every set; and what is left out, and why."""
    sets: list[list[Sample]] = [_hand_samples(ask.split), *_generated(ask)]
    skipped: list[str] = []
    try:
        data = triage_data.data_dir(ask.data)
    except UsageError as error:
        skipped.append(f"{', '.join(PUBLIC)}, {ROUTINE}: {error}")
    else:
        for name, load in (PUBLIC | {ROUTINE: _routine}).items():
            try:
                sets.append(_labelled(name, load(data), ask.split))
            except OSError as error:
                skipped.append(f"{name}: {error}")
    fair = [interleaved(samples, lambda sample: str(sample.target)) for samples in sets]
    return interleaved([sample for samples in fair for sample in samples], set_of), skipped


def notes(split: Split) -> dict[str, str]:
    """What to know of each set when reading its figures."""
    return _NOTES | {BY_HAND: _BY_HAND_NOTES[split]}


def set_of(sample: Sample) -> str:
    return str((sample.metadata or {})["set"])


def seeds(ask: Ask, count: int) -> list[int]:
    """Seeds of the nights of a run: no two runs of other seed or split share one."""
    first = (2 * ask.seed + (ask.split == "held-out")) * SEEDS_PER_RUN
    return [first + number for number in range(1 if ask.limit is not None else count)]


def half(items: Sequence[Any], split: Split) -> list[Any]:
    """Every other one: the first to dev, the second to held-out."""
    return list(items[split == "held-out" :: 2])


# ---- by hand -------------------------------------------------------------------------------------------------------


def _hand_samples(split: Split) -> list[Sample]:
    return [
        Sample(
            id=f"hand-{one.id}", input=one.text, target=one.gold,
            metadata={"set": BY_HAND, "gold": one.gold, "accept": sorted(one.accept), "raw": one.text,
                      "tags": {"family": one.family, "style": one.style}},
        )
        for one in by_hand(split)
    ]  # fmt: skip


# ---- public sets ---------------------------------------------------------------------------------------------------


def _routine(data: Path) -> list[Labelled]:
    return [item for name in triage_data.LOGHUB for item in _named(name, triage_data.loghub(data, name))]


def _named(name: str, items: Iterable[Labelled]) -> list[Labelled]:
    """With the log's name as the source, which tags its cases. No rule reads it."""
    return [item._replace(event=item.event.model_copy(update={"labels": {"log": name}})) for item in items]


def _labelled(name: str, items: Sequence[Labelled], split: Split) -> list[Sample]:
    """One sample of each wording: all rows of a wording get one answer, and count by `rows` where it is a stream."""
    wordings = {_wording(item): item for item in items}
    rows = Counter(map(_wording, items))
    kept = half(list(wordings), split)
    return [
        Sample(
            id=f"{name.replace(' ', '-')}-{number:04d}", input=_seen(wordings[key].event), target=wordings[key].gold,
            metadata={"set": name, "gold": wordings[key].gold, "accept": sorted(wordings[key].accept),
                      "event": wordings[key].event.model_dump(mode="json"), "rows": rows[key] if name == ROUTINE else 1,
                      "tags": dict(wordings[key].event.labels)},
        )
        for number, key in enumerate(kept)
    ]  # fmt: skip


def _wording(item: Labelled) -> tuple[str, str, str]:
    return item.event.kind, mask(item.event.message), item.gold


def _seen(event: Event) -> str:
    """What the ranking sees, for a reader."""
    parts = {"kind": event.kind, "source": event.source, "message": event.message}
    return "\n".join(f"{name}: {text}" for name, text in parts.items() if text)


# ---- generated nights ----------------------------------------------------------------------------------------------


def _generated(ask: Ask) -> list[list[Sample]]:
    nights = [(NIGHTS_SET, "demo", seed) for seed in seeds(ask, NIGHTS)]
    composed = [
        (FAULTS, site, seed) for site, seed in zip(FAULT_SITES, seeds(ask, FAULT_NIGHTS), strict=False)
    ]
    return [[sample for key in keys for sample in _night_samples(*key)] for keys in (nights, composed)]


def _night_samples(name: str, site: str, seed: int) -> list[Sample]:
    """Every readable line. The night is played as a whole: an event's rank depends on what went before it."""
    night = played(name, site, seed)
    return [_night_sample(night, (name, site, seed), number) for number in range(len(night.events))]


def _night_sample(night: Played, key: tuple[str, str, int], number: int) -> Sample:
    event, line = night.events[number], night.truth[night.events[number].id]
    return Sample(
        id=f"{key[0].replace(' ', '-')}-{key[1]}-{key[2]}-{number:04d}", input=line.text, target=line.priority,
        metadata={"set": key[0], "gold": line.priority, "accept": [line.priority], "night": list(key),
                  "event_id": event.id, "tags": {"channel": event.format, "fault": line.story.split("@")[0]}},
    )  # fmt: skip


@cache
def played(name: str, site: str, seed: int) -> Played:
    """The night as Setpoint saw it, ranking included."""
    if name == NIGHTS_SET:
        return play(seed)
    known = load_site(site)
    return play(
        lines=compose(known, seed, hours=NIGHT_HOURS, faults=NIGHT_FAULTS).events,
        site=known,
    )


def event_in(case: Mapping[str, Any]) -> Event:
    """The event of a night's case."""
    return _events(*case["night"])[case["event_id"]]


@cache
def _events(name: str, site: str, seed: int) -> dict[str, Event]:
    return {event.id: event for event in played(name, site, seed).events}
