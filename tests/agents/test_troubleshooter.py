"""Causes ranked by signatures: explainable, closed, honest where nothing fits."""

from __future__ import annotations

import pytest

from agents.decider import Verdict as ModelVerdict
from agents.decider import overruled
from agents.evidence import Case, gather
from agents.troubleshooter import by_signature, by_trial, certainty, disagreement, rank_causes, weigh_causes
from evals.rca_night import judge, report
from knowledge.causes import NO_FAULT, UNKNOWN, load_causes
from setpoint.contracts import Hypothesis
from setpoint.contracts.diagnosis import StateNote, Trial, Verdict
from tests.agents.cases import NIGHT, case, pump_case, told


def ranked(made: Case) -> list[Hypothesis]:
    evidence, evidence_of = gather(made)
    return rank_causes(made, load_causes(), evidence_of, evidence)


def test_shares_sum_to_one_and_every_support_exists() -> None:
    made = pump_case()
    found, ids = ranked(made), {piece.id for piece in gather(made)[0]}
    assert sum(one.score for one in found) == pytest.approx(1.0)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(set(one.supports) | set(one.contradicts) <= ids for one in found)
    assert UNKNOWN in load_causes()


def test_the_cause_comes_before_its_effects() -> None:
    found = ranked(pump_case())
    assert found[0].cause == "coolant_pump_failure"
    assert certainty(found) == "clear"
    assert found[0].missing == ()


def test_nothing_that_fits_is_unknown() -> None:
    found = ranked(case(told("gpu-01", "quux happened", 0, "P2")))
    assert found[0].cause == UNKNOWN
    assert certainty(found) == "open"


def test_routine_alone_is_no_fault() -> None:
    assert ranked(case(told("gpu-01", "session opened for user mira", 0, "P3")))[0].cause == NO_FAULT


def test_routine_noise_cannot_name_the_cause() -> None:
    noisy = case(
        told("pool-chat", "Requests wait longer than usual", 0, "P2", "service level breached"),
        told("gpu-01", "EDAC MC0: 1 CE memory read error", 1, "P3", "error corrected by hardware"),
    )
    assert "dram_ecc_error" not in [one.cause for one in ranked(noisy)]


def test_a_cause_must_fit_the_worst_that_happened() -> None:
    """A prefill queue before it does not explain a flow that is lost."""
    lost = told(
        "cdu-1", "Coolant flow below minimum", 4, "P0", "coolant flow lost",
        ["coolant_pump_failure", "coolant_flow_restricted", "coolant_leak"],
    )  # fmt: skip
    surge = told(
        "pool-chat",
        "Prefill queue of pool-chat grew to 412 requests",
        0,
        "P1",
        "prefill surge",
        ["prefill_surge"],
    )
    found = [one.cause for one in ranked(case(surge, lost))]
    assert found[0] == "coolant_pump_failure"
    assert found.index("prefill_surge") > 0


def test_once_down_is_down_and_often_is_flapping() -> None:
    def down(minute: float) -> tuple[object, object]:
        hints = ["nic_failure", "ib_link_down"]
        return told(
            "ib-link-l3-s1",
            "Port ib-leaf-3/17 link state changed to Down",
            minute,
            "P1",
            "network link down",
            hints,
        )

    def up(minute: float) -> tuple[object, object]:
        return told("ib-link-l3-s1", "Port ib-leaf-3/17 link state changed to Active", minute, "P3")

    assert ranked(case(down(0)))[0].cause != "ib_link_flap"  # type: ignore[arg-type]
    often = ranked(case(*(turn(3.0 * n + late) for n in range(4) for turn, late in ((down, 0.0), (up, 0.4)))))  # type: ignore[arg-type]
    assert often[0].cause == "ib_link_flap"


def test_a_rule_that_names_several_causes_says_less_than_one_that_names_one() -> None:
    def score_of(*hints: str) -> float:
        found = ranked(case(told("gpu-01", "quux happened", 0, "P2", "quux", hints)))
        return next(one.score for one in found if one.cause == "psu_failure")

    assert score_of("psu_failure") > score_of("psu_failure", "nvme_failure", "gpu_hang")


def test_what_is_expected_and_absent_is_named() -> None:
    alone = case(
        told(
            "gpu-19",
            "GPU has fallen off the bus",
            0,
            "P1",
            "GPU fell off the bus",
            ["gpu_off_bus"],
            kind="xid-79",
        )
    )
    assert ranked(alone)[0].missing == ("a PCIe error line before it",)


def test_a_change_speaks_for_new_firmware() -> None:
    after = case(told("gpu-21", "nvidia-fsp: boot heartbeat skew 310 us on channel 0", -85, "P2"))
    top = ranked(after)[0]
    assert (top.cause, top.supports) == ("firmware_regression", ("E1", "E2"))


def test_failed_logins_alone_are_only_likely() -> None:
    tries = [
        told(
            "bmc-17",
            "IPMI login failed for user ADMIN from 198.51.100.23",
            n / 10,
            "P2",
            "failed logins",
            ["intrusion_management"],
        )
        for n in range(5)
    ]
    assert certainty(ranked(case(*tries))) == "likely"


def test_the_nights_main_incidents_get_their_true_cause() -> None:
    found = report([*judge(7), *judge(11)])
    assert found.whole.top1 == 1.0, found.misses
    assert found.whole.incidents >= 20


def tried(*verdicts: tuple[str, str, float]) -> Trial:
    state = StateNote(as_of=NIGHT, signals=10, confidence=0.9)
    return Trial(
        state=state, candidates=len(verdicts), runs=5, seconds=0.1,
        verdicts=tuple(
            Verdict(cause=cause, asset=asset, share=share, low=share / 2, high=min(1.0, share * 2))
            for cause, asset, share in verdicts
        ),
    )  # fmt: skip


def test_the_trial_orders_the_list_and_places_of_one_cause_add_up() -> None:
    made = pump_case()
    evidence, of = gather(made)
    weighed = weigh_causes(made, load_causes(), of, evidence)
    trial = tried(
        ("cdu_failure", "cdu-1", 0.4),
        ("coolant_leak", "r-01", 0.3),
        ("coolant_leak", "r-02", 0.2),
        (UNKNOWN, "", 0.1),
    )
    found = by_trial(weighed, trial, load_causes())
    assert [(h.cause, h.score) for h in found[:2]] == [
        ("coolant_leak", pytest.approx(0.5)),
        ("cdu_failure", pytest.approx(0.4)),
    ]
    assert found[0].tested is not None
    assert found[0].tested.asset == "r-01"
    assert sum(h.score for h in found) == pytest.approx(1.0)


def test_another_opinion_is_kept_in_words() -> None:
    made = pump_case()
    evidence, of = gather(made)
    weighed = weigh_causes(made, load_causes(), of, evidence)
    signature = by_signature(weighed)
    agreed = by_trial(
        weighed, tried(("coolant_pump_failure", "cdu-1-pump-a", 0.9), (UNKNOWN, "", 0.1)), load_causes()
    )
    other = by_trial(weighed, tried(("chiller_failure", "chiller-1", 0.9), (UNKNOWN, "", 0.1)), load_causes())
    assert disagreement(signature, agreed) == ""
    assert "coolant pump" in disagreement(signature, other)
    assert "90%" in disagreement(signature, other)


def test_a_model_that_names_another_cause_is_heard_and_overruled() -> None:
    made = pump_case()
    evidence, of = gather(made)
    weighed = weigh_causes(made, load_causes(), of, evidence)
    tested = by_trial(
        weighed, tried(("coolant_pump_failure", "cdu-1-pump-a", 0.9), (UNKNOWN, "", 0.1)), load_causes()
    )
    opinion, kept = overruled(ModelVerdict(tuple(reversed(tested)), "some-model"), tested, "")
    assert kept.hypotheses == tuple(tested)
    assert kept.decided_by == "code"
    assert "some-model" in opinion
