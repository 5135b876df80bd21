"""How well a model's texts read beside the template's, by fixed formulas: the same incident, both texts, their difference.

    python -m evals.readability --model bundled --count 100

Only texts in the model's own words are compared; where it fell back, both are the template. A fact is a number, a time
or a name (`agents.verification.claims`) outside quotation marks; the facts of an incident are those that either text says.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.verification.claims import claims_of, without_quotations
from evals.intervals import bootstrap
from evals.outputs import Output, outputs
from evals.reading import reading_ease
from evals.running.contenders import contender
from setpoint.errors import SetpointError

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]{3,}")


@dataclass(frozen=True)
class Pair:
    """One incident's text, both ways."""

    kind: str
    template: str
    words: str


Measure = Callable[[str, Pair], float]


def words_a_sentence(text: str, pair: Pair) -> float:
    """Fewer are easier at night."""
    return len(text.split()) / max(1, len(_sentences(text)))


def facts_first(text: str, pair: Pair) -> float:
    """Share of the facts that the first sentence says."""
    return _share(_sentences(text)[0] if text.strip() else "", pair)


def facts_said(text: str, pair: Pair) -> float:
    """Share of the facts that are said at all."""
    return _share(text, pair)


def said_again(text: str, pair: Pair) -> float:
    """Share of the longer words that the text has said before.

    >>> said_again("Pump failed. The pump failed.", Pair("", "", ""))
    0.5
    """
    words = [word.lower() for word in _WORD.findall(text)]
    return 1 - len(set(words)) / len(words) if words else 0.0


def ease(text: str, pair: Pair) -> float:
    """Flesch's reading ease, 0 hard to 100 easy."""
    return reading_ease(text)


def words_in_all(text: str, pair: Pair) -> float:
    """How much there is to read."""
    return float(len(text.split()))


MEASURES: dict[str, tuple[Measure, str]] = {
    "words in all": (words_in_all, "fewer"),
    "words a sentence": (words_a_sentence, "fewer"),
    "facts in the first sentence": (facts_first, "more"),
    "facts said at all": (facts_said, "more"),
    "words said again": (said_again, "fewer"),
    "reading ease": (ease, "more"),
}
"""Name, formula, and what is better."""


def compared(rows: Sequence[Output]) -> list[Pair]:
    """Of what is in the model's words."""
    return [Pair(row.kind.partition(",")[0], row.template, row.words) for row in rows if not row.refused]


def table(pairs: Sequence[Pair]) -> list[str]:
    """One line a measure: template, model, difference with its 95 % interval over the pairs."""
    lines = ["| measure | better | template | model | difference (95 %) |", "|---|---|---|---|---|"]
    for name, (measure, better) in MEASURES.items():
        rows = [(measure(pair.template, pair), measure(pair.words, pair)) for pair in pairs]
        low, high = bootstrap(rows, lambda sample: _mean([own - plain for plain, own in sample]))
        plain, own = (_mean([row[side] for row in rows]) for side in (0, 1))
        lines.append(
            f"| {name} | {better} | {plain:.2f} | {own:.2f} | {own - plain:+.2f} ({low:+.2f} to {high:+.2f}) |"
        )
    return lines


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text.strip()) if part]


def _share(text: str, pair: Pair) -> float:
    known = _facts(pair.template) | _facts(pair.words)
    return len(_facts(text) & known) / len(known) if known else 1.0


def _facts(text: str) -> set[tuple[str, str]]:
    return {(claim.kind, claim.text) for claim in claims_of(without_quotations(text))}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table over all texts and one for each kind."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.readability", description="A model's texts beside the template's."
    )
    parser.add_argument("--model", default="bundled", help="bundled, FILE.gguf or URL#MODEL")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--split", default="held-out", choices=("dev", "held-out"))
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--data", type=Path, help="folder of public data (default: where it usually lies)")
    options = parser.parse_args(arguments)
    try:
        who = contender(options.model if options.model == "bundled" else f"light={options.model},heavy=none")
        model = who.role("light")
        assert model is not None  # the light model was named
        who.check()
        rows = outputs(model, options.count, options.split, options.seed, options.data)
    except SetpointError as error:
        print(f"evals.readability: {error}", file=sys.stderr)
        return error.exit_code
    pairs = compared(rows)
    print(
        f"{len(pairs)} of {len(rows)} texts are in the words of {model.name}; the others are the template's\n"
    )
    for kind in ("all", *dict.fromkeys(pair.kind for pair in pairs)):
        mine = [pair for pair in pairs if kind in ("all", pair.kind)]
        print("\n".join([f"## {kind} ({len(mine)})", "", *table(mine), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
