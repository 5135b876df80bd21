"""The one executor: nothing without a fitting token, nothing twice, nothing past a guard, whatever dies when."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from setpoint.contracts import Action, Outcome
from setpoint.errors import BackendError
from setpoint.settings import ActSettings
from tests.tools.bench import INCIDENT, Bench, action
from tools.actions import CATALOG
from tools.executor import Busy, Order
from tools.proposals import propose
from tools.readings import Reading

CAP = action("cap_gpu_power", "gpu-20", cap_w=400.0)
RESET = action("reset_gpu", "gpu-20")


class PlainSite:
    """A site that remembers no keys, over the simulated one: what a BMS or a BMC is like."""

    def __init__(self, bench: Bench) -> None:
        self._inner, self.applies, self.fails = bench.adapter, list[Action](), ""

    def read(self, asset: str) -> Reading | None:
        return self._inner.read(asset)

    def apply(self, wanted: Action, key: str) -> None:
        if self.fails:
            raise BackendError(self.fails)
        self.applies.append(wanted)
        self._inner.apply(wanted, "")

    def applied(self, key: str) -> bool | None:
        return None

    def settle(self, seconds: float) -> None:
        self._inner.settle(seconds)


def begin(bench: Bench, order: Order, dry_run: bool = False) -> None:
    """As a run would have left it that died right after its claim."""
    assert bench.ledger.begin_action(
        order.key, order.action, incident_id=INCIDENT, review_id="REV-1", dry_run=dry_run, token=order.token,
        now=bench.clock(),
    )  # fmt: skip


def test_an_approved_action_moves_the_site_and_is_written_down(bench: Bench) -> None:
    outcome = bench.executor().run(bench.order(CAP))
    assert outcome.state == "done"
    assert outcome.message == "Cap the GPUs of gpu-20 at 400 W each: done, and the site shows it"
    assert (outcome.before["power_cap_w"], outcome.after["power_cap_w"]) == (700.0, 400.0)
    row = bench.ledger.get_action(bench.order(CAP).key)
    assert row is not None
    assert (row.state, row.approvers) == ("done", ("alice",))


def test_dry_run_is_the_default_and_moves_nothing(bench: Bench) -> None:
    outcome = bench.executor(settings=ActSettings()).run(bench.order(CAP))
    assert (outcome.state, outcome.dry_run) == ("dry_run", True)
    assert bench.reading("gpu-20", "power_cap_w") == 700.0


def test_the_same_order_runs_once(bench: Bench) -> None:
    order = bench.order(action("page", "gpu-20", team="hardware"))
    first, second = bench.executor().run(order), bench.executor().run(order)
    assert first == second
    assert bench.reading("gpu-20", "pages") == 1


def test_the_same_action_from_another_review_runs_again(bench: Bench) -> None:
    page = action("page", "gpu-20", team="hardware")
    known = bench.order(page).action
    for review in ("REV-1", "REV-2"):
        token = bench.signer.mint(bench.grant(known, review_id=review))
        bench.executor().run(bench.order(page, review_id=review, token=token))
    assert bench.reading("gpu-20", "pages") == 2


@pytest.mark.parametrize("bad", ["", "approved", "e30.e30"])
def test_without_a_token_nothing_moves(bench: Bench, bad: str) -> None:
    outcome = bench.executor().run(bench.order(CAP, token=bad))
    assert outcome.state == "refused"
    assert bench.reading("gpu-20", "power_cap_w") == 700.0


def test_a_token_of_another_action_is_refused(bench: Bench) -> None:
    order = bench.order(CAP)
    edited = order.model_copy(update={"action": order.action.model_copy(update={"args": {"cap_w": 200.0}})})
    outcome = bench.executor().run(edited)
    assert outcome.state == "refused"
    assert "changed after the approval" in outcome.message
    assert bench.reading("gpu-20", "power_cap_w") == 700.0


def test_a_token_of_another_review_is_refused(bench: Bench) -> None:
    assert "belongs to review REV-1" in bench.executor().run(bench.order(CAP, review_id="REV-9")).message


def test_an_action_in_another_form_than_approved_is_refused(bench: Bench) -> None:
    loose = Action(name="cap_gpu_power", asset="GPU-20", args={"cap_w": 400.0})
    token = bench.signer.mint(bench.grant(loose))
    outcome = bench.executor().run(bench.order(CAP, action=loose, token=token))
    assert "not in the catalog's form" in outcome.message


def test_an_argument_that_is_no_number_is_refused_and_kept_in_the_audit(bench: Bench) -> None:
    order = bench.order(CAP)
    wild = order.model_copy(update={"action": order.action.model_copy(update={"args": {"cap_w": math.nan}})})
    assert bench.executor().run(wild).state == "refused"
    assert bench.ledger.list_audit()[-1].what == "action-refused"


def test_guards_look_again_at_execution(bench: Bench) -> None:
    """Fresh when approved, stale when executed."""
    executor, order = bench.executor(), bench.order(CAP)
    assert executor.check(order).outcome is None
    bench.adapter.inject("sensor_lost", "gpu-20")
    bench.clock.forward(60)
    outcome = executor.execute(order, {})
    assert outcome is not None
    assert outcome.state == "refused"
    assert "60 s old, at most 30 s" in outcome.message


def test_a_refusal_is_final_for_its_approval(bench: Bench) -> None:
    bench.stop.engage("alice", "smoke in hall 1")
    order = bench.order(CAP)
    refused = bench.executor().run(order)
    bench.stop.release()
    assert bench.executor().run(order) == refused
    row = bench.ledger.get_action(order.key)
    assert row is not None
    assert row.state == "refused"
    assert "smoke in hall 1" in row.message


def test_an_expired_approval_is_refused(bench: Bench) -> None:
    order = bench.order(CAP)
    bench.clock.forward(901)
    assert "it expired" in bench.executor().run(order).message


def test_the_rate_limit_counts_what_moved(bench: Bench) -> None:
    executor = bench.executor()
    for number in range(7):
        cap = action("cap_gpu_power", "gpu-20", cap_w=400.0 + number)
        outcome = executor.run(bench.order(cap))
        bench.clock.forward(61)
    assert outcome.state == "refused"
    assert "6 actions on gpu-20 in the last hour" in outcome.message


def test_one_action_at_a_time_on_an_asset(bench: Bench) -> None:
    begin(bench, bench.order(action("lock_gpu_clock", "gpu-20")))
    with pytest.raises(Busy, match="still executing"):
        bench.executor().run(bench.order(CAP))
    assert bench.reading("gpu-20", "power_cap_w") == 700.0


def test_a_site_that_says_no_is_a_failure_with_its_reason(bench: Bench) -> None:
    site = PlainSite(bench)
    site.fails = "setpoint locked by the local panel"
    outcome = bench.executor(adapter=site).run(bench.order(CAP))
    assert (outcome.state, "locked by the local panel" in outcome.message) == ("failed", True)


def test_a_site_that_does_not_show_it_is_a_failure(bench: Bench) -> None:
    class Deaf(PlainSite):
        def apply(self, wanted: Action, key: str) -> None:
            self.applies.append(wanted)

    outcome = bench.executor(adapter=Deaf(bench)).run(bench.order(CAP))
    assert outcome.state == "failed"
    assert outcome.message == "The site does not show it: power_cap_w is 700, expected 400"


def test_a_standby_pump_shows_its_effect_on_the_loop(bench: Bench) -> None:
    bench.adapter.inject("coolant_pump_failure", "cdu-1-pump-a")
    bench.clock.forward(20)
    outcome = bench.executor().run(bench.order(action("start_standby_pump", "cdu-1-pump-b")))
    assert outcome.before["cdu-1.flow_lpm"] < 5
    assert outcome.after["cdu-1.flow_lpm"] == pytest.approx(150, abs=1)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_action_of_the_catalog_can_run_on_the_simulated_site(bench: Bench, name: str) -> None:
    """Proposed with its own arguments, approved, guarded, executed, confirmed."""
    about = {"cap_gpu_power": "gpu-20", "lock_gpu_clock": "gpu-20", "drain_node": "gpu-20", "cordon_node": "gpu-20",
             "pause_job": "gpu-20", "migrate_job": "gpu-20", "reset_gpu": "gpu-20", "set_coolant_flow": "cdu-2",
             "set_supply_temp": "cdu-2", "start_standby_pump": "cdu-1-pump-a", "close_leak_valve": "leak-r-05",
             "charge_ess": "ess-1", "discharge_ess": "feed-a", "hold_draw": "feed-a", "shed_load": "feed-a",
             "resume_job": "gpu-20", "set_water_temp": "cdu-1"}  # fmt: skip
    if name == "resume_job":
        bench.plant.apply("pause_job", "gpu-20", {})
    if name == "start_standby_pump":
        bench.adapter.inject("coolant_pump_failure", "cdu-1-pump-a")
    if name in ("reset_gpu", "close_leak_valve"):
        for node in ("gpu-17", "gpu-18", "gpu-19", "gpu-20"):
            bench.plant.apply("drain_node", node, {})
    bench.clock.forward(30)
    wanted = propose(name, about.get(name, "pool-chat"), bench.site, bench.adapter.read)
    outcome = bench.executor().run(bench.order(wanted))
    assert outcome.state == "done", outcome.message


# ---- crashes -----------------------------------------------------------------------------------------------


def test_died_after_the_claim_before_the_move_it_is_done_once(bench: Bench) -> None:
    order = bench.order(CAP)
    begin(bench, order)
    assert bench.executor().run(order).state == "done"
    assert bench.reading("gpu-20", "power_cap_w") == 400.0


def test_died_after_the_move_it_is_not_repeated(bench: Bench) -> None:
    bench.plant.apply("drain_node", "gpu-20", {})
    bench.clock.forward(30)
    order = bench.order(RESET)
    begin(bench, order)
    bench.adapter.apply(order.action, order.key)
    assert bench.executor().run(order).state == "done"
    assert bench.reading("gpu-20", "resets") == 1


def test_died_after_the_move_and_the_token_ran_out_meanwhile(bench: Bench) -> None:
    """Observing needs no approval: what was moved in time is written down as done."""
    order = bench.order(CAP)
    begin(bench, order)
    bench.adapter.apply(order.action, order.key)
    bench.clock.forward(2000)
    assert bench.executor().run(order).state == "done"


def test_died_before_the_move_and_the_token_ran_out_meanwhile(bench: Bench) -> None:
    order = bench.order(CAP)
    begin(bench, order)
    bench.clock.forward(2000)
    outcome = bench.executor().run(order)
    assert outcome.state == "refused"
    assert outcome.message.startswith(
        "Interrupted before it moved anything, then refused: approval token: it expired"
    )
    assert bench.reading("gpu-20", "power_cap_w") == 700.0


def test_a_site_without_memory_is_asked_by_its_readings(bench: Bench) -> None:
    site, order = PlainSite(bench), bench.order(CAP)
    begin(bench, order)
    site.apply(order.action, "")
    assert bench.executor(adapter=site).run(order).state == "done"
    assert len(site.applies) == 1


def test_what_cannot_be_known_is_not_repeated(bench: Bench) -> None:
    bench.plant.apply("drain_node", "gpu-20", {})
    bench.clock.forward(30)
    site, order = PlainSite(bench), bench.order(RESET)
    begin(bench, order)
    outcome = bench.executor(adapter=site).run(order)
    assert (outcome.state, site.applies) == ("failed", [])
    assert "is not known" in outcome.message


def test_dry_run_switched_on_after_a_crash_stops_the_move(bench: Bench) -> None:
    order = bench.order(CAP)
    begin(bench, order)
    outcome = bench.executor(settings=ActSettings()).run(order)
    assert (outcome.state, bench.reading("gpu-20", "power_cap_w")) == ("refused", 700.0)


def test_rows_nobody_came_back_to_are_settled_by_looking(bench: Bench) -> None:
    moved, not_moved = bench.order(CAP), bench.order(action("drain_node", "gpu-21"))
    for order in (moved, not_moved):
        begin(bench, order)
    bench.adapter.apply(moved.action, moved.key)
    assert bench.executor().settle_abandoned() == []
    bench.clock.forward(901)
    ended = {outcome.action_id: outcome.state for outcome in bench.executor().settle_abandoned()}
    assert ended == {moved.key: "done", not_moved.key: "failed"}
    assert bench.ledger.unfinished_actions() == []
    assert bench.reading("gpu-21", "drained") == 0.0


_CHILD = """
import os, signal, sys
from pathlib import Path
from tests.tools.bench import Bench, action
from tools.adapter import SimulatedSite

class Dying(SimulatedSite):
    def apply(self, wanted, key):
        if sys.argv[2] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().apply(wanted, key)
        if sys.argv[2] == "after":
            os.kill(os.getpid(), signal.SIGKILL)

bench = Bench(Path(sys.argv[1]))
bench.plant.apply("drain_node", "gpu-20", {})
bench.clock.forward(30)
bench.adapter.__class__ = Dying
print(bench.executor().run(bench.order(action("reset_gpu", "gpu-20"))).state)
"""


@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_kill_9_around_the_move(tmp_path: Path, when: str) -> None:
    """A reset is the action that must not happen twice. Killed at either side, it happens exactly once."""
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path), when], cwd=root, timeout=120, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(root)}, check=False,
    )  # fmt: skip
    assert child.returncode == (0 if when == "never" else -signal.SIGKILL), child.stderr
    bench = Bench(tmp_path)
    if when == "before":
        bench.plant.apply("drain_node", "gpu-20", {})
    bench.clock.forward(60)
    outcome = bench.executor().run(bench.order(RESET))
    assert outcome.state == "done", outcome.message
    assert bench.reading("gpu-20", "resets") == 1
    assert [row.state for row in bench.ledger.list_actions()] == ["done"]
    bench.ledger.close()


def test_two_workers_with_one_order_move_once(bench: Bench) -> None:
    order, outcomes = bench.order(action("page", "gpu-20", team="hardware")), list[Outcome | Busy]()

    def work() -> None:
        try:
            outcomes.append(bench.executor().run(order))
        except Busy as busy:
            outcomes.append(busy)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert bench.reading("gpu-20", "pages") == 1
    assert {o.state for o in outcomes if isinstance(o, Outcome)} == {"done"}


def test_expiry_is_judged_by_the_executors_clock(bench: Bench) -> None:
    known = bench.order(CAP).action
    token = bench.signer.mint(bench.grant(known, expires=bench.clock() + timedelta(seconds=1)))
    bench.clock.forward(2)
    assert bench.executor().run(bench.order(CAP, token=token)).state == "refused"
