"""Evidence of any layout becomes the same values; what states the answer stays unread; bad input is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.errors import InputError, UsageError
from tools.case_files import read_case
from tools.case_question import choices_in
from tools.case_tables import Collected, collect
from tools.case_times import Clock
from tools.case_types import Readings, ServiceCase

START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
TIMES = [START + timedelta(minutes=n) for n in range(6)]
STAMPS = [time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in TIMES]
VALUES = [1.0, 2.0, 3.5, 4.0, 5.0, 6.0]
ALERT = {"title": "Lag is high", "state": "alerting"}

LAYOUTS: dict[str, Any] = {
    "parallel arrays": {"label": "lag", "unit": "s", "timestamps": STAMPS, "values": VALUES},
    "named mapping": {"lag": {"unit": "s", "timestamps": STAMPS, "values": VALUES}},
    "datapoints": [{"MetricName": "lag", "Datapoints": [{"Timestamp": t, "Average": v, "Unit": "s"} for t, v in zip(STAMPS, VALUES, strict=True)]}],
    "prometheus": {"data": {"result": [{"metric": {"__name__": "lag"}, "values": [[t.timestamp(), str(v)] for t, v in zip(TIMES, VALUES, strict=True)]}]}},
    "point list in ms": {"series": [{"metric": "lag", "unit": "s", "pointlist": [[int(t.timestamp() * 1000), v] for t, v in zip(TIMES, VALUES, strict=True)]}]},
    "value before time": {"target": "lag", "datapoints": [[v, t.timestamp()] for t, v in zip(TIMES, VALUES, strict=True)]},
    "rows": [{"time": t, "lag": v} for t, v in zip(STAMPS, VALUES, strict=True)],
    "long rows": [{"ts": t, "metric": "lag", "value": v, "unit": "s"} for t, v in zip(STAMPS, VALUES, strict=True)],
    "points under a name": {"metrics": [{"name": "lag", "unit": "s", "points": [{"t": t, "v": v} for t, v in zip(STAMPS, VALUES, strict=True)]}]},
}  # fmt: skip


def folder_with(tmp_path: Path, **files: object) -> Path:
    """A case folder; double underscores stand for the dot of a name."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name.replace("__", ".")).write_text(text)
    return tmp_path


def only(case: ServiceCase) -> Readings:
    assert len(case.readings) == 1, [one.name for one in case.readings]
    return case.readings[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_a_series_is_read_alike(layout: str, tmp_path: Path) -> None:
    case = read_case([folder_with(tmp_path, alert__json=ALERT, any__json=LAYOUTS[layout])])
    found = only(case)
    assert (found.name, found.times, found.values) == ("lag", tuple(TIMES), tuple(VALUES))
    assert case.problems == ()


@pytest.mark.parametrize("comma", [",", ";"])
def test_tables_are_read_wide_and_by_thing(comma: str, tmp_path: Path) -> None:
    rows = [["time", "host", "cpu_percent", "note_id"]]
    rows += [
        [stamp, host, str(value), "7"]
        for host in ("a", "b")
        for stamp, value in zip(STAMPS, VALUES, strict=True)
    ]
    case = read_case(
        [folder_with(tmp_path, alert__json=ALERT, m__csv="\n".join(comma.join(row) for row in rows))]
    )
    assert {(one.name, one.of) for one in case.readings} == {("cpu_percent", "a"), ("cpu_percent", "b")}


def test_log_lines_bear_their_times_and_stack_traces_stay_together(tmp_path: Path) -> None:
    log = (
        "2026-05-04T09:00:01Z ERROR boom\n  at com.shop.Cart(Cart.java:1)\n"
        "May  4 09:00:02 web-1 app[3]: second\n[2026-05-04 09:00:03,120] third\n09:00:04 fourth\nno time at all here\n"
    )
    alert = {**ALERT, "startsAt": "2026-05-04T09:01:00Z"}
    lines = read_case([folder_with(tmp_path, alert__json=alert, app__log=log)]).lines
    assert [line.time.second if line.time else None for line in lines] == [1, 2, 3, 4, None]
    assert "Cart.java" in lines[0].text
    assert {line.time.date() for line in lines if line.time} == {START.date()}


def test_aligned_columns_give_facts_by_row(tmp_path: Path) -> None:
    text = "NAME      READY   STATUS\nweb-1     0/1     Pending\nweb-2     1/1     Running\n"
    facts = read_case([folder_with(tmp_path, alert__json=ALERT, pods__txt=text)]).facts
    assert ("web-1", "STATUS", "Pending") in {(fact.of, fact.key, fact.text) for fact in facts}


def test_nested_states_keep_time_and_words(tmp_path: Path) -> None:
    state = {
        "status": {
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": STAMPS[2]}}
        }
    }
    case = read_case([folder_with(tmp_path, alert__json=ALERT, pods__json={"items": [state]})])
    assert [(line.text, line.time) for line in case.lines] == [("OOMKilled", TIMES[2])]


def test_rankings_keep_what_their_weight_consists_of(tmp_path: Path) -> None:
    top = [
        {
            "statement": "SELECT 1 FROM a",
            "load_avg": 3.0,
            "waits": [{"type": "IO", "name": "read", "load_avg": 2.0}],
        },
        {"statement": "SELECT 2 FROM b", "load_avg": 1.0, "waits": []},
    ]
    case = read_case([folder_with(tmp_path, alert__json=ALERT, top__json={"top_sql": top})])
    assert [(c.table, c.name, c.weight, c.parts) for c in case.consumers] == [
        ("top_sql", "SELECT 1 FROM a", 3.0, (("IO read", 2.0),)),
        ("top_sql", "SELECT 2 FROM b", 1.0, ()),
    ]


def test_what_states_the_answer_is_left_unread_and_named(tmp_path: Path) -> None:
    alert = {**ALERT, "commonAnnotations": {"rds_failure_mode": "secret-word", "summary": "seen"}}
    record = {"time": STAMPS[0], "message": "a line", "root_cause": "secret-word"}
    case = read_case([
        folder_with(
            tmp_path, alert__json=alert, events__json=[record], answer__yml="root_cause_category: secret-word",
            scenario__yml="failure_mode: secret-word", README__md="secret-word",
        )
    ])  # fmt: skip
    assert "secret-word" not in repr(case).replace("withheld", "")
    assert {"answer.yml", "scenario.yml", "README.md"} < set(case.withheld)
    assert "alert.json commonAnnotations.rds_failure_mode" in case.withheld
    assert "events.json [0].root_cause" in case.withheld


def test_bad_parts_are_named_with_their_place_and_the_rest_is_read(tmp_path: Path) -> None:
    case = read_case([
        folder_with(
            tmp_path, bad__json='{"a": ', nan__json='{"lag": {"timestamps": ["2026-05-04T09:00:00Z", "2026-05-04T09:01:00Z"], "values": [NaN, 2]}}',
            short__csv="time,cpu\n2026-05-04T09:00:00,1\n2026-05-04T09:01:00,2,3\n2026-05-04T09:02:00,2\n2026-05-04T09:03:00,n/a\n2026-05-04T09:04:00,4\n",
            bad__yaml="a: [1, 2", empty__log="", good__log="2026-05-04T09:00:00Z ERROR good line\n", blob__bin="a\0b",
        )
    ])  # fmt: skip
    told = {problem.where: problem.text for problem in case.problems}
    assert "unreadable JSON" in told["bad.json"]
    assert "no numbers" in told["nan.json"]
    assert told["short.csv line 3"] == "3 cells where the head has 2: left out"
    assert "1 of 4 readings" in told["short.csv"]
    assert "YAML" in told["bad.yaml"]
    assert told["empty.log"] == "empty"
    assert told["blob.bin"] == "binary, not read"
    texts = [p.text for p in case.problems]
    assert any("no alert" in text for text in texts)
    assert any("bear no zone" in text for text in texts)
    assert [line.text for line in case.lines if line.file == "good.log"] == ["ERROR good line"]


def test_broken_json_lines_cost_only_themselves(tmp_path: Path) -> None:
    log = '{"ts": "2026-05-04T09:00:00Z", "msg": "one"}\n{broken\n{"ts": "2026-05-04T09:00:02Z", "msg": "two"}\n'
    case = read_case([folder_with(tmp_path, alert__json=ALERT, app__jsonl=log)])
    assert [line.text for line in case.lines] == ["one", "two"]
    assert [problem.where for problem in case.problems] == ["app.jsonl line 2"]


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no evidence"):
        read_case([tmp_path])
    with pytest.raises(UsageError, match="no such file"):
        read_case([tmp_path / "missing"])
    with pytest.raises(InputError, match="unreadable JSON"):
        read_case([folder_with(tmp_path, a__json="{broken")])


@pytest.mark.parametrize(
    "question",
    [{"question": "What failed?", "choices": ["network", "disk"]}, "What failed? One of: network, disk"],
)
def test_a_question_gives_the_closed_list(question: object, tmp_path: Path) -> None:
    name = "question__json" if isinstance(question, dict) else "question__txt"
    case = read_case([folder_with(tmp_path, alert__json=ALERT, **{name: question})])
    assert case.choices == ("network", "disk")
    assert "What failed?" in case.question
    assert choices_in("Why?") == ()


_LEAF = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(STAMPS)
)
_TREE = st.recursive(
    _LEAF,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["time", "values", "metric", "message", "timestamps", "name", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(_TREE)
def test_any_document_is_walked_without_a_fault(document: Any) -> None:
    into = Collected(Clock(START))
    collect(document, "any.json", into)
    assert all(
        len(one.times) == len(one.values) and list(one.times) == sorted(one.times) for one in into.readings
    )


@given(st.lists(st.sampled_from(["a", "b", "data", "payload"]), max_size=4), st.sampled_from(sorted(LAYOUTS)))
def test_depth_of_nesting_does_not_matter(path: list[str], layout: str) -> None:
    document = LAYOUTS[layout]
    for key in path:
        document = {key: document}
    into = Collected(Clock(START))
    collect(document, "any.json", into)
    assert [(one.name, one.values) for one in into.readings] == [("lag", tuple(VALUES))]
