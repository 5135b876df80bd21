"""Where a mechanism would be felt: a short run of the plant with it against one without, in noise of each signal."""

from __future__ import annotations

import numpy as np

from plant.diagnosis.estimate import Estimate
from plant.diagnosis.mechanisms import Mechanism, inject
from plant.diagnosis.observed import FloatArray
from setpoint.errors import SetpointError

SPAN_S, STEP_S = 600.0, 15.0
SEVERITY = 0.6
MOST_Z = 10.0
"""Beyond this a signal is bent, and how far says nothing more."""


class Footprints:
    """Short trial runs from one estimated state, all over the same span."""

    def __init__(self, estimate: Estimate) -> None:
        self._estimate = estimate
        self._noise = np.array([estimate.noise[key] for key in estimate.keys])
        # One twin is set back before each run: copying a large site takes longer than the run.
        self._twin = estimate.plant.copy()
        self._begin = self._twin.store.values.copy()
        self._sound = self._after()
        self._found: dict[tuple[str, object], FloatArray] = {}
        self.runs = 1

    def known(self, mechanism: Mechanism, asset: str) -> bool:
        """Whether a like run has been made."""
        return (asset, likeness(mechanism)) in self._found

    def of(self, mechanism: Mechanism, asset: str) -> FloatArray:
        """[keys of the estimate]: change of each signal in noise, at most MOST_Z either way; 0 where it cannot run.

        Mechanisms that turn the same knobs the same way share one run.
        """
        key = (asset, likeness(mechanism))
        if key not in self._found:
            self._found[key] = self._run(mechanism, asset)
        return self._found[key]

    def _run(self, mechanism: Mechanism, asset: str) -> FloatArray:
        self._twin.store.values[:] = self._begin
        self._twin.ramps = [list(ramp) for ramp in self._estimate.plant.ramps]
        try:
            moved = inject(self._twin, mechanism, asset, SEVERITY)
        except (SetpointError, KeyError):
            return np.zeros(len(self._noise))
        if not moved:
            return np.zeros(len(self._noise))
        self.runs += 1
        change = (self._after() - self._sound) / self._noise
        return np.asarray(np.clip(np.nan_to_num(change), -MOST_Z, MOST_Z))

    def _after(self) -> FloatArray:
        self._twin.advance(SPAN_S, STEP_S)
        return np.asarray(self._twin.store.values[self._estimate.offsets])


def likeness(mechanism: Mechanism) -> tuple[tuple[object, ...], ...]:
    """Equal for mechanisms that turn the same knobs on the same targets the same way, however far."""
    return tuple((m.on, m.most, m.knob, m.gpus, m.relative, m.severe > m.mild) for m in mechanism.moves)
