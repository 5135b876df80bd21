"""The scale a quantity is forecast on: logarithmic where it is positive and swings widely, else its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plant.control.forecast.baselines import FloatArray

FLOOR_PU = 0.05
"""Of the median: added before the logarithm where readings come near zero, so that an idle minute is no abyss."""


@dataclass(frozen=True)
class Scale:
    """`to` the forecast's scale and `back`."""

    logarithmic: bool
    floor: float = 0.0

    def to(self, values: FloatArray) -> FloatArray:
        if not self.logarithmic:
            return values
        return np.log(np.maximum(values + self.floor, 1e-3 * self.floor + 1e-12))

    def back(self, scaled: FloatArray) -> FloatArray:
        return np.maximum(np.exp(scaled) - self.floor, 0.0) if self.logarithmic else scaled


def scale_of(values: FloatArray, additive: bool) -> Scale:
    """The scale for these readings; `additive`: parts of it are known ahead and add up, so it stays as it is."""
    read = values[np.isfinite(values)]
    middle = float(np.median(read))
    if additive or middle <= 0 or read.min() < 0:
        return Scale(logarithmic=False)
    return Scale(logarithmic=True, floor=FLOOR_PU * middle if read.min() < FLOOR_PU * middle else 0.0)
