"""Plans in words: by code always true to the plan; by a model only where every sentence holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from agents.advisor import advise, advised, proposals
from agents.interpreter import foretold, interpret
from agents.plan_said import MOST_LEAD, verify_plan_words
from agents.plan_words import Told
from plant.site import Site, load_site, site_file_of
from prompts import PlanInput
from setpoint.contracts.loops import LoopPlan, Move, Risk, Saving, Trouble
from setpoint.errors import ModelFailed
from setpoint.testing import scripted_role
from tests.agents.plans import MADE, PLANS, cooling_plan, energy_plan, maintenance_plan, peak_plan
from tools.actions import CATALOG

BLOCKED = Trouble(
    kind="stale", asset="feed-1", metric="load_kw", what="feed-1 load_kw is 900 s old",
    instead="The storage holds 0 kW", remedy="Check the meter",
)  # fmt: skip


@pytest.fixture(scope="module")
def hall() -> Site:
    return load_site(site_file_of("hall-1024"))


def lead_of(told: Told) -> PlanInput:
    lines = told.lines[: min(told.lead, MOST_LEAD)]
    return PlanInput("forecast", told.sheet_of(lines), lines)


# ---- by code -----------------------------------------------------------------------------------------------------


def test_the_forecast_tells_what_comes_when_and_how_surely() -> None:
    assert interpret(peak_plan()).text == (
        "Grid draw will rise from 904 kW now to 1,300 kW at 18:00, within 1,224 to 1,376 kW with 90 % certainty. "
        "Measured on the past: 4.1 % off over the last day, persistence 7.9 %, the day before 12.0 %. "
        "Without the plan grid draw passes the contracted peak of 1,250 kW from 17:00 to 19:15; with it, it stays inside."
    )


def test_the_advice_tells_what_to_do_what_it_is_worth_and_what_else_was_weighed() -> None:
    text = advise(peak_plan()).text
    assert text.startswith(
        "Now charge ess-1 at 60 kW for 60 min. It saves 112 EUR of the bill (5 %) against no battery"
    )
    assert "It costs 12 EUR (1 %) more than with perfect foresight." in text
    assert "It lowers the peak by 90 kW (7 %) against no battery, 40 to 101 kW" in text
    assert "Later 2 more moves follow, the first at 16:30: discharge ess-1 at 90 kW for 60 min." in text
    assert text.endswith("chance 4 % with the plan, 71 % without it.")


def test_times_are_told_in_the_zone_asked_for() -> None:
    berlin = interpret(peak_plan(), zone=ZoneInfo("Europe/Berlin")).text
    assert "1,300 kW at 19:00" in berlin
    assert "from 18:00 to 20:15" in berlin


def test_a_saving_whose_interval_holds_zero_says_that_the_sign_is_open() -> None:
    assert "may come out either way" in advise(cooling_plan()).text
    assert "may come out either way" not in advise(peak_plan()).text


def test_what_gets_worse_is_never_called_a_saving() -> None:
    worse = Saving(what="energy", unit="kWh", planned=110.0, baseline=100.0, baseline_name="doing nothing")
    higher = Saving(what="peak", unit="kW", planned=110.0, baseline=100.0, baseline_name="doing nothing")
    wide = Saving(
        what="bill", unit="EUR", planned=110.0, baseline=100.0, baseline_name="x", low=-14.0, high=-7.0
    )
    assert "costs 10 EUR (10 %) more than with x, 7 to 14 EUR" in advise(peak_plan(savings=(wide,))).text
    same = Saving(what="carbon", unit="kg", planned=100.0, baseline=100.0, baseline_name="doing nothing")
    text = advise(peak_plan(savings=(worse, higher, same))).text
    assert "It costs 10 kWh of energy (10 %) more than with doing nothing." in text
    assert "It raises the peak by 10 kW (10 %) against doing nothing." in text
    assert "On carbon it is worth nothing against doing nothing." in text
    assert "saves" not in text


def test_many_moves_of_one_kind_are_one_sentence() -> None:
    assert advise(cooling_plan(3)).text.startswith(
        "Now set the coolant flow of cdu-1, cdu-2 and cdu-3 to 140 LPM."
    )
    assert advise(cooling_plan(8)).text.startswith(
        "Now set the coolant flow of cdu-1, cdu-2 and 6 more to 140 LPM."
    )
    moves = tuple(
        one.model_copy(update={"args": {"flow_lpm": 100.0 + k}})
        for k, one in enumerate(cooling_plan(8).moves)
    )
    assert "of cdu-1, cdu-2 and 6 more." in advise(cooling_plan(8, moves=moves)).text


def test_parts_that_wear_are_told_with_what_is_known_of_their_day() -> None:
    text = interpret(maintenance_plan()).text
    assert "with a chance of 31 %, most likely near 2026-04-02, between 2026-03-22 and 2026-04-24." in text
    assert "with a chance of 6 %, most likely near 2026-05-23, not before 2026-04-13." in text
    assert "1 other part is in the plan with a lower chance." in text
    assert (
        "Have facilities replace the pump bearing on cdu-1-pump-a from Wed 02:00, in a window of 3 h."
        in advise(maintenance_plan()).text
    )


def test_a_blocked_plan_advises_nothing_and_names_what_is_wrong_and_the_remedy() -> None:
    plan = peak_plan(moves=(), troubles=(BLOCKED,))
    assert advise(plan).text == "Change nothing. feed-1 load_kw is 900 s old. Check the meter."
    assert "feed-1 load_kw is 900 s old. The storage holds 0 kW." in interpret(plan).text
    local = peak_plan(moves=(), troubles=(BLOCKED,), local=True)
    assert advise(local).text.startswith("Leave it to the local controller.")


@pytest.mark.parametrize("make", PLANS)
def test_an_empty_plan_is_told_without_a_hole(make: Callable[..., LoopPlan]) -> None:
    bare = make(forecasts=(), curves=(), moves=(), savings=(), risks=(), tasks=(), troubles=())
    assert interpret(bare).text == "Nothing is foreseen: the loop gave no forecast."
    assert advise(bare).text == "Change nothing now: the setpoints are where the plan wants them."


def test_a_limit_from_below_is_passed_downwards() -> None:
    curve = peak_plan().curves[0].model_copy(
        update={"without": (50.0,) * 90 + (5.0,) * 6, "planned": (50.0,) * 96, "limit": 10.0, "limit_name": "reserve",
                "title": "State of charge", "unit": "%"}
    )  # fmt: skip
    assert (
        "passes the reserve of 10 % from Sun 10:30 to Sun 12:00; with it, it stays inside"
        in interpret(peak_plan(curves=(curve,))).text
    )


@pytest.mark.parametrize("make", PLANS)
def test_every_number_of_the_text_is_a_fact_of_its_sheet(make: Callable[..., LoopPlan]) -> None:
    for told in (foretold(make()), advised(make())):
        assert not re.search(r"\d", re.sub(r"\{\w+\}", "", " ".join(told.lines)))
        assert len({fact.slot for fact in told.sheet.facts}) == len(told.sheet.facts)


# ---- by a model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", PLANS)
@pytest.mark.parametrize("tell", [foretold, advised])
def test_codes_own_leading_lines_pass_the_verifier(
    make: Callable[..., LoopPlan], tell: Callable[[LoopPlan], Told]
) -> None:
    inputs = lead_of(tell(make()))
    assert inputs.lines
    assert verify_plan_words(" ".join(inputs.lines), inputs).problems == ()


def test_a_models_words_are_taken_where_they_hold_and_the_rest_stays_codes() -> None:
    said = (
        "{metric} is expected to rise from {value} now to {value1} at {time}, most likely within {value2}, "
        "with {value3} certainty."
    )
    words = interpret(peak_plan(), scripted_role(said, terse=False))
    assert words.written_by == "scripted"
    assert words.fell_back == ""
    assert words.text.startswith(
        "Grid draw is expected to rise from 904 kW now to 1,300 kW at 18:00, most likely within 1,224 to 1,376 kW"
    )
    assert "Measured on the past: 4.1 % off" in words.text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{metric} will fall from {value} now to {value1} at {time}, within {value2} with {value3} certainty.", "a fall"),
        ("{metric} will rise from {value1} now to {value} at {time}, within {value2} with {value3} certainty.", "order"),
        ("{metric} will rise to {value} now from {value1} at {time}, within {value2} with {value3} certainty.", "after 'to'"),
        ("{metric} will rise from {value} now to {value1} until {time}, within {value2} with {value3} certainty.", "after 'until'"),
        ("{metric} will rise from {value} now to 1,300 kW at {time}, within {value2} with {value3} certainty.", "digit"),
        ("{metric} will rise from {value} now to {value1} at {time}.", "required slot"),
        ("{metric} will not rise from {value} now to {value1} at {time}, within {value2} with {value3} certainty.", "denies"),
        ("{metric} will rise safely from {value} now to {value1} at {time}, within {value2} with {value3} certainty.", "safety"),
        ("{metric} will rise from {value} now to {value1} at {time}, within {value2} with {value3} certainty. Restart the pump.",
         "action"),
        ("{metric} will rise from {value} now to {value1} at {time}, within {value2} with {value3} certainty. All is well on "
         "twelve racks.", "number word"),
    ],
)  # fmt: skip
def test_words_that_do_not_hold_fall_back_and_say_why(said: str, why: str) -> None:
    words = interpret(peak_plan(), scripted_role(said, said, terse=False))
    assert words.text == interpret(peak_plan()).text
    assert words.written_by == "template"
    assert why in words.fell_back


def test_a_cost_cannot_be_sold_as_a_saving() -> None:
    worse = Saving(what="energy", unit="kWh", planned=110.0, baseline=100.0, baseline_name="doing nothing")
    told = advised(peak_plan(savings=(worse,), moves=()))
    lines = told.lines[1:2]
    inputs = PlanInput("advice", told.sheet_of(lines), lines)
    honest = verify_plan_words(" ".join(lines), inputs)
    sold = verify_plan_words(lines[0].replace("costs", "saves").replace("more than with", "against"), inputs)
    assert honest.ok
    assert any("claims a saving" in problem for problem in sold.problems)


def test_a_peak_that_is_lowered_is_not_said_to_be_raised() -> None:
    told = advised(peak_plan(savings=peak_plan().savings[2:], moves=()))
    lines = told.lines[1:2]
    inputs = PlanInput("advice", told.sheet_of(lines), lines)
    assert lines[0].startswith("It lowers the peak by")
    assert verify_plan_words(lines[0].replace("lowers", "cuts"), inputs).ok
    assert not verify_plan_words(lines[0].replace("lowers", "raises"), inputs).ok


def test_a_course_that_turns_is_told_with_both_its_ends_and_cannot_be_turned_round() -> None:
    grid = peak_plan().forecasts[0]
    low = grid.model_copy(
        update={"expected": (*grid.expected[:90], *(500.0,) * 6), "low": (*grid.low[:90], *(450.0,) * 6)}
    )
    told = foretold(peak_plan(forecasts=(low,)))
    assert told.text.startswith(
        "Grid draw will rise from 904 kW now to 1,300 kW (1,224 to 1,376 kW) at 18:00, then fall to 500 kW"
    )
    inputs = lead_of(told)
    assert verify_plan_words(inputs.lines[0], inputs).ok
    turned = inputs.lines[0].replace("rise", "FALL").replace("fall", "rise").replace("FALL", "fall")
    assert any("another order" in problem for problem in verify_plan_words(turned, inputs).problems)


def test_facts_of_two_lines_do_not_mix_in_one_sentence() -> None:
    inputs = lead_of(advised(peak_plan()))
    mixed = " ".join(inputs.lines).replace(". It saves", ", it saves")
    assert mixed != " ".join(inputs.lines)
    assert any("mixes" in problem for problem in verify_plan_words(mixed, inputs).problems)


def test_a_second_try_counts_and_a_model_that_is_missing_does_no_harm() -> None:
    good = foretold(peak_plan()).lines[0]
    assert interpret(peak_plan(), scripted_role("Nonsense.", good, terse=False)).written_by == "scripted"
    fell = interpret(peak_plan(), scripted_role(ModelFailed("no answer in 5 s"), terse=False))
    assert (fell.written_by, fell.fell_back) == ("template", "no answer in 5 s")


def test_the_small_model_joins_the_lines_and_is_trusted_with_no_fact_in_them() -> None:
    told = advised(peak_plan())
    assert told.lead == 2
    words = advise(peak_plan(), scripted_role("To do: {line}; also: {line2}."))
    assert words.written_by == "scripted"
    first = told.sheet.fill(told.lines[0]).rstrip(".")
    assert words.text.startswith(f"To do: {first[0].lower()}{first[1:]}; also: ")
    itself = advise(peak_plan(), scripted_role("{line} and more. {line2}.", " ".join(told.lines[:2])))
    assert itself.written_by == "template"
    assert "misses the required slot 'line'" in itself.fell_back


# ---- proposals ---------------------------------------------------------------------------------------------------


def test_the_due_moves_become_proposals_with_one_id_for_one_thing(hall: Site) -> None:
    storage = hall.of_kind("ess")[0].name
    moves = tuple(one.model_copy(update={"asset": storage}) for one in peak_plan().moves)
    made, withheld = proposals(peak_plan(moves=moves), "LOOP-peak-20260314T120000Z", hall)
    again, _ = proposals(peak_plan(moves=moves), "LOOP-peak-20260314T120000Z", hall)
    other, _ = proposals(peak_plan(moves=moves), "LOOP-peak-20260314T121500Z", hall)
    assert withheld == ()
    (one,) = made
    assert (one.action.name, one.incident_id, one.risk) == (
        "charge_ess", "LOOP-peak-20260314T120000Z", CATALOG["charge_ess"].risk,
    )  # fmt: skip
    assert again == made
    assert other[0].id != one.id
    assert one.why == "The price is 0.08 EUR/kWh now and 0.31 EUR/kWh at 18:00. Worth: 4 EUR."
    assert any(line.startswith("Grid draw: at most 1,300 kW within 24 h") for line in one.evidence)


def test_what_is_wanted_and_cannot_be_proposed_is_withheld_with_the_reason(hall: Site) -> None:
    bad = Move(at=MADE, action="set_coolant_flow", asset="cdu-99", args={"flow_lpm": 100.0}, why="")
    made, withheld = proposals(cooling_plan(moves=(bad,)), "C", hall)
    assert made == ()
    assert "cdu-99" in withheld[0].why


def test_a_blocked_plan_withholds_its_due_moves_with_its_trouble(hall: Site) -> None:
    made, withheld = proposals(peak_plan(troubles=(BLOCKED,)), "C", hall)
    assert made == ()
    assert [one.why for one in withheld] == ["feed-1 load_kw is 900 s old"]


def test_of_two_moves_of_a_kind_on_one_asset_the_last_is_proposed(hall: Site) -> None:
    moves = tuple(
        Move(at=MADE - timedelta(minutes=5 - k), action="set_coolant_flow", asset="cdu-01", args={"flow_lpm": 200.0 + 10 * k},
             why="") for k in range(2)
    )  # fmt: skip
    cdu = hall.of_kind("cdu")[0].name
    made, withheld = proposals(
        cooling_plan(moves=tuple(one.model_copy(update={"asset": cdu}) for one in moves)), "C", hall
    )
    assert [one.action.args["flow_lpm"] for one in made] == [210.0]
    assert "replaces it" in withheld[0].why


def test_a_risk_without_a_chance_is_told_as_one() -> None:
    text = advise(energy_plan(risks=(Risk(what="A burst outruns the boot of a node."),))).text
    assert text.endswith("Risk: a burst outruns the boot of a node.")
