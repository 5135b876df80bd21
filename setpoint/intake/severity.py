"""Severity words of many systems, in Setpoint's five."""

from __future__ import annotations

from setpoint.contracts.event import Severity

_SPELLINGS: dict[Severity, str] = {
    "critical": "critical crit fatal emergency emerg alert panic disaster page severe sev0 sev1 blocker",
    "error": "error err major failure high fail failed sev2 danger",
    "warning": "warning warn wrn minor degraded average medium sev3 caution",
    "info": "info inf information informational notice debug trace ok normal none cleared clear low verbose fine finer "
    "finest indeterminate sev4 sev5 success good",
    "unknown": "unknown unspecified undefined",
}
_WORDS: dict[str, Severity] = {
    word: severity for severity, words in _SPELLINGS.items() for word in words.split()
}
SYSLOG: tuple[Severity, ...] = (
    "critical",
    "critical",
    "critical",
    "error",
    "warning",
    "info",
    "info",
    "info",
)
"""By syslog severity number, RFC 5424 table 2."""
_PINO: dict[int, Severity] = {10: "info", 20: "info", 30: "info", 40: "warning", 50: "error", 60: "critical"}


def severity_of(given: object, field: str = "severity") -> tuple[Severity, bool]:
    """The severity `given` stands for, and whether the word was known. `field` is the name it came under.

    >>> severity_of("CRIT"), severity_of("urgentish"), severity_of(3, "PRIORITY"), severity_of(50, "level")
    (('critical', True), ('unknown', False), ('error', True), ('error', True))
    """
    if given is None or given == "":
        return "unknown", True
    word = str(given).strip().lower()
    if word in _WORDS:
        return _WORDS[word], True
    if word.isascii() and word.isdigit() and len(word) <= 2:
        return _by_number(int(word), field.lower())
    return "unknown", False


def _by_number(number: int, field: str) -> tuple[Severity, bool]:
    """Bare numbers mean something only under the names whose scale is fixed: syslog's, and the JSON loggers' tens."""
    if field in _SYSLOG_FIELDS and number < len(SYSLOG):
        return SYSLOG[number], True
    if field in ("level", "log.level") and number in _PINO:
        return _PINO[number], True
    return "unknown", False


_SYSLOG_FIELDS = ("priority", "pri", "syslog_severity", "severity_code", "level", "log.syslog.severity.code")
