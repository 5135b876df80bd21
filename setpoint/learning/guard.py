"""The guard of what is learned from: who taught what, what contradicts itself or stands out, and a person's signature.

Nothing here decides that a lesson is bad. It lists what a person should look at before they sign, each with its reason; and it
refuses a set that nobody signed, or that is not the one that was signed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from setpoint.contracts.event import Frozen
from setpoint.errors import ActionRefused, UsageError
from setpoint.learning.lessons import read_lessons

LESSONS_FILE, SIGNATURE_FILE = "lessons.jsonl", "signature.json"
SUBJECT, SIGNED = "lessons", "lessons-signed"
"""Subject and word of the audit row that a signature leaves."""


class Signature(Frozen):
    """One person's word that a set of lessons may be learned from."""

    sha256: str
    """Of the file of lessons, byte for byte."""
    lessons: int
    who: str
    time: datetime
    why: str = ""
    findings: int = 0
    """Things the guard listed, which the person saw."""


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_signature(folder: Path, who: str, why: str, findings: int, now: datetime) -> Signature:
    """Over the lessons as they lie in the folder. Nothing is written yet. Raises UsageError where there are none."""
    path = folder / LESSONS_FILE
    if not path.exists():
        raise UsageError(
            "there are no lessons to sign", where=str(path), remedy="Run `setpoint learn prepare` first"
        )
    count = sum(1 for _ in read_lessons(path))
    if not count:
        raise UsageError(
            "the set holds no lesson", where=str(path), remedy="Correct texts first (docs/learning.md)"
        )
    return Signature(sha256=digest_of(path), lessons=count, who=who, time=now, why=why, findings=findings)


def write_signature(folder: Path, signature: Signature) -> Path:
    """Leave it beside the lessons, whole or not at all."""
    path = folder / SIGNATURE_FILE
    draft = path.with_suffix(".tmp")
    draft.write_text(signature.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)
    return path


def read_signature(folder: Path) -> Signature | None:
    """What lies beside the lessons; None where nothing does, or nothing that can be read."""
    try:
        return Signature.model_validate_json((folder / SIGNATURE_FILE).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None


def require_signed(folder: Path, audit_rows: Sequence[Mapping[str, Any]]) -> Signature:
    """The signature of the lessons in the folder, held against the file and against the audit chain.

    `audit_rows`: those about SUBJECT, as the desk's `audit_list` gives them: a signature that nobody's row in the chain
    stands for was not made by signing. Raises ActionRefused, which says what is wrong, in every other case.
    """
    path, signature = folder / LESSONS_FILE, read_signature(folder)
    if not path.exists():
        raise ActionRefused(
            "there are no lessons",
            where=str(path),
            remedy="Run `setpoint learn prepare`, look at them, and sign",
        )
    if signature is None:
        raise _refused("nobody has signed these lessons", path)
    if digest_of(path) != signature.sha256:
        raise _refused(f"the lessons were changed after {signature.who} signed them", path)
    if not any(_stands_for(row, signature) for row in audit_rows):
        raise _refused("the signature has no row in the audit chain: it was not made by signing", path)
    return signature


def _stands_for(row: Mapping[str, Any], signature: Signature) -> bool:
    data = row.get("data")
    return (
        row.get("what") == SIGNED
        and row.get("who") == signature.who
        and isinstance(data, Mapping)
        and data.get("sha256") == signature.sha256
    )


def _refused(what: str, path: Path) -> ActionRefused:
    return ActionRefused(
        what,
        where=str(path),
        remedy="Look at them and sign: setpoint learn prepare --sign --as NAME --why REASON",
    )


def signed_row(signature: Signature) -> dict[str, Any]:
    """What goes into the audit chain."""
    told: dict[str, Any] = json.loads(signature.model_dump_json(exclude={"who", "time"}))
    return told
