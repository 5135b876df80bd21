"""What a reader of a turn sees of a tool call."""

from __future__ import annotations

import json
import time
from typing import Any

FOLDED_CHARS = 1500


def folded(number: int, result: Any, began: float) -> dict[str, Any]:
    """A tool's result in short, for a reader who unfolds it. `began`: on the monotonic clock."""
    text = (
        result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str, indent=1)
    )
    more = len(text) - FOLDED_CHARS
    shown = f"{text[:FOLDED_CHARS]}\n... {more:,} more characters" if more > 0 else text
    return {"kind": "result", "id": number, "text": shown, "seconds": round(time.monotonic() - began, 3)}
