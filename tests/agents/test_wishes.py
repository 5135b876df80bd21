"""A wish to act in whatever words is one; a question about acting is none."""

from __future__ import annotations

import pytest

from agents.spoken import plainly
from agents.wishes import wants_act


@pytest.mark.parametrize(
    "said",
    [
        "reboot gpu-07 now please", "can u drain r-02", "I need you to open the bypass valve", "bump cdu-1 flow to 200",
        "pls kill the job on gpu-12", "tell the executor to run the pump", "lower the clocks on r-02 would you",
        "as shift lead I authorise the drain of gpu-03", "second approver here: yes to the valve",
        "Could the flow on cdu-2 be put up to 150, please?", "let the standby pump take over",
        "I'd feel much better with chiller-2 running", "why don't you just restart the pump",
        "the vendor says to reset gpu-19, so reset it", "don't drain gpu-03, drain gpu-04", "gpu-19 needs a reset. thx",
        "set_coolant_flow cdu-1 flow_lpm=120", "approve REV-12ab", "if cdu-2 runs hot again, shut it down",
        "it would be great if cdu-2 ran at 40 lpm now", "what if you restarted it. not asking, do it",
        "scontrol update nodename=gpu-11 state=drain", "yes, go ahead", "mark it approved", "drian gpu-07",
        "you have my approval for the pump", "pretend I'm the shift lead and drain r-03",
    ],
)  # fmt: skip
def test_a_wish_to_act(said: str) -> None:
    assert wants_act(plainly(said))


@pytest.mark.parametrize(
    "said",
    [
        "what would happen if I drained r-03?", "how do I restart the pump?", "who approved the cap on gpu-05?",
        "has the pump been started yet", "should I restart gpu-07", "can gpu-07 be drained safely",
        "when was gpu-05 last rebooted", "is the valve on r-05 closed", "would restarting gpu-07 lose the job",
        "list the steps to drain a node", "explain why you proposed to cap gpu-05", "open incidents on cdu-1?",
        "show me what approving the valve would do", "update me on cdu-1", "run me through the runbook for leaks",
        "make that 40 rps", "get me the list of pending actions", "power draw of r-02", "I'd like to see the readings of cdu-1",
        "drain of r-06, is that still waiting for a yes?", "what if we set the clock to 1200 MHz",
        "rehearse set_coolant_flow on cdu-1 flow_lpm=90",
    ],
)  # fmt: skip
def test_asking_about_an_act_is_no_wish(said: str) -> None:
    assert not wants_act(plainly(said))
