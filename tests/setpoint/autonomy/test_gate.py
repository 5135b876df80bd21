"""From a signed kind to a moved setpoint, and what stops it between the yes and the act: everything real."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from graphs.act import ActPorts, run_act
from graphs.review import open_review
from plant.diagnosis.results import Rehearsal
from setpoint.autonomy.gate import Gate
from setpoint.autonomy.granting import revoke, sign
from setpoint.contracts import Action, Decision, Outcome
from setpoint.contracts.autonomy import AUTONOMY_WHO, Limits
from setpoint.errors import NotDecidable
from setpoint.settings import AutonomySettings
from tests.graphs.desk import CAP, Desk, open_desk
from tests.setpoint.autonomy.record import CAP as KIND
from tests.setpoint.autonomy.record import Record, rehearsal
from tests.tools.bench import NIGHT
from tools.actions import kind_of
from tools.executor import Rehearse

SETTINGS = AutonomySettings()
LIMITS = Limits(per_hour=2, per_day=5)


def gate(desk: Desk) -> Gate:
    return Gate(desk.ledger, SETTINGS, kind_of, desk.bench.clock, stopped=desk.bench.stop.reason)


def foresee(action: Action, incident_id: str) -> Rehearsal | None:
    return rehearsal(NIGHT)


@pytest.fixture
async def desk(template: tuple[Path, Record], tmp_path: Path):  # type: ignore[no-untyped-def] # an async generator of a Desk
    """A shift whose caps have earned it, signed for a minute ago."""
    shutil.copy(template[0], tmp_path / "ledger.db")
    async with open_desk(tmp_path) as opened:
        sign(
            KIND,
            "Ada Lovelace",
            "weeks without harm",
            LIMITS,
            opened.ledger,
            SETTINGS,
            NIGHT - timedelta(minutes=1),
        )
        yield opened


async def proposed(desk: Desk, id: str = "REV-A", action: Action = CAP) -> None:
    review = desk.put(action, id)
    assert review.proposal is not None
    foreseen = review.proposal.model_copy(update={"rehearsal": rehearsal(desk.bench.clock())})
    with desk.ledger._db.write() as tx:
        from setpoint.ledger import schema as db

        body = review.model_copy(update={"proposal": foreseen}).model_dump_json()
        tx.execute(db.reviews.update().where(db.reviews.c.id == id).values(body=body))
    await open_review(desk.review_graph, desk.ports, id)


async def acted(desk: Desk, id: str = "REV-A", rehearse: Rehearse = foresee) -> Outcome:
    await desk.resume(id)
    executor = desk.bench.executor(rehearse=rehearse, against_alone=gate(desk).refusals)
    return await run_act(desk.act_graph, ActPorts(executor), desk.acts()[-1].payload)


async def test_what_may_run_alone_runs_and_the_ledger_says_who_and_why(desk: Desk) -> None:
    await proposed(desk)
    assert gate(desk).run_alone("REV-A") == ()
    outcome = await acted(desk)
    assert outcome.state == "done"
    reading = desk.bench.adapter.read("gpu-20")
    assert reading is not None
    assert reading.values["power_cap_w"] == 400.0
    decision = desk.ledger.get_review("REV-A").decision
    assert decision is not None
    assert (decision.who, decision.simulated) == (AUTONOMY_WHO, False)
    assert "signed by Ada Lovelace" in decision.reason
    assert desk.ledger.ran_alone(NIGHT - timedelta(hours=1), "cap_gpu_power") == 1
    assert desk.ledger.ran_alone(NIGHT - timedelta(hours=1)) == 1
    assert not any(AUTONOMY_WHO in line for line in desk.ledger.export_feedback("raw"))
    assert desk.ledger.verify_chain().ok


@pytest.mark.parametrize("taken", ["revoked", "harm", "rejected", "stopped"])
async def test_what_changes_between_the_yes_and_the_act_stops_it(desk: Desk, taken: str) -> None:
    await proposed(desk)
    assert gate(desk).run_alone("REV-A") == ()
    desk.bench.clock.forward(5)
    if taken == "revoked":
        revoke(KIND, "mira", "new firmware", desk.ledger, SETTINGS, desk.bench.clock())
    elif taken == "harm":
        desk.ledger.mark_harm("REV-3", "mira", "wrong node", now=desk.bench.clock())
    elif taken == "rejected":
        desk.put(CAP, "REV-B")
        desk.decide("reject", "mira", "REV-B")
    else:
        desk.bench.stop.engage("mira", "technician in the rack")
    outcome = await acted(desk)
    assert outcome.state == "refused"
    assert ("not_stopped" if taken == "stopped" else "autonomy") in outcome.message
    reading = desk.bench.adapter.read("gpu-20")
    assert reading is not None
    assert reading.values["power_cap_w"] != 400.0


@pytest.mark.parametrize(
    ("found", "words"),
    [(None, "it was not rehearsed"), (rehearsal(NIGHT, confidence=0.5), "reproduces 50% of the readings"),
     (rehearsal(NIGHT, refused="over 87 C; cap less"), "over 87 C")],
)  # fmt: skip
async def test_the_rehearsal_of_the_moment_decides(desk: Desk, found: Rehearsal | None, words: str) -> None:
    """That of the proposal was fine."""
    await proposed(desk)
    assert gate(desk).run_alone("REV-A") == ()
    outcome = await acted(desk, rehearse=lambda action, incident_id: found)
    assert outcome.state == "refused"
    assert words in outcome.message


async def test_no_more_than_the_signature_allows_even_in_one_breath(desk: Desk) -> None:
    for number in range(3):
        await proposed(desk, f"REV-A{number}", CAP.model_copy(update={"asset": f"gpu-2{number}"}))
    against = [gate(desk).run_alone(f"REV-A{number}") for number in range(3)]
    assert against[:2] == [(), ()]
    assert against[2] == ("2 of its kind ran alone within the hour, the most allowed",)
    assert desk.ledger.get_review("REV-A2").state == "pending", "a person is asked"
    for number in range(2):
        again = CAP.model_copy(update={"asset": f"gpu-2{number}"})
        assert gate(desk).refusals(again, f"REV-A{number}", rehearsal(NIGHT)) == ()
    desk.bench.clock.forward(3601)
    proposal = desk.ledger.get_review("REV-A2").proposal
    assert proposal is not None
    fresh = proposal.model_copy(update={"rehearsal": rehearsal(desk.bench.clock())})
    assert gate(desk).look(fresh).runs_alone


async def test_deciding_twice_does_nothing_twice(desk: Desk) -> None:
    await proposed(desk)
    assert gate(desk).run_alone("REV-A") == ()
    with pytest.raises(NotDecidable):
        gate(desk).run_alone("REV-A")
    assert len(desk.ledger.list_jobs(kinds=["resume"])) == len(
        {j.key for j in desk.ledger.list_jobs(kinds=["resume"])}
    )


async def test_without_a_gate_the_executor_refuses_what_no_person_approved(desk: Desk) -> None:
    await proposed(desk)
    assert gate(desk).run_alone("REV-A") == ()
    await desk.resume("REV-A")
    outcome = await desk.act(desk.acts()[-1])
    assert outcome.state == "refused"
    assert "no autonomy gate is in place" in outcome.message


async def test_a_persons_yes_needs_no_gate(desk: Desk) -> None:
    await proposed(desk)
    desk.decide("approve", "alice", "REV-A")
    await desk.resume("REV-A")
    assert (await desk.act(desk.acts()[-1])).state == "done"


async def test_whoever_takes_the_name_of_autonomy_is_checked_like_it(desk: Desk) -> None:
    revoke(KIND, "mira", "new firmware", desk.ledger, SETTINGS, desk.bench.clock())
    await proposed(desk)
    desk.ledger.decide(
        "REV-A", desk.ledger.get_review("REV-A").digest, Decision(type="approve", who=AUTONOMY_WHO), now=desk.bench.clock()
    )  # fmt: skip
    assert (await acted(desk)).state == "refused"


async def test_an_action_that_is_not_the_reviews_is_refused(desk: Desk) -> None:
    await proposed(desk)
    gate(desk).run_alone("REV-A")
    other = CAP.model_copy(update={"asset": "gpu-21"})
    against = gate(desk).refusals(other, "REV-A", rehearsal(NIGHT))
    assert against == ("it is not what the review asked",)
