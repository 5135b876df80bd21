"""Event text made comparable: variable numbers masked, alert names split into words."""

from __future__ import annotations

import re

_NUMBERS = re.compile(
    r"""(?P<keep>\b(?:status|code|xid|sxid|exit(?:ed\ with)?|rc|errno|http/\d\.\d"?)\b[^\w]{0,4}-?\d+|\b[1-5]xx\b)"""
    r"""|(?P<hex>\b0x[0-9a-f]+)"""
    r"""|(?P<name>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b)"""
    r"""|(?P<zero>(?<![\w.:])0(?![\w.:]))"""
    r"""|(?P<number>\d+)""",
    re.IGNORECASE | re.VERBOSE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-.]+")


def mask(message: str) -> str:
    """`message` with variable numbers replaced, so that one wording is one text.

    Exit codes, HTTP status, XID numbers and a lone 0 keep their value, since they change the meaning.

    >>> mask("GPU 5 at 0xdead07 was lost, exit code 137, 0 errors")
    'GPU 9 at 0x9 was lost, exit code 137, 0 errors'
    """
    return _NUMBERS.sub(_masked, message)


def _masked(match: re.Match[str]) -> str:
    if match["number"]:
        return "9"
    if match["name"]:
        return "id"
    return "0x9" if match["hex"] else match[0]


def words_of(name: str) -> str:
    """An alert or check name as plain words.

    >>> words_of("KubeNodeNotReady"), words_of("ib_link-down")
    ('kube node not ready', 'ib link down')
    """
    return " ".join(_CAMEL.sub(" ", name).lower().split())


def searchable(kind: str, masked_message: str) -> str:
    """What rules and the ranker read: the kind in words, a bar, the message; lower case, single spaces.

    >>> searchable("NodeDown", "Host  lost")
    'node down | host lost'
    """
    message = " ".join(masked_message.lower().split())
    return f"{words_of(kind)} | {message}" if kind else message
