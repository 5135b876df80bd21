"""Models that a site keeps beside the one that ships, and which of them is in service in the shipped one's place.

    FOLDER/NAME/model.gguf   trained here or pulled
    FOLDER/NAME/card.json    how it was made
    FOLDER/current.json      what was promoted, by whom and why, and what stood before

A promotion concerns roles set to `bundled`. It counts as long as the promoted file is the very one that was promoted and
was trained on the prompts of this version; else the shipped model stands and a warning says so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import file_digest
from pathlib import Path
from typing import Any, Literal

from setpoint.errors import ConfigError, ModelMissing, UsageError
from setpoint.llm.gguf_header import read_header
from setpoint.settings import Settings

BUNDLED = Path(__file__).parent / "models" / "setpoint-small.gguf"
"""The model that ships with Setpoint."""
SHIPPED = "bundled"
"""Its name among models."""
Role = Literal["light", "heavy"]
ROLES: tuple[Role, ...] = ("light", "heavy")
MODEL_FILE, CARD_FILE, CURRENT_FILE = "model.gguf", "card.json", "current.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESERVED = frozenset({SHIPPED, "none", *ROLES})


@dataclass(frozen=True)
class Entry:
    """One model file and what is known of it."""

    name: str
    path: Path
    card: Mapping[str, Any]
    """How it was made; empty where nobody wrote it down."""

    @property
    def sha256(self) -> str:
        """Of the file as it is now. Raises ModelMissing."""
        return hash_of(self.path)


@dataclass(frozen=True)
class Promotion:
    """One row of current.json: which model was put in service, when, by whom and why."""

    name: str
    sha256: str
    since: str
    """ISO time."""
    who: str
    why: str


@dataclass(frozen=True)
class InService:
    """What a role set to `bundled` runs on."""

    role: Role
    name: str
    path: Path
    sha256: str
    since: str = ""
    """ISO time of the promotion or rollback; empty where nothing was ever promoted."""
    who: str = ""
    why: str = ""
    warning: str = ""
    """Why the shipped model stands although another one was promoted; "" where nothing is wrong."""


class Registry:
    """The models in one folder. It writes nothing before a model is added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, settings: Settings) -> Registry:
        """The one of these settings: `models.dir`, else `models` in the store's folder."""
        return cls((settings.models.dir or settings.store.dir / "models").absolute())

    # ---- models ------------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Models of the folder by name; the shipped one is not among them, nor is what has no name of a model."""
        found = (path.parent.name for path in self.folder.glob(f"*/{MODEL_FILE}"))
        return sorted(name for name in found if _is_name(name))

    def entry(self, name: str) -> Entry:
        """Raises UsageError for a name that is not there."""
        if name == SHIPPED:
            return Entry(SHIPPED, BUNDLED, _read_json(BUNDLED.with_suffix(".json")))
        path = self.folder_of(name) / MODEL_FILE
        if not path.is_file():
            known = ", ".join([SHIPPED, *self.names()])
            raise UsageError(f"there is no model {name!r} in {self.folder}", remedy=f"There is: {known}")
        return Entry(name, path, _read_json(path.with_name(CARD_FILE)))

    def folder_of(self, name: str) -> Path:
        """Where a model of that name lies or would lie. Raises UsageError for what is no name."""
        if not _is_name(name):
            raise UsageError(
                f"{name!r} is no name for a model",
                remedy="Small letters, digits, dot, dash and underscore, at most 64; not bundled, none, light or heavy",
            )
        return self.folder / name

    def add(self, name: str, gguf: Path, card: Mapping[str, Any], *, move: bool = False) -> Path:
        """Copy or move a model in, whole or not at all. A name is given once: what was promoted must not change
        underneath. Raises UsageError, ModelMissing."""
        folder = self.folder_of(name)
        if folder.exists():
            raise UsageError(
                f"there is a model {name!r} already", where=str(folder), remedy="Choose another name"
            )
        read_header(gguf)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".adding-", dir=self.folder) as draft:
            whole = Path(draft) / name
            whole.mkdir()
            (shutil.move if move else shutil.copyfile)(gguf, whole / MODEL_FILE)
            (whole / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
            _sync(whole / MODEL_FILE)
            os.rename(whole, folder)
        return folder / MODEL_FILE

    # ---- what is in service ------------------------------------------------------------------------------------------

    def promote(
        self, name: str, who: str, why: str, roles: Sequence[Role] = ROLES, now: datetime | None = None
    ) -> InService:
        """Put a model of ours in service wherever a role is set to `bundled`. Raises UsageError where it cannot be."""
        entry = self.entry(name)
        if problem := _unfit(entry.path):
            raise UsageError(
                f"model {name!r} cannot stand in for the shipped one: {problem}", remedy="Train it again, or set a role to it with `setpoint model use`"
            )  # fmt: skip
        row = _row(name, entry.sha256, who, why, now or datetime.now(UTC))
        current = self._current()
        for role in roles:
            current["before"].setdefault(role, []).append(current.get(role) or _row(SHIPPED, "", "", ""))
            current[role] = row
        self._write(current)
        return self.in_service(roles[0])

    def rollback(
        self, who: str, why: str, roles: Sequence[Role] = ROLES, now: datetime | None = None
    ) -> InService:
        """Back to what stood before the last promotion of each role. Raises UsageError where there was none."""
        current = self._current()
        promoted = [role for role in roles if current["before"].get(role)]
        if not promoted:
            raise UsageError("no model was promoted, so there is none to go back to", where=str(self.folder))
        for role in promoted:
            before = current["before"][role].pop()
            current[role] = _row(before["name"], before["sha256"], who, why, now or datetime.now(UTC))
        self._write(current)
        return self.in_service(promoted[0])

    def in_service(self, role: Role) -> InService:
        """What that role runs on where it is set to `bundled`. Never raises: the shipped model stands in."""
        try:
            row = self._current().get(role)
            promoted = Promotion(**row) if row else Promotion(SHIPPED, "", "", "", "")
        except (ConfigError, TypeError) as error:
            return _shipped(role, f"{self.folder / CURRENT_FILE} cannot be used: {error}")
        if promoted.name == SHIPPED:
            return replace(_shipped(role), since=promoted.since, who=promoted.who, why=promoted.why)
        if problem := self._broken(promoted):
            return _shipped(role, f"the promoted model {promoted.name!r} is not used: {problem}")
        return InService(
            role, promoted.name, self.folder / promoted.name / MODEL_FILE, promoted.sha256, promoted.since, promoted.who, promoted.why
        )  # fmt: skip

    def stamp(self) -> tuple[int, ...]:
        """Changes with every promotion and rollback; reading it costs one look at the file system."""
        try:
            seen = (self.folder / CURRENT_FILE).stat()
        except OSError:
            return ()
        return seen.st_mtime_ns, seen.st_size, seen.st_ino

    def _broken(self, promotion: Promotion) -> str:
        try:
            path = self.folder_of(promotion.name) / MODEL_FILE
            if hash_of(path) != promotion.sha256:
                return f"{path} is not the file that was promoted"
        except (UsageError, ModelMissing) as error:
            return str(error)
        return _unfit(path)

    def _current(self) -> dict[str, Any]:
        """current.json, or an empty one. Raises ConfigError where it cannot be read."""
        path = self.folder / CURRENT_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            found = {}
        except (OSError, ValueError) as error:
            raise ConfigError(
                "cannot be read", where=str(path), remedy="Remove it: the shipped model stands"
            ) from error
        if not isinstance(found, dict) or not isinstance(found.setdefault("before", {}), dict):
            raise ConfigError(
                "is not what Setpoint wrote", where=str(path), remedy="Remove it: the shipped model stands"
            )
        return found

    def _write(self, current: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{CURRENT_FILE}.{os.getpid()}"
        draft.write_text(json.dumps(current, indent=1) + "\n", encoding="utf-8")
        _sync(draft)
        os.replace(draft, self.folder / CURRENT_FILE)


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and text not in _RESERVED


def hash_of(path: Path) -> str:
    """SHA-256 of a model file. Raises ModelMissing."""
    try:
        seen = path.stat()
        return _hash(path, seen.st_mtime_ns, seen.st_size, seen.st_ino)
    except OSError as error:
        raise ModelMissing(f"cannot read the model file: {error.strerror}", where=str(path)) from error


@cache
def _hash(path: Path, _changed_ns: int, _size: int, _inode: int) -> str:
    """A file that did not change is read once a process."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def is_ours(path: Path | None) -> bool:
    """Whether the file was trained on Setpoint's own prompts. A file that is not there is not."""
    try:
        return path is not None and bool(read_header(path).prompt_hashes)
    except ModelMissing:
        return False


def _unfit(path: Path) -> str:
    """Why a file cannot stand in for the shipped one, whose prompts are those of this version; "" where it can."""
    try:
        prompts = read_header(path).prompt_hashes
        wanted = read_header(BUNDLED).prompt_hashes
    except ModelMissing as error:
        return str(error)
    if not prompts:
        return "it was not trained on Setpoint's prompts"
    moved = [task for task, known in wanted.items() if prompts.get(task) != known]
    return f"it was trained on other prompts of {', '.join(moved)} than this version has" if moved else ""


def _shipped(role: Role, problem: str = "") -> InService:
    try:
        sha256 = hash_of(BUNDLED)
    except ModelMissing:
        sha256 = ""
    return InService(
        role, SHIPPED, BUNDLED, sha256, warning=f"{problem}. The shipped model stands" if problem else ""
    )


def _row(name: str, sha256: str, who: str, why: str, since: datetime | None = None) -> dict[str, str]:
    return asdict(Promotion(name, sha256, since.isoformat(timespec="seconds") if since else "", who, why))


def _read_json(path: Path) -> dict[str, Any]:
    """What a card holds; nothing where there is none or it is broken."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
