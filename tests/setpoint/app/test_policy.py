"""Decision policies: the first rule that matches decides, and no policy says yes on a real site."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from plant.diagnosis.results import Cost, LimitRisk, Rehearsal
from setpoint.app.policy import load_policy
from setpoint.contracts import Action, ActionProposal, Review
from setpoint.contracts.site import Site
from setpoint.errors import ConfigError, UsageError

REAL, SIMULATED = Site(name="real"), Site(name="demo", simulated=True)
MIXED = """
default = "ask"
[[rule]]
decide = "reject"
action = "reset_gpu"
reason = "not at night"
[[rule]]
decide = "edit"
action = "set_coolant_flow"
asset = "cdu-*"
args = {flow_lpm = 180.0}
[[rule]]
decide = "approve"
risk = ["low"]
"""


def review(action: str = "cap_gpu_power", asset: str = "gpu-01", risk: str = "low") -> Review:
    proposal = ActionProposal.model_validate(
        {"id": "ACT-1", "incident_id": "INC-1", "action": Action(name=action, asset=asset, args={}), "risk": risk, "effect": "", "why": "", "rollback": ""}
    )  # fmt: skip
    return Review(
        id="REV-1",
        kind="action",
        incident_id="INC-1",
        subject="?",
        proposal=proposal,
        created=datetime.now(UTC),
    )


def risk(without: float, acted: float) -> LimitRisk:
    return LimitRisk(name="gpu_temp_max_c", asset="gpu-01", limit=87.0, without=without, acted=acted)


def rehearsed(**changes: object) -> Review:
    found = Rehearsal.model_validate(
        {
            "action": "cap_gpu_power", "asset": "gpu-01", "args": {}, "as_of": datetime.now(UTC), "horizon_s": 600.0,
            "members": 8, "confidence": 0.9, **changes,
        }
    )  # fmt: skip
    asked = review()
    assert asked.proposal is not None
    return asked.model_copy(update={"proposal": asked.proposal.model_copy(update={"rehearsal": found})})


def test_a_rule_may_ask_what_the_rehearsal_showed(tmp_path: Path) -> None:
    path = tmp_path / "shift.toml"
    path.write_text(
        'default = "approve"\n[[rule]]\nrehearsed = ["refused"]\ndecide = "reject"\nreason = "refused"\n'
        '[[rule]]\nrehearsed = ["no_gain"]\ndecide = "reject"\nreason = "nothing gained"\n'
    )
    policy = load_policy(str(path), SIMULATED)
    safer, same = (risk(0.9, 0.1),), (risk(0.9, 0.9),)
    work = Cost(what="gpu_work_pct", without=70.0, acted=90.0, low=15.0, high=25.0)
    energy = Cost(what="energy_kwh", without=50.0, acted=40.0, low=-12.0, high=-8.0)
    assert policy.verdict(review()).decide == "approve"  # without a rehearsal
    assert policy.verdict(rehearsed(risks=safer)).decide == "approve"
    assert policy.verdict(rehearsed(risks=safer, refused="over its bound")).reason == "refused"
    assert policy.verdict(rehearsed(risks=same, costs=(energy,))).reason == "nothing gained"
    assert policy.verdict(rehearsed(risks=same, costs=(work,))).decide == "approve"


@pytest.mark.parametrize("text", ["ask", "reject"])
def test_asking_and_refusing_need_no_simulation(text: str) -> None:
    assert load_policy(text, REAL).verdict(review()).decide == text


def test_approving_is_for_simulated_sites() -> None:
    assert load_policy("approve", SIMULATED).verdict(review()).decide == "approve"
    with pytest.raises(UsageError, match="only on a simulated site") as refused:
        load_policy("approve", REAL)
    assert refused.value.exit_code == 2


def test_a_file_that_could_approve_is_refused_on_a_real_site_too(tmp_path: Path) -> None:
    for text in (MIXED, 'default = "approve"', '[[rule]]\ndecide = "edit"'):
        (tmp_path / "policy.toml").write_text(text)
        with pytest.raises(UsageError, match=r"policy\.toml: a policy may say yes only"):
            load_policy(str(tmp_path / "policy.toml"), REAL)


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(MIXED)
    policy = load_policy(str(tmp_path / "policy.toml"), SIMULATED)
    assert policy.name == "policy.toml"
    assert policy.verdict(review("reset_gpu", risk="high")).reason == "not at night"
    assert policy.verdict(review("set_coolant_flow", "cdu-2", "medium")).args == {"flow_lpm": 180.0}
    assert policy.verdict(review("set_coolant_flow", "rack-2", "medium")).decide == "ask"
    assert policy.verdict(review()).decide == "approve"


def test_a_rule_about_actions_does_not_decide_other_questions(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        '[[rule]]\ndecide = "reject"\nrisk = ["low"]\n[[rule]]\ndecide = "reject"\naction = "page"'
    )
    question = Review(
        id="REV-2", kind="doubtful_input", incident_id="INC-1", subject="?", created=datetime.now(UTC)
    )
    assert load_policy(str(tmp_path / "policy.toml"), REAL).verdict(question).decide == "ask"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default = ", "not a policy"),
        ('default = "maybe"', "not a policy"),
        ('[[rule]]\ndecide = "ask"\ncolour = "red"', "colour"),
    ],
)
def test_a_file_that_is_no_policy_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_policy(str(tmp_path / "policy.toml"), SIMULATED)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="Ask, approve, reject or a TOML file"):
        load_policy("nowhere.toml", REAL)
