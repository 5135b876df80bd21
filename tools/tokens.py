"""Approval tokens: the only thing the executor accepts.

A token is a signature over exactly one action (its digest), the incident, the version of the limits, an expiry, a
nonce and the people who approved. Whatever is edited afterwards has another digest, so the token does not fit.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from setpoint.contracts import Action, Frozen
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused, BackendError
from tools.actions import CATALOG_VERSION

KEY_BYTES = 32
KEY_FILE = "approval.key"
_ASK_AGAIN = "Have it approved again"


class Grant(Frozen):
    """What a token says."""

    digest: str
    incident_id: str
    review_id: str
    limits_version: str
    expires: datetime
    nonce: str
    approvers: tuple[str, ...]
    simulated: bool = False
    """Approved by a policy and not by a person: valid on a simulated site only."""


def limits_version(site: Site) -> str:
    """Changes whenever the catalog or a limit of the site does; older tokens are void then."""
    body = json.dumps([CATALOG_VERSION, site.name, site.limits], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Signer:
    """Makes and checks tokens with one secret key."""

    key: bytes

    @classmethod
    def open(cls, folder: Path) -> Signer:
        """The key of this store, made with mode 0600 at first use.

        Raises BackendError where the file is readable by others, damaged or cannot be made.
        """
        path = folder / KEY_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _make_key(path)
            return cls(_read_key(path))
        except OSError as error:
            raise BackendError(f"cannot use the approval key: {error.strerror}", where=str(path)) from error

    def mint(self, grant: Grant) -> str:
        """The token as text, safe in JSON and URLs."""
        if not grant.approvers:
            raise ActionRefused("nobody approved it", where="approval token", remedy=_ASK_AGAIN)
        body = grant.model_dump_json().encode()
        return f"{_encode(body)}.{_encode(self._sign(body))}"

    def verify(self, token: str, action: Action, incident_id: str, site: Site, now: datetime) -> Grant:
        """What the token grants. Raises ActionRefused unless it fits this action, incident, site and moment."""
        grant = self._read(token)
        problem = _problem(grant, action, incident_id, site, now)
        if problem:
            raise ActionRefused(problem, where="approval token", remedy=_ASK_AGAIN)
        return grant

    def _read(self, token: str) -> Grant:
        try:
            body, signature = (_decode(part) for part in token.split("."))
        except (ValueError, binascii.Error) as error:
            raise ActionRefused("not a token", where="approval token", remedy=_ASK_AGAIN) from error
        if not hmac.compare_digest(signature, self._sign(body)):
            raise ActionRefused("its signature is not ours", where="approval token", remedy=_ASK_AGAIN)
        try:
            return Grant.model_validate_json(body)
        except ValidationError as error:
            raise ActionRefused(
                "made by another version", where="approval token", remedy=_ASK_AGAIN
            ) from error

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self.key, body, "sha256")


def new_nonce() -> str:
    return secrets.token_hex(16)


def _problem(grant: Grant, action: Action, incident_id: str, site: Site, now: datetime) -> str:
    """Why the grant does not fit, "" where it does."""
    if grant.digest != action.digest(incident_id):
        return "it approves another action: this one was changed after the approval"
    if grant.incident_id != incident_id:
        return f"it belongs to {grant.incident_id}, not to {incident_id}"
    if grant.limits_version != limits_version(site):
        return "limits or catalog have changed since the approval"
    if now >= grant.expires:
        return f"it expired at {grant.expires:%Y-%m-%d %H:%M:%SZ}"
    if grant.simulated and not site.simulated:
        return "it was approved by a policy, which counts on a simulated site only"
    return ""


def _make_key(path: Path) -> None:
    """Whole or not at all: two processes that start together must read one key."""
    if path.exists():
        return
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
    finally:
        fresh.unlink(missing_ok=True)


def _read_key(path: Path) -> bytes:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise BackendError(
            f"others may read it (mode {mode:04o})", where=str(path), remedy=f"Run: chmod 600 {path}"
        )
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise BackendError(
            f"{len(key)} bytes where {KEY_BYTES} are expected", where=str(path),
            remedy="Remove it; a new one is made and pending approvals must be given again",
        )  # fmt: skip
    return key


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, altchars=b"-_", validate=True)
