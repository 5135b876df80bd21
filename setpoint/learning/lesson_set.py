"""The set of lessons in the store's folder: made from the ledger, looked at, signed.

learning/lessons.jsonl    what a model may be taught; a person may take lines out before signing
learning/prepared.json    what was set aside and why, notes, what to look at
learning/signature.json   who signed which lessons
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from setpoint.contracts.autonomy import is_person
from setpoint.errors import UsageError
from setpoint.learning.guard import (
    LESSONS_FILE,
    SIGNED,
    SUBJECT,
    Signature,
    digest_of,
    make_signature,
    read_signature,
    signed_row,
    write_signature,
)
from setpoint.learning.lessons import read_lessons, write_lessons
from setpoint.learning.prepare import part_of, prepare
from setpoint.learning.suspicion import examine
from setpoint.ledger import Ledger

PREPARED_FILE = "prepared.json"
State = Literal["none", "unsigned", "changed", "signed"]


def make_set(
    ledger: Ledger, folder: Path, roles: Mapping[str, str], without: Collection[str] = ()
) -> dict[str, Any]:
    """Write the lessons the ledger gives now, but those named in `without`, and what a person should know of them."""
    made = prepare(ledger, roles)
    if strangers := sorted(set(without) - {one.id for one in made.lessons}):
        raise UsageError(
            f"there is no lesson {strangers[0]!r}", remedy="`setpoint learn prepare --json` lists their ids"
        )
    kept = [one for one in made.lessons if one.id not in without]
    findings = examine(kept, _typed(ledger))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LESSONS_FILE
    draft = path.with_suffix(".tmp")
    write_lessons(draft, kept)
    os.replace(draft, path)
    told = {
        "file": str(path),
        "lessons": [one.model_dump(mode="json", exclude={"inputs"}) for one in kept],
        "left_out": sorted(without),
        "aside": [one.model_dump(mode="json") for one in made.aside],
        "notes": [one.model_dump(mode="json") for one in made.notes],
        "findings": [one.model_dump(mode="json") for one in findings],
    }
    (folder / PREPARED_FILE).write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")
    return told | set_state(folder)


def sign_set(ledger: Ledger, folder: Path, who: str, why: str, now: datetime) -> Signature:
    """A person's signature over the lessons as they lie there: into the audit chain first, then beside them. Raises UsageError
    where there is nothing to sign or nobody to sign it."""
    if not is_person(who):
        raise UsageError(f"{who!r} cannot sign: a person has to", remedy="Add --as NAME")
    if not why.strip():
        raise UsageError("a signature needs a reason", remedy="Add --why")
    findings = examine(list(read_lessons(folder / LESSONS_FILE))) if (folder / LESSONS_FILE).exists() else []
    signature = make_signature(folder, " ".join(who.split()), why.strip(), len(findings), now)
    ledger.audit(signature.who, SIGNED, SUBJECT, signed_row(signature), now)
    write_signature(folder, signature)
    return signature


def set_state(folder: Path) -> dict[str, Any]:
    """How the set stands: how many lessons, their hash, and whether somebody signed exactly these."""
    path, signature = folder / LESSONS_FILE, read_signature(folder)
    digest = digest_of(path) if path.exists() else ""
    state: State = "none" if not digest else "unsigned" if signature is None else "changed"
    if signature is not None and digest == signature.sha256:
        state = "signed"
    return {
        "state": state,
        "sha256": digest,
        "count": sum(1 for _ in read_lessons(path)) if digest else 0,
        "signature": signature.model_dump(mode="json") if signature else None,
    }


def _typed(ledger: Ledger) -> dict[str, tuple[str, str]]:
    """Every text that a person typed, with its author, by the id of its feedback."""
    corrections = (one for one in ledger.list_feedback(fields=("wording",)) if part_of(one))
    return {
        one.id: (one.who, str(one.decided["text"])) for one in corrections if isinstance(one.decided, dict)
    }
