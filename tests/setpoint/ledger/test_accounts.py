"""People, sessions and tokens: found in any spelling, over when they should be, and never a secret in the record."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from setpoint.contracts import Decision, Review
from setpoint.contracts.accounts import Scope
from setpoint.contracts.action import DecisionType
from setpoint.errors import NotDecidable, UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import at, review

DAY = timedelta(days=1)


def add(ledger: Ledger, name: str = "Ada Lovelace", *roles: str) -> str:
    return ledger.add_user(name, "$argon2id$hash", roles or ("viewer",), "root", now=at(0)).name  # type: ignore[arg-type]


def test_a_person_is_found_in_any_spelling_and_added_once(ledger: Ledger) -> None:
    assert add(ledger, "  Ada   Lovelace ") == "Ada Lovelace"
    found = ledger.find_user("ADA lovelace")
    assert found is not None
    assert (found[0].name, found[1]) == ("Ada Lovelace", "$argon2id$hash")
    for spelling in ("ada lovelace", "\uff21da Lovelace", "Ada \u00a0Lovelace"):
        with pytest.raises(UsageError, match="already"):
            add(ledger, spelling)
    assert ledger.find_user("Ada") is None


@pytest.mark.parametrize("name", ["executor", " Setpoint ", "SETPOINT (autonomy)", "operator", "Admin", "--decide approve", "troubleshooter", "mcp", "", "17"])  # fmt: skip
def test_no_part_of_setpoint_and_no_role_can_have_an_account(ledger: Ledger, name: str) -> None:
    with pytest.raises(UsageError, match=r"no person's name|needs a name|cannot hold"):
        add(ledger, name)
    assert ledger.list_users() == []


def test_every_change_is_in_the_audit_chain_and_no_secret_is(ledger: Ledger) -> None:
    name = add(ledger, "Ada", "operator")
    ledger.set_roles(name, ["approver"], "root")
    ledger.set_password(name, "$argon2id$other", "root")
    ledger.begin_session(name, "digest-of-session", 60.0)
    token = ledger.add_token("report", name, ["viewer"], "digest-of-token", DAY, "root")
    ledger.revoke_token(token.id, "root")
    ledger.set_disabled(name, True, "root")
    ledger.set_disabled(name, False, "root")
    rows = ledger.list_audit()
    assert [row.what for row in rows] == [
        "user-added", "user-roles", "user-password", "session-began", "token-added", "token-revoked", "user-disabled",
        "user-enabled",
    ]  # fmt: skip
    said = json.dumps([row.model_dump(mode="json", exclude={"digest"}) for row in rows])
    assert not [secret for secret in ("argon2", "digest-of") if secret in said]
    assert ledger.verify_chain().ok


def test_a_session_ends_at_its_time_when_unused_and_with_its_person(ledger: Ledger) -> None:
    name = add(ledger, "Ada", "approver")
    ledger.begin_session(name, "d1", 3600.0, now=at(0))
    assert ledger.find_session("d2", 600.0, now=at(1)) is None
    assert ledger.find_session("d1", 600.0, now=at(599)) is not None
    assert ledger.find_session("d1", 600.0, now=at(1198)) is not None, "it was used at 599"
    assert ledger.find_session("d1", 600.0, now=at(1799)) is None
    assert ledger.find_session("d1", 9999.0, now=at(3600)) is None
    ledger.set_disabled(name, True, "root", now=at(10))
    ledger.set_disabled(name, False, "root", now=at(11))
    assert ledger.find_session("d1", 600.0, now=at(12)) is None, "being let in again is no sign-in"


def test_roles_of_a_session_are_those_of_now(ledger: Ledger) -> None:
    name = add(ledger, "Ada", "approver")
    ledger.begin_session(name, "d1", 3600.0, now=at(0))
    ledger.set_roles(name, ["viewer"], "root")
    found = ledger.find_session("d1", 600.0, now=at(1))
    assert found is not None
    assert found.roles == {"viewer"}


def test_another_password_signs_out_everywhere(ledger: Ledger) -> None:
    name, other = add(ledger, "Ada"), add(ledger, "Grace")
    for digest, who in (("d1", name), ("d2", name), ("d3", other)):
        ledger.begin_session(who, digest, 3600.0, now=at(0))
    assert ledger.set_password("ada", "$argon2id$new", "root") == 2
    assert [digest for digest in ("d1", "d2", "d3") if ledger.find_session(digest, 600.0, now=at(1))] == [
        "d3"
    ]
    assert ledger.end_session("d3")
    assert not ledger.end_session("d3")


@pytest.mark.parametrize(("roles", "scope"), [(["viewer"], "operator"), (["admin"], "approver"), (["admin"], "operator"), (["operator"], "approver"), (["viewer"], "intake")])  # fmt: skip
def test_a_token_can_do_no_more_than_its_owner(ledger: Ledger, roles: list[str], scope: Scope) -> None:
    name = add(ledger, "Ada", *roles)
    with pytest.raises(UsageError, match="may not give"):
        ledger.add_token("x", name, [scope], "d", DAY, "root")
    assert ledger.list_tokens() == []


def test_a_token_ends_when_over_revoked_or_its_owner_is_shut_out(ledger: Ledger) -> None:
    name = add(ledger, "Ada", "operator")
    made = ledger.add_token("x", name, ["operator", "intake"], "d", DAY, "root", now=at(0))
    found = ledger.find_token("d", now=at(1))
    assert found is not None
    assert (found[0].owner, found[0].scopes, found[1].roles) == (name, {"operator", "intake"}, {"operator"})
    assert ledger.list_tokens("ADA")[0].last_used == at(1)
    assert ledger.find_token("d", now=at(86_400)) is None
    ledger.set_disabled(name, True, "root")
    assert ledger.find_token("d", now=at(2)) is None
    ledger.set_disabled(name, False, "root")
    assert ledger.find_token("d", now=at(3)) is not None
    first = ledger.revoke_token(made.id, "root", now=at(4))
    assert ledger.revoke_token(made.id, "root", now=at(9)).revoked == first.revoked == at(4)
    assert ledger.find_token("d", now=at(5)) is None


# ---- nobody says yes to what he asked for himself ------------------------------------------------------------------


def asked_by(name: str) -> Review:
    made = review()
    assert made.proposal is not None
    return made.model_copy(update={"proposal": made.proposal.model_copy(update={"proposed_by": name})})


def say(ledger: Ledger, type: DecisionType, who: str) -> bool:
    """Decide what waits. Whether that was final."""
    return ledger.decide(
        "REV-1", ledger.get_review("REV-1").digest, Decision(type=type, who=who), now=at(1)
    ).final


@pytest.mark.parametrize("needed", [1, 2])
@pytest.mark.parametrize("spelling", ["ada lovelace", " Ada  LOVELACE", "\uff21da Lovelace"])
def test_who_asked_for_an_action_cannot_release_it(ledger: Ledger, needed: int, spelling: str) -> None:
    ledger.open_review(asked_by("Ada Lovelace"), approvals_needed=needed)
    if needed == 2:
        assert not say(ledger, "approve", "Grace Hopper")
    with pytest.raises(NotDecidable, match="somebody else has to say yes"):
        say(ledger, "approve", spelling)
    assert ledger.get_review("REV-1").state == "pending"
    other = "Lise Meitner" if needed == 2 else "Grace Hopper"
    assert say(ledger, "approve", other)


def test_who_asked_may_take_it_back(ledger: Ledger) -> None:
    ledger.open_review(asked_by("Ada Lovelace"))
    assert say(ledger, "reject", "ada lovelace")


def test_what_setpoint_asks_anybody_may_release(ledger: Ledger) -> None:
    ledger.open_review(asked_by(""))
    assert say(ledger, "approve", "Ada Lovelace")
