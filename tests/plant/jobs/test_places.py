"""Placement: close together, within budgets; and the scheduler of a site."""

from __future__ import annotations

from plant.jobs.on_site import SITE, scheduler_of
from plant.jobs.places import Floor, Place
from plant.jobs.reliability import best_checkpoint_s, job_mtbf_s, lost_share, node_losses
from plant.jobs.scheduler import Scheduler
from plant.jobs.work import Work
from plant.site import load_site, site_file_of


def floor(**budgets_kw: float) -> Floor:
    """Two leaves of two racks of four nodes; a node draws 1 kW at rest and 10 kW at most."""
    return Floor(
        (Place(f"n{i:02d}", f"r{i // 4}", f"l{i // 8}", 1.0, 10.0, (f"r{i // 4}", "all")) for i in range(16)),
        budgets_kw,
    )


def test_a_gang_goes_into_the_rack_it_fills_best() -> None:
    free = {"n00", "n01", "n02", "n03", "n05", "n06"}
    assert floor().choose(2, free, {}, 1.0) == ("n05", "n06")
    assert floor().choose(3, free, {}, 1.0) == ("n00", "n01", "n02")


def test_a_larger_gang_stays_on_one_leaf() -> None:
    free = {"n00", "n01", "n02"} | {f"n{i:02d}" for i in range(8, 16)}
    assert floor().choose(6, free, {}, 1.0) == tuple(f"n{i:02d}" for i in range(8, 14))


def test_home_comes_first() -> None:
    assert floor().choose(2, [f"n{i:02d}" for i in range(16)], {}, 1.0, home=("n03", "n09")) == ("n03", "n09")


def test_a_rack_without_headroom_is_passed_over() -> None:
    """A rack of 25 kW: 4 kW at rest and 9 kW more for each busy node, so two nodes and not three."""
    tight = floor(r0=25.0)
    every = [f"n{i:02d}" for i in range(16)]
    assert tight.choose(2, every[:4], {}, 1.0) == ("n00", "n01")
    assert tight.choose(3, every[:4], {}, 1.0) is None
    assert tight.choose(3, every[:8], {}, 1.0) == ("n04", "n05", "n06")


def test_the_rack_with_more_headroom_wins_among_equals() -> None:
    assert floor(r0=31.0, r1=32.0).choose(2, [f"n{i:02d}" for i in range(8)], {}, 1.0) == ("n04", "n05")


def test_a_budget_over_all_bounds_the_site() -> None:
    """16 kW at rest and 9 kW a busy node: 70 kW let six run."""
    every = [f"n{i:02d}" for i in range(16)]
    assert len(floor(all=70.0).choose(6, every, {}, 1.0) or ()) == 6
    assert floor(all=70.0).choose(7, every, {}, 1.0) is None
    assert floor(all=70.0).choose(7, every, {}, 0.8) is not None


def test_a_budget_that_shrinks_holds_back_new_work_only() -> None:
    scheduler = Scheduler([Place(f"n{i}", "r", "", 1.0, 10.0, ("r",)) for i in range(4)], {"r": 40.0})
    scheduler.submit(Work(name="a", nodes=2, duration_s=100, limit_s=100, load_pu=1.0))
    scheduler.set_budget("r", 22.0, "hot loop")
    scheduler.submit(Work(name="b", nodes=1, duration_s=10, limit_s=10, load_pu=1.0))
    assert scheduler.tasks["a"].state == "running"
    assert scheduler.tasks["b"].state == "waiting"
    assert "a power or cooling budget is spent" in scheduler.decisions[-1].reason
    scheduler.advance(200)
    assert scheduler.tasks["b"].first_start_s == 100


def test_a_site_comes_with_its_pools_jobs_and_budgets() -> None:
    site = load_site(site_file_of("hall-1024"))
    scheduler = scheduler_of(site)
    assert scheduler.tasks["pool-chat/0"].nodes == ("gpu-001",)
    assert scheduler.tasks["pool-reason/0"].nodes == ("gpu-025", "gpu-026")
    assert scheduler.floor.budgets_kw["r-01"] == 44.0
    assert scheduler.floor.budgets_kw["cdu-1"] == 200.0
    assert scheduler.floor.budgets_kw[SITE] < 2000.0
    scheduler.advance(6000.0)
    pretrain = scheduler.tasks["pretrain"]
    pools = {node for pool in site.pools for node in pool.nodes}
    assert len(pretrain.nodes) == 64
    assert not pools & set(pretrain.nodes)
    assert all(left >= -1e-9 for left in scheduler.floor.headroom_kw(scheduler._loads()).values())
    assert {scheduler.floor.places[n].rack for n in scheduler.tasks["finetune-1"].nodes} <= {
        f"r-{i}" for i in range(25, 41)
    }


def test_losses_of_the_llama_run_come_back() -> None:
    """16,384 GPUs for 54 days: 419 interruptions were counted; Poisson, so within four deviations of 20.5."""
    nodes = [f"n{i}" for i in range(2048)]
    found = list(node_losses(nodes, 8, 54 * 86400.0, seed=1))
    assert abs(len(found) - 419) < 4 * 20.5
    assert found == list(node_losses(nodes, 8, 54 * 86400.0, seed=1))
    assert [at for at, _ in found] == sorted(at for at, _ in found)


def test_the_best_checkpoint_interval_is_best() -> None:
    mtbf_s = job_mtbf_s(1024)
    best_s = best_checkpoint_s(60.0, mtbf_s)
    least = lost_share(best_s, 60.0, 300.0, mtbf_s)
    assert least < lost_share(0.8 * best_s, 60.0, 300.0, mtbf_s)
    assert least < lost_share(1.25 * best_s, 60.0, 300.0, mtbf_s)


def test_the_formula_for_lost_work_agrees_with_the_scheduler() -> None:
    """A job of 128 nodes over 400 days under drawn losses: lost work is close to half an interval a loss."""
    nodes = [f"n{i}" for i in range(128)]
    scheduler = Scheduler(nodes)
    span_s, interval_s = 400 * 86400.0, 3600.0
    scheduler.submit(Work(name="train", nodes=128, duration_s=1e9, limit_s=1e9, checkpoint_s=interval_s))
    losses = list(node_losses(nodes, 8, span_s, seed=3))
    for at_s, node in losses:
        scheduler.advance(at_s)
        scheduler.node_lost(node)
        scheduler.node_back(node)
    scheduler.advance(span_s)
    lost = scheduler.metrics().lost_node_s / (128 * span_s)
    assert scheduler.metrics().interruptions == len(losses) > 150
    assert abs(lost / (interval_s / 2 / job_mtbf_s(1024)) - 1) < 0.2
