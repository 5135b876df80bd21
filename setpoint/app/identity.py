"""Who vouches for a person: the accounts of this ledger today, another provider behind the same door later."""

from __future__ import annotations

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from setpoint.contracts.autonomy import plain_name
from setpoint.errors import SetpointError, UsageError
from setpoint.ledger import Ledger

log = logging.getLogger("setpoint")
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 1000
PASSES, MEMORY_KIB, LANES = 3, 64 * 1024, 1
"""Argon2id: 64 MiB and three passes, the second recommendation of RFC 9106, on one thread, so that a sign-in leaves the other
cores to the alert path."""
FREE_TRIES, LONGEST_WAIT_S, FORGET_S = 5, 900.0, 3600.0
TRIES_OF_ONE_ADDRESS = 50
"""Wrong ones of one address, whatever the names, before it waits too."""
MOST_REMEMBERED = 10_000
WRONG = "name and password do not belong together, or the account is disabled"


class Refused(SetpointError):
    """Somebody could not be signed in; the words are for him."""

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.wait_s = wait_s


class IdentityProvider(Protocol):
    """Vouches for people. One that sends browsers elsewhere (OIDC) has a route of its own that ends in `begin_session`."""

    def identify(self, name: str, password: str, address: str) -> str:
        """The name of the account. Raises Refused in words that do not tell which of both was wrong."""
        ...


class Passwords:
    """Hashes of passwords, and whether one fits. One at a time: each takes 64 MiB."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(PASSES, MEMORY_KIB, LANES)
        self._turn = Lock()

    def hash(self, password: str) -> str:
        """Raises UsageError for one that is too short or too long."""
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UsageError(
                f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, this one {len(password)}",
                remedy="A sentence is easy to remember and hard to guess",
            )
        with self._turn:
            return self._hasher.hash(password)

    def fits(self, password: str, hashed: str) -> bool:
        """Takes as long where there is no such account as where there is one."""
        with self._turn:
            try:
                return self._hasher.verify(hashed or self._nobody, password) and bool(hashed)
            except (VerificationError, InvalidHashError):
                return False

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_hex(16))


class LocalIdentity:
    """The accounts of this ledger."""

    def __init__(self, ledger: Ledger, passwords: Passwords | None = None, clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._ledger, self._passwords, self._throttle = ledger, passwords or Passwords(), Throttle(clock)

    def identify(self, name: str, password: str, address: str) -> str:
        """As the protocol says. Nothing of what was typed is logged: people type passwords into name fields."""
        if wait_s := self._throttle.wait_s(name, address):
            raise Refused(f"too many wrong tries; try again in {_minutes(wait_s)}", wait_s)
        held = self._throttle.tried(
            name, address
        )  # before the hash: of many sent at once not all may be free
        found = self._ledger.find_user(name)
        fits = self._passwords.fits(password[: LONGEST_PASSWORD + 1], found[1] if found else "")
        if found is None or not fits or found[0].disabled:
            if held:
                self._note_held(found[0].name if found else "", address)
            raise Refused(WRONG)
        self._throttle.succeeded(name, address)
        return found[0].name

    def _note_held(self, name: str, address: str) -> None:
        log.warning("sign-in: repeated wrong tries for %s from %s", name or "an unknown name", address)
        self._ledger.audit("setpoint", "sign-in-held", f"USER-{name}" if name else "USER", {"from": address})


@dataclass
class _Tries:
    wrong: int = 0
    last: float = 0.0
    until: float = 0.0


class Throttle:
    """Holds up who guesses. Of one name from one address the wait doubles from the sixth wrong try on; an address that
    tries many names waits as well. A name is never held up for other addresses: nobody can lock a colleague out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._turn = clock, Lock()
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    def wait_s(self, name: str, address: str) -> float:
        """How long this one still has to wait."""
        with self._turn:
            now = self._clock()
            keys = ((plain_name(name), address), ("", address))
            return max(0.0, *(self._tries[key].until - now if key in self._tries else 0.0 for key in keys))

    def tried(self, name: str, address: str) -> bool:
        """Count a try, as wrong until `succeeded`. True: from now on somebody waits who did not before."""
        with self._turn:
            one = self._count((plain_name(name), address), FREE_TRIES)
            all_names = self._count(("", address), TRIES_OF_ONE_ADDRESS)
            while len(self._tries) > MOST_REMEMBERED:
                self._tries.popitem(last=False)
            return one == FREE_TRIES or all_names == TRIES_OF_ONE_ADDRESS

    def succeeded(self, name: str, address: str) -> None:
        with self._turn:
            self._tries.pop((plain_name(name), address), None)
            if all_names := self._tries.get(("", address)):
                all_names.wrong -= 1

    def _count(self, key: tuple[str, str], free: int) -> int:
        now = self._clock()
        tries = self._tries.pop(key, _Tries())
        if now - tries.last > FORGET_S:
            tries = _Tries()
        tries.wrong, tries.last = tries.wrong + 1, now
        if tries.wrong >= free:
            tries.until = now + min(LONGEST_WAIT_S, 2.0 ** (tries.wrong - free + 1))
        self._tries[key] = tries
        return tries.wrong


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
