"""On which code a run was made, in words that hold on every machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from evals.running.record import Made
from setpoint import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("agents", "graphs", "tools", "knowledge", "prompts", "evals", "plant", "setpoint")
_NOT_CODE = ("evals/records/", "evals/baseline.json")
"""What runs write, and what a new baseline would change."""
_NOT_CODE_ENDS = (".pyc", ".gguf", ".nbc", ".nbi")
"""Compiled things, and models, whose hashes stand beside them."""


def made(command: Sequence[str]) -> Made:
    """Of this process, now. `command`: the words of the command line."""
    commit, dirty = _git_state()
    return Made(
        setpoint=__version__,
        command=" ".join(harmless(word) for word in command),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        commit=commit,
        dirty=dirty,
        code=code_digest(),
        python=platform.python_version(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


@cache
def code_digest() -> str:
    """Over every file of the packages, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(_code()):
        digest.update(path.relative_to(REPOSITORY).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _code() -> Iterator[Path]:
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*"):
            name = path.relative_to(REPOSITORY).as_posix()
            if path.is_file() and not name.startswith(_NOT_CODE) and not name.endswith(_NOT_CODE_ENDS):
                yield path


def _git_state() -> tuple[str, bool]:
    """The commit and whether the tree differs from it; ("", False) where this is no checkout."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit, bool(_git("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return "", False


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def harmless(word: str) -> str:
    """A word of the command line without the folders of this machine and without the address of a server.

    >>> harmless("light=/srv/models/qwen.gguf,heavy=http://me:pw@10.0.0.7:8080/v1#qwen")
    'light=qwen.gguf,heavy=server#qwen'
    """
    parts = []
    for part in word.split(","):
        role, equals, value = part.rpartition("=")
        if value.startswith(("http://", "https://")):
            value = f"server#{value.partition('#')[2]}"
        elif "/" in value:
            value = Path(value).name
        parts.append(f"{role}{equals}{value}")
    return ",".join(parts)


def without_folders(text: str) -> str:
    """A message without the folders of this machine."""
    for folder, name in _folders():
        text = text.replace(folder, name)
    return text


@cache
def _folders() -> tuple[tuple[str, str], ...]:
    known = {
        str(REPOSITORY): ".",
        str(REPOSITORY.parent): "..",
        str(Path.home()): "~",
        tempfile.gettempdir(): "TMP",
    }
    return tuple((folder, name) for folder, name in known.items() if len(folder) > 1)
