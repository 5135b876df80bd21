"""Makes API tokens, for commands and for the page of a person's own."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import timedelta

from setpoint.app.access import digest_of
from setpoint.contracts.accounts import ApiToken, Scope
from setpoint.errors import UsageError
from setpoint.ledger import Ledger

PREFIX = "spt_"
"""Tokens begin so: scanners for leaked secrets know them by it."""
LONGEST_DAYS = 366.0
LONGEST_LABEL = 100


def new_token(
    ledger: Ledger, label: str, owner: str, scopes: Collection[Scope], days: float, who: str
) -> tuple[ApiToken, str]:
    """The token and its value, which nobody can read again. Raises UsageError for a lifetime or label that cannot be, and
    for what the owner may not do."""
    if not 0 < days <= LONGEST_DAYS:
        raise UsageError(f"a token cannot work for {days:g} days", remedy=f"Choose up to {LONGEST_DAYS:g}")
    if not label.strip() or len(label) > LONGEST_LABEL or not label.isprintable():
        raise UsageError(f"a token needs a plain label of up to {LONGEST_LABEL} characters")
    value = PREFIX + secrets.token_urlsafe(32)
    made = ledger.add_token(label.strip(), owner, scopes, digest_of(value), timedelta(days=days), who)
    return made, value
