"""What an operator is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agents.alert_facts import alert_sheet, case_of
from agents.alerter import (
    Alerter,
    FirstStep,
    escalation_notice,
    first_notice,
    plain_notice,
    read_first_steps,
    resolved_notice,
    storm_notice,
    update_notice,
    why_in_words,
)
from setpoint.contracts import Judgement
from tests.agents.alerts import NOW, PUMP_STEP, SITE, event, incident, told, triage


def text_of(**event_changes: Any) -> str:
    made = told(**event_changes)
    return first_notice(made.incident, made.events, made.triages, SITE, PUMP_STEP).text


def test_a_first_notice_says_what_where_how_bad_why_and_what_first() -> None:
    made = told()
    notice = first_notice(made.incident, made.events, made.triages, SITE, PUMP_STEP)
    assert notice.title == "Coolant pump failed on pump-a"
    assert notice.text.splitlines() == [
        "Since 21 Nov 02:14:07 CET: pump speed 0 rpm, below its limit of 1200 rpm.",
        "Why it matters: the racks on this loop lose cooling without it; 3 assets stand on pump-a "
        "(reserve: pump-b); VIP tenant northwind is affected.",
        "First: Keep hands off couplings. Start the standby pump. (runbook pump-failure)",
    ]
    assert (notice.stage, notice.version, notice.dedup_key, notice.written_by) == (
        "first", 0, "INC-0042", "template",
    )  # fmt: skip


def test_the_source_is_quoted_where_there_is_no_reading() -> None:
    text = text_of(
        asset="gpu-07", metric=None, value=None, threshold=None, message='XID 79,\tGPU "lost"\x1b[31m\nnow'
    )
    assert text.splitlines()[0] == (
        "Since 21 Nov 02:14:07 CET, in rack r-02, hall-1. The source says: \"XID 79, GPU 'lost' [31m now\"."
    )


def test_a_message_that_is_the_title_already_is_not_said_again() -> None:
    made = told(metric=None, value=None, threshold=None)
    notice = first_notice(made.incident, made.events, [triage(condition="")], SITE)
    assert notice.text.splitlines()[0] == "Since 21 Nov 02:14:07 CET."


def test_a_burst_says_how_many() -> None:
    made = told()
    many = incident(event_count=14, assets=("pump-a", "cdu-1"))
    assert "14 events on 2 assets." in first_notice(many, made.events, made.triages, SITE).text


def test_an_undecided_rank_says_so() -> None:
    made = told()
    text = first_notice(made.incident, made.events, [triage(undecided=True)], SITE).text
    assert "No rule knows this message, so it is ranked one level up." in text


def test_the_most_important_firing_event_leads() -> None:
    events = [event(1, value=1.0), event(2, value=2.0), event(3, value=3.0, status="resolved")]
    triages = [triage("ev-1", "P1"), triage("ev-2", "P0"), triage("ev-3", "P0")]
    assert "2 rpm" in first_notice(incident(), events, triages, SITE).text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "DCGM_FI_DEV_GPU_TEMP", "value": 92.4, "unit": "celsius", "threshold": 85.0}, "GPU temperature 92.4 C, above its limit of 85 C"),
        ({"metric": "supply_temp_c", "value": 45.0, "threshold": 45.0}, "supply temperature 45 C, at its limit of 45 C"),
        ({"metric": "vllm:kv_cache_usage_perc", "value": 0.97, "unit": "ratio", "threshold": None}, "KV cache usage 0.97."),
        ({"metric": "node_filesystem_free_bytes", "value": 85899345920.0, "threshold": None}, "filesystem free 80 GiB"),
        ({"metric": None, "value": 12.0, "unit": "kW", "threshold": None}, "reading 12 kW"),
        ({"value": 1234567.0, "threshold": 2e6, "metric": "requests"}, "requests 1234567, below its limit of 2000000"),
    ],
)  # fmt: skip
def test_readings_are_said_with_their_units(changes: dict[str, Any], said: str) -> None:
    assert said in text_of(**changes)


def test_the_whole_alert_stays_within_three_lines_of_readable_length() -> None:
    text = text_of(metric=None, value=None, threshold=None, message="very long " * 400)
    assert len(text.splitlines()) == 3
    assert max(map(len, text.splitlines())) < 300


def test_the_sheet_requires_what_where_and_the_value_with_its_limit() -> None:
    made = told()
    sheet = alert_sheet(case_of(incident(event_count=3), made.events, made.triages, SITE))
    assert sheet.condition == "coolant pump failed"
    assert {fact.slot: fact.text for fact in sheet.facts if fact.required} == {
        "asset": "pump-a", "value": "0 rpm", "limit": "1200 rpm",
    }  # fmt: skip
    assert {"metric", "time", "count", "tenant"} <= set(sheet.slots)


def test_where_no_rule_names_it_the_sources_own_words_must_be_quoted() -> None:
    made = told()
    unnamed = made.triages[0].model_copy(update={"condition": ""})
    sheet = alert_sheet(case_of(made.incident, made.events, [unnamed], SITE))
    quote = next(fact for fact in sheet.facts if fact.slot == "quote")
    assert quote.required
    assert quote.text == f'"{made.events[0].message}"'
    assert "quote" not in alert_sheet(case_of(made.incident, made.events, made.triages, SITE)).slots


def test_a_reason_with_facts_in_it_is_not_given_to_a_model() -> None:
    made = told()
    case = case_of(made.incident, made.events, made.triages, SITE)
    assert why_in_words(case) == "the racks on this loop lose cooling without it"
    for reason in ("36 assets stand on it", "PUMP-A feeds all", "see {value}"):
        counted = triage(impact=Judgement(level="high", reason=reason))
        assert why_in_words(case_of(made.incident, made.events, [counted], SITE)) == ""


def test_plain_words_are_the_next_version_and_keep_the_first_step() -> None:
    made = told()
    first = first_notice(made.incident, made.events, made.triages, SITE, PUMP_STEP).model_copy(
        update={"version": 3}
    )
    plain = plain_notice(first, "Coolant pump failed on pump-a.", "setpoint-small", PUMP_STEP)
    assert (plain.version, plain.stage, plain.dedup_key) == (4, "plain", first.dedup_key)
    assert plain.text.splitlines()[0] == "Coolant pump failed on pump-a."
    assert plain.text.splitlines()[1] == first.text.splitlines()[2]


def test_an_update_says_what_is_new() -> None:
    made = told(time=NOW + timedelta(minutes=2))
    many = incident(event_count=14, assets=("pump-a", "cdu-1"))
    assert update_notice(many, made.events, made.triages, SITE).text.splitlines() == [
        "Now 14 events on 2 assets, since 21 Nov 02:14:07 CET.",
        "New: Coolant pump failed on pump-a at 21 Nov 02:16:07 CET: pump speed 0 rpm, below its limit of 1200 rpm.",
    ]


def test_the_end_says_when_and_how_long() -> None:
    over = event(2, status="resolved", time=NOW + timedelta(minutes=48))
    notice = resolved_notice(incident(event_count=2), [event(1), over], SITE)
    assert notice.title == "Over: Coolant pump failed on pump-a"
    assert notice.text == "Over since 21 Nov 03:02:07 CET, after 48 min; 2 events."


def test_an_escalation_says_who_did_not_answer_and_repeats_the_alert() -> None:
    made = told()
    first = first_notice(made.incident, made.events, made.triages, SITE)
    notice = escalation_notice(made.incident, first, SITE, NOW + timedelta(minutes=6), told="On-call")
    lines = notice.text.splitlines()
    assert lines[0] == "Nobody has acknowledged this P0 for 6 min (told: On-call)."
    assert lines[1:-1] == first.text.splitlines()
    assert lines[-1] == "Acknowledge with: setpoint incidents ack INC-0042"
    assert escalation_notice(made.incident, None, SITE, NOW).text.startswith("Nobody has")


def test_a_storm_is_one_notice() -> None:
    storm = [
        incident(
            id=f"INC-{number}",
            priority="P0" if number == 7 else "P1",
            title=f"Trouble {number}",
            event_count=2,
        )
        for number in range(12)
    ]
    notice = storm_notice(storm, timedelta(minutes=10), SITE)
    assert notice.title == "12 incidents within 10 min"
    assert (notice.priority, notice.incident_id) == ("P0", "INC-7")
    assert notice.text.splitlines()[0] == "Since 21 Nov 02:14:07 CET: 1 P0, 11 P1; 24 events."
    assert "P0 Trouble 7 (INC-7)" in notice.text
    assert "and 9 more" in notice.text


def test_the_alerter_writes_each_stage() -> None:
    made = told()
    alerter = Alerter(SITE, {"coolant_pump_failure": PUMP_STEP})
    assert "Start the standby pump." in alerter("first", made.incident, made.ranked).text
    assert alerter("update", made.incident, made.ranked).stage == "update"
    assert alerter("resolved", made.incident, made.ranked).stage == "resolved"


def test_every_cause_with_a_runbook_has_a_first_step_an_operator_can_read() -> None:
    steps = read_first_steps()
    assert len(steps) > 40
    for cause, step in steps.items():
        assert isinstance(step, FirstStep)
        assert step.step.endswith((".", "?")), cause
        assert not step.step.startswith(("If ", "For ", "Safety:")), cause
        assert len(str(step)) < 400, cause


def test_without_events_there_is_nothing_to_tell() -> None:
    with pytest.raises(ValueError, match="INC-0042"):
        first_notice(incident(), [], [], SITE)
    with pytest.raises(ValueError, match="incidents"):
        storm_notice([], timedelta(minutes=1), SITE)
