"""Layouts that people paste: clock times without a day, tables in text, differences of files, numbers in log lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tools.case_files import read_case
from tools.case_question import answers_in
from tools.case_types import ServiceCase

AT = datetime(2026, 5, 4, 0, 20, tzinfo=UTC)
ALERT = {"title": "Lag is high", "startsAt": "2026-05-04T00:20:00Z"}


def case_of(tmp_path: Path, **files: str) -> ServiceCase:
    """A case of these files beside the alert; double underscores stand for the dot of a name."""
    (tmp_path / "alert.json").write_text(json.dumps(ALERT))
    for name, text in files.items():
        (tmp_path / name.replace("__", ".")).write_text(text)
    return read_case([tmp_path])


@pytest.mark.parametrize("column", ["utc", "time", "minute_utc", "sampled"])
def test_clock_times_get_the_day_nearest_to_the_alert(column: str, tmp_path: Path) -> None:
    rows = "\n".join(
        f"{clock},{value}" for clock, value in [("23:50", 1), ("00:00", 2), ("00:10", 3), ("00:20", 4)]
    )
    found = case_of(tmp_path, any__csv=f"{column},lag\n{rows}\n").readings
    assert [one.name for one in found] == ["lag"]
    assert found[0].times == tuple(AT + timedelta(minutes=m) for m in (-30, -20, -10, 0))


def test_without_a_time_in_the_alert_the_day_of_the_evidence_counts(tmp_path: Path) -> None:
    (tmp_path / "alert.json").write_text(json.dumps({"title": "Lag is high"}))
    (tmp_path / "b.log").write_text("2026-05-04T10:00:00Z started\n2026-05-04T10:30:00Z stopped\n")
    (tmp_path / "a.csv").write_text("time,lag\n10:00,1\n10:10,2\n10:20,3\n")
    times = read_case([tmp_path]).readings[0].times
    assert times[0] == datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


STAMPS = [int((AT - timedelta(minutes=m)).timestamp() * 1000) for m in (3, 2, 1, 0)]
GRIDS = {
    "data frame": {"frames": [{"schema": {"fields": [{"name": "Time", "type": "time"}, {"name": "lag", "type": "number"}]}, "data": {"values": [STAMPS, [1, 2, 3, 4]]}}]},
    "columns and rows": {"results": [{"series": [{"columns": ["time", "lag"], "values": [[stamp, value] for stamp, value in zip(STAMPS, (1, 2, 3, 4), strict=True)]}]}]},
    "header and rows": {"header": ["ts", "lag"], "rows": [[stamp, value] for stamp, value in zip(STAMPS, (1, 2, 3, 4), strict=True)]},
}  # fmt: skip


@pytest.mark.parametrize("layout", GRIDS)
def test_columns_named_apart_from_their_cells_are_read(layout: str, tmp_path: Path) -> None:
    found = case_of(tmp_path, any__json=json.dumps(GRIDS[layout])).readings
    assert [(one.name, one.values) for one in found] == [("lag", (1.0, 2.0, 3.0, 4.0))]


TABLES = {
    "bars": "| host | errors | state |\n|---|---|---|\n| a1 | 3 | ok |\n| a2 | 91 | bad |\n",
    "spaces": "host   errors   state\na1     3        ok\na2     91       bad\n",
    "capitals": "HOST   ERRORS   STATE\na1     3        ok\na2     91       bad\n",
    "ruled": "Host   Errors   State\n----   ------   -----\na1     3        ok\na2     91       bad\n",
}


@pytest.mark.parametrize("table", TABLES)
def test_every_table_in_text_gives_the_same_facts(table: str, tmp_path: Path) -> None:
    case = case_of(tmp_path, any__txt=TABLES[table])
    assert [(f.of, f.key.lower(), f.text) for f in case.facts] == [
        ("a1", "errors", "3"), ("a1", "state", "ok"), ("a2", "errors", "91"), ("a2", "state", "bad"),
    ]  # fmt: skip


def test_ages_of_events_count_back_from_the_last_reading(tmp_path: Path) -> None:
    series = "time,lag\n00:00,1\n00:10,2\n00:20,3\n"
    events = "LAST SEEN   TYPE      REASON    OBJECT   MESSAGE\n12m         Warning   Failed    pod/a    could not start\n"
    (line,) = [
        one for one in case_of(tmp_path, a__csv=series, events__txt=events).lines if "could not" in one.text
    ]
    assert line.time == AT - timedelta(minutes=12)


def test_a_difference_of_files_is_a_change_at_the_time_of_its_heading(tmp_path: Path) -> None:
    text = "# pushed 2026-05-04T00:10:00Z by ops\n--- a/x.conf\n+++ b/x.conf\n@@ -1 +1 @@\n-timeout 5;\n+timeout 1;\n keep;\n"
    changed = [line for line in case_of(tmp_path, any__diff=text).lines if "timeout" in line.text]
    assert [(line.text, line.time) for line in changed] == [
        ("-timeout 5;; +timeout 1;", AT - timedelta(minutes=10))
    ]


def test_a_list_of_dashes_is_no_difference(tmp_path: Path) -> None:
    lines = case_of(tmp_path, any__txt="- first thing seen\n- second thing seen\n").lines
    assert [line.text for line in lines] == ["- first thing seen", "- second thing seen"]


def test_numbers_of_log_lines_that_repeat_are_series(tmp_path: Path) -> None:
    log = "".join(
        f"[2026-05-04 00:{m:02d}:00] step {40 + m} | loss {2.0 + m % 3} | wait_time {m * m} s\n"
        for m in range(12)
    )
    found = {one.name: one for one in case_of(tmp_path, any__log=log).readings}
    assert {"loss", "wait_time"} <= set(found)
    assert "step" not in found
    assert found["wait_time"].values == tuple(float(m * m) for m in range(12))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1183:M 10 Nov 2026 16:06:36.838 * Saving...", datetime(2026, 11, 10, 16, 6, 36, 838000, UTC)),
        (
            '10.0.0.1 - - [11/Nov/2026:21:05:00 +0000] "GET / HTTP/1.1" 200',
            datetime(2026, 11, 11, 21, 5, tzinfo=UTC),
        ),
        ("[23:55] mia: nodes are back", datetime(2026, 5, 3, 23, 55, tzinfo=UTC)),
    ],
)
def test_a_stamp_behind_a_process_or_address_is_the_time_of_the_line(
    line: str, expected: datetime, tmp_path: Path
) -> None:
    assert case_of(tmp_path, any__log=f"{line}\n").lines[0].time == expected


def test_metrics_as_exporters_print_them_are_facts(tmp_path: Path) -> None:
    case = case_of(tmp_path, any__txt='# HELP q_depth waiting\nq_depth{pod="a"} 3\nq_depth{pod="b"} 91\n')
    assert [(f.key, f.of, f.number) for f in case.facts] == [
        ("q_depth", 'pod="a"', 3.0),
        ("q_depth", 'pod="b"', 91.0),
    ]


@pytest.mark.parametrize(
    "question",
    [
        "Which?\n- `disk` - slow or full\n- `net` - packets lost\n",
        "Which?\n1. disk: slow or full\n2. net: packets lost\n",
        "Which?\n| answer | meaning |\n|---|---|\n| disk | slow or full |\n| net | packets lost |\n",
    ],
)
def test_answers_keep_their_meaning(question: str) -> None:
    assert answers_in(question) == {"disk": "slow or full", "net": "packets lost"}
