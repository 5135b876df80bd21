"""The desk's functions about learning: how much people leave unchanged, the set of lessons, and its signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from setpoint.contracts.accounts import ROLES
from setpoint.errors import UsageError

if TYPE_CHECKING:
    from setpoint.app.desk import Desk
    from setpoint.learning.acceptance import Judged


LEARNING = "learning"
"""Folder of the store."""


@dataclass(frozen=True)
class Learning:
    """Where lessons lie and which models there are."""

    folder: Path
    models: Callable[[], dict[str, Any]]
    """The model in service, and the last one that was trained here."""


def nowhere() -> Learning:
    """Where no store stands behind the desk."""
    raise UsageError("there is no store to learn in", remedy="Open the desk over a store")


def learning_show(desk: Desk) -> JsonValue:
    """Per kind what people left unchanged, changed and refused, by week, with its 95 % interval; lessons that wait, whether
    the set is signed, which model is in service and which was trained last."""
    from setpoint.learning.lesson_set import set_state

    place = desk.learning()
    models, judged = place.models(), list(_judged(desk))
    taught = set(models.pop("taught"))
    waiting = [one for one in judged if one.lesson and one.lesson not in taught]
    return {
        "kinds": _kinds(desk, judged),
        "waiting": {
            outcome: sum(one.outcome == outcome for one in waiting)
            for outcome in ("edited", "unchanged", "rejected")
        },
        "set": set_state(place.folder),
        "models": models,
    }


def learning_prepare(desk: Desk, who: str, without: list[str] | None = None) -> JsonValue:
    """Make the set of lessons anew from the ledger: what is a lesson, what is none and why, what to look at before signing.
    Corrections of the same thing again and again are put to review as a change of rules."""
    from setpoint.app.learned_rules import propose_repeated
    from setpoint.learning.lesson_set import make_set

    now = datetime.now(UTC)
    roles = {
        one.name: max(one.roles, key=ROLES.index) if one.roles else "" for one in desk.ledger.list_users()
    }
    told = make_set(desk.ledger, desk.learning().folder, roles, without or ())
    return told | {"proposals": propose_repeated(desk.ledger, who, now)}


def learning_sign(desk: Desk, who: str, why: str) -> JsonValue:
    """A person's word that a model may be taught the set as it lies there. It stands in the audit chain."""
    from setpoint.learning.lesson_set import set_state, sign_set

    folder = desk.learning().folder
    sign_set(desk.ledger, folder, who, why, datetime.now(UTC))
    return set_state(folder)


def _kinds(desk: Desk, judged: Sequence[Judged]) -> list[JsonValue]:
    """Actions with what autonomy makes of the same record."""
    from setpoint.app.autonomy_desk import autonomy_list
    from setpoint.learning.acceptance import acceptance

    standing: Any = {row["kind"]["name"]: row for row in _rows(autonomy_list(desk))}
    made: list[JsonValue] = []
    for one in acceptance(judged):
        row = one.model_dump(mode="json")
        if (level := standing.get(one.kind)) is not None:
            row["autonomy"] = {
                "level": level["level"],
                "bound": level["decisions"]["lower"],
                "required": level["decisions"]["required"],
            }
        made.append(row)
    return made


def _judged(desk: Desk) -> Iterator[Judged]:
    from setpoint.learning.acceptance import judged_actions, judged_incidents
    from tools.actions import CATALOG

    yield from judged_incidents(desk.ledger)
    for name in CATALOG:
        yield from judged_actions(name, desk.ledger.decided_actions(name))


def _rows(value: JsonValue) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def models_of(settings: Any) -> dict[str, Any]:
    """The model in service, the last one trained here, and the lessons that the one in service was taught."""
    from setpoint.learning.guard import LESSONS_FILE
    from setpoint.learning.lessons import read_lessons
    from setpoint.llm.registry import Registry

    registry = Registry.of(settings)
    now = registry.in_service("light")
    trained = [
        registry.entry(name) for name in registry.names() if (registry.folder / name / "run.json").exists()
    ]
    last = max(trained, key=lambda one: one.path.stat().st_mtime, default=None)
    taught = now.path.with_name(LESSONS_FILE)
    return {
        "in_service": {
            "name": now.name, "sha256": now.sha256, "since": now.since, "who": now.who, "why": now.why, "warning": now.warning,
        },
        "last_trained": None if last is None else {
            "name": last.name,
            "time": datetime.fromtimestamp(last.path.stat().st_mtime, UTC).isoformat(),
            "lessons": last.card.get("lessons"),
        },
        "taught": [one.id for one in read_lessons(taught)] if taught.exists() else [],
    }  # fmt: skip
