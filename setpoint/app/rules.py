"""Human check 1: a site's own rule files count only after somebody said yes to their content."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

from knowledge.rulebook import RuleBook
from setpoint.contracts import Review
from setpoint.errors import ConfigError
from setpoint.ledger import Ledger
from setpoint.settings import Settings

LEARNED = "learned.yaml"
"""Name of the rules that came out of corrections (setpoint.app.learned_rules)."""


def accepted_rulebook(settings: Settings, ledger: Ledger, now: datetime) -> RuleBook:
    """The shipped rules and, of the site's files, what was accepted last. New content opens a review.

    Raises ConfigError for a file that is no rule file: asking a person about it would be pointless.
    """
    folder = settings.store.dir / "rules"
    counted = [
        path for file in settings.triage.rules if (path := _accepted(file, folder, settings, ledger, now))
    ]
    return RuleBook.load([*counted, *_learned(folder, ledger)])


def _learned(folder: Path, ledger: Ledger) -> list[Path]:
    """Rules that came out of corrections, where a person said yes to them; the site's own files win over them."""
    accepted = ledger.accepted_rules(LEARNED)
    if accepted is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / LEARNED
    copy.write_text(accepted.content, "utf-8")
    return [copy]


def _accepted(file: Path, folder: Path, settings: Settings, ledger: Ledger, now: datetime) -> Path | None:
    try:
        content = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the rule file: {error}", where=str(file), remedy="Correct triage.rules"
        ) from error
    try:
        RuleBook.load([file])
    except ConfigError as error:
        where = f"{file}: {error.where}" if error.where and str(file) not in error.where else str(file)
        raise ConfigError(error.what, where=where, remedy=error.remedy) from error
    review = Review(
        id=f"REV-rules-{file.stem}-{hash_of(content) % 10**8:08d}",
        kind="rule_change",
        incident_id="",
        subject=f"May the rules in {file.name} count ({len(content.splitlines())} lines)?",
        digest=f"{hash_of(content):016x}",
        created=now,
        expires=now + timedelta(days=30),
    )
    at_once = settings.review.rule_change != "ask"
    ledger.propose_rules(
        file.name,
        content,
        who="setpoint",
        why="found in triage.rules",
        shipped=at_once,
        review=None if at_once else review,
    )
    accepted = ledger.accepted_rules(file.name)
    if accepted is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / file.name
    copy.write_text(accepted.content, "utf-8")
    return copy


def hash_of(text: str) -> int:
    """The first 64 bits of SHA-256, stable between processes."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
