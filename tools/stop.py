"""Stop everything: one file. Anybody on the machine can make it, without a model, a database or a second person."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StopSwitch:
    """While `path` exists nothing is executed. Its text says who stopped it and why."""

    path: Path

    def engage(self, who: str, why: str) -> None:
        """Stop. Returns once it is on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", encoding="utf-8") as file:
            file.write(f"by {who}: {why}\n")
            file.flush()
            os.fsync(file.fileno())

    def release(self) -> None:
        """Let actions run again. Does nothing where nothing is stopped."""
        self.path.unlink(missing_ok=True)

    def reason(self) -> str:
        """Why everything is stopped, "" while nothing is. A file that cannot be read stops as well."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"the stop file {self.path} cannot be read: {error.strerror}"
        return text or f"the file {self.path} exists"
