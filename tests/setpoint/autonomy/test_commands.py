"""`setpoint autonomy ...` as a person types it, over a record in a real ledger, and what a diagnosis's proposals become."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from setpoint.app import adapters
from setpoint.app.desk import DESK, READS
from setpoint.app.opening import make_desk
from setpoint.autonomy.gate import Gate
from setpoint.autonomy.granting import set_level, sign
from setpoint.contracts import Diagnosis, Review
from setpoint.contracts.autonomy import AUTONOMY_WHO, Limits
from setpoint.contracts.site import load_site
from setpoint.ledger import Ledger
from setpoint.settings import AutonomySettings, Settings
from tests.setpoint.app.terminal import DEMO, Ran, Terminal
from tests.setpoint.autonomy.record import CAP, Record, proposal
from tests.setpoint.ledger.builders import diagnosis, event, one_incident
from tools.actions import CATALOG, kind_of

SIGN = ("autonomy", "sign", "cap_gpu_power", "--who", "Ada Lovelace", "--why", "weeks without harm")
AUTONOMY = AutonomySettings()


@pytest.fixture
def store(template: tuple[Path, Record], tmp_path: Path) -> Path:
    """A store whose caps have earned closed loop, and nobody has signed."""
    folder = tmp_path / "var"
    folder.mkdir(mode=0o700)
    shutil.copy(template[0], folder / "ledger.db")
    return folder


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: Path) -> Terminal:
    monkeypatch.setenv("NO_COLOR", "1")
    return Terminal(monkeypatch, capsys, store.parent)


def test_show_says_level_record_bound_and_what_it_takes(cli: Terminal) -> None:
    ran = cli("autonomy", "show")
    assert ran.code == 0
    assert "cap_gpu_power" in ran.out
    assert "0.950" in ran.out
    assert "every kind begins here" in ran.out
    assert "to advise" in ran.out
    assert "no decision counts yet: lock_gpu_clock" in ran.out
    assert "\x1b[" not in ran.out


def test_show_one_kind_shows_the_decisions(cli: Terminal) -> None:
    ran = cli("autonomy", "show", "cap_gpu_power")
    assert "114 of 114 a plain yes without harm: the true share is above 0.950" in ran.out
    assert "74 earlier decisions left out" in ran.out
    assert "REV-114" in ran.out
    rows = cli("autonomy", "show", "cap_gpu_power", "--json").data
    assert (rows["level"], len(rows["decided"]), rows["decided"][0]["counts"]) == ("assist", 114, "good")


def test_json_of_all_kinds_is_the_whole_catalog(cli: Terminal) -> None:
    rows = cli("autonomy", "show", "--json").data
    assert [row["kind"]["name"] for row in rows] == list(CATALOG)
    assert {row["kind"]["name"]: row["never_alone"] for row in rows}["reset_gpu"].startswith(
        "it is of high risk"
    )


def test_sign_show_revoke(cli: Terminal) -> None:
    ran = cli(*SIGN, "--per-hour", "2", "--assets", "gpu-0*")
    assert ran.code == 0, ran.err
    assert "cap_gpu_power is at closed loop: signed by Ada Lovelace" in ran.out
    assert "at most 2 an hour and 24 a day, on gpu-0*" in ran.out
    again = cli("autonomy", "revoke", "--all", "--why", "audit")
    assert "cap_gpu_power: back to assist at once" in again.out
    rows = cli("autonomy", "show", "cap_gpu_power", "--json").data
    assert [(row["who"], row["what"]) for row in rows["changes"]] == [
        ("Ada Lovelace", "signed"),
        ("ana", "revoked"),
    ]
    assert cli("audit", "verify").code == 0


def test_harm_brings_it_down_and_says_so(cli: Terminal) -> None:
    assert cli(*SIGN).code == 0
    ran = cli("autonomy", "harm", "REV-7", "--why", "the job missed its deadline")
    assert ran.code == 0
    assert "KEY-REV-7 is marked harmful; cap_gpu_power is at assist: fell from closed loop" in ran.out
    assert "ana says it did harm on gpu-01: the job missed its deadline" in ran.out
    refused = cli(*SIGN)
    assert refused.code == 4
    assert "148 more plain yeses" in refused.err


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (("sign", "reset_gpu", "--who", "Ada", "--why", "x"), 4, "only low risk may ever run alone"),
        (("sign", "page", "--who", "Ada", "--why", "x"), 4, "it cannot be taken back"),
        (("sign", "lock_gpu_clock", "--who", "Ada", "--why", "x"), 4, "114 more plain yeses"),
        (("sign", "cap_gpu_power", "--who", "setpoint", "--why", "x"), 2, "no person's name"),
        (("sign", "cap_gpu_power", "--who", "Ada", "--why", "x", "--per-hour", "99"), 2, "99 an hour, at most 4"),
        (("sign", "cap_gpu_power", "--why", "x"), 2, "--who"),
        (("set", "drain_node", "advise", "--why", "x"), 4, "26 more plain yeses"),
        (("set", "cap_gpu_power", "closed-loop", "--why", "x"), 2, "it is signed for"),
        (("set", "cap_gpu_power", "observe", "--why", " "), 2, "needs a reason"),
        (("show", "cap_gpu"), 2, "Did you mean 'cap_gpu_power'"),
        (("revoke", "--why", "x"), 2, "name one kind, or all of them"),
        (("harm", "REV-999", "--why", "x"), 2, "no action 'REV-999'"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_exit_code(
    cli: Terminal, typed: tuple[str, ...], code: int, said: str
) -> None:
    ran: Ran = cli("autonomy", *typed)
    assert ran.code == code, ran.err
    assert said in ran.err


def test_reading_functions_change_nothing() -> None:
    assert {"autonomy_list", "autonomy_show"} <= READS
    assert not READS & {"autonomy_set", "autonomy_sign", "autonomy_revoke", "autonomy_harm"}


# ---- what a diagnosis's proposals become ------------------------------------------------------------------------


@pytest.fixture
def ledger(store: Path) -> Iterator[Ledger]:
    with Ledger.open(store / "ledger.db") as opened:
        opened.accept([event(1)])
        opened.commit_triage(one_incident(event(1)))
        yield opened


def recorded(ledger: Ledger) -> list[Review]:
    now = datetime.now(UTC)
    found: Diagnosis = diagnosis().model_copy(update={"proposals": (proposal(now), proposal(now, "gpu-02"))})
    gate = Gate(ledger, AUTONOMY, kind_of, lambda: datetime.now(UTC))
    return adapters.record_diagnosis(ledger, Settings(), found, None, None, gate)


def give(ledger: Ledger, level: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    if level == "closed loop":
        sign(CAP, "Ada", "fine", Limits(per_hour=4, per_day=9, assets="gpu-01"), ledger, AUTONOMY, before)
    elif level != "assist":
        set_level(CAP, level, "Ada", "fine", ledger, AUTONOMY, before)


def test_at_observe_nobody_is_asked(ledger: Ledger) -> None:
    give(ledger, "observe")
    assert recorded(ledger) == []
    assert ledger.list_reviews(states=("pending",)) == []
    kept = ledger.get_diagnosis("INC-1")
    assert kept is not None
    assert len(kept.proposals) == 2, "the analysis still mentions them"


def test_at_assist_somebody_is_asked(ledger: Ledger) -> None:
    give(ledger, "assist")
    assert [(review.state, review.recommended) for review in recorded(ledger)] == [("pending", "")] * 2


def test_at_advise_they_come_first_and_are_approved_by_one_command(cli: Terminal, ledger: Ledger) -> None:
    give(ledger, "advise")
    reviews = recorded(ledger)
    assert all(review.recommended.startswith("set by Ada") for review in reviews)
    assert "recommended, low risk" in cli("review", "list").out
    assert "do it: set by Ada" in cli("review", "show", reviews[0].id).out
    ran = cli("review", "approve", "INC-1", "--why", "both look right")
    assert ran.code == 0, ran.err
    assert {ledger.get_review(review.id).state for review in reviews} == {"decided"}
    assert cli("review", "approve", "INC-1").code == 4


def test_in_closed_loop_it_is_approved_and_what_the_signature_leaves_out_is_asked(ledger: Ledger) -> None:
    give(ledger, "closed loop")
    alone, asked = recorded(ledger)
    assert alone.decision is not None
    assert (alone.state, alone.decision.who) == ("decided", AUTONOMY_WHO)
    assert (asked.state, asked.decision) == ("pending", None)
    assert "the signature is for gpu-01, not for gpu-02" in asked.recommended
    assert [job.key for job in ledger.list_jobs(kinds=["resume"])][-1] == alone.id


def test_without_a_gate_everything_is_asked(ledger: Ledger) -> None:
    give(ledger, "closed loop")
    now = datetime.now(UTC)
    found = diagnosis().model_copy(update={"proposals": (proposal(now),)})
    (review,) = adapters.record_diagnosis(ledger, Settings(), found, None, None)
    assert review.state == "pending"


def test_recommended_ones_come_first_in_the_list(ledger: Ledger, cli: Terminal) -> None:
    recorded(ledger)
    first, second = ledger.list_reviews(states=("pending",))
    ledger.withdraw_review(first.id, "test", "room for one that is advised")
    made = first.model_copy(
        update={"id": "REV-advised", "recommended": "it has earned it", "state": "pending"}
    )
    ledger.open_review(made)
    out = cli("review", "list").out
    assert out.index("REV-advised") < out.index(second.id)


def test_the_desk_speaks_json(ledger: Ledger, store: Path) -> None:
    settings = Settings.model_validate({"store": {"dir": store}})
    desk: Any = make_desk(settings, load_site(DEMO), ledger)
    json.dumps(DESK["autonomy_list"](desk))
    json.dumps(DESK["autonomy_show"](desk, kind="cap_gpu_power"))
