"""The report of a run: one HTML file that asks the network for nothing and opens from a disk.

Every word in it passes autoescape, and characters that hide or reorder text are shown as escapes. The content policy
admits exactly the two inlined files, by hash: no inline handler or style can run, whatever a log line says.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from agents.flood import flood_line
from knowledge.runbooks import load_corpus
from plant.diagnosis.quantities import limit_words
from setpoint.app import charts, formatting, pictures, rehearsal_page, trial_pictures, trial_words
from setpoint.app.dossier import (
    FULL_FILES,
    CaseFiles,
    Dossier,
    IncidentFile,
    NoticeVersion,
    read_dossier,
    verdict,
)
from setpoint.app.path_picture import svg_path
from setpoint.app.runfacts import RunFacts
from setpoint.contracts import PRIORITIES, ActionProposal, Diagnosis, Passage, Review
from setpoint.contracts.site import Site
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from setpoint.ledger.records import ActionRecord, TimelineItem

TEMPLATES = Path(__file__).parent / "templates"
STYLES = ("parts.css", "report.css", "small.css")
MAX_ROUTINE = 300
"""Rows of the list of incidents that were only recorded."""
MAX_QUARANTINED = 500
FIRST_ROWS = 40
"""Rows of one incident's timeline before the rest is folded away."""
FIRST_NOTICES = 6
MOST_OPEN = 8
"""Pieces of evidence that stand open; more are folded away."""
MODES = {
    "facts": "Code ranked the causes and chose the citations from symbolic signatures; a model wrote words at most.",
    "assisted": "Code named the candidate causes; the model ordered them.",
    "free": "The model decided the cause; code verified it.",
}
_CODE = re.compile(r"`([^`\n]+)`")
_TAG = re.compile(r"\s*\{action:\s*([a-z_]+)\}\s*$")


def write_report(ledger: Ledger, site: Site, path: Path, *, title: str, run: RunFacts) -> None:
    """Write the report of everything in the ledger, whole or not at all.

    Raises UsageError where the file cannot be written.
    """
    text = render_report(read_dossier(ledger, site, stories=True), title=title, run=run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "wb", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise UsageError(
            f"cannot write the report: {error.strerror}", where=str(path), remedy="Give another --report path"
        ) from error


def render_report(dossier: Dossier, *, title: str, run: RunFacts) -> str:
    """The report as text."""
    style = "".join((TEMPLATES / name).read_text("utf-8") for name in STYLES)
    script = (TEMPLATES / "report.js").read_text("utf-8")
    files = [file for file in dossier.files if not file.is_routine]
    passages = shown_passages(dossier.files)
    return _environment(dossier, {file.incident.id for file in files[:FULL_FILES]}, passages).get_template("report.html.j2").render(
        title=title,
        run=run,
        dossier=dossier,
        site=dossier.site,
        stats=dossier.stats,
        files=files[:FULL_FILES],
        left_out=len(files[FULL_FILES:]),
        routine=[file for file in dossier.files if file.is_routine],
        max_routine=MAX_ROUTINE,
        max_quarantined=MAX_QUARANTINED,
        priorities=PRIORITIES,
        flood=dossier.flood,
        picture=pictures.timeline(dossier),
        passages=passages,
        writers=writers(dossier),
        fallbacks=[(f.incident.id, words) for f in dossier.files for d in f.diagnoses[-1:] for words in d.fallbacks],
        style=Markup(style),
        script=Markup(script),
        policy=policy(style, script),
    )  # fmt: skip


def policy(style: str, script: str) -> str:
    """Content policy that admits this style and this script and nothing else."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment(dossier: Dossier, paged: Set[str], passages: Mapping[str, Shown]) -> Environment:
    """Within the one file: a link leads to an incident that has a page, and to a passage that is quoted."""
    return parts_environment(
        dossier.site.zone,
        Links(
            incident=lambda name: f"#{pictures.anchor('i', name)}" if name in paged else "",
            passage=lambda name: f"#{pictures.anchor('p', passage_of(name))}" if passage_of(name) in passages else "",
        ),
    )  # fmt: skip


def _nowhere(_: Any) -> str:
    return ""


@dataclass(frozen=True)
class Links:
    """Where the parts of an incident lead; "" where there is nothing to lead to."""

    incident: Callable[[str], str] = _nowhere
    passage: Callable[[str], str] = _nowhere
    review: Callable[[str], str] = _nowhere
    story: Callable[[TimelineItem], str] = _nowhere


def parts_environment(zone: ZoneInfo, links: Links) -> Environment:
    """What `parts.html.j2` and the templates around it are written with."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=harmless,
    )  # fmt: skip
    environment.filters |= {
        "moment": lambda time: formatting.day_and_time(time, zone),
        "clock": lambda time: formatting.time_of_day(time, zone),
        "span": formatting.span,
        "number": formatting.number,
        "names": formatting.names,
        "line": formatting.one_line,
        "bullets": bullets,
        "runbook": runbook,
        "words": lambda text: str(text).replace("_", " "),
    }
    functions: tuple[Callable[..., Any], ...] = (
        pictures.anchor, pictures.readings, pictures.share_bar, pictures.legend_sign, pictures.legend_dot,
        formatting.counted, formatting.period, story, steps_of, proof, changed, verdict, decided_when, effect_of,
        trial_pictures.curve_plot, trial_pictures.band_plot, trial_pictures.key_sign, trial_pictures.interval_bar,
        trial_pictures.interval_words, trial_words.share_words, trial_words.open_words, trial_words.cause_facts, trial_words.cause_words, trial_words.state_words,
        limit_words, rehearsal_page.telling, rehearsal_page.worst_words, trial_words.cost_words, trial_words.difference_words, trial_words.rehearsal_facts,
        charts.figure, svg_path, first_notice, flood_line,
    )  # fmt: skip
    environment.globals |= {function.__name__: function for function in functions}
    environment.globals |= {
        "incident_href": links.incident, "passage_href": links.passage, "review_href": links.review,
        "story_href": links.story, "least_shown": trial_words.LEAST_SHOWN, "modes": MODES, "first_rows": FIRST_ROWS,
        "first_notices": FIRST_NOTICES, "most_open": MOST_OPEN,
    }  # fmt: skip
    return environment


def harmless(value: object) -> object:
    """Applied to everything a template prints, before it is escaped."""
    return formatting.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


# ---- one incident ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of an incident's timeline."""

    time: datetime
    """On the clock of the events."""
    after_s: float | None
    """Real time since the event that set the incident's rank was read; None for events and for what came before."""
    item: TimelineItem


def story(file: IncidentFile) -> list[Row]:
    """What happened, on one clock."""
    read = next(
        (s.event.received for s in file.sightings if file.triage and s.event.id == file.triage.event_id), None
    )
    versions = {delivery.key: version for version in file.notices for delivery in version.deliveries}
    rows = []
    for item in file.story:
        if item.kind == "event":
            rows.append(Row(item.time, None, item))
            continue
        version = versions.get(item.ref) if item.kind == "notice" else None
        place = file.noticed(version, item.time) if version else file.placed(item.time)
        rows.append(
            Row(place, (item.time - read).total_seconds() if read and item.time >= read else None, item)
        )
    return sorted(rows, key=lambda row: row.time)


def first_notice(file: IncidentFile) -> NoticeVersion | None:
    """What called somebody; None where nobody was called."""
    return next((version for version in file.notices if version.notice.stage == "first"), None)


def steps_of(diagnosis: Diagnosis) -> list[tuple[str, list[Any]]]:
    """The recovery guide by kind, in its order: (heading, steps)."""
    headings = {"safety": "Safety first", "check": "Check", "step": "Do", "escalate": "Escalate when"}
    return [
        (words, found)
        for kind, words in headings.items()
        if (found := [step for step in diagnosis.guide.steps if step.kind == kind])
    ]


@dataclass(frozen=True)
class Proof:
    """One piece of evidence that a claim names."""

    id: str
    """In the latest analysis, where it is there."""
    said_as: str
    """As the claim names it."""
    text: str
    present: bool
    """It stands on the page, so that it can be linked."""


def proof(file: IncidentFile, ids: Sequence[str], proposal: ActionProposal | None = None) -> list[Proof]:
    """The named evidence. Numbers belong to one analysis: those of a proposal that an earlier one made are looked up
    there, and linked only where the latest analysis holds the same sentence."""
    latest = file.diagnosis
    owner = next(
        (d for d in reversed(file.diagnoses) if proposal and proposal.id in {p.id for p in d.proposals}),
        latest,
    )
    theirs = {piece.id: piece.text for piece in owner.evidence} if owner else {}
    ours = {piece.text: piece.id for piece in latest.evidence} if latest else {}
    return [
        Proof(ours.get(text, key), key, text, text in ours)
        for key, text in ((key, theirs.get(key, "not in the ledger")) for key in ids)
    ]


def bullets(text: str) -> list[str]:
    """A runbook list that was joined into one line, as its items again.

    >>> bullets("- at once - if GPUs throttle")
    ['at once', 'if GPUs throttle']
    """
    return re.split(r"\s- ", text[2:]) if text.startswith("- ") else [text]


def runbook(text: str) -> Markup:
    """Runbook text with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(formatting.visible(text)))))


def changed(review: Review, dossier: CaseFiles) -> list[tuple[str, Any, Any]]:
    """What an edit changed: (argument, proposed, decided)."""
    said = dossier.decision_of(review.id)
    if said is None or review.decision is None or review.decision.type != "edit":
        return []
    before = said.proposed.get("args", {}) if isinstance(said.proposed, dict) else {}
    after = review.proposal.action.args if review.proposal else {}
    if not isinstance(before, dict):
        return []
    return [
        (key, before.get(key, "not set"), value) for key, value in after.items() if before.get(key) != value
    ]


def decided_when(review: Review, dossier: CaseFiles) -> datetime | None:
    """Wall clock of the last judgement."""
    said = dossier.decision_of(review.id)
    return said.time if said and review.decision else None


@dataclass(frozen=True)
class Effect:
    """Readings around an action."""

    moved: list[tuple[str, float | None, float | None]]
    """(metric, before, after) of those that differ."""
    same: list[str]


def effect_of(record: ActionRecord) -> Effect:
    """What an action changed on the readings that were watched."""
    keys = dict.fromkeys((*record.before, *record.after))
    rows = [(key, record.before.get(key), record.after.get(key)) for key in keys]
    return Effect([row for row in rows if row[1] != row[2]], [row[0] for row in rows if row[1] == row[2]])


# ---- knowledge and words --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """One passage that a guide quotes."""

    passage: Passage
    lines: tuple[Markup, ...]
    """Its text, quoted words marked."""
    used_by: tuple[str, ...]
    """Incident ids."""


def passage_of(passage_id: str) -> str:
    """The passage a citation stands in: without the number of its step."""
    return passage_id.partition("/")[0]


def shown_passages(files: Iterable[IncidentFile]) -> dict[str, Shown]:
    """Every passage that is cited by the latest diagnoses, by id."""
    known: dict[str, Passage] = {}
    quotes: dict[str, dict[str, None]] = {}
    users: dict[str, dict[str, None]] = {}
    for file in files:
        if (diagnosis := file.diagnosis) is None:
            continue
        known |= {passage.id: passage for passage in diagnosis.passages}
        for step in diagnosis.guide.steps:
            key = passage_of(step.citation.passage_id)
            quotes.setdefault(key, {})[step.citation.quote] = None
            users.setdefault(key, {})[file.incident.id] = None
    return {
        key: Shown(passage, tuple(_marked(passage.text, quotes[key])), tuple(users[key]))
        for key in sorted(quotes)
        if (passage := known.get(key) or _own_passage(key)) is not None
    }


def _own_passage(passage_id: str) -> Passage | None:
    """From the corpus that ships: a guide may follow a section that retrieval did not bring up."""
    section = load_corpus().get(passage_id.partition("#")[0])
    return next((p for p in section.passages() if p.id == passage_id), None) if section else None


def _marked(text: str, quotes: Iterable[str]) -> Iterable[Markup]:
    """Lines of a passage; a line that is quoted is marked, an action tag becomes a label."""
    said = [" ".join(quote.split()) for quote in quotes]
    for line in text.splitlines():
        tag = _TAG.search(line)
        bare = formatting.visible(_TAG.sub("", line))
        words = re.sub(r"^\s*(\d+\.|-)\s+", "", bare)
        hit = bool(words.strip()) and any(words in quote or quote in words for quote in said)
        label = Markup(' <code class="tag">{}</code>').format(tag[1]) if tag else ""
        yield (Markup("<mark>{}</mark>{}").format(runbook(bare), label) if hit else runbook(bare) + label)


def writers(dossier: Dossier) -> list[tuple[str, list[tuple[str, int]]]]:
    """Who wrote which kind of text, and how often: (kind, [(writer, texts)])."""
    latest = [diagnosis for file in dossier.files if (diagnosis := file.diagnosis)]
    kinds: Sequence[tuple[str, Iterable[str]]] = (
        ("First notices", _writers_of(dossier.notices, first=True)),
        ("Later notices", _writers_of(dossier.notices, first=False)),
        ("Reasoning steps", (step.written_by for diagnosis in latest for step in diagnosis.steps)),
        ("Conclusions", (diagnosis.written_by for diagnosis in latest)),
        ("Recovery steps", ("quoted from runbooks" for diagnosis in latest for _ in diagnosis.guide.steps)),
        ("Order of causes", (f"mode {diagnosis.mode}" for diagnosis in latest)),
    )
    return [(kind, counts) for kind, texts in kinds if (counts := Counter(texts).most_common())]


def _writers_of(versions: Iterable[NoticeVersion], *, first: bool) -> Iterable[str]:
    return (v.notice.written_by for v in versions if (v.notice.stage == "first") == first)
