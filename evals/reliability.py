"""How far a stated probability may be believed: Brier scores, bins of stated against observed, and their picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from evals.intervals import wilson

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers with nearly the same stated probability."""

    stated: float
    """Mean of what was stated, 0 to 1."""
    observed: float
    """Share that was right."""
    low: float
    high: float
    """95 % Wilson interval of `observed`."""
    n: int


def brier(shares: Sequence[Mapping[str, float]], truths: Sequence[str]) -> float:
    """Mean over answers of the squared distance between shares and truth, over all causes: 0 is perfect, 2 the worst
    (Brier, 1950). A cause that is not listed has share 0. 0.0 for no answers.

    >>> brier([{"a": 1.0}, {"a": 0.5, "b": 0.5}], ["a", "b"])
    0.25
    """
    total = 0.0
    for stated, truth in zip(shares, truths, strict=True):
        total += sum((share - (cause == truth)) ** 2 for cause, share in stated.items())
        total += truth not in stated
    return total / len(truths) if truths else 0.0


def brier_of_first(stated: Sequence[float], right: Sequence[bool]) -> float:
    """Mean squared distance of the first cause's share and whether it was right: 0 is perfect, 1 the worst."""
    pairs = list(zip(stated, right, strict=True))
    return sum((share - hit) ** 2 for share, hit in pairs) / len(pairs) if pairs else 0.0


def bins_of(stated: Sequence[float], right: Sequence[bool], bins: int = BINS) -> tuple[Bin, ...]:
    """Even bins of the stated probability, empty ones left out."""
    held: dict[int, list[tuple[float, bool]]] = {}
    for share, hit in zip(stated, right, strict=True):
        held.setdefault(min(bins - 1, int(share * bins)), []).append((share, hit))
    return tuple(_bin(held[number]) for number in sorted(held))


def _bin(pairs: Sequence[tuple[float, bool]]) -> Bin:
    hits = sum(hit for _, hit in pairs)
    low, high = wilson(hits, len(pairs))
    return Bin(sum(share for share, _ in pairs) / len(pairs), hits / len(pairs), low, high, len(pairs))


def calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of stated and observed, weighted by the number in each bin (ECE)."""
    total = sum(one.n for one in bins)
    return sum(one.n * abs(one.stated - one.observed) for one in bins) / total if total else 0.0


# ---- the picture ------------------------------------------------------------------------------------------

SIZE, EDGE = 320.0, 44.0
_COLOURS = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed")


def picture(curves: Mapping[str, Sequence[Bin]], title: str) -> str:
    """A self-contained SVG: stated probability to the right, share right upwards, the diagonal is honesty. Areas of
    the dots are the numbers of answers, lines through them 95 % intervals."""
    width, height = SIZE + 2 * EDGE, SIZE + 2 * EDGE + 18 * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{escape(title)}</title>',
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>',
        f'<text x="{EDGE:g}" y="20" font-size="13">{escape(title)}</text>',
        *_axes(),
    ]
    most = max((one.n for bins in curves.values() for one in bins), default=1)
    for number, (name, bins) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        parts += [_dot(one, colour, most) for one in bins]
        y = SIZE + 2 * EDGE + 18 * number
        answers = sum(one.n for one in bins)
        legend = f"{name}: {answers} answers, calibration error {calibration_error(bins):.2f}"
        parts.append(f'<circle cx="{EDGE:g}" cy="{y - 4:g}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{EDGE + 12:g}" y="{y:g}">{escape(legend)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _axes() -> list[str]:
    bottom, right = _y(0), _x(1)
    lines = [f'<path d="M{_x(0):g} {_y(0):g}L{_x(1):g} {_y(1):g}" stroke="#999" stroke-dasharray="4 4"/>']
    for tenth in range(0, 11, 2):
        share = tenth / 10
        lines += [
            f'<path d="M{_x(share):g} {_y(1):g}V{bottom:g}M{_x(0):g} {_y(share):g}H{right:g}" stroke="#e5e7eb"/>',
            f'<text x="{_x(share):g}" y="{bottom + 16:g}" text-anchor="middle">{share:g}</text>',
            f'<text x="{_x(0) - 6:g}" y="{_y(share) + 4:g}" text-anchor="end">{share:g}</text>',
        ]
    middle = (_x(0) + right) / 2
    lines.append(
        f'<text x="{middle:g}" y="{bottom + 32:g}" text-anchor="middle">stated probability of the first cause</text>'
    )
    lines.append(
        f'<text transform="translate(12 {(_y(0) + _y(1)) / 2:g}) rotate(-90)" text-anchor="middle">share right</text>'
    )
    return lines


def _dot(one: Bin, colour: str, most: int) -> str:
    x, radius = _x(one.stated), 2.5 + 6 * (one.n / most) ** 0.5
    return (
        f'<path d="M{x:.1f} {_y(one.low):.1f}V{_y(one.high):.1f}" stroke="{colour}" stroke-opacity="0.5"/>'
        f'<circle cx="{x:.1f}" cy="{_y(one.observed):.1f}" r="{radius:.1f}" fill="{colour}">'
        f"<title>{one.n} answers: stated {one.stated:.2f}, right {one.observed:.2f}</title></circle>"
    )


def _x(share: float) -> float:
    return EDGE + SIZE * share


def _y(share: float) -> float:
    return EDGE - 12 + SIZE * (1 - share)
