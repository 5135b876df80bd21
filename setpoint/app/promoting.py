"""The way of a candidate into service: trained on signed lessons, held to the gate, promoted by a person, taken back.

Every step leaves a row in the audit chain, and a promotion asks the chain, not only the files: a card or a gate.json that
somebody wrote by hand promotes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from setpoint.errors import ActionRefused, ConfigError
from setpoint.llm.registry import InService, Registry

if TYPE_CHECKING:
    from setpoint.learning.gate import Gate
    from setpoint.ledger import Ledger
    from setpoint.settings import Settings

TRAINED, HELD, PROMOTED, ROLLED_BACK = "model-trained", "model-held", "model-promoted", "model-rolled-back"
Listener = Callable[[str, float], None]


@dataclass(frozen=True)
class Workshop:
    """Where models, lessons and their history lie."""

    registry: Registry
    ledger: Ledger
    lessons: Path
    """Folder of the signed set."""
    work: Path
    """Checkpoints of runs under way."""

    def train(
        self, name: str, who: str, trial: Path | None, start: str, seed: int, listener: Listener
    ) -> dict[str, Any]:
        """A candidate from the signed lessons, or for a trial from any file. Gives its card. Without a name it is named by its
        lessons, so that a run which broke off is taken up by the same command.

        Raises ActionRefused for a set that nobody signed.
        """
        from setpoint.learning.candidates import train
        from setpoint.learning.guard import LESSONS_FILE, SUBJECT, digest_of, require_signed
        from setpoint.learning.train import bf16_is_native
        from setpoint.learning.tune import Recipe

        if trial is None:
            signature = require_signed(self.lessons, self._rows(SUBJECT))
            origin: dict[str, JsonValue] = {
                "signed_by": signature.who,
                "signed_at": signature.time.isoformat(),
                "sha256": signature.sha256,
            }
        else:
            origin = {"trial": str(trial)}
        file = trial or self.lessons / LESSONS_FILE
        if not file.is_file():
            raise ConfigError("there is no file of lessons", where=str(file), remedy="Name one with --from")
        base = start or self.in_service.name
        name = name or f"lessons-{digest_of(file)[:8]}"
        card = train(
            self.registry,
            name,
            file,
            base,
            self.work,
            datetime.now(UTC),
            Recipe(seed=seed, bf16=bf16_is_native()),
            origin,
            listener,
        )
        sha256 = self.registry.entry(name).sha256
        self.ledger.audit(
            who, TRAINED, f"model:{name}", {"sha256": sha256, "base": card["base"], "origin": origin}
        )
        return {**card, "name": name, "sha256": sha256}

    def compare(self, name: str, who: str, against: str, listener: Listener) -> Gate:
        """Holds a candidate against the model in service (or one that is named, to look: that promotes nothing)."""
        from setpoint.learning.gate import compare, write_gate

        other = self.in_service
        if against:
            entry = self.registry.entry(against)
            other = InService("light", entry.name, entry.path, entry.sha256)
        gate = compare(self.registry, name, other, datetime.now(UTC), listener)
        write_gate(self.registry.folder_of(name), gate)
        self.ledger.audit(
            who, HELD, f"model:{name}",
            {"sha256": gate.sha256, "against": gate.against_sha256, "passed": gate.passed, "refused": list(gate.refused)},
        )  # fmt: skip
        return gate

    def promote(self, name: str, who: str, why: str) -> InService:
        """Into service at once. Raises ActionRefused for what the gate or the chain does not vouch for."""
        from setpoint.learning.gate import require_passed

        before = self.in_service
        gate = require_passed(self.registry, name, before)
        rows = self._rows(f"model:{name}")
        if not any(row["what"] == HELD and _vouches(row["data"], gate) for row in rows):
            raise ActionRefused(
                "the audit chain does not know that the gate let this file through",
                where=f"model {name}",
                remedy=f"Run `setpoint learn compare {name}`",
            )
        if not any(row["what"] == TRAINED and _signed(row["data"], gate["sha256"]) for row in rows):
            raise ActionRefused(
                "it was not trained on a set of lessons that a person signed: a trial is never promoted",
                where=f"model {name}",
                remedy="Sign the set (`setpoint learn prepare --sign`) and train on it",
            )
        made = self.registry.promote(name, who, why)
        self._note(PROMOTED, who, why, before, made)
        return made

    def rollback(self, who: str, why: str) -> InService:
        """Back to the model before. Needs no model to run."""
        before = self.in_service
        made = self.registry.rollback(who, why)
        self._note(ROLLED_BACK, who, why, before, made)
        return made

    @property
    def in_service(self) -> InService:
        return self.registry.in_service("light")

    def _note(self, what: str, who: str, why: str, before: InService, after: InService) -> None:
        told: dict[str, JsonValue] = {
            "why": why,
            "before": before.sha256,
            "before_name": before.name,
            "sha256": after.sha256,
        }
        self.ledger.audit(who, what, f"model:{after.name}", told)

    def _rows(self, subject: str) -> list[dict[str, Any]]:
        return [
            {"who": row.who, "what": row.what, "data": row.data}
            for row in self.ledger.list_audit(subject=subject, limit=100_000)
        ]


@contextmanager
def workshop(settings: Settings) -> Iterator[Workshop]:
    """The one of these settings. It works beside a running server, on the ledger itself."""
    from setpoint.app.learn_desk import LEARNING
    from setpoint.app.opening import open_ledger

    folder = settings.store.dir / LEARNING
    with open_ledger(settings) as ledger:
        yield Workshop(Registry.of(settings), ledger, folder, folder / "work")


def told(card: dict[str, Any]) -> list[str]:
    """A new candidate in a few lines."""
    lessons, training = card["lessons"], card["training"]
    before, after = training["watched_loss"]
    lines = [
        f"{card['name']}: {lessons['trained']} lessons trained on, {lessons['watched']} watched, {lessons['exam']} kept "
        f"for the gate, {lessons['set_aside']} set aside",
        f"from {card['base']['name']} in {training['wall_s']:.0f} s ({training['cpu_s']:.0f} CPU-s), "
        f"{training['steps']} steps, {training['tokens']:,} tokens",
        f"loss of the watched lessons: {before:.3f} -> {after:.3f} nats a token",
    ]
    trial = "trial" in card["origin"]
    return [*lines, "a trial: it can be compared, never promoted"] if trial else lines


def _vouches(data: Any, gate: dict[str, Any]) -> bool:
    return (
        isinstance(data, dict)
        and data.get("passed") is True
        and (data.get("sha256"), data.get("against")) == (gate["sha256"], gate["against_sha256"])
    )


def _signed(data: Any, sha256: str) -> bool:
    return isinstance(data, dict) and data.get("sha256") == sha256 and "signed_by" in data.get("origin", {})


def as_json(value: Any) -> str:
    """For a program."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
