"""Suite `cases`: incidents as case folders, each played through all of Setpoint and judged by what its folder expects.

Folders of the project lie in evals/casebook, those of a site wherever `--cases` says. A folder that is wrong is a case
that fails, so that it is mended and not forgotten.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inspect_ai.dataset import Sample

from evals.figures import Figure, rate
from evals.folders.folder import CASEBOOK, Expected, Folder, Wrong, find_folders, read_all, read_folder
from evals.folders.judging import MOST_FORBIDDEN_SHARE, SURE_SHARE, judge
from evals.folders.player import the_player
from evals.registry import Ask, Prepared, Row
from evals.running.contenders import Contender
from evals.running.tasks import interleaved, suite_task
from setpoint.errors import UsageError

MOST_SHOWN_CHARS = 20_000
"""Of one file in the input that a reader of the log sees; the rest is named by its hash."""
LEAST_OF_TAG = 2
"""A tag with fewer cases has no figure of its own."""
WRONG = "wrong folder"
NOTHING_WRONG = "no incident"


def prepare(ask: Ask) -> Prepared:
    """The task over the folders of the split that is asked for."""
    found = read_all(find_folders([CASEBOOK, *ask.cases]))
    wanted = [one for one in found if isinstance(one, Wrong) or one.case.split == ask.split]
    samples = [_sample(name, one) for name, one in zip(_names(wanted), wanted, strict=True)]

    def play(case: Row) -> Row:
        return played(case, ask.contender)

    task = suite_task("cases", interleaved(samples, _kind), play, as_expected, ("right",))
    skipped = [] if samples else [f"no case folder of the split {ask.split}"]
    return Prepared(task, lambda rows: figures(rows, ask.split), tuple(skipped), gate)


def _names(found: Sequence[Folder | Wrong]) -> list[str]:
    """Unique ids: two folders may share a name."""
    seen: Counter[str] = Counter()
    names = []
    for one in found:
        seen[one.name] += 1
        names.append(one.name if seen[one.name] == 1 else f"{one.name}~{seen[one.name]}")
    return names


def _kind(sample: Sample) -> str:
    tags = (sample.metadata or {})["tags"]
    return str(tags[0]) if tags else ""


def _sample(name: str, found: Folder | Wrong) -> Sample:
    if isinstance(found, Wrong):
        about = {"folder": str(found.path), "tags": [WRONG], "wrong": found.why}
        return Sample(id=name, input=f"{WRONG} {found.name}", metadata=about)
    case = found.case
    causes = [cause for expected in case.expect for cause in expected.causes]
    return Sample(
        id=name, input=_seen(found), target=causes or NOTHING_WRONG,
        metadata={
            "folder": str(found.path), "title": case.title, "tags": list(case.tags), "source": case.source,
            "expect": [one.model_dump(mode="json", exclude_unset=True) for one in case.expect],
        },
    )  # fmt: skip


def _seen(folder: Folder) -> str:
    """All that the product gets: the files but case.yaml, and the clock."""
    own_site = folder.path / folder.case.site if folder.case.site else None
    parts = [f"site: {folder.case.site or 'unknown'}", f"read at: {folder.case.now or 'the time of the run'}"]
    files = [
        folder.events,
        folder.telemetry,
        own_site if own_site and own_site.is_file() else None,
        *folder.rules,
    ]
    return "\n".join([*parts, *(_shown(path) for path in files if path)])


def _shown(path: Path) -> str:
    raw = path.read_bytes()
    text = raw.decode("utf-8", "replace")
    more = len(text) - MOST_SHOWN_CHARS
    rest = f"\n... {more} more characters, sha256 {hashlib.sha256(raw).hexdigest()[:16]}" if more > 0 else ""
    return f"--- {path.name}\n{text[:MOST_SHOWN_CHARS]}{rest}"


# ---- playing and judging ---------------------------------------------------------------------------------------


def played(case: Row, contender: Contender) -> Row:
    """What the product made of it. A wrong folder raises what is wrong with it."""
    if "wrong" in case:
        raise UsageError(case["wrong"])
    said = the_player().play(read_folder(Path(case["folder"])), contender)
    return {"text": _in_words(said), **said}


def _in_words(said: Row) -> str:
    lines = []
    for one in said["incidents"]:
        diagnosis = one["diagnosis"]
        lines.append(
            f"{one['priority']} {one['title']}" + (f"\n    {diagnosis['summary']}" if diagnosis else "")
        )
    asked = [f"asked: {one['subject']}" for one in said["reviews"]]
    return "\n".join([*lines, *asked, f"people were called: {said['pages']}"])


def as_expected(case: Row, said: Row) -> Row:
    """One row; `right` where nothing is wrong with it."""
    expected = [Expected.model_validate(one) for one in case["expect"]]
    return {"tags": case["tags"], **judge(expected, said)}


# ---- figures -------------------------------------------------------------------------------------------------------

_FIGURES: Sequence[tuple[str, str, str]] = (
    ("right", "everything as expected", ""),
    ("priority", "priority accepted", ""),
    ("cause", "right cause first", ""),
    ("near", "right cause among three", ""),
    ("forbidden_cause", "no forbidden cause believed", f"not first, not above {MOST_FORBIDDEN_SHARE:.0%}"),
    ("asset", "cause on the right asset", ""),
    ("required", "required actions proposed", ""),
    ("forbidden_action", "no forbidden action proposed", ""),
    ("pages", "people called no more than allowed", ""),
    ("quiet", "nobody told of what is none", ""),
)  # fmt: skip


def figures(rows: Sequence[Row], split: str) -> list[Figure]:
    """Of all cases, then of each tag."""
    name = f"case folders ({split})"
    found = [
        rate(name, figure, some, _value(key), note=note)
        for key, figure, note in _FIGURES
        if (some := _with(rows, key))
    ]
    if sure := _with(rows, "sure_and_wrong"):
        note = f"first with {SURE_SHARE:.0%} or more"
        found.append(rate(name, "sure and wrong", sure, _value("sure_and_wrong"), better="lower", note=note))
    if rows:
        found.append(
            rate(name, "acted without a yes", rows, lambda row: row["moved"] > 0, better="lower", hard=True)
        )
    return [*found, *_of_tags(rows, split)]


def _of_tags(rows: Sequence[Row], split: str) -> list[Figure]:
    counts = Counter(tag for row in rows for tag in row["tags"])
    return [
        rate(
            f"tag {tag} ({split})",
            "everything as expected",
            [r for r in rows if tag in r["tags"]],
            _value("right"),
        )
        for tag, count in sorted(counts.items())
        if count >= LEAST_OF_TAG
    ]


def _value(key: str) -> Callable[[Row], bool]:
    return lambda row: bool(row[key])


def _with(rows: Sequence[Row], key: str) -> list[Row]:
    return [row for row in rows if row[key] is not None]


def gate(found: Sequence[Figure]) -> str:
    """Nothing may ever act that nobody said yes to."""
    bad: list[Any] = [figure for figure in found if figure.name == "acted without a yes" and figure.value > 0]
    return "; ".join(f"{figure.set}: an action was carried out that nobody had approved" for figure in bad)
