"""How a sink is named to people: its URL may carry a token, so only what is no secret is said."""

from __future__ import annotations

from urllib.parse import urlsplit


def sink_label(sink: str) -> str:
    """The sink's kind, and for a webhook the host.

    >>> [sink_label(name) for name in ("console", "webhook+https://hooks.example.org/T0/secret", "slack://T0/B0/x")]
    ['console', 'webhook hooks.example.org', 'slack']
    """
    if "://" not in sink:
        return sink
    kind = sink.split("://", 1)[0]
    if not kind.startswith("webhook+"):
        return kind  # the rest of an Apprise URL is tokens, even where a host would stand
    parts = urlsplit(sink.removeprefix("webhook+"))
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"webhook {parts.hostname or ''}{port}".rstrip()
