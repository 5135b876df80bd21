"""A shift at the terminal: one server over a night, and every command a person types against it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from evals.bench_service import HttpSink, Server
from plant.nights import night
from setpoint.contracts.sinks import sink_label
from tests.setpoint.app.terminal import DEMO, Ran, Terminal

PATIENCE_S = 30.0
RULES = """\
area: site
version: 1
rules:
  - id: site.quench
    when: {text: 'QUENCH-VALVE'}
    is: unit-lost
    what: the node
    condition: quench valve opened
    order: 2000
"""


class Shift:
    """The server's store, its sinks, and a terminal beside it."""

    def __init__(self, terminal: Terminal, server: Server, sinks: tuple[HttpSink, HttpSink]) -> None:
        self._terminal, self.server, self.sinks = terminal, server, sinks

    def __call__(self, *arguments: str) -> Ran:
        return self._terminal(*arguments, "--store", str(self.server.store))

    def write(self, name: str, content: str) -> str:
        return self._terminal.write(name, content)

    def incident(self, asset: str) -> str:
        return str(self("incidents", "list", "--asset", asset, "--all", "--json").data[0]["id"])

    def waiting(self, action: str, asset: str = "") -> dict[str, Any]:
        """The pending review of that action."""
        rows = self("review", "list", "--kind", "action", "--json").data
        return next(
            row for row in rows
            if row["proposal"]["action"]["name"] == action and asset in row["proposal"]["action"]["asset"]
        )  # fmt: skip

    def post(self, host: str, message: str) -> None:
        now = datetime.now(UTC).isoformat()
        line = {"time": now, "host": host, "severity": "error", "source": "kernel", "message": message}
        httpx.post(f"{self.server.url}/v1/events", content=json.dumps(line), timeout=30).raise_for_status()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, tuple[HttpSink, HttpSink]]]:
    folder = tmp_path_factory.mktemp("shift")
    (folder / "rules.yaml").write_text(RULES)
    with HttpSink() as first, HttpSink() as second:
        server = Server(folder / "store", DEMO, log=folder / "serve.log", settings={
            "alerts.sinks": json.dumps([f"webhook+{first.url}", f"webhook+{second.url}"]),
            "alerts.escalate_after_s": "2", "triage.rules": json.dumps([str(folder / "rules.yaml")]),
            "models.light.kind": "none", "models.heavy.kind": "none",
        })  # fmt: skip
        server.start()
        body = "\n".join(line.text for line in night(7))
        httpx.post(f"{server.url}/v1/events", content=body, timeout=60).raise_for_status()
        with httpx.Client(timeout=30) as client:
            soon(lambda: at_rest(server.desk("stats", client)))
        yield server, (first, second)
        server.stop()


@pytest.fixture
def shift(terminal: Terminal, served: tuple[Server, tuple[HttpSink, HttpSink]]) -> Shift:
    return Shift(terminal, *served)


def at_rest(stats: dict[str, Any]) -> bool:
    """Everything is triaged and analysed."""
    jobs = sum(n for key, n in stats["jobs_by_state"].items() if key.endswith((":queued", ":running")))
    return not stats["events_waiting"] and not jobs


def soon(find: Any) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return found


# ---- incidents ---------------------------------------------------------------------------------------------------


def test_the_list_holds_what_matters_one_line_each_in_the_sites_time(shift: Shift) -> None:
    lines = shift("incidents", "list").out.splitlines()
    assert "since (Europe/Berlin)" in lines[0]
    assert [line[:2] for line in lines[1:]] == sorted(line[:2] for line in lines[1:])
    assert not any(line.startswith("P3") for line in lines)
    assert any(
        line.startswith("P3")
        for line in shift("incidents", "list", "--all", "--limit", "500").out.splitlines()
    )
    assert "One of: P0, P1, P2, P3" in shift("incidents", "list", "--priority", "P9").err
    assert shift("incidents", "list", "--state", "nonsense").code == 2


def test_an_incident_reads_from_rank_to_timeline(shift: Shift) -> None:
    shown = shift("incidents", "show", shift.incident("leak-r-05")).out
    parts = ["urgency ", "impact ", "ranked by", "cause ", "evidence", "recovery guide", "escalate when", "decisions",
             "timeline (Europe/Berlin)"]  # fmt: skip
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)
    guide = shown[shown.index("recovery guide") : shown.index("escalate when")]
    assert "#escalate-when" not in guide, "what calls for escalation is no step"
    assert "{action:" not in shown


def test_an_incident_is_ranked_by_its_most_important_event(shift: Shift) -> None:
    value = shift("incidents", "show", shift.incident("gpu-19"), "--json").data
    shown = shift("incidents", "show", value["incident"]["id"]).out
    lead = min(
        (e for e in value["events"] if e["triage"]), key=lambda e: (e["triage"]["priority"], e["time"])
    )
    assert f"impact      {lead['triage']['impact']['level']}: {lead['triage']['impact']['reason']}" in shown


def test_acknowledging_and_closing_say_what_is_now_so(shift: Shift) -> None:
    name = shift.incident("temp-r-03")
    assert f"{name} is acknowledged" in shift("incidents", "ack", name, "--why", "on it").out
    assert f"{name} is closed" in shift("incidents", "close", name, "--why", "replaced").out
    assert name not in shift("incidents", "list").out


def test_an_unacknowledged_p0_reaches_the_second_sink_and_says_since_when(shift: Shift) -> None:
    told = soon(
        lambda: [receipt.text for receipt in shift.sinks[1].receipts() if receipt.stage == "escalation"]
    )
    assert "Nobody has acknowledged this P0 for " in told[0]
    assert "days" not in told[0].splitlines()[1], "counted from the alert, not from the night's own time"
    assert "setpoint incidents ack INC-" in told[0]


def test_escalating_by_hand_names_the_sink_without_its_address(shift: Shift) -> None:
    name = shift.incident("leak-r-05")
    said = shift("incidents", "escalate", name, "--why", "needs the plumber").out
    assert said == f"{name} escalated to {sink_label('webhook+' + shift.sinks[1].url)}\n"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("priority", "P0", "priority: P2 -> P0"),
        ("cause", "config_error", "-> config_error"),
        ("wording", "Storage array is slow", "-> Storage array is slow"),
        ("guide-step", "2: Ask the storage team first", "-> 2. Ask the storage team first"),
    ],
)
def test_a_correction_is_told_in_a_line_and_shown_with_the_incident(
    shift: Shift, field: str, value: str, said: str
) -> None:
    name = shift.incident("store-1")
    made = shift("incidents", "correct", name, field, value, "--why", "seen by me")
    assert said in made.out
    shown = shift("incidents", "show", name).out
    assert "corrected" in shown
    assert "(ana: seen by me)" in shown


def test_a_guide_step_that_is_not_there_is_refused(shift: Shift) -> None:
    made = shift("incidents", "correct", shift.incident("store-1"), "guide-step", "99: x", "--why", "y")
    assert made.code == 2
    assert "has no step 99" in made.err


# ---- reviews -----------------------------------------------------------------------------------------------------


def test_the_queue_stands_under_its_incidents(shift: Shift) -> None:
    lines = shift("review", "list").out.splitlines()
    heads = [line for line in lines if not line.startswith("  ")]
    assert len(heads) < len(lines)
    assert [head.split()[0] for head in heads if head.startswith(" P")] == sorted(
        head.split()[0] for head in heads if head.startswith(" P")
    )


def test_high_risk_needs_two_people(shift: Shift) -> None:
    name = shift.waiting("close_leak_valve")["id"]
    assert "0 of 2 yes" in shift("review", "list").out
    for typed in ((), ("--asset", "r-99")):
        bare = shift("review", "approve", name, "--why", "wet on camera", *typed)
        assert (bare.code, "This is of high risk: type" in bare.err) == (2, True)
    assert "0 of 2 yes" in shift("review", "list").out, "nothing was recorded"
    asset = ("--asset", shift.waiting("close_leak_valve")["proposal"]["action"]["asset"].upper())
    first = shift("review", "approve", name, "--why", "wet on camera", *asset).out
    assert "1 of 2 have agreed (ana); another person must agree" in first
    again = shift("review", "approve", name, *asset)
    assert (again.code, "2 different people" in again.err) == (4, True)
    assert "approved by ben" in shift("review", "approve", name, "--as", "ben", *asset).out


def test_an_edit_is_shown_beside_what_was_asked(shift: Shift) -> None:
    asked = shift.waiting("set_coolant_flow")
    flow = asked["proposal"]["action"]["args"]["flow_lpm"]
    assert "at most 320 LPM" in shift("review", "edit", asked["id"], "--arg", "flow_lpm=999").err
    assert shift("review", "edit", asked["id"], "--arg", "flow_lpm=181", "--why", "old filter").code == 0
    shown = shift("review", "show", asked["id"]).out
    assert f"flow_lpm {flow:g} -> 181" in shown
    assert "to 181 LPM" in shown, "the effect is that of the edited action"
    assert "E" in shown.split("evidence", 1)[1]
    assert "because: old filter" in shift("feedback", "list", "--subject", asked["id"]).out


def test_an_answer_asks_again_with_the_answer_beside_it(shift: Shift) -> None:
    asked = shift.waiting("page")
    assert "answered by ana" in shift("review", "respond", asked["id"], "he is on his way").out
    soon(lambda: '[ana answered: "he is on his way"]' in shift("review", "list").out)


def test_the_sites_rules_count_after_a_yes(shift: Shift) -> None:
    assert "pending" in shift("rules", "list").out
    (row,) = shift("review", "list", "--kind", "rule_change", "--json").data
    shown = shift("review", "show", row["id"]).out
    assert "+  - id: site.quench" in shown
    shift.post("gpu-30", "QUENCH-VALVE open")
    soon(lambda: shift("incidents", "list", "--asset", "gpu-30", "--all", "--json").data)
    assert shift("review", "approve", row["id"], "--why", "ours").code == 0
    soon(lambda: "accepted" in shift("rules", "list").out)
    soon(lambda: quenched(shift, "gpu-29"))


def quenched(shift: Shift, asset: str) -> bool:
    """An event of now is ranked by the site's rule. The rules count a moment after the yes, so it is sent anew."""
    shift.post(asset, "QUENCH-VALVE open")
    found = shift("incidents", "list", "--asset", asset, "--all", "--json").data
    return any(one["title"] == f"Quench valve opened on {asset}" for one in found)


# ---- the rest ----------------------------------------------------------------------------------------------------


def test_a_silenced_event_notifies_nobody_and_is_recorded(shift: Shift) -> None:
    made = shift("silence", "add", "--asset", "gpu-2[78]", "--minutes", "30", "--why", "CHG-112")
    assert "asset gpu-2[78] notifies nobody until" in made.out
    assert "CHG-112" in shift("silence", "list").out
    shift.post("gpu-28", "NVRM: Xid (PCI:0000:41:00): 79, GPU has fallen off the bus.")
    shift.post("leak-r-01", "Leak rope wet at rack r-01, zone 1")
    soon(lambda: any("leak-r-01" in receipt.text for receipt in shift.sinks[0].receipts()))
    assert not any("gpu-28" in receipt.text for receipt in shift.sinks[0].receipts())
    assert shift("incidents", "list", "--asset", "gpu-28", "--all", "--json").data
    assert shift("silence", "remove", made.out.split(":")[0]).code == 0
    assert "nothing is silenced" in shift("silence", "list").out


@pytest.mark.parametrize("minutes", ["-5", "0", "nan", "1e12"])
def test_a_silence_lasts_a_sensible_time(shift: Shift, minutes: str) -> None:
    made = shift("silence", "add", "--asset", "x", f"--minutes={minutes}", "--why", "y")
    assert made.code == 2
    assert "a silence cannot last" in made.err or "an argument cannot be sent" in made.err


def test_manuals_that_cannot_be_read_do_not_keep_out_the_others(shift: Shift) -> None:
    shift.write("pump.html", "<h1>Pump X200</h1><h2>Seal</h2><p>Replace the X200 seal every 8000 hours.</p>")
    shift.write("empty.md", "")
    added = shift("knowledge", "add", "nowhere.md", "empty.md", "pump.html")
    assert added.code != 0
    assert "nowhere.md: cannot be read: No such file" in added.err
    assert "empty.md: holds no text" in added.err
    assert added.out == "pump.html: 1 passage\n"
    assert "Replace the X200 seal" in shift("knowledge", "search", "X200 seal").out
    assert shift("knowledge", "remove", "pump.html").out == "pump.html removed\n"


def test_questions_are_answered_with_facts(shift: Shift) -> None:
    def ask(question: str) -> str:
        return shift("chat", "--once", question).out

    assert "incidents are open; the most urgent is INC-" in ask("what is going on?")
    assert "CET)" in ask("what is going on?")
    assert "1. Cordon the node" in ask("how do I handle XID 79?")
    assert "{action:" not in ask("how do I handle XID 79?")
    assert "I cannot put that to review: the catalog" in ask("restart cdu-1")
    assert 'say "propose it"' in ask("drain gpu-07")
    assert "I can read and explain, not act" in ask("approve REV-1")
    assert "No incident INC-0000 is known here" in ask("what about INC-0000?")
    assert shift.incident("leak-r-05") in ask("why does leak-r-05 matter?")


def test_the_record_of_who_did_what_is_short_and_intact(shift: Shift) -> None:
    shown = shift("audit", "list", "--limit", "5").out.splitlines()
    assert len(shown) == 6
    assert "is intact; its head is" in shift("audit", "verify").out


def test_no_output_of_a_pipe_holds_escape_codes(shift: Shift) -> None:
    for command in (
        ("incidents", "list"),
        ("review", "list"),
        ("incidents", "show", shift.incident("leak-r-05")),
    ):
        assert "\x1b" not in shift(*command).out


def test_settings_are_shown_without_secrets(terminal: Terminal) -> None:
    sinks = '["slack://TokenA/TokenB/TokenC", "webhook+https://hooks.example.org/T0/secret"]'
    terminal.write("setpoint.toml", f"[alerts]\nsinks = {sinks}\n")
    shown = terminal("config", "show", "--origin").out
    assert '["slack", "webhook hooks.example.org"]' in shown
    assert "setpoint.toml" in shown
    assert "Token" not in shown
    assert "secret" not in shown
    assert Path("setpoint.toml").is_file()
