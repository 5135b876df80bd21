"""What is known of each model: the rows of `setpoint model list` and the card of `setpoint model show`.

Figures come from records of eval runs over the very file, told by its hash. What was measured on this machine lies beside
the models (`measured/`); what came with Setpoint lies in `evals/records`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import evals
from setpoint.app.model_choice import label_of, settings_of
from setpoint.errors import ModelMissing, SetpointError
from setpoint.llm.gguf_header import read_header
from setpoint.llm.registry import BUNDLED, ROLES, SHIPPED, Registry, hash_of
from setpoint.settings import ModelSettings, Settings

RECORDS = Path(evals.__file__).parent / "records"
KINDS = ("bench", "trial", "modes")
ITS_PART = ("model words: [!r]*", "words: *", "*lead sentence: *")
"""Figures that a model has a part in where code decides and it words; what it only stands beside is no score of its."""
IS, IS_NOT = "is", "is_not"
_OURS = {
    IS: "A very small model that words what Setpoint has already decided: alerts, reasoning steps, conclusions, chat "
    "answers. It writes words and slots; code puts in every fact and every phrase, and checks the words first.",
    IS_NOT: "It does not reason: it chooses no cause, no runbook and no action, judges no evidence, calls no tool, and "
    "knows no fact. It speaks English only, and only about the prompts it was trained on.",
}
_OTHER = {
    IS: "An open model of another maker. It is asked in words, with instructions, and checked like any other.",
    IS_NOT: "Setpoint did not make it and vouches for nothing in it; `setpoint model try` says what it is good enough for.",
}


# ---- list ------------------------------------------------------------------------------------------------------------


def listed(settings: Settings) -> list[dict[str, Any]]:
    """The shipped model, those of the folder, and whatever else a role is set to."""
    registry, rows = Registry.of(settings), list[dict[str, Any]]()
    for name in (SHIPPED, *registry.names()):
        rows.append(_row(name, registry.entry(name).path, registry.entry(name).card, settings))
    known = {row["path"] for row in rows}
    for role in ROLES:
        one: ModelSettings = getattr(settings.models, role)
        if one.kind == "openai" and one.url not in known:
            rows.append(_server_row(one, settings))
        elif one.kind == "gguf" and str(one.path) not in known:
            rows.append(_row(label_of(one), one.path or Path(), {}, settings))
        known.add(rows[-1]["path"])
    return rows


def roles_of(path: str, settings: Settings) -> list[str]:
    """Which roles run on that file or server now."""
    registry = Registry.of(settings)
    found = []
    for role in ROLES:
        one: ModelSettings = getattr(settings.models, role)
        runs_on = {
            "bundled": str(registry.in_service(role).path),
            "gguf": str(one.path),
            "openai": one.url,
            "none": "",
        }[one.kind]
        if runs_on == path:
            found.append(f"{role} ({one.mode})")
    return found


def _row(name: str, path: Path, card: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name, "path": str(path), "in_service": roles_of(str(path), settings), "made": _made(name, card), "problem": "",
    }  # fmt: skip
    try:
        header, sha256 = read_header(path), hash_of(path)
    except ModelMissing as error:
        return found | {
            "size_mb": 0.0,
            "parameters": 0,
            "stored_as": "",
            "sha256": "",
            "score": "",
            "problem": error.what,
        }
    return found | {
        "size_mb": round(path.stat().st_size / 1e6, 1), "parameters": header.parameters, "stored_as": header.stored_as,
        "sha256": sha256, "score": _in_short(sha256, settings),
    }  # fmt: skip


def _server_row(one: ModelSettings, settings: Settings) -> dict[str, Any]:
    key = key_of(one)
    return {
        "name": one.model, "path": one.url, "in_service": roles_of(one.url, settings), "made": "behind a server", "size_mb": 0.0,
        "parameters": 0, "stored_as": "", "sha256": "", "score": _trial_in_short(measured(key, settings)), "problem": "",
    }  # fmt: skip


def _made(name: str, card: Mapping[str, Any]) -> str:
    if name == SHIPPED:
        return "ships with Setpoint"
    if "lessons" in card:
        lessons, base = card["lessons"], card.get("base", {})
        count = lessons.get("trained", "?") if isinstance(lessons, Mapping) else lessons
        return f"trained from {count} corrections on {base.get('name', '?') if isinstance(base, Mapping) else base}"
    if "repository" in card:
        return f"pulled from {card['repository']}"
    return str(card.get("made", "put there by hand"))


# ---- show ------------------------------------------------------------------------------------------------------------


def card_of(name: str, settings: Settings, model: str = "") -> dict[str, Any]:
    """Everything known of one model. Raises UsageError for one that is not there."""
    one = settings_of(name, settings, model)
    if one.kind == "openai":
        return {
            **_server_row(one, settings),
            **_OTHER,
            "measured": measured(key_of(one), settings),
            "scores": [],
        }
    registry = Registry.of(settings)
    path = BUNDLED if one.kind == "bundled" else one.path
    if path is None:
        return {"name": "none", IS: "No model: every text is a template.", IS_NOT: ""}
    known = next((entry for entry in registry.names() if registry.entry(entry).path == path), "")
    entry = registry.entry(SHIPPED if path == BUNDLED else known) if path == BUNDLED or known else None
    card = dict(entry.card) if entry else {}
    row = _row(entry.name if entry else label_of(one), path, card, settings)
    if row["problem"]:
        raise ModelMissing(
            row["problem"], where=str(path), remedy="`setpoint model list` shows what there is"
        )
    header = read_header(path)
    about = _OURS if header.prompt_hashes else _OTHER
    return row | about | {
        "architecture": header.architecture, "context_tokens": header.context_tokens, "prompts": header.prompt_hashes,
        "current_prompts": dict(_current_prompts()), "origin": card, "scores": list(scores_of(row["sha256"], settings)),
        "measured": measured(row["sha256"], settings),
    }  # fmt: skip


def _current_prompts() -> Iterator[tuple[str, str]]:
    from prompts import TASKS, template_hash

    return ((task, template_hash(task)) for task in TASKS)


# ---- figures ---------------------------------------------------------------------------------------------------------


def scores_of(sha256: str, settings: Settings) -> Iterator[dict[str, Any]]:
    """What eval runs say of a role on that very file: of its words, and of the suite where it decided."""
    from evals.registry import SUITES
    from evals.running.record import read

    for path in _records(settings):
        try:
            record = read(path)
        except (SetpointError, OSError):
            continue  # another format, or half a run
        for one in record.ran:
            about = record.contenders.get(one.contender, {})
            roles = [role for role in ROLES if _hash_in(about.get(role)) == sha256]
            decides = any(about[role].get("mode", "facts") != "facts" for role in roles)
            wanted = (*ITS_PART, *(SUITES[one.suite].headlines if decides and one.suite in SUITES else ()))
            figures = [f for f in one.figures if any(fnmatch(f.key, pattern) for pattern in wanted)]
            if roles and figures:
                yield {
                    "suite": one.suite, "roles": roles, "record": record.name, "date": record.made.date, "split": record.asked.split,
                    "mode": [about[role].get("mode", "") for role in roles],
                    "figures": [{k: v for k, v in asdict(f).items() if k != "cases"} for f in figures],
                }  # fmt: skip


def _records(settings: Settings) -> list[Path]:
    """Records that came with Setpoint, then those of runs on this machine."""
    from evals.running.record import RECORD, RUNS

    return [*sorted(RECORDS.glob("suites*.json")), *sorted(RUNS.glob(f"*/{RECORD}"))]


def _hash_in(about: Any) -> str:
    return str(about.get("sha256", "")) if isinstance(about, Mapping) else ""


def measured(key: str, settings: Settings) -> dict[str, Any]:
    """By kind (bench, trial, modes), what was measured of the model with that hash: here, else before it was shipped."""
    found = {}
    for kind in KINDS:
        for path in (_kept(key, kind, settings), RECORDS / f"model_{kind}.json"):
            one = _read(path)
            if one and one.get("key") == key:
                found[kind] = one
                break
    return found


def keep(key: str, kind: str, value: Mapping[str, Any], settings: Settings) -> Path:
    """Write down what was measured. Returns where."""
    path = _kept(key, kind, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, **value}, indent=1) + "\n", encoding="utf-8")
    return path


def key_of(one: ModelSettings) -> str:
    """What a measurement is found by: the file's hash, or one of a server's address and model. Raises ModelMissing."""
    if one.kind == "openai":
        return hashlib.sha256(f"{one.url}#{one.model}".encode()).hexdigest()
    return hash_of(BUNDLED if one.kind == "bundled" or one.path is None else one.path)


def _kept(key: str, kind: str, settings: Settings) -> Path:
    return Registry.of(settings).folder / "measured" / f"{key[:16]}-{kind}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_short(sha256: str, settings: Settings) -> str:
    """The share of notices that it worded, by the newest record over this very file; else what was tried here."""
    found = ""
    for score in scores_of(sha256, settings):
        for figure in score["figures"]:
            if figure["set"] == "model words" and figure["name"].startswith("fell back"):
                found = f"{1 - figure['value']:.0%} of {figure['n']} notices in its words ({score['split']})"
    return found or _trial_in_short(measured(sha256, settings))


def _trial_in_short(known: Mapping[str, Any]) -> str:
    trial = known.get("trial")
    if not trial:
        return "not measured"
    return "; ".join(
        f"{one['role']}: {'good enough' if one['good'] else 'not good enough'}" for one in trial["verdicts"]
    )
