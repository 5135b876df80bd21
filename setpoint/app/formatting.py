"""Values as short text for readers, and untrusted text made harmless to look at."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that show nothing, or turn or break the text around them."""
_KEPT = "\n\t"


def visible(text: str) -> str:
    r"""Control, direction and unassigned characters as escapes, so that nothing in a log line can hide or reorder
    what stands beside it.

    >>> visible("ok\x1b[31m \u202egnp.exe")
    'ok\\x1b[31m \\u202egnp.exe'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if _hides(char) else char for char in text)


def _hides(char: str) -> bool:
    return char not in _KEPT and unicodedata.category(char) in _HIDDEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def one_line(text: str, longest: int = 0) -> str:
    """White space runs as one blank, everything visible; cut at `longest` characters where that is not 0.

    >>> one_line("a\\n b", 0), one_line("abcdef", 5)
    ('a b', 'ab...')
    """
    joined = visible(" ".join(text.split()))
    return joined if not longest or len(joined) <= longest else joined[: longest - 3] + "..."


def day_and_time(time: datetime, zone: ZoneInfo) -> str:
    """`2026-03-14 23:40:12 CET`."""
    return time.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def time_of_day(time: datetime, zone: ZoneInfo) -> str:
    """`23:40:12`."""
    return time.astimezone(zone).strftime("%H:%M:%S")


def period(first: datetime, last: datetime, zone: ZoneInfo) -> str:
    """`2026-03-14 22:00 to 2026-03-15 06:00 CET`."""
    start, end = first.astimezone(zone), last.astimezone(zone)
    zones = f"{start:%Z}" if f"{start:%Z}" == f"{end:%Z}" else f"{start:%Z}/{end:%Z}"
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {until} {zones}"


def span(seconds: float | None) -> str:
    """A length of time with the digits a reader needs.

    >>> span(0.0381), span(2.34), span(75), span(4000), span(None)
    ('38 ms', '2.3 s', '1 min 15 s', '1 h 7 min', 'none')
    """
    if seconds is None:
        return "none"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def number(value: float) -> str:
    """`41`, `7.4`, `1840`: no false digits.

    >>> number(41.0), number(7.43), number(1840.0), number(0.085)
    ('41', '7.43', '1840', '0.085')
    """
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"


def names(items: Sequence[str], shown: int = 4) -> str:
    """`gpu-01, gpu-02, gpu-03 and 9 more`."""
    if len(items) <= shown:
        return ", ".join(items)
    return f"{', '.join(items[: shown - 1])} and {len(items) - shown + 1} more"


def counted(many: int, word: str) -> str:
    """`1 event`, `3 events`.

    >>> counted(1, "event"), counted(0, "entry"), counted(2, "analysis")
    ('1 event', '0 entries', '2 analyses')
    """
    endings = {"y": "ies", "sis": "ses"}
    plural = next(
        (word.removesuffix(old) + new for old, new in endings.items() if word.endswith(old)), f"{word}s"
    )
    return f"{many} {word if many == 1 else plural}"
