"""Where a page of the console is found from outside: what a notice leads to."""

from __future__ import annotations

from urllib.parse import quote

from setpoint.contracts import Notice
from setpoint.settings import ServeSettings


def address(serve: ServeSettings) -> str:
    """Where browsers reach this server, without a slash at the end.

    >>> address(ServeSettings()), address(ServeSettings(host="::1", port=9000))
    ('http://127.0.0.1:8321', 'http://[::1]:9000')
    """
    if serve.public_url:
        return serve.public_url.rstrip("/")
    host = f"[{serve.host}]" if ":" in serve.host else serve.host
    return f"http{'s' if serve.tls_cert else ''}://{host}:{serve.port}"


def incident_link(base: str, notice: Notice) -> str:
    """The page of the notice's incident; that of all incidents where it sums up many."""
    return f"{base}/incidents" if notice.stage == "storm" else f"{base}/incidents/{quote(notice.incident_id)}"
