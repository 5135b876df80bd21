"""Conversations of one process: each has its own subject, and of too many the one that rested longest is forgotten."""

from __future__ import annotations

from pathlib import Path

from setpoint.app.opening import make_desk, open_ledger, open_site
from setpoint.app.talk import Threads
from setpoint.settings import load_settings
from tests.setpoint.app.terminal import DEMO


def test_questions_of_one_thread_lean_on_each_other_and_others_do_not(tmp_path: Path) -> None:
    flags = {
        "site.file": DEMO,
        "store.dir": tmp_path,
        "models.light.kind": "none",
        "models.heavy.kind": "none",
    }
    settings = load_settings(flags, env={}, files=()).settings
    ledger = open_ledger(settings)
    ask = make_desk(settings, open_site(settings), ledger).ask
    try:
        assert ask("what feeds r-03", "one")["tools"] == [{"tool": "topology", "args": {"asset": "r-03"}}]
        ask("what feeds r-07", "two")
        assert ask("what hangs on it?", "one")["tools"] == [{"tool": "topology", "args": {"asset": "r-03"}}]
        assert "of 32 GPU nodes are busy" in str(ask("how many nodes are idle")["answer"])
    finally:
        ledger.close()


def test_the_thread_that_rested_longest_goes_first() -> None:
    threads = Threads(most=2)
    for name in ("a", "b", "a", "c"):
        threads.use(name)
    assert threads.names == ("a", "c")
