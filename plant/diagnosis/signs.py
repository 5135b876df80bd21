"""Readings that the plant model does not compute: whether they went where a cause would send them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plant.diagnosis.candidates import Candidate
from plant.diagnosis.estimate import Estimate
from plant.diagnosis.mechanisms import ANY, EVERY, SWITCHED, Expected
from plant.diagnosis.observed import Key, Observed
from plant.diagnosis.shift import peaks, shifts, silent, stuck
from plant.diagnosis.words import named, reading
from plant.dynamics.knobs import FAULT_KNOBS
from plant.faults.place import targets
from plant.site import Site

CLEAR, CALM = 4.0, 2.0
"""Noises off the usual: it moved, it did not."""
LEAST_READ = 6
"""Readings that refute a state."""
SEEN, NOT_SEEN, HARDLY_MISSED, CONTRARY = 2.6, -1.6, -0.3, -2.2
"""Log evidence of an expected reading, by what it did."""
STILL_READ = -7.0
"""A reading that the cause would silence or freeze goes on."""
MOST = 6.0
"""What signs can say in all, either way."""
FOREIGN, MOST_FOREIGN = -1.0, -3.0
"""For each kind of bent reading on the struck asset that the cause does not send anywhere."""
_DIRECTION = {"up": 1.0, "down": -1.0}
_WORDS = {"up": "go up", "down": "go down", "either": "change"}


@dataclass(frozen=True)
class Signs:
    """What they say of one candidate."""

    score: float = 0.0
    supports: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


class SignReader:
    """Shifts of the readings of one incident, each found once."""

    def __init__(self, site: Site, observed: Observed, estimate: Estimate) -> None:
        self._site, self._observed, self._estimate = site, observed, estimate
        self._modelled = set(estimate.keys)
        self._peaks, self._now = peaks(observed, estimate), shifts(observed, estimate)
        self._frozen = stuck(observed, estimate)
        self._silent = silent(observed, estimate)
        self._contradicted = {
            (p.asset, p.metric): p.text for p in estimate.note.problems if p.kind == "contradicts"
        }

    def shift(self, key: Key) -> float:
        """How far the reading stood off at its furthest, in noise; NaN where nothing is read."""
        return self._peaks.get(key, np.nan)

    def bent(self, asset: str) -> list[str]:
        """Metrics of an asset, unknown to the model, that clearly moved."""
        return [
            metric for name, metric in self._observed.series
            if name == asset and (name, metric) not in self._modelled and abs(self.shift((name, metric))) > CLEAR
        ]  # fmt: skip

    def still_bent(self, asset: str) -> list[str]:
        """Of `bent` those that are off at the window's end."""
        return [metric for metric in self.bent(asset) if abs(self._now.get((asset, metric), 0.0)) > CLEAR]

    def moved(self, asset: str) -> list[str]:
        """All metrics of an asset that clearly moved."""
        return [m for m in self._observed.metrics(asset) if abs(self.shift((asset, m))) > CLEAR]

    def read(self, candidate: Candidate) -> Signs:
        """What the candidate's expected readings say."""
        mechanism = candidate.mechanism
        if mechanism is None:
            return Signs()
        if mechanism.of_one_reading and len(moved := self.moved(candidate.asset)) > 1:
            listed = ", ".join(named(metric) for metric in moved[:4])
            return Signs(
                NOT_SEEN * min(3, len(moved) - 1),
                (),
                (f"several readings of {candidate.asset} moved together: {listed}",),
            )
        score, supports, against = 0.0, list[str](), list[str]()
        if mechanism.of_one_reading and (text := self._contradicted.get((candidate.asset, candidate.metric))):
            score, supports = SEEN, [text]
        explained: set[str] = set()
        for expected in mechanism.expects:
            found = [
                self._one((asset, metric), expected, supports, against)
                for asset in targets(self._site, candidate.asset, expected)
                for metric in self._metrics(asset, expected.metric)
            ]
            score += max(found, default=0.0, key=abs)
            explained.update(
                self.bent(candidate.asset) if expected.metric in (EVERY, ANY) else [expected.metric]
            )
        foreign = [m for m in self.bent(candidate.asset) if m not in explained]
        for metric in foreign:
            against.append(f"{candidate.asset} {named(metric)} moved to {self._furthest(candidate.asset, metric)}, "
                           "which this cause does not explain")  # fmt: skip
        score = float(np.clip(score, -MOST, MOST)) + max(MOST_FOREIGN, FOREIGN * len(foreign))
        return Signs(score, tuple(supports), tuple(against))

    def refuted(self, candidate: Candidate) -> tuple[str, ...]:
        """States that the cause would switch and that were read as before all the time, and readings that it would
        silence and that went on."""
        mechanism = candidate.mechanism
        if mechanism is None:
            return ()
        went_on = [
            f"readings of {asset} went on"
            for expected in mechanism.expects
            if expected.change == "absent" and expected.metric == EVERY and expected.sure
            for asset in targets(self._site, candidate.asset, expected)
            if (told := self._observed.metrics(asset)) and not any((asset, m) in self._silent for m in told)
        ]
        unswitched = [
            text
            for move in mechanism.moves
            if move.knob in SWITCHED and move.mild == move.severe and move.mild in (0.0, 1.0)
            for asset in targets(self._site, candidate.asset, move)
            if (text := self._unswitched((asset, FAULT_KNOBS[move.knob].of), move.mild))
        ]
        return (*went_on, *unswitched)

    def _unswitched(self, key: Key, wanted: float) -> str:
        """That a state never came near the value it should have taken, in words; "" where it did, or is not read."""
        values = self._observed.series.get(key)
        if values is None:
            return ""
        after = values[self._observed.index(self._estimate.at_s) :]
        read = after[np.isfinite(after)]
        if len(read) < LEAST_READ or np.any(np.abs(read - wanted) <= 0.5):
            return ""
        return f"{key[0]} {named(key[1])} was read as {reading(key[1], float(read[-1]))} all the time"

    def unknown(self, assets: frozenset[str]) -> float:
        """What readings that moved on these assets say for a cause nobody named."""
        moved = {metric for asset in assets for metric in self.bent(asset)}
        return min(3.0, 0.8 * len(moved))

    def _metrics(self, asset: str, metric: str) -> list[str]:
        """What is meant by `*` and `any`; of `any` only what has moved, for the rest is as it should be."""
        if metric == EVERY:
            return self._observed.metrics(asset)
        if metric == ANY:
            return [m for m in self._observed.metrics(asset) if self._stands_out((asset, m))]
        return [metric]

    def _stands_out(self, key: Key) -> bool:
        return abs(self.shift(key)) > CLEAR or key in self._silent or key in self._frozen

    def _one(self, key: Key, expected: Expected, supports: list[str], against: list[str]) -> float:
        asset, metric = key
        if expected.change in ("absent", "frozen"):
            return self._sensing(key, expected, supports)
        z = self.shift(key)
        if not np.isfinite(z):
            return 0.0
        z = abs(z) if expected.change == "either" else z * _DIRECTION[expected.change]
        words, way = f"{asset} {named(metric)}", "up" if self.shift(key) > 0 else "down"
        if z > CLEAR:
            supports.append(f"{words} went {way} from {self._usual(*key)} to {self._furthest(*key)}")
            return SEEN if expected.sure else 0.7 * SEEN
        if z < -CLEAR:
            against.append(
                f"{words} should go {expected.change} and went the other way, to {self._last(*key)}"
            )
            return CONTRARY
        if z < CALM and expected.sure:
            against.append(f"{words} should {_WORDS[expected.change]} and stays at {self._last(*key)}")
            return NOT_SEEN
        return HARDLY_MISSED if z < CALM else 0.3

    def _sensing(self, key: Key, expected: Expected, supports: list[str]) -> float:
        hit = key in (self._silent if expected.change == "absent" else self._frozen)
        if hit:
            what = (
                "is no longer read"
                if expected.change == "absent"
                else f"stands at {self._last(*key)} without any change"
            )
            supports.append(f"{key[0]} {named(key[1])} {what}")
            return SEEN
        return STILL_READ if expected.sure and key in self._observed.series else 0.0

    def _last(self, asset: str, metric: str) -> str:
        values = self._observed.series[asset, metric]
        kept = values[np.isfinite(values)]
        return reading(metric, float(np.median(kept[-3:]))) if len(kept) else "nothing"

    def _furthest(self, asset: str, metric: str) -> str:
        """Where it stood when it was furthest off; the reading itself, not the end of a burst that is over."""
        usual = self._estimate.healthy[asset, metric]
        level = float(usual[np.isfinite(usual)][0])
        return reading(metric, level + self.shift((asset, metric)) * self._estimate.noise[asset, metric])

    def _usual(self, asset: str, metric: str) -> str:
        values = self._estimate.healthy[asset, metric]
        kept = values[np.isfinite(values)]
        return reading(metric, float(kept[0])) if len(kept) else "nothing"
