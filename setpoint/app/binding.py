"""Where a server may listen, and over what: decided before anything is opened."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from setpoint.app.doorway import is_loopback_name
from setpoint.app.opening import open_ledger, open_site
from setpoint.errors import ConfigError
from setpoint.settings import ServeSettings, Settings
from tools.adapters.config import load_adapters

EVERYWHERE = ("0.0.0.0", "::")
READ_ON = "docs/accounts.md has it step by step"


def check_binding(serve: ServeSettings, has_approver: Callable[[], bool], writes_real_site: bool) -> None:
    """Raises ConfigError where people could act without being told apart, or secrets could be read on the way.

    `has_approver` says whether anybody with an account may decide; it is asked only where accounts are on.
    """
    where = f"serve.host = {serve.host}"
    if not serve.accounts:
        if not is_loopback_name(serve.host):
            raise ConfigError(
                "without accounts Setpoint listens on loopback alone",
                where=where,
                remedy=f"Set serve.accounts = true and TLS files or a proxy; {READ_ON}",
            )
        if serve.behind_proxy:
            raise ConfigError(
                "behind a proxy anybody can reach it, so people have to sign in",
                where="serve.behind_proxy",
                remedy=f"Set serve.accounts = true; {READ_ON}",
            )
        if writes_real_site:
            raise ConfigError(
                "the site is a real one and may be written to, so people have to be told apart",
                where="site.adapters",
                remedy=f"Set serve.accounts = true, or `write: false` in the adapter file; {READ_ON}",
            )
    _check_transport(serve, where)
    if serve.accounts and not has_approver():
        raise ConfigError(
            "serve.accounts is on and nobody could sign in and decide",
            where="accounts",
            remedy="`setpoint user add NAME --role approver --role admin` first",
        )


def _check_transport(serve: ServeSettings, where: str) -> None:
    if (serve.tls_cert is None) != (serve.tls_key is None):
        raise ConfigError("a certificate and its key belong together", where="serve.tls_cert, serve.tls_key")
    for key, path in (("serve.tls_cert", serve.tls_cert), ("serve.tls_key", serve.tls_key)):
        if path is not None and not os.access(path, os.R_OK):
            raise ConfigError("this file cannot be read", where=f"{key} = {path}")
    if serve.tls_cert and serve.behind_proxy:
        raise ConfigError("either the proxy ends TLS, or this server does", where="serve.behind_proxy")
    if serve.behind_proxy and urlsplit(serve.public_url).scheme != "https":
        raise ConfigError(
            "a proxy needs the address that people type", where=f"serve.public_url = {serve.public_url!r}",
            remedy="For example serve.public_url = https://setpoint.example.net",
        )  # fmt: skip
    if serve.host in EVERYWHERE and not serve.public_url:
        raise ConfigError(
            "listening on every address, it does not know the one that people type", where=where,
            remedy="Set serve.public_url, as https://setpoint.example.net: links in notices lead there",
        )  # fmt: skip
    if not is_loopback_name(serve.host) and not serve.secure:
        raise ConfigError(
            "passwords would cross the network in the clear", where=where,
            remedy=f"Set serve.tls_cert and serve.tls_key, or serve.behind_proxy and serve.public_url; {READ_ON}",
        )  # fmt: skip
    if serve.tls_cert and serve.tls_key:
        _check_certificate(serve.tls_cert, serve.tls_key)


def _check_certificate(cert: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(
            f"certificate and key cannot be used: {error}", where=f"{cert}, {key}",
            remedy="Both in PEM, the key without a password, the certificate's own",
        ) from error  # fmt: skip


def _no_password() -> str:
    raise ValueError("the key is protected by a password")


def own_url(serve: ServeSettings) -> str:
    """How this machine reaches its server, proxy or not."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(serve.host, serve.host)
    host = f"[{name}]" if ":" in name else name
    return f"{'https' if serve.tls_cert else 'http'}://{host}:{serve.port}"


def transport(serve: ServeSettings) -> dict[str, Any]:
    """What uvicorn is told about the way requests come. Whom a proxy names is read by the Doorway."""
    files = {"ssl_certfile": str(serve.tls_cert), "ssl_keyfile": str(serve.tls_key)} if serve.tls_cert else {}
    return {"host": serve.host, "port": serve.port, "proxy_headers": False, "server_header": False, **files}


def somebody_decides(settings: Settings) -> bool:
    """Whether an account that is not shut out may decide."""
    with open_ledger(settings) as ledger:
        return any(one.may("approver") and not one.disabled for one in ledger.list_users())


def writes_real_site(settings: Settings) -> bool:
    """Whether this configuration lets anything be moved on a site that is really there."""
    site = open_site(settings)
    if site.simulated or settings.site.adapters is None:
        return False
    return load_adapters(settings.site.adapters, site).write
