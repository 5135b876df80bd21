"""A lower bound on a share that holds whenever one looks at it, however one chose the moment.

A fixed-size interval is wrong as soon as people look after each decision and stop when they like what they see. This
one pays for that: the chance that it is ever above the true share, over all moments, is at most alpha.

For a share p that is claimed to be at most r, the likelihood of what was seen is compared with its mean over a prior on
the shares above r:

    M_n(r) = B(a+s, b+f) Q(r; a+s, b+f) / (B(a, b) Q(r; a, b)) / (r^s (1-r)^f)

with s good and f bad ones, B the beta function and Q(x; a, b) the upper tail 1 - I_x(a, b) of the beta distribution. If
the claim is true, M_n is a supermartingale that begins at 1, so by Ville's inequality it ever reaches 1/alpha with a
chance of at most alpha. It stays one where the share moves, as long as it never is above r. The bound is the largest r
whose claim is refuted.

Method of mixtures: Robbins, Annals of Mathematical Statistics 41 (1970); inequality: Ville, Etude critique de la notion
de collectif (1939); as a confidence sequence: Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 (2021).
"""

from __future__ import annotations

import math
from functools import lru_cache

from setpoint.contracts.autonomy import Count

PRIOR = (1.0, 0.5)
"""Beta prior of the mixture. A smaller second number rises sooner without failures and later after one; with this one
a bound of 0.95 takes 114 good ones in a row, and a true share of 0.99 gets there in about 200 (evals/autonomy.py)."""
_STEPS = 50
_MOST = 1_000_000


def log_evidence(good: int, bad: int, share: float) -> float:
    """Natural logarithm of M_n: the evidence that the true share is above `share`.

    >>> log_evidence(0, 0, 0.9), round(log_evidence(100, 0, 0.95), 2), log_evidence(3, 90, 0.95) < 0
    (0.0, 4.2, True)
    """
    from scipy.special import betaincc, betaln  # takes 0.2 s to import, and most commands never count

    a, b = PRIOR
    above = betaincc(a + good, b + bad, share) / betaincc(a, b, share)
    if above <= 0.0:  # nothing of the mixture is left there: the shares above explain it far worse
        return -math.inf
    mixture = betaln(a + good, b + bad) - betaln(a, b) + math.log(above)
    return float(mixture - good * math.log(share) - bad * math.log1p(-share))


def exceeds(good: int, bad: int, share: float, alpha: float) -> bool:
    """Whether the true share is above `share`, but for a chance of `alpha` over all looks together."""
    return log_evidence(good, bad, share) >= math.log(1.0 / alpha)


def lower_bound(good: int, bad: int, alpha: float) -> float:
    """The largest share that `exceeds` refutes; 0 where none is.

    >>> round(lower_bound(114, 0, 0.008), 3), round(lower_bound(10, 0, 0.01), 2), lower_bound(0, 3, 0.01)
    (0.95, 0.58, 0.0)
    """
    if not good:
        return 0.0
    low, high = 0.0, good / (good + bad)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if 0.0 < middle < 1.0 and exceeds(good, bad, middle, alpha) else (low, middle)
        )
    return low


@lru_cache(maxsize=4096)
def needed(bad: int, share: float, alpha: float) -> int:
    """The fewest good ones that, with so many bad ones, put the bound above `share`.

    >>> needed(0, 0.95, 0.008), needed(1, 0.95, 0.008), needed(0, 0.8, 0.008)
    (114, 174, 26)
    """
    low, high = 0, 16
    while not exceeds(high, bad, share, alpha):
        low, high = high, 2 * high
        if high > _MOST:
            return _MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exceeds(middle, bad, share, alpha) else (middle, high)
    return high


def count(good: int, bad: int, required: float, alpha: float) -> Count:
    """The record of one share against what is required of it."""
    return Count(
        good=good, bad=bad, lower=lower_bound(good, bad, alpha), required=required, alpha=alpha,
        more=max(0, needed(bad, required, alpha) - good),
    )  # fmt: skip
