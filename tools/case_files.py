"""Reads a case of a service incident from a folder or from files: alert, evidence of any name and shape, question.

What states the answer is left unread: files of answers, scenarios and their notes, and fields such as a failure mode
that a test bench writes into an alert. What cannot be read is reported with its place; the rest goes on.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from setpoint.errors import InputError, UsageError
from setpoint.intake.text import decode
from tools.case_question import answers_in, listed_in
from tools.case_shapes import WITHHELD_KEY
from tools.case_slots import series_in
from tools.case_tables import Collected, collect
from tools.case_text import collect_text
from tools.case_times import Clock
from tools.case_types import Alert, Problem, ServiceCase

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_BYTES = 20_000_000
MOST_SEARCHED = 200_000
_DAYS = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?")
WITHHELD_FILE = re.compile(
    r"(?:.*[_.-])?(?:answers?|expected|solutions?|ground[_-]?truth|truth|labels?|gold|rubric|scenario|qa[_-]\w+|readme\w*|score\w*)",
    re.IGNORECASE,
)
"""Names, without their ending, of files that state or discuss the answer."""
_ALERT_FILE = re.compile(
    r"(?:.*[_.-])?(?:alerts?|alarms?|page|pager\w*|incident|notification|trigger)(?:[_.-]\w+)?", re.IGNORECASE
)
_QUESTION_FILE = re.compile(
    r"(?:.*[_.-])?(?:questions?|task|prompt|choices|options|closed[_-]?list)", re.IGNORECASE
)
_TITLE = ("title", "alertname", "alarmname", "alert_name", "name", "monitor", "subject", "check")
_STATE = ("state", "newstatevalue", "status", "alert_state")
_SEVERITY = ("severity", "priority", "level", "urgency")
_AT = ("startsat", "started", "started_at", "statechangetime", "fired_at", "triggered_at", "time", "timestamp", "at", "date", "start", "created_at", "opened_at", "occurred_at")  # fmt: skip
_ANY_AT = re.compile(r"\w*(?:_at|_time|_on|timestamp|date)", re.IGNORECASE)


def read_case(paths: Sequence[Path], *, question: str = "", choices: Sequence[str] = ()) -> ServiceCase:
    """The case in a folder, or in the named files. `question` and `choices` come before what the case itself gives.

    Raises UsageError for a path that is not there and InputError where nothing at all can be read.
    """
    files, withheld = _files(paths)
    if not files:
        raise InputError(
            "no evidence to read",
            where=", ".join(map(str, paths)),
            remedy="Put the alert and its evidence into the folder",
        )
    reader = _Reader(files, withheld)
    return reader.case(_named(paths), question, choices)


def is_case(folder: Path) -> bool:
    """Whether a folder holds one case: an alert, or files of evidence beside no folders."""
    return folder.is_dir() and any(
        _ALERT_FILE.fullmatch(file.stem) for file in folder.iterdir() if file.is_file()
    )


def _named(paths: Sequence[Path]) -> str:
    return paths[0].resolve().name if len(paths) == 1 else f"{len(paths)} files"


def _files(paths: Sequence[Path]) -> tuple[dict[str, Path], list[str]]:
    """Files by the name they are cited with; and those left unread."""
    found: dict[str, Path] = {}
    withheld = []
    for path in paths:
        if not path.exists():
            raise UsageError(
                "no such file or folder", where=str(path), remedy="Name a folder of a case, or its files"
            )
        members = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for member in members:
            name = str(member.relative_to(path)) if path.is_dir() else member.name
            if any(part.startswith(".") for part in Path(name).parts):
                continue
            if WITHHELD_FILE.fullmatch(member.name.split(".")[0]):
                withheld.append(name)
            else:
                found[name] = member
    return found, withheld


class _Reader:
    """One case while it is read."""

    def __init__(self, files: Mapping[str, Path], withheld: Iterable[str]) -> None:
        self.files = files
        self.into = Collected(Clock())
        self.into.withheld += withheld
        self.alert: Alert | None = None
        self.question = ""
        self.answers: dict[str, str] = {}
        self.evidence: list[str] = []
        self.dated = False

    def case(self, name: str, question: str, choices: Sequence[str]) -> ServiceCase:
        documents = {file: found for file in self.files if (found := self._documents(file)) is not None}
        # The alert dates what bears no day; tables of text count their ages back from the last reading.
        for file in sorted(
            documents, key=lambda f: (not _ALERT_FILE.fullmatch(_stem(f)), isinstance(documents[f], str), f)
        ):
            self._take(file, documents[file])
            if self.alert is not None and self.alert.at is None and not self.dated:
                self._date(documents)
        if self.alert is None:
            self.into.problems.append(
                Problem(name, "no alert among the files: the complaint is taken from the evidence alone")
            )
        if self.into.clock.unzoned:
            self.into.problems.append(
                Problem(name, f"{self.into.clock.unzoned} times bear no zone: read as UTC")
            )
        if not (
            self.into.readings or self.into.lines or self.into.facts or self.into.consumers or self.alert
        ):
            raise InputError(
                "; ".join(f"{p.where}: {p.text}" for p in self.into.problems) or "nothing readable", where=name,
                remedy="Give JSON, YAML, CSV or text",
            )  # fmt: skip
        return ServiceCase(
            name=name, alert=self.alert, readings=tuple(self.into.readings), lines=tuple(self.into.lines),
            facts=tuple(self.into.facts), consumers=tuple(self.into.consumers), files=tuple(sorted(self.evidence)),
            question=question or self.question, choices=tuple(choices) or tuple(self.answers),
            meanings={name: meaning for name, meaning in self.answers.items() if meaning},
            problems=tuple(self.into.problems), withheld=tuple(dict.fromkeys(self.into.withheld)),
        )  # fmt: skip

    def _date(self, documents: Mapping[str, list[Any] | str]) -> None:
        """Where the alert bears no time: the last time of the day that the evidence names most."""
        self.dated = True
        stamps = [
            stamp for found in documents.values() for stamp in _DAYS.findall(str(found)[:MOST_SEARCHED])
        ]
        days = Counter(stamp[:10] for stamp in stamps)
        if days:
            day = max(days, key=lambda one: (days[one], one))
            last = self.into.clock.read(f"{max(stamp for stamp in stamps if stamp.startswith(day))}Z")
            self.into.clock.reference = last or self.into.clock.reference

    def _take(self, file: str, documents: list[Any] | str) -> None:
        stem = _stem(file)
        if _QUESTION_FILE.fullmatch(stem):
            self._ask(documents)
        elif self.alert is None and _ALERT_FILE.fullmatch(stem):
            self._alert(file, documents)
        else:
            self.evidence.append(file)
            if isinstance(documents, str):
                collect_text(documents, file, self.into)
            else:
                for document in documents:
                    collect(document, file, self.into)
                self.into.readings += series_in([line for line in self.into.lines if line.file == file])

    def _documents(self, file: str) -> list[Any] | str | None:
        """Parsed documents of a file, or its text; None where nothing can be read."""
        path = self.files[file]
        try:
            if path.stat().st_size > MOST_BYTES:
                raise InputError(
                    f"larger than {MOST_BYTES // 1_000_000} MB", remedy="Cut it to the time of the incident"
                )
            raw = path.read_bytes()
        except (OSError, InputError) as error:
            self.into.problems.append(Problem(file, f"cannot be read: {error}"))
            return None
        if b"\0" in raw[:4096]:
            self.into.problems.append(Problem(file, "binary, not read"))
            return None
        text, repaired = decode(raw)
        if repaired:
            self.into.problems.append(Problem(file, "not UTF-8: some characters were repaired"))
        if not text.strip():
            self.into.problems.append(Problem(file, "empty"))
            return None
        return self._parsed(file, path.suffix.lower(), text)

    def _parsed(self, file: str, suffix: str, text: str) -> list[Any] | str:
        if suffix in (".yaml", ".yml"):
            try:
                return [doc for doc in yaml.load_all(text, Loader=_LOADER) if doc is not None]
            except (yaml.YAMLError, ValueError, RecursionError) as error:
                self.into.problems.append(Problem(file, f"broken YAML, read as text: {_first_line(error)}"))
                return text
        if suffix in (".csv", ".tsv"):
            return self._table(file, text, "\t" if suffix == ".tsv" else ",")
        if suffix in (".json", ".jsonl", ".ndjson") or (
            text.lstrip()[:1] in "{[" and suffix not in (".log", ".txt")
        ):
            return self._json(file, text)
        return text

    def _json(self, file: str, text: str) -> list[Any]:
        lost: list[str] = []
        try:
            found = [json.loads(text, parse_constant=lost.append)]
        except (ValueError, RecursionError) as error:
            found = self._json_lines(file, text, error)
        if lost:
            self.into.problems.append(
                Problem(file, f"{len(lost)} values are no numbers ({lost[0]}): left out")
            )
        return found

    def _json_lines(self, file: str, text: str, whole: Exception) -> list[Any]:
        """One document a line; where hardly any line is one, the file is reported as broken."""
        lines = [(at, line) for at, line in enumerate(text.splitlines(), 1) if line.strip()]
        found, broken = [], []
        for at, line in lines:
            try:
                found.append(json.loads(line, parse_constant=lambda _: None))
            except (ValueError, RecursionError) as error:
                broken.append((at, error))
        if not any(isinstance(one, dict | list) for one in found):
            self.into.problems.append(Problem(file, f"unreadable JSON: {_first_line(whole)}"))
            return []
        self.into.problems += [
            Problem(f"{file} line {at}", f"unreadable JSON: {_first_line(e)}") for at, e in broken[:5]
        ]
        return [[one for one in found if isinstance(one, dict)]]

    def _table(self, file: str, text: str, comma: str) -> list[Any]:
        if comma == "," and ";" in text.split("\n", 1)[0] and "," not in text.split("\n", 1)[0]:
            comma = ";"
        rows = list(csv.reader(io.StringIO(text), delimiter=comma))
        first = next((at for at, row in enumerate(rows) if row and not row[0].startswith("#")), 0)
        head = [cell.strip() for cell in rows[first]]
        good = []
        for number_, row in enumerate(rows[first + 1 :], first + 2):
            if row and len(row) != len(head):
                where = f"{file} line {number_}"
                self.into.problems.append(
                    Problem(where, f"{len(row)} cells where the head has {len(head)}: left out")
                )
            elif row:
                good.append(dict(zip(head, (cell.strip() for cell in row), strict=True)))
        return [good]

    def _ask(self, documents: list[Any] | str) -> None:
        if isinstance(documents, str):
            self.question = documents.strip()
        for document in documents if isinstance(documents, list) else ():
            if isinstance(document, Mapping):
                self.question = self.question or next(
                    (
                        str(v)
                        for k, v in document.items()
                        if str(k).lower() in ("question", "text", "task", "prompt")
                    ),
                    "",
                )
                self.answers = self.answers or listed_in(document)
            elif isinstance(document, list):
                self.answers = self.answers or {one: "" for one in document if isinstance(one, str)}
        self.answers = self.answers or answers_in(self.question)

    def _alert(self, file: str, documents: list[Any] | str) -> None:
        if isinstance(documents, str):
            lines = documents.strip().splitlines()
            self.alert = Alert(file, lines[0].strip(), documents.strip())
            return
        flat = [pair for document in documents for pair in self._flat(document, file, "")]
        if not flat:
            self.into.problems.append(Problem(file, "the alert holds nothing"))
            return
        for document in documents:
            if isinstance(document, Mapping):
                self.question = self.question or str(document.get("question") or "")
                self.answers = self.answers or listed_in(document) or answers_in(self.question)
        words = [value for _, value in flat if isinstance(value, str)]
        at = self._when(flat)
        if at:
            self.into.clock.reference = at
        self.alert = Alert(
            file=file, title=_first(flat, _TITLE) or words[0], text="\n".join(dict.fromkeys(words)),
            state=_first(flat, _STATE).lower(), severity=_first(flat, _SEVERITY).lower(), at=at,
            labels={key: str(value) for key, value in flat if not isinstance(value, datetime)},
        )  # fmt: skip

    def _when(self, flat: Sequence[tuple[str, Any]]) -> datetime | None:
        """When the alert fired: under a usual key, else the first time under any key that names one."""
        usual = (t for key in _AT for k, v in flat if k == key and (t := self.into.clock.read(v)))
        other = (t for k, v in flat if _ANY_AT.fullmatch(k) and (t := self.into.clock.read(v)))
        return next(usual, None) or next(other, None)

    def _flat(self, node: object, file: str, path: str) -> Iterable[tuple[str, Any]]:
        """Leaves of an alert as (key, value), without those that state the answer."""
        if isinstance(node, Mapping):
            for key, value in node.items():
                place = f"{path}.{key}" if path else str(key)
                if WITHHELD_KEY.fullmatch(str(key)):
                    self.into.withheld.append(f"{file} {place}")
                else:
                    yield from ((k or str(key).lower(), v) for k, v in self._flat(value, file, place))
        elif isinstance(node, list):
            for item in node:
                yield from self._flat(item, file, path)
        elif node is not None and node != "":
            yield "", node


def _first(flat: Iterable[tuple[str, Any]], keys: Sequence[str]) -> str:
    pairs = list(flat)
    return next((str(v) for key in keys for k, v in pairs if k == key and isinstance(v, str)), "")


def _stem(file: str) -> str:
    return Path(file).name.split(".")[0]


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
