"""What must hold for a level. None of this is a setting: nobody makes a kind safe by writing a smaller number."""

from __future__ import annotations

from setpoint.contracts.autonomy import ActionKind

ALPHA = 0.01
"""Chance that a kind ever gets a level its true share does not deserve, over all its tries together."""
GOOD_ALONE = 0.95
"""Share of decisions that are a plain yes without harm, to run alone."""
TRUE_ALONE = 0.75
"""Share of rehearsals that came true, to run alone. A rehearsal is true where three quarters of its quantities lie in
their 90 % intervals: with six of them a perfect model is right in 89 of 100, so more could not be asked for."""
GOOD_ADVISE = 0.80
"""Share of decisions that are a plain yes without harm, to be recommended. A person still decides each."""
DRIFT_OF, DRIFT_UNTRUE = 10, 6
"""The plant model has drifted where so many of the latest rehearsals did not come true. With 89 of 100 true it happens
by chance in four of ten thousand such spans."""
LEAST_CONFIDENCE = 0.8
"""Of the state a rehearsal began from, for an action that nobody looks at."""
OLDEST_REHEARSAL_S = 900.0


def alpha_of(tries: int) -> float:
    """Share of ALPHA for the try after so many falls from closed loop. The evidence begins anew with each try, so each
    may use a part only; all parts together are ALPHA.

    >>> [round(alpha_of(tries), 5) for tries in range(3)]
    [0.008, 0.0016, 0.00032]
    """
    return ALPHA * 0.8 * 0.2**tries


def never_alone(kind: ActionKind) -> str:
    """Why this kind may never run alone; "" where it may earn it."""
    if kind.risk != "low":
        return f"it is of {kind.risk} risk, and only low risk may ever run alone"
    if not kind.reversible:
        return "it cannot be taken back"
    if not kind.may_run_alone:
        return kind.why_not_alone or "the catalog does not let it run alone"
    return ""
