"""`setpoint plan` and its page: what is planned, whole and readable, on any terminal and without one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from setpoint.app import plan_views
from setpoint.app.cli import app
from setpoint.app.plan_page import render_page
from setpoint.app.plan_pictures import curve_chart, forecast_chart, task_chart
from setpoint.app.plan_views import Made, as_values, failure_words, tell, told
from setpoint.contracts.loops import LOOPS, Curve, LoopPlan, Trouble
from setpoint.errors import UsageError
from tests.agents.plans import MADE, PLANS, cooling_plan, energy_plan, maintenance_plan, peak_plan
from tests.setpoint.app.pages import words_of

ZONE = ZoneInfo("Europe/Berlin")
BLOCKED = Trouble(
    kind="missing", asset="feed-a", what="feed-a load_kw is not read", instead="the storage holds 0 kW", remedy="check it"
)  # fmt: skip


def made(plan: LoopPlan) -> Made:
    return told(plan, ZONE, "two weeks of simulated days")


def page_of(plan: LoopPlan) -> str:
    return render_page(made(plan))


# ---- the page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", PLANS)
def test_the_page_is_whole_and_tells_every_move_saving_risk_and_task(make: Callable[..., LoopPlan]) -> None:
    plan = make()
    text = words_of(page_of(plan))
    assert plan.headline in text
    assert all(one.why in text for one in plan.moves)
    assert all(one.baseline_name in text for one in plan.savings)
    assert all(one.what in text for one in plan.risks)
    assert all(one.part in text and one.asset in text for one in plan.tasks)
    assert all(one.title in text for one in plan.forecasts)
    assert "None" not in text
    assert "nan" not in text.split()


def test_the_page_loads_nothing() -> None:
    page = page_of(peak_plan())
    assert re.findall(r"(?:src|href)=\"(?!#)", page) == []
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src &#39;none&#39;" in page


def test_times_are_those_of_the_site() -> None:
    text = words_of(page_of(peak_plan()))
    assert "2026-03-14 13:00:00 CET" in text
    assert "17:30" in text  # the move at 16:30 UTC


def test_a_blocked_plan_says_so_before_anything_else() -> None:
    text = words_of(page_of(peak_plan(moves=(), troubles=(BLOCKED,))))
    assert text.index("No move is proposed: feed-a load_kw is not read") < text.index("What is coming")
    local = words_of(page_of(peak_plan(moves=(), troubles=(BLOCKED,), local=True)))
    assert "It hands over to the local controller: feed-a" in local


def test_text_of_a_plan_is_escaped() -> None:
    page = page_of(peak_plan(headline="<script>alert(1)</script>", notes=("<b>bold</b>",)))
    assert "<script>alert" not in page
    assert "<b>bold</b>" not in page


def test_many_forecasts_fold_away_and_are_all_there() -> None:
    page = page_of(cooling_plan(14))
    assert "8 more forecasts" in page
    assert page.count('class="band-plan"') == 14


def test_a_plan_with_nothing_in_it_still_makes_a_page() -> None:
    bare = peak_plan(forecasts=(), curves=(), moves=(), savings=(), risks=(), tasks=(), notes=(), solver=None)
    assert "None." in words_of(page_of(bare))


# ---- pictures ----------------------------------------------------------------------------------------------------


def test_a_forecast_is_a_line_in_its_band_over_the_sites_hours() -> None:
    drawn = str(forecast_chart(peak_plan().forecasts[0], ZONE))
    assert drawn.count("<polygon") == 1
    assert drawn.count("<polyline") == 1
    assert ">15:00<" in drawn
    assert ">Sun 15<" in drawn


def test_holes_leave_holes_in_line_and_band() -> None:
    one = peak_plan().forecasts[0]
    holed = one.model_copy(
        update={
            name: (*getattr(one, name)[:30], *[math.nan] * 4, *getattr(one, name)[34:])
            for name in ("expected", "low", "high")
        }
    )
    drawn = str(forecast_chart(holed, ZONE))
    assert (drawn.count("<polygon"), drawn.count("<polyline")) == (2, 2)
    assert "nan" not in drawn


def test_a_course_shows_what_would_be_without_the_limit_and_the_moves() -> None:
    plan = peak_plan()
    drawn = str(curve_chart(plan.curves[0], plan.moves, ZONE))
    assert 'class="line-without"' in drawn
    assert "contracted peak" in drawn
    assert drawn.count('class="chart-flag"') == 3
    assert "17:30 Discharge ess-1 at 90 kW for 60 min" in drawn


def test_a_course_without_a_comparison_is_drawn_alone() -> None:
    one = Curve(name="x", title="Charge", unit="%", start=MADE, step_s=900.0, planned=(50.0, 60.0, 70.0))
    assert "line-without" not in str(curve_chart(one, (), ZONE))


def test_parts_are_drawn_by_interval_day_and_window() -> None:
    drawn = str(task_chart(maintenance_plan(), ZONE))
    assert drawn.count('class="task-interval"') == 2  # of the third nothing is known
    assert drawn.count('class="task-window"') == 1
    assert "serviced 2026-03-18 03:00" in drawn
    assert str(task_chart(maintenance_plan(tasks=()), ZONE)) == ""


def test_a_day_of_failure_is_told_as_far_as_it_is_known() -> None:
    told_days = [failure_words(one, ZONE) for one in maintenance_plan().tasks]
    assert told_days == [
        ("2026-04-02", "2026-03-22 to 2026-04-24"), ("2026-05-23", "from 2026-04-13"), ("beyond", ""),
    ]  # fmt: skip


# ---- the terminal ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", ["60", "100", "200"])
@pytest.mark.parametrize("make", PLANS)
def test_nothing_is_lost_at_any_width(
    make: Callable[..., LoopPlan],
    width: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    plan = make()
    tell(made(plan))
    text = " ".join(capsys.readouterr().out.split())
    assert all(one.why in text for one in plan.moves)
    assert all(one.baseline_name in text for one in plan.savings)
    assert "\x1b" not in text


def test_long_tables_end_with_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    tell(made(energy_plan(moves=energy_plan().moves * 5)))
    assert "and 14 more: --json or --report has all" in capsys.readouterr().out


def test_json_is_the_plan_whole_with_its_words() -> None:
    found = json.loads(json.dumps(as_values(made(peak_plan())), allow_nan=False))
    assert (
        LoopPlan.model_validate(
            {
                **found["plan"],
                "savings": [
                    {k: v for k, v in one.items() if not k.startswith("saved")}
                    for one in found["plan"]["savings"]
                ],
            }
        )
        == peak_plan()
    )
    assert found["plan"]["savings"][0]["saved"] == 112.0
    assert found["advice"].startswith("Now charge ess-1")
    assert found["nothing_planned"] == ""


# ---- the command -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["peak", "--horizon", "soon"], "--horizon"),
        (["peak", "--horizon", "200d"], "90 days"),
        (["peak", "--horizon", "5s"], "1 min to 90 days"),
        (["peak", "--start", "yesterday"], "2026-03-14T12:00"),
        (["peak", "--start", "0001-01-01T00:00"], "2000 to 2100"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_an_example(words: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        CliRunner().invoke(app, ["plan", *words], catch_exceptions=False)


@pytest.mark.parametrize("loop", LOOPS)
def test_each_loop_plans_the_demo_sites_day(
    loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_views, "WARM_DAYS", 1.0)
    page = tmp_path / "plan.html"
    result = CliRunner().invoke(
        app, ["plan", loop, "--site", "demo", "--start", "2026-03-14T12:00", "--json", "--report", str(page)]
    )
    assert result.exit_code in (0, 3), result.output
    found = json.loads(result.stdout)
    assert found["plan"]["loop"] == loop
    assert found["plan"]["made"].startswith("2026-03-14T11:00")
    assert bool(found["nothing_planned"]) == (result.exit_code == 3)
    assert found["plan"]["headline"] in words_of(page.read_text("utf-8"))
    assert not any("failed" in one["what"] for one in found["plan"]["troubles"])


def test_the_same_seed_and_start_give_the_same_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_views, "WARM_DAYS", 1.0)
    wanted = ["plan", "maintenance", "--site", "demo", "--start", "2026-03-14T12:00", "--json", "--seed", "3"]
    first, second = (json.loads(CliRunner().invoke(app, wanted).stdout)["plan"] for _ in range(2))
    for one in (first, second):
        one.pop("solver")  # it tells how long it took
    assert first == second
