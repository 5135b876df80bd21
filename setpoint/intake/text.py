"""Untrusted text made safe to store, log and show: one decoding rule, one cleaning rule."""

from __future__ import annotations

import re

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS and the like: titles, links
    r"|[ -/]*[0-~])"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and line feed
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # zero width and bidi
    "\ufe00-\ufe0f\U000e0000-\U000e0fff]"  # variation selectors and tag characters: text a reader cannot see
)
_BREAKS = re.compile("[\u2028\u2029\x85\x0b\x0c]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")


def decode(raw: bytes) -> tuple[str, bool]:
    """Text of one line, and whether its encoding had to be repaired.

    UTF-8 first. A line that is UTF-8 with some broken bytes keeps its good characters; any other is read as
    Windows-1252 / Latin-1.

    >>> decode("21 °C".encode("latin-1"))
    ('21 °C', True)
    """
    try:
        return raw.decode("utf-8"), False
    except UnicodeDecodeError:
        pass
    patched = raw.decode("utf-8", "replace")
    if any(char > "\x7f" and char != "\ufffd" for char in patched):
        return patched, True
    try:
        return raw.decode("cp1252"), True
    except UnicodeDecodeError:
        return raw.decode("latin-1"), True


def without_colour(text: str) -> str:
    """`text` without terminal escape sequences; other control characters stay."""
    return _ANSI.sub("", text) if "\x1b" in text or "\x9b" in text else text


def clean(text: str) -> str:
    """`text` without escape sequences, control, bidi and invisible characters; line feeds stay.

    >>> clean("\\x1b[31mfan\\x1b[0m \\u202efailed")
    'fan failed'
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\t", " ")
    text = _BREAKS.sub("\n", text)
    return _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text)).strip()


def clean_name(text: str, limit: int) -> str:
    """A cleaned single-line name, cut at `limit` characters."""
    if not (text.isascii() and text.isprintable()):
        text = _SPACES.sub(" ", clean(text))
    return text.strip()[:limit].rstrip()


def cut(text: str, limit: int) -> tuple[str, bool]:
    """`text` within `limit` characters, and whether something was cut off."""
    return (text, False) if len(text) <= limit else (text[: limit - 4].rstrip() + " ...", True)


def shown(value: object, limit: int = 60) -> str:
    """`value` as an error message may quote it: cleaned, on one line, short."""
    return repr(clean_name(str(value)[: 4 * limit], limit))
