"""Trains the text ranker and writes its weights as JSON: `python -m setpoint.learning.ranker`.

Sources: public labelled sets (Redfish registries, Prometheus rules, XID texts, Mercury, Titan) and example lines
written by us, which bring the routine. LogHub lines are never trained on: their licence is for research only, they
serve as an unseen test. Each source has the same total weight, so that a long catalog does not drown a short log.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from agents.filter import RANKER_DIR, Lexicon, TextRanker, Weights
from agents.symbolic_engine import SymbolicEngine
from evals import triage_data
from evals.triage_data import Labelled
from evals.triage_score import Score, by_wording, score
from knowledge.rulebook import RuleBook
from knowledge.text import mask, searchable
from setpoint.contracts import PRIORITIES, Priority

LINES = Path(__file__).parent / "ranker_lines.yaml"
MIN_TEXTS_PER_WORD = 4
"""A plain word enters the model when at least so many training texts hold it."""
INVERSE_REGULARISATION = 0.6
TEMPERATURE = {"line": 1.5, "alert": 2.2}
"""As fitted last; used where a ranker is trained only to be scored."""
CLASS_SHARE: dict[Priority, float] = {"P0": 0.11, "P1": 0.21, "P2": 0.18, "P3": 0.5}
"""Weight of each priority within our own lines."""
SEVERITY_HINTS: dict[str, tuple[float, float, float, float]] = {
    # Alerts: people chose the level. Lines: info is nearly always harmless, error and fatal prove little
    # (on one machine 204 of 347 FATAL lines were harmless).
    "alert:critical": (0.8, 0.8, -0.3, -1.0),
    "alert:error": (0.3, 0.6, 0.2, -0.6),
    "alert:warning": (-1.0, -0.5, 0.8, -0.1),
    "alert:info": (-1.5, -1.2, -0.3, 1.2),
    "line:critical": (0.2, 0.3, 0.0, -0.2),
    "line:error": (0.0, 0.1, 0.1, -0.1),
    "line:warning": (-0.4, -0.3, 0.2, 0.1),
    "line:info": (-1.2, -1.0, -0.6, 1.0),
}
_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Example:
    """One labelled text of one source."""

    source: str
    text: str
    """As `knowledge.text.searchable` makes it."""
    alert: bool
    gold: Priority
    weight: float = 1.0
    group: int = 0
    """Wordings of one template share it."""


def own_examples(path: Path = LINES) -> list[Example]:
    """Our lines, every wording of each."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        Example(f"own-{form}", wording, form == "alert", priority, 1 / len(wordings), group)
        for form in ("line", "alert")
        for priority in PRIORITIES
        for group, template in enumerate(raw[form][priority])
        for wordings in [list(expand(template))]
        for wording in wordings
    ]


def expand(template: str) -> Iterator[str]:
    """Every wording of a template.

    >>> list(expand("{up|down} again"))
    ['up again', 'down again']
    """
    parts = _CHOICE.split(template)
    choices = [part.split("|") if place % 2 else [part] for place, part in enumerate(parts)]
    return ("".join(chosen) for chosen in itertools.product(*choices))


def public_examples(data: Path) -> list[Example]:
    """The labelled public sets, one example a wording."""
    sets: dict[str, list[Labelled]] = {
        "redfish": triage_data.redfish(data),
        "prometheus": triage_data.prometheus(data),
        "xid": triage_data.xid_texts(data),
        "mercury": triage_data.mercury(data),
        "titan": triage_data.titan(data),
    }
    return [example for name, items in sets.items() for example in _by_wording(name, items)]


def _by_wording(source: str, items: Iterable[Labelled]) -> Iterator[Example]:
    seen: set[tuple[str, str]] = set()
    for item in items:
        text = searchable(item.event.kind, mask(item.event.message))
        if (text, item.gold) not in seen:
            seen.add((text, item.gold))
            yield Example(source, text, bool(item.event.kind), item.gold)


SOURCE_WEIGHT = {
    "own-line": 6.0,
    "own-alert": 1.0,
    "redfish": 2.0,
    "prometheus": 2.0,
    "xid": 0.5,
    "mercury": 1.0,
    "titan": 0.2,
}


def train(examples: Sequence[Example], *, temperature: dict[str, float] | None = None) -> Weights:
    """Multinomial logistic regression on lexicon features and frequent words. Deterministic."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    lexicon = Lexicon.load()
    rows = _kept_features([lexicon.features(e.text, alert=e.alert) for e in examples])
    vectorizer = DictVectorizer(sparse=True)
    matrix = vectorizer.fit_transform(rows)
    gold = [PRIORITIES.index(e.gold) for e in examples]
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=3000, solver="lbfgs")
    model.fit(matrix, gold, sample_weight=_sample_weights(examples))
    table: NDArray[Any] = np.round(model.coef_, 4)
    weights = {
        str(name): tuple(float(v) for v in table[:, place])
        for place, name in enumerate(vectorizer.get_feature_names_out())
        if np.abs(table[:, place]).max() > 0.005
    }
    return Weights(
        version="1",
        lexicon=lexicon.version,
        trained_on=dict(sorted(Counter(e.source for e in examples).items())),
        bias=tuple(float(v) for v in np.round(model.intercept_, 4)),
        weights=weights,
        temperature=temperature or {"line": 1.0, "alert": 1.0},
        severity=SEVERITY_HINTS,
    )


def _kept_features(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    counts = Counter(name for row in rows for name in row)
    return [
        {n: v for n, v in row.items() if not n.startswith("w:") or counts[n] >= MIN_TEXTS_PER_WORD}
        for row in rows
    ]


def _sample_weights(examples: Sequence[Example]) -> NDArray[Any]:
    """Sources by `SOURCE_WEIGHT`, whatever their size; our own by `CLASS_SHARE` within; 2,500 texts in all."""
    totals: dict[str, float] = {}
    shares = [CLASS_SHARE[e.gold] if e.source.startswith("own") else 1.0 for e in examples]
    cells = [f"{e.source}:{e.gold}" if e.source.startswith("own") else e.source for e in examples]
    for example, cell in zip(examples, cells, strict=True):
        totals[cell] = totals.get(cell, 0.0) + example.weight
    raw = np.array(
        [
            SOURCE_WEIGHT[e.source] * share * e.weight / totals[cell]
            for e, share, cell in zip(examples, shares, cells, strict=True)
        ]
    )
    scaled: NDArray[Any] = raw / raw.sum() * 2500
    return scaled


def held_out(examples: Sequence[Example], source: str) -> list[tuple[Example, dict[Priority, float]]]:
    """Probabilities for one source by a ranker that never saw it."""
    return _apart(examples, lambda example: example.source == source)


def _apart(
    examples: Sequence[Example], away: Callable[[Example], bool]
) -> list[tuple[Example, dict[Priority, float]]]:
    ranker = TextRanker(train([e for e in examples if not away(e)]), Lexicon.load())
    return [(e, ranker.probabilities(e.text, alert=e.alert)) for e in examples if away(e)]


def own_lines_held_out(
    examples: Sequence[Example], folds: int = 5
) -> list[tuple[Example, dict[Priority, float]]]:
    """Probabilities for our raw lines, each by a ranker that saw none of its template's wordings."""
    results = []
    for fold in range(folds):
        results += _apart(examples, lambda e, fold=fold: e.source == "own-line" and e.group % folds == fold)  # type: ignore[misc]
    return results


def fitted_temperatures(examples: Sequence[Example]) -> dict[str, float]:
    """The temperatures with the least log loss on texts held out: by source for alerts, by template for lines."""
    alerts = [held_out(examples, source) for source in ("redfish", "prometheus")]
    lines = [own_lines_held_out(examples), held_out(examples, "mercury")]
    return {"alert": _least_loss(alerts), "line": _least_loss(lines)}


def _least_loss(results: Sequence[list[tuple[Example, dict[Priority, float]]]]) -> float:
    def loss(temperature: float) -> float:
        return float(np.mean([np.mean([_log_loss(p, e.gold, temperature) for e, p in r]) for r in results]))

    return min((round(0.6 + 0.1 * step, 1) for step in range(30)), key=loss)


def _log_loss(chances: dict[Priority, float], gold: Priority, temperature: float) -> float:
    powered = {name: max(value, 1e-9) ** (1 / temperature) for name, value in chances.items()}
    return float(-np.log(powered[gold] / sum(powered.values())))


def held_out_scores(data: Path, examples: Sequence[Example]) -> dict[str, dict[str, Score]]:
    """Each public source by wording, ranked with a ranker that never saw it: alone, and behind the rules."""
    sets = {
        "redfish": triage_data.redfish(data),
        "prometheus": triage_data.prometheus(data),
        "mercury": triage_data.mercury(data),
        "titan": triage_data.titan(data),
        "xid": triage_data.xid_texts(data),
    }
    book = RuleBook.load()
    found = {}
    for name, items in sets.items():
        wordings = by_wording(items)
        text = TextRanker(
            train([e for e in examples if e.source != name], temperature=TEMPERATURE), Lexicon.load()
        )
        engines = {
            "ranker alone": SymbolicEngine(RuleBook((), book.verdicts), None, text),
            "rules+ranker": SymbolicEngine(book, None, text),
        }
        found[name] = {
            way: score(wordings, [engine.rank(item.event).priority for item in wordings])
            for way, engine in engines.items()
        }
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the text ranker")
    parser.add_argument("--data", type=Path, default=None, help="folder of the public data")
    parser.add_argument("--out", type=Path, default=RANKER_DIR / "weights.json")
    parser.add_argument(
        "--held-out", action="store_true", help="print figures on sources held out; writes nothing"
    )
    options = parser.parse_args(argv)
    data = triage_data.data_dir(options.data)
    examples = own_examples() + public_examples(data)
    if options.held_out:
        for name, ways in held_out_scores(data, examples).items():
            for way, figures in ways.items():
                print(f"{name:11s} {way:13s} {figures}")
        return
    weights = train(examples, temperature=fitted_temperatures(examples))
    options.out.write_text(
        json.dumps(weights.model_dump(), indent=0, sort_keys=True) + "\n", encoding="utf-8"
    )
    print(
        f"{options.out}: {len(weights.weights)} features, temperature {weights.temperature}, {weights.trained_on}"
    )


if __name__ == "__main__":
    main()
