"""Untrusted text inside formats that machines read: JUnit's XML and workflow commands of GitHub."""

from __future__ import annotations

import re

from setpoint.app.formatting import one_line, visible

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Hidden characters as escapes, and none that XML does not admit."""
    return _NOT_XML.sub("?", visible(text))


def workflow_command(level: str, title: str, message: str) -> str:
    """One command on one line: no line break and no separator of the untrusted parts survives unescaped."""
    escaped = _data(one_line(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={escaped}::{_data(visible(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
