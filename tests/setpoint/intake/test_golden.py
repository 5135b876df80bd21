"""Each example, read to exactly what stands beside it.

`SETPOINT_GOLDEN=write pytest tests/setpoint/intake/test_golden.py` writes the expectations anew: read the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from setpoint.contracts import Event, Quarantined
from setpoint.intake import Tally
from tests.setpoint.intake.conftest import Reader

EXAMPLES = Path(__file__).parent / "examples"
INPUTS = sorted(path for path in EXAMPLES.iterdir() if not path.name.endswith(".expected.json"))


def plain(item: Event | Quarantined) -> dict[str, object]:
    if isinstance(item, Quarantined):
        return {"quarantined": item.reason, "remedy": item.remedy, "at": item.origin}
    return item.model_dump(mode="json", exclude_defaults=True, exclude={"received"})


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_example_reads_as_expected(path: Path, take: Reader) -> None:
    tally = Tally()
    found = {
        "items": [plain(item) for item in take(path.read_bytes(), tally=tally)],
        "duplicates": tally.duplicates,
    }
    expected = path.with_name(path.name + ".expected.json")
    if os.environ.get("SETPOINT_GOLDEN") == "write":
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=True) + "\n")
    assert found == json.loads(expected.read_text())
