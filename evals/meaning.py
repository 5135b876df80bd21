"""Is an embedding model worth setting? `python -m evals.meaning [FILE] --set fresh`.

The product's own index answers each text by words and, with a GGUF embedding model, by meaning and by both fused with
several weights. `fresh` are texts written after the glossary was frozen.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from evals.intervals import bootstrap, wilson
from evals.suites.retrieval import place
from evals.suites.retrieval.texts import Text, read_texts
from knowledge.index import Embed, Index
from setpoint.contracts import Passage
from setpoint.llm.embedding import load_embedding

DEEP = 40
"""Passages looked at by each side."""
WORDS, MEANING = "words", "meaning"


@dataclass(frozen=True)
class Fusion:
    """Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009) of both sides."""

    weight: float
    """Of meaning; words weigh 1."""
    k: int
    """The larger, the less the first places count beside the later ones."""

    @property
    def name(self) -> str:
        return f"fused, meaning {self.weight:g}, k {self.k}"

    def sections(self, words: Sequence[str], meaning: Sequence[str]) -> list[str]:
        """Sections, best first, from passage ids, best first.

        >>> Fusion(0.25, 2).sections(["leak#steps", "pump#checks"], ["pump#checks", "valve#steps"])
        ['leak', 'pump', 'valve']
        """
        scores: dict[str, float] = {}
        for weight, found in ((1.0, words), (self.weight, meaning)):
            for rank, passage in enumerate(found, 1):
                scores[passage] = scores.get(passage, 0.0) + weight / (self.k + rank)
        return sections(sorted(scores, key=lambda passage: -scores[passage]))


FUSIONS = tuple(Fusion(weight, k) for k in (2, 60) for weight in (0.25, 0.5, 1.0))


@dataclass(frozen=True)
class Answers:
    """One text with the place of its section by each contender, and whether words held that nothing answers it."""

    text: Text
    places: Mapping[str, int]
    silent: bool


def answers(index: Index, text: Text, fusions: Sequence[Fusion]) -> Answers:
    """One text put to words, however weakly they fit, so that places compare; and to meaning and fusions, if any."""
    words = _ids(index.search(text.text, DEEP, retriever="words", nearest=True))
    found = {WORDS: sections(words)}
    if fusions:
        meaning = _ids(index.search(text.text, DEEP, retriever="meaning"))
        found |= {MEANING: sections(meaning)}
        found |= {fusion.name: fusion.sections(words, meaning) for fusion in fusions}
    accepted = set(text.sections)
    silent = not index.search(text.text, 1, retriever="words")
    return Answers(text, {name: place(them, accepted) for name, them in found.items()}, silent)


def sections(passages: Sequence[str]) -> list[str]:
    """The sections of passages, each where its first one stands."""
    return list(dict.fromkeys(passage.partition("#")[0] for passage in passages))


def report(rows: Sequence[Answers]) -> list[str]:
    """R@1, R@3 and R@5 by contender with 95 % intervals, its gain over words at 3, and how often words are silent."""
    answered, others = (
        [row for row in rows if bool(row.text.sections) == wanted] for wanted in (True, False)
    )
    lines = []
    for name in answered[0].places if answered else ():
        shares = "  ".join(_share(answered, name, most) for most in (1, 3, 5))
        lines.append(f"{name:28}{shares}  {'' if name == WORDS else _gain(answered, name)}".rstrip())
    for title, some in (("that nothing answers", others), ("that a runbook answers", answered)):
        if some:
            lines.append(f"silent: {sum(row.silent for row in some)} of {len(some)} {title}")
    return lines


def within(row: Answers, name: str, most: int) -> bool:
    """Whether the section is among the first `most`."""
    return 0 < row.places[name] <= most


def _share(rows: Sequence[Answers], name: str, most: int) -> str:
    hits = sum(within(row, name, most) for row in rows)
    low, high = wilson(hits, len(rows))
    return f"R@{most} {hits / len(rows):.3f} ({low:.2f}-{high:.2f})"


def _gain(rows: Sequence[Answers], name: str) -> str:
    """On the same texts; an interval that holds 0 proves nothing."""
    pairs = [within(row, name, 3) - within(row, WORDS, 3) for row in rows]
    low, high = bootstrap(pairs, lambda some: sum(some) / len(some), rounds=2000)
    better, worse = sum(pair > 0 for pair in pairs), sum(pair < 0 for pair in pairs)
    return f"against words at 3: +{better} -{worse} ({low:+.3f} to {high:+.3f})"


def _ids(found: Sequence[Passage]) -> list[str]:
    return [passage.id for passage in found]


def _milliseconds(call: Callable[[str], object], texts: Sequence[str]) -> float:
    """CPU milliseconds of one call."""
    start = time.process_time()
    for text in texts:
        call(text)
    return 1000 * (time.process_time() - start) / len(texts)


def _cost(index: Index, embed: Embed | None, texts: Sequence[str]) -> str:
    told = f"words {_milliseconds(lambda text: index.search(text, 6, retriever='words'), texts):.1f}"
    if embed is None:
        return told
    return (
        f"{told}, a vector {_milliseconds(lambda text: embed([text]), texts):.1f}, "
        f"meaning {_milliseconds(lambda text: index.search(text, 6, retriever='meaning'), texts):.1f}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m evals.meaning", description="Compare retrieval by words, by meaning and by both."
    )
    parser.add_argument("file", type=Path, nargs="?", help="GGUF embedding model; without it words alone")
    parser.add_argument("--set", default="fresh", choices=("dev", "held-out", "fresh"), dest="name")
    options = parser.parse_args(argv)
    embed = load_embedding(options.file) if options.file else None
    texts = read_texts(options.name)
    with TemporaryDirectory(prefix="setpoint-meaning-") as folder:
        index = Index.open(Path(folder), embed=embed)
        rows = [answers(index, text, FUSIONS if embed else ()) for text in texts]
        cost = _cost(index, embed, [text.text for text in texts])
        index.close()
    for kind in dict.fromkeys(text.kind for text in texts):
        print(
            f"{options.name}, {kind}s", *report([row for row in rows if row.text.kind == kind]), "", sep="\n"
        )
    print(f"CPU ms a query: {cost}")


if __name__ == "__main__":
    main()
