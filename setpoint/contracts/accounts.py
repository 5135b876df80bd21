"""Who is asking, and what they may do."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from datetime import datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from setpoint.contracts.autonomy import is_person, plain_name
from setpoint.errors import UsageError

Role = Literal["viewer", "operator", "approver", "admin"]
"""viewer reads; operator also acknowledges, corrects, silences, asks and proposes; approver also decides reviews; admin
manages accounts and rules of the house, and decides nothing by that alone."""
ROLES: tuple[Role, ...] = ("viewer", "operator", "approver", "admin")
Scope = Literal["viewer", "operator", "approver", "admin", "intake"]
"""What an API token may do: a role, or "intake": send events in and nothing else."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
Via = Literal["loopback", "session", "token", "command"]
"""How a person or program was known: no accounts on loopback, a browser's session, an API token, a command of this
machine's user through the token in the store folder."""

LONGEST_NAME = 64
NO_PERSON = frozenset(
    {
        "agent", "ai", "anonymous", "assistant", "autonomy", "bot", "chat", "intake", "mcp", "model", "nobody", "ops agent",
        "root", "service", "system", "loopback", "command", "session", "token",
        # Setpoint's own roles in the work: a name in the audit chain must not be mistaken for one of them.
        "advisor", "alerter", "correlator", "dispatcher", "explainer", "filter", "forecaster", "guide", "interpreter",
        "optimizer", "proposer", "symbolic engine", "troubleshooter", "verification",
        *ROLES,
    }
)  # fmt: skip
"""Names that no account may have: two people behind one of them would be one, or an agent would look like a person."""
_ALSO = frozenset(" .-_'@")
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | {
    chr(code) for code in range(0xFE00, 0xFE10)
}
_LOOK_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK"})


class Principal(BaseModel):
    """Who stands behind a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    roles: frozenset[Role]
    via: Via
    sends_events: bool = False
    """An API token of the scope "intake"."""

    def may(self, role: Role) -> bool:
        """Whether this role, or one that holds it, is given. An approver is an operator and a viewer too; an admin is a
        viewer alone."""
        return holds(self.roles, role)

    def may_send_events(self) -> bool:
        return self.sends_events or self.may("operator")


HOLDS: dict[Role, frozenset[Role]] = {
    "viewer": frozenset({"viewer"}),
    "operator": frozenset({"viewer", "operator"}),
    "approver": frozenset({"viewer", "operator", "approver"}),
    "admin": frozenset({"viewer", "admin"}),
}


def holds(roles: Collection[Role], wanted: Role) -> bool:
    """Whether one of these roles is the wanted one or holds it."""
    return any(wanted in HOLDS[own] for own in roles)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(_Row):
    """A person who may sign in."""

    name: str
    roles: frozenset[Role]
    disabled: bool
    created: datetime

    def may(self, role: Role) -> bool:
        return holds(self.roles, role)


class Session(_Row):
    """One browser of a person, known by a cookie. The ledger keeps the hash of the cookie's value alone."""

    id: str
    """Names it among the person's own."""
    name: str
    roles: frozenset[Role]
    """As they are now, not as they were when it began."""
    created: datetime
    last_used: datetime
    expires: datetime


class ApiToken(_Row):
    """A program's key. It can do no more than its owner can at the moment it is used."""

    id: str
    label: str
    owner: str
    scopes: frozenset[Scope]
    created: datetime
    expires: datetime
    revoked: datetime | None = None
    last_used: datetime | None = None


def account_name(given: str) -> str:
    """The name as it is kept. Raises UsageError for one that is no person's, or that could be taken for another.

    >>> account_name("  Ada   Lovelace ")
    'Ada Lovelace'
    """
    name = " ".join(unicodedata.normalize("NFKC", given).split())
    if not name:
        raise UsageError("an account needs a name", remedy="Give the person's own name")
    if len(name) > LONGEST_NAME:
        raise UsageError(f"the name has {len(name)} characters, at most {LONGEST_NAME} are taken")
    strange = next((char for char in name if not _may_stand_in_a_name(char)), "")
    if strange:
        raise UsageError(
            f"a name cannot hold {_named(strange)}", remedy="Letters, digits, blanks and . - _ ' @ can"
        )
    _refuse_look_alikes(name)
    if plain_name(name) in NO_PERSON or not is_person(name):
        raise UsageError(f"{name!r} is no person's name", remedy="Give the person's own name")
    return name


def _may_stand_in_a_name(char: str) -> bool:
    return char not in _UNSEEN and (unicodedata.category(char)[0] in "LMN" or char in _ALSO)


def _named(char: str) -> str:
    return f"{unicodedata.name(char, 'the character')} (U+{ord(char):04X})"


def _refuse_look_alikes(name: str) -> None:
    """A Cyrillic letter among Latin ones makes a second person who reads as the first."""
    scripts = {unicodedata.name(char, "").partition(" ")[0] for char in name if char.isalpha()} & _LOOK_ALIKE
    if len(scripts) > 1:
        found = " and ".join(sorted(script.capitalize() for script in scripts))
        raise UsageError(f"the name mixes {found} letters that look alike", remedy="Write it in one alphabet")


def same_person(one: str, other: str) -> bool:
    """Whether two spellings are one person's."""
    return plain_name(one) == plain_name(other)
