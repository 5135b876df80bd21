"""The alternative that was measured and not taken: gradient boosting for each horizon, from the same simple forecasts.

It knows the hour, the weekday and how restless the series is, too. On a week or two of history it gains at middle
horizons and loses more at the shortest and the longest, and a fit takes seconds (`bench --ablation`).
"""

from __future__ import annotations

import time

import numpy as np

from plant.control.forecast.baselines import FloatArray
from plant.control.forecast.combine import convex_weights
from plant.control.forecast.experts import Experts, IntArray
from plant.control.forecast.intervals import restlessness


def compared(values: FloatArray, step_s: float, ahead: int, first: int) -> tuple[float, float, float]:
    """Mean absolute error over what came, of boosting and of weights, from `first` on with one fit a day, for positive
    gapless `values`; and CPU seconds of one boosting fit."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    series = np.log(values)
    view = Experts(series, step_s)
    boosted, weighed, fits_s = [], [], []
    for begin in range(first, len(series) - ahead, view.day):
        past = np.arange(view.day, begin - ahead)
        tried = np.arange(begin - 1, min(begin - 1 + view.day, len(series) - ahead))
        came = series[past + ahead]
        begun = time.process_time()
        model = HistGradientBoostingRegressor(
            loss="absolute_error", max_iter=80, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=30, random_state=0
        )  # fmt: skip
        model.fit(_features(view, past, ahead, step_s), came - series[past])
        fits_s.append(time.process_time() - begun)
        weights = convex_weights(view.at(past, np.full(len(past), ahead)), series[past], came)
        last, then = series[tried], values[tried + ahead]
        boosted.append(
            np.abs(np.exp(last + model.predict(_features(view, tried, ahead, step_s))) - then) / then
        )
        experts = view.at(tried, np.full(len(tried), ahead))
        weighed.append(np.abs(np.exp(last + (experts - last[:, None]) @ weights) - then) / then)
    return (
        float(np.concatenate(boosted).mean()),
        float(np.concatenate(weighed).mean()),
        float(np.median(fits_s)),
    )


def _features(view: Experts, origins: IntArray, ahead: int, step_s: float) -> FloatArray:
    """Simple forecasts less the last value, the last change, restlessness, hour and weekday of the target."""
    last = view.series[origins]
    phase = 2.0 * np.pi * ((origins + ahead) % view.day) / view.day
    return np.column_stack([
        view.at(origins, np.full(len(origins), ahead)) - last[:, None], last - view.series[np.maximum(origins - 1, 0)],
        restlessness(view.series, step_s)[origins], np.sin(phase), np.cos(phase), ((origins + ahead) // view.day) % 7,
    ])  # fmt: skip
