"""People who may sign in, their sessions and their API tokens. Every change stands in the audit chain, no secret ever."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, insert, select, update

from setpoint.contracts.accounts import Account, ApiToken, Role, Scope, Session, account_name
from setpoint.contracts.autonomy import plain_name
from setpoint.errors import UsageError
from setpoint.ledger import audit
from setpoint.ledger.account_tables import api_tokens, sessions, users
from setpoint.ledger.clock import moment, moment_or_none, seconds, utc_now
from setpoint.ledger.opened import Store
from setpoint.ledger.writing import known, to_json

Name = TypeVar("Name", bound=str)
_NOTED_EVERY_S = 60.0
"""When something was used last is written at most this often: a page that asks each second must not write each second."""


class Accounts(Store):
    """The ledger's methods about accounts. Names are found in any spelling; passwords and tokens come as hashes."""

    # ---- people -----------------------------------------------------------------------------------------------

    def add_user(
        self, name: str, password_hash: str, roles: Collection[Role], who: str, now: datetime | None = None
    ) -> Account:
        """A new person. Raises UsageError for a name that is none, or that another spelling has taken."""
        kept, at = account_name(name), now or utc_now()
        key, held = plain_name(kept), _sorted(roles)
        with self._db.write() as tx:
            if known(tx, users.c.key, [key]):
                raise UsageError(
                    f"there is an account of {_user(tx, kept).name} already",
                    remedy="`setpoint user list` shows all",
                )
            row = {"key": key, "name": kept, "password_hash": password_hash, "roles": to_json(held)}
            tx.execute(insert(users).values(**row, disabled=False, created=seconds(at)))
            audit.append(tx, who, "user-added", f"USER-{kept}", {"roles": held}, at)
            return _account(_user(tx, kept))

    def list_users(self) -> list[Account]:
        """By name."""
        with self._db.read() as tx:
            return [_account(row) for row in tx.execute(select(users).order_by(users.c.key))]

    def find_user(self, name: str) -> tuple[Account, str] | None:
        """The account and the hash of its password."""
        with self._db.read() as tx:
            row = tx.execute(select(users).where(users.c.key == plain_name(name))).first()
            return (_account(row), row.password_hash) if row else None

    def set_roles(self, name: str, roles: Collection[Role], who: str, now: datetime | None = None) -> Account:
        """Other roles, from the next request on."""
        held = _sorted(roles)
        with self._db.write() as tx:
            row = _user(tx, name)
            tx.execute(update(users).where(users.c.key == row.key).values(roles=to_json(held)))
            said = {"from": json.loads(row.roles), "to": held}
            audit.append(tx, who, "user-roles", f"USER-{row.name}", said, now or utc_now())
            return _account(_user(tx, name))

    def set_password(self, name: str, password_hash: str, who: str, now: datetime | None = None) -> int:
        """Another password. Ends every session of the person; returns how many."""
        with self._db.write() as tx:
            row = _user(tx, name)
            tx.execute(update(users).where(users.c.key == row.key).values(password_hash=password_hash))
            ended = _end_all(tx, row.key)
            audit.append(
                tx, who, "user-password", f"USER-{row.name}", {"sessions_ended": ended}, now or utc_now()
            )
            return ended

    def set_disabled(self, name: str, disabled: bool, who: str, now: datetime | None = None) -> Account:
        """Shut out, or let in again. Shutting out ends every session, and no token of the person works."""
        with self._db.write() as tx:
            row = _user(tx, name)
            tx.execute(update(users).where(users.c.key == row.key).values(disabled=disabled))
            said = {"sessions_ended": _end_all(tx, row.key)} if disabled else None
            what = "user-disabled" if disabled else "user-enabled"
            audit.append(tx, who, what, f"USER-{row.name}", said, now or utc_now())
            return _account(_user(tx, name))

    # ---- sessions ---------------------------------------------------------------------------------------------

    def begin_session(self, name: str, digest: str, lasts_s: float, now: datetime | None = None) -> None:
        """A browser of this person is known by a value with this hash, for so long. Forgets those that are over."""
        at = now or utc_now()
        with self._db.write() as tx:
            row = _user(tx, name)
            tx.execute(delete(sessions).where(sessions.c.expires <= seconds(at)))
            began = {"created": seconds(at), "last_used": seconds(at), "expires": seconds(at) + lasts_s}
            tx.execute(insert(sessions).values(digest=digest, user_key=row.key, **began))
            audit.append(tx, row.name, "session-began", f"USER-{row.name}", None, at)

    def find_session(self, digest: str, idle_s: float, now: datetime | None = None) -> Session | None:
        """The session, unless it is over, was unused for `idle_s`, or its person is shut out. Notes that it is used."""
        at = now or utc_now()
        with self._db.read() as tx:
            where = (sessions.c.digest == digest, sessions.c.user_key == users.c.key)
            row = tx.execute(select(sessions, users.c.name, users.c.roles, users.c.disabled).where(*where)).first()  # fmt: skip
        if row is None or row.disabled or seconds(at) >= min(row.expires, row.last_used + idle_s):
            return None
        if seconds(at) - row.last_used > _NOTED_EVERY_S:
            with self._db.write() as tx:
                tx.execute(update(sessions).where(sessions.c.digest == digest).values(last_used=seconds(at)))
        return _session(row, row)

    def end_session(self, digest: str) -> bool:
        """Signed out here. False: it had ended."""
        with self._db.write() as tx:
            return tx.execute(delete(sessions).where(sessions.c.digest == digest)).rowcount == 1

    def list_sessions(self, name: str, idle_s: float, now: datetime | None = None) -> list[Session]:
        """A person's sessions that are not over, the one used last first."""
        at = seconds(now or utc_now())
        with self._db.read() as tx:
            user = _user(tx, name)
            where = (
                sessions.c.user_key == user.key,
                sessions.c.expires > at,
                sessions.c.last_used + idle_s > at,
            )
            rows = tx.execute(select(sessions).where(*where).order_by(sessions.c.last_used.desc())).all()
        return [_session(row, user) for row in rows]

    def end_own_session(self, name: str, session_id: str, now: datetime | None = None) -> bool:
        """A person signs one of their own browsers out. False: it had ended, or is another person's."""
        with self._db.write() as tx:
            user = _user(tx, name)
            rows = tx.execute(select(sessions.c.digest).where(sessions.c.user_key == user.key)).scalars()
            digest = next((one for one in rows if session_id_of(one) == session_id), None)
            if digest is None:
                return False
            tx.execute(delete(sessions).where(sessions.c.digest == digest))
            audit.append(tx, user.name, "session-ended", f"USER-{user.name}", None, now or utc_now())
            return True

    def end_sessions(self, name: str, who: str, now: datetime | None = None, keep: str = "") -> int:
        """Signed out everywhere, but where the hash is `keep`. Returns how many sessions that were."""
        with self._db.write() as tx:
            row = _user(tx, name)
            ended = _end_all(tx, row.key, keep)
            audit.append(tx, who, "sessions-ended", f"USER-{row.name}", {"sessions_ended": ended}, now or utc_now())  # fmt: skip
            return ended

    # ---- tokens -----------------------------------------------------------------------------------------------

    def add_token(
        self, label: str, owner: str, scopes: Collection[Scope], digest: str, lasts: timedelta, who: str,
        now: datetime | None = None,
    ) -> ApiToken:  # fmt: skip
        """A program may act for this person, no further than these scopes. Raises UsageError for what the person may not
        do himself."""
        at, held = now or utc_now(), _sorted(scopes)
        with self._db.write() as tx:
            row = _user(tx, owner)
            _check_scopes(_account(row), scopes)
            values = {
                "id": f"TOK-{secrets.token_hex(4)}", "digest": digest, "label": label, "user_key": row.key,
                "scopes": to_json(held), "created": seconds(at), "expires": seconds(at + lasts),
            }  # fmt: skip
            tx.execute(insert(api_tokens).values(**values, revoked=None, last_used=None))
            said = {"owner": row.name, "label": label, "scopes": held, "expires": (at + lasts).isoformat()}
            audit.append(tx, who, "token-added", str(values["id"]), said, at)
            return _tokens(tx, api_tokens.c.digest == digest)[0]

    def list_tokens(self, owner: str = "") -> list[ApiToken]:
        """Oldest first; of one person where he is named."""
        with self._db.read() as tx:
            return _tokens(tx, *([users.c.key == plain_name(owner)] if owner else []))

    def find_token(self, digest: str, now: datetime | None = None) -> tuple[ApiToken, Account] | None:
        """The token with its owner, unless it is over, revoked, or its owner is shut out. Notes that it is used."""
        at = now or utc_now()
        with self._db.read() as tx:
            found = _tokens(tx, api_tokens.c.digest == digest)
            owner = _account(_user(tx, found[0].owner)) if found else None
        if not found or owner is None or owner.disabled or found[0].revoked or at >= found[0].expires:
            return None
        used = found[0].last_used
        if used is None or (at - used).total_seconds() > _NOTED_EVERY_S:
            with self._db.write() as tx:
                tx.execute(
                    update(api_tokens).where(api_tokens.c.digest == digest).values(last_used=seconds(at))
                )
        return found[0], owner

    def revoke_token(self, token_id: str, who: str, now: datetime | None = None) -> ApiToken:
        """It works no longer. The first revocation stands."""
        at = now or utc_now()
        with self._db.write() as tx:
            if not (found := _tokens(tx, api_tokens.c.id == token_id)):
                raise UsageError(f"no token {token_id!r}", remedy="`setpoint token list` shows all")
            if found[0].revoked is None:
                tx.execute(update(api_tokens).where(api_tokens.c.id == token_id).values(revoked=seconds(at)))
                audit.append(tx, who, "token-revoked", token_id, {"owner": found[0].owner}, at)
            return _tokens(tx, api_tokens.c.id == token_id)[0]


def _user(tx: Connection, name: str) -> Row[Any]:
    row = tx.execute(select(users).where(users.c.key == plain_name(name))).first()
    if row is None:
        raise UsageError(f"no account of {name!r}", remedy="`setpoint user list` shows all")
    return row


def _account(row: Row[Any]) -> Account:
    return Account(
        name=row.name,
        roles=frozenset(json.loads(row.roles)),
        disabled=row.disabled,
        created=moment(row.created),
    )


def session_id_of(digest: str) -> str:
    """What a session is called on its person's own page: enough to name it, of no use to sign in with."""
    return digest[:16]


def _session(row: Row[Any], user: Row[Any]) -> Session:
    return Session(
        id=session_id_of(row.digest), name=user.name, roles=frozenset(json.loads(user.roles)), created=moment(row.created),
        last_used=moment(row.last_used), expires=moment(row.expires),
    )  # fmt: skip


def _tokens(tx: Connection, *where: Any) -> list[ApiToken]:
    query = select(api_tokens, users.c.name).where(api_tokens.c.user_key == users.c.key, *where)
    return [
        ApiToken(
            id=row.id, label=row.label, owner=row.name, scopes=frozenset(json.loads(row.scopes)), created=moment(row.created),
            expires=moment(row.expires), revoked=moment_or_none(row.revoked), last_used=moment_or_none(row.last_used),
        )
        for row in tx.execute(query.order_by(api_tokens.c.created, api_tokens.c.id))
    ]  # fmt: skip


def _check_scopes(owner: Account, scopes: Collection[Scope]) -> None:
    beyond = [scope for scope in _sorted(scopes) if not owner_may(owner, scope)]
    if beyond or not scopes:
        raise UsageError(
            f"{owner.name} may not give a token {' and '.join(beyond) or 'without a scope'}",
            remedy=f"Roles of {owner.name}: {', '.join(_sorted(owner.roles)) or 'none'}",
        )


def owner_may(owner: Account, scope: Scope) -> bool:
    """Whether a token of this person may have the scope now. Whoever may operate may let a program send events."""
    return owner.may("operator" if scope == "intake" else scope)


def _end_all(tx: Connection, key: str, keep: str = "") -> int:
    return tx.execute(delete(sessions).where(sessions.c.user_key == key, sessions.c.digest != keep)).rowcount


def _sorted(names: Collection[Name]) -> list[Name]:
    return sorted(set(names))
