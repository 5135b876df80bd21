"""Chooses from a closed list that someone else set, by what its answers mean.

Where our failure modes have no name in the list, each answer is compared with the modes and with every piece of
evidence by what their words are about. What was read and stayed quiet speaks against an answer that is about it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from agents.service_causes.chain import EFFECT_KEEPS
from agents.service_causes.pieces import Item, file_of, items_of
from agents.service_causes.weigh import FADING, Seen, Weighed
from knowledge.service_causes import HEALTHY, UNKNOWN, Mode, load_catalog, plain
from knowledge.service_concepts import features, load_concepts, spaced

NAME_WEIGHT, OWN_WORD = 1.5, 0.5
"""What a feature of the answer's name counts against one of its meaning; what a bare word counts against a concept."""
BY_MODE, BY_EVIDENCE = 1.0, 2.2
"""How much the failure modes say, and how much the words of the evidence."""
FITS = 0.45
"""From this likeness on a mode and an answer mean the same."""
NEAR_MODE, STILL = 0.6, -1.2
"""From this likeness on, quiet series of a mode speak against the answer, and so much."""
MOST_OF_FEATURE = 2.5
QUIET = -0.7


@dataclass(frozen=True)
class Choice:
    """One answer of the list, and how it fared."""

    answer: str
    meaning: str
    score: float
    mode: str
    """The mode of ours that speaks for it most; "unknown" where none does."""
    items: tuple[Item, ...] = ()
    """The evidence whose words are about it, weightiest first."""


def choose(seen: Seen, weighed: Mapping[str, Weighed], calm: float, untold: float) -> list[Choice]:
    """Every answer of the case's list, best first. `calm` and `untold` are the scores of "no fault" and "unknown"."""
    case = seen.case
    vectors = _vectors(case.choices, case.meanings)
    causes = {
        name: vector for name, vector in vectors.items() if not kind_of(name, case.meanings.get(name, ""))
    }
    fits = fits_of(causes)
    backing = _backing(weighed, fits)
    items = items_of(seen)
    found = []
    for name in case.choices:
        meaning = case.meanings.get(name, "")
        kind = kind_of(name, meaning)
        if kind:
            found.append(Choice(name, meaning, calm if kind == HEALTHY else untold, kind))
            continue
        support, mode = backing.get(name, (0.0, UNKNOWN))
        told, used = _told(vectors[name], items)
        score = BY_MODE * support + BY_EVIDENCE * told + _still(name, fits, seen)
        found.append(Choice(name, meaning, score, mode, used))
    return sorted(found, key=lambda one: -one.score)


def kind_of(answer: str, meaning: str) -> str:
    """ "healthy" or "unknown" where an answer of a list says that; "" for a cause.

    >>> kind_of("false_alarm", ""), kind_of("ok", "nothing wrong now"), kind_of("disk_io", "a slow disk")
    ('healthy', 'healthy', '')
    """
    categories, concepts = load_catalog().categories, load_concepts()
    for kind, pattern in ((HEALTHY, concepts.calm), (UNKNOWN, concepts.untold)):
        known = {kind, *categories[kind].also}
        if plain(answer) in known or pattern.search(spaced(answer)) or pattern.match(spaced(meaning)):
            return kind
    return ""


Vector = Mapping[str, float]


def _vectors(choices: Sequence[str], meanings: Mapping[str, str]) -> dict[str, Vector]:
    """Features of each answer; what several answers share tells less."""
    named = {one: features(one) for one in choices}
    told = {one: features(meanings.get(one, "")) for one in choices}
    counts: dict[str, int] = {}
    for one in choices:
        for feature in named[one] | told[one]:
            counts[feature] = counts.get(feature, 0) + 1
    vectors: dict[str, Vector] = {}
    for one in choices:
        vectors[one] = {
            feature: (NAME_WEIGHT if feature in named[one] else 1.0) * _rarity(feature, counts, len(choices))
            for feature in named[one] | told[one]
        }
    return vectors


def _rarity(feature: str, counts: Mapping[str, int], total: int) -> float:
    rare = math.log(1.0 + total / counts[feature]) / math.log(1.0 + total)
    return rare * (OWN_WORD if feature.startswith("=") else 1.0)


Fits = Mapping[str, Mapping[str, float]]
"""Of each mode of ours how far each answer means the same, 0 to 1."""


def fits_of(vectors: Mapping[str, Vector]) -> Fits:
    """A mode goes to the answer that is nearest to it; an answer that is hardly nearer than others gets less."""
    found = {}
    for mode in load_catalog().modes.values():
        near = {answer: _alike(mode, answer, vector) for answer, vector in vectors.items()}
        most = max(near.values(), default=0.0)
        found[mode.id] = {
            answer: min(1.0, one / FITS) * one / most for answer, one in near.items() if one > 0
        }
    return found


def _alike(mode: Mode, answer: str, vector: Vector) -> float:
    if plain(answer) in (mode.id, *mode.also):
        return 1.0
    own = _of_mode(mode.id)
    shared = sum(weight * own[feature] for feature, weight in vector.items() if feature in own)
    return shared / (_length(vector.values()) * _length(own.values()))


def _length(weights: Collection[float]) -> float:
    return math.sqrt(sum(weight * weight for weight in weights)) or 1.0


@cache
def _mode_vectors() -> dict[str, dict[str, float]]:
    """What each mode of ours is about; what many modes share tells less."""
    modes = load_catalog().modes
    named = {key: features(f"{mode.id} {mode.title}") for key, mode in modes.items()}
    told = {key: features(" ".join(mode.also)) for key, mode in modes.items()}
    counts = Counter(feature for key in modes for feature in named[key] | told[key])
    return {
        key: {
            feature: (NAME_WEIGHT if feature in named[key] else 1.0) * _rarity(feature, counts, len(modes))
            for feature in named[key] | told[key]
        }
        for key in modes
    }


def _of_mode(mode_id: str) -> Vector:
    return _mode_vectors()[mode_id]


def _backing(weighed: Mapping[str, Weighed], fits: Fits) -> dict[str, tuple[float, str]]:
    """The best that modes of ours say for each answer. Where the list has no word for a cause, its effect stands for
    it with its own weight."""
    found: dict[str, tuple[float, str]] = {}
    for one in weighed.values():
        above = max(fits[one.effect_of].values(), default=0.0) if one.effect_of else 1.0
        score = max(one.score, one.raw * (EFFECT_KEEPS + (1.0 - EFFECT_KEEPS) * (1.0 - above)), 0.0)
        for answer, fit in fits[one.mode.id].items():
            if fit * score > found.get(answer, (0.0, ""))[0]:
                found[answer] = (fit * score, one.mode.id)
    return found


def _still(answer: str, fits: Fits, seen: Seen) -> float:
    """What speaks against an answer: series that the mode nearest to it would move were read and stayed as they were."""
    fit, mode_id = max(((by.get(answer, 0.0), mode) for mode, by in fits.items()), default=(0.0, ""))
    if fit < NEAR_MODE:
        return 0.0
    quiet = load_catalog().modes[mode_id].quiet
    read = [m for m in seen.movements if m.quantity.id in quiet]
    return STILL * fit if read and not any(m.bad for m in read) else 0.0


def _told(vector: Vector, items: Sequence[Item]) -> tuple[float, tuple[Item, ...]]:
    """How far the evidence is about an answer: for each feature its weightiest pieces, quiet readings against it."""
    total = sum(vector.values()) or 1.0
    score, used = 0.0, dict[int, float]()
    for feature, weight in vector.items():
        holding = [item for item in items if feature in item.features]
        loud = sorted((item.weight for item in holding if item.weight > 0), reverse=True)
        found = min(MOST_OF_FEATURE, sum(w * share for w, share in zip(loud, FADING, strict=False)))
        if found < 0.5 and any(item.weight < 0 for item in holding):
            found += QUIET
        score += weight * found
        for item in holding:
            if item.weight > 0:
                used[id(item)] = used.get(id(item), 0.0) + weight * item.weight
    best = sorted(
        (item for item in items if id(item) in used and file_of(item)), key=lambda item: -used[id(item)]
    )
    return score / total, tuple(best[:6])
