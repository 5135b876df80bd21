"""For every test: strict checkpoints, and where the public data is."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # LangGraph reads it once, when it is imported

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets, which is not part of the repository; the test is skipped where it is absent."""
    folder = Path(os.environ.get("SETPOINT_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "events").is_dir():
        pytest.skip(f"no public data at {folder}; set SETPOINT_SHARED_DATA to its folder")
    return folder
