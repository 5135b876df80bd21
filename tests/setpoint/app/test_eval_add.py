"""`setpoint eval add`: what people corrected becomes a case that fails while Setpoint still errs and passes once it does
not; what nobody corrected becomes a case that holds what is right today."""

from __future__ import annotations

import gc
import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from evals.bench_service import Server
from evals.folders.folder import read_folder
from evals.registry import SUITES, Ask
from evals.running.contenders import baseline
from evals.running.runner import run_suite
from evals.suites import cases
from setpoint.app.case_desk import cases_show
from setpoint.app.case_events import read_events
from setpoint.app.cli_eval_add import check, write
from setpoint.app.opening import make_desk
from setpoint.contracts import Event
from setpoint.contracts.site import load_site
from setpoint.errors import InputError, UsageError
from setpoint.settings import Settings
from tests.setpoint.app.sample import Sample
from tests.setpoint.app.terminal import DEMO, Ran, Terminal
from tools.telemetry import Kept

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
EVENTS = """\
<130>1 2026-11-03T04:02:00Z crah-3 plc - - - QUENCH-PLATE misaligned, unit stopped
<130>1 2026-11-03T04:02:30Z crah-3 plc - - - fan failure: supply fan stopped, no air flow
"""
RULE = """\
area: site
version: 1
rules:
  - id: site.quench-plate
    when: {text: 'QUENCH-PLATE|supply fan stopped'}
    is: routine
    what: the unit
    condition: quench plate test
    order: 5000
"""
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store of the first test that played it is kept for the others."""
    return tmp_path_factory.mktemp("kept") / "store"


@pytest.fixture
def shift(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, kept: Path) -> Terminal:
    """A terminal beside a store in which one air handler failed."""
    monkeypatch.setenv("SETPOINT_SITE__FILE", str(DEMO))
    if not kept.exists():
        assert terminal.play(terminal.write("events.log", EVENTS), store=str(kept)).code in (0, 4)
    shutil.copytree(kept, terminal.folder / "store")
    return terminal


def worst(shift: Terminal) -> str:
    return str(
        shift("incidents", "list", "--asset", "crah-3", "--all", "--json", "--store", "store").data[0]["id"]
    )


def added(shift: Terminal, *arguments: str) -> Ran:
    return shift("eval", "add", *arguments, "--to", "mine", "--store", "store")


def problems(folder: Path, logs: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the suite says of this one folder."""
    monkeypatch.setattr(cases, "CASEBOOK", folder)
    ran = run_suite("cases", SUITES["cases"].load(), Ask(contender=baseline("rules")), logs=logs)
    assert ran.errors == ()
    return [problem for outcome in ran.cases.values() for problem in outcome.problems]


def test_a_corrected_incident_fails_until_setpoint_is_right(
    shift: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = worst(shift)
    said = shift("incidents", "show", incident, "--json", "--store", "store").data
    cause = said["diagnosis"]["hypotheses"][0]["cause"]
    rejected = next(one for one in said["reviews"] if one["kind"] == "action")
    for field, value, why in (("priority", "P3", "it was a test"), ("cause", "no_fault", "nobody told us")):
        assert (
            shift("incidents", "correct", incident, field, value, "--why", why, "--store", "store").code == 0
        )
    assert shift("review", "reject", rejected["id"], "--why", "for a test?", "--store", "store").code == 0

    made = added(shift, "--corrected", "--tag", "cooling")
    assert (made.code, made.err) == (0, "")
    folder = tmp_path / "mine" / incident.lower()
    case = read_folder(folder).case
    assert case.tags == ("cooling", "corrected")
    assert case.site == "demo"
    for words in ("priority corrected by ana: it was a test", "rejected by ana: for a test?"):
        assert words in case.source
    (expected,) = case.expect
    assert (expected.priority, expected.cause, expected.forbidden_causes) == ("P3", "no_fault", (cause,))
    action = rejected["proposal"]["action"]
    assert [str(one) for one in expected.forbidden_actions] == [f"{action['name']} on {action['asset']}"]

    found = problems(folder, tmp_path / "before", monkeypatch)
    assert any("is P3" in one for one in found)
    assert any(f"says {cause}" in one for one in found)
    assert any(f"proposes {action['name']}" in one for one in found)

    (folder / "rules.yaml").write_text(RULE)
    raw = yaml.safe_load((folder / "case.yaml").read_text())
    (folder / "case.yaml").write_text(yaml.safe_dump(raw | {"rules": "rules.yaml"}))
    assert problems(folder, tmp_path / "after", monkeypatch) == []

    again = added(shift, "--corrected")
    assert again.out == "No corrected incident without a case in mine\n"
    assert "is there already" in added(shift, "--from-incident", incident).err


def test_what_nobody_corrected_holds_what_is_right_today(
    shift: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = worst(shift)
    (told,) = json.loads(added(shift, "--from-incident", incident, "--title", "Fan off", "--json").out)
    assert (told["title"], told["tags"], told["events"]) == ("Fan off", ["regression"], 2)
    assert told["source"] == f"{incident}: as Setpoint said, nobody corrected it"
    assert problems(Path(told["folder"]), tmp_path / "logs", monkeypatch) == []


def test_an_approved_and_an_edited_action_are_required_as_people_want_them(
    shift: Terminal, tmp_path: Path
) -> None:
    incident = worst(shift)
    asked = shift("review", "list", "--kind", "action", "--json", "--store", "store").data
    cap = next(one for one in asked if one["proposal"]["action"]["name"] == "cap_gpu_power")
    edited = shift("review", "edit", cap["id"], "--arg", "cap_w=520", "--why", "enough", "--store", "store")
    assert edited.code == 0
    assert added(shift, "--from-incident", incident).code == 0
    case = read_folder(tmp_path / "mine" / incident.lower()).case
    wanted = [one for some in case.expect[0].required_actions for one in some]
    assert [str(one) for one in wanted] == [
        f"cap_gpu_power on {cap['proposal']['action']['asset']} (cap_w=520)"
    ]
    assert "edited by ana: enough" in case.source


def test_events_are_kept_as_they_were_with_readings_around_them(played: Sample, tmp_path: Path) -> None:
    incident = next(one for one in played.ledger.list_incidents() if one.event_count > 2)
    desk = make_desk(Settings(), played.site, played.ledger)
    before = played.ledger.events_of(incident.id)
    begin = min(event.time for event in before)
    moments = [begin + timedelta(minutes=minutes) for minutes in (-300, -30, 0, 300)]
    history = Kept.of(("cdu-1", "flow_lpm", moment, 150.0) for moment in moments)
    with_history = type(desk)(**{**vars(desk), "history": lambda: history})
    folder = write(tmp_path / "case", json.loads(json.dumps(cases_show(with_history, incident.id))))
    lines = (folder / "events.kept.jsonl").read_text().splitlines()
    kept = {event.id: event for event in map(Event.model_validate_json, lines)}
    assert all(kept[event.id] == event for event in before)
    rows = (folder / "telemetry.csv").read_text().splitlines()
    assert [row.split(",")[1:] for row in rows[1:]] == [["cdu-1", "flow_lpm", "150.0"]] * 2
    assert check(folder)["events"] == len(kept)


def test_odd_characters_in_an_event_stay_in_it(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 3, tzinfo=UTC)
    odd = Event(
        id="e", time=moment, received=moment, asset="a", source="s", kind="", message="one\u2028two\x85three"
    )
    (tmp_path / "x.kept.jsonl").write_text(json.dumps(odd.model_dump(mode="json"), ensure_ascii=False) + "\n")
    assert read_events(tmp_path / "x.kept.jsonl", None, None) == ([odd], [])
    (tmp_path / "x.kept.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="id: Field required"):
        read_events(tmp_path / "x.kept.jsonl", None, None)


def test_a_site_of_its_own_comes_with_the_case(played: Sample, tmp_path: Path) -> None:
    site = played.site.model_copy(update={"name": "ours"})
    incident = played.ledger.list_incidents()[0]
    folder = write(tmp_path / "case", cases_show(make_desk(Settings(), site, played.ledger), incident.id))  # type: ignore[arg-type]
    assert load_site(folder / "site.yaml") == site


def test_a_folder_somebody_wrote_is_checked(terminal: Terminal) -> None:
    book = Path(cases.__file__).parents[1] / "casebook"
    good = terminal("eval", "add", str(book / "uplink-flaps"))
    assert good.code == 0
    assert "One of two uplinks of a leaf goes down and up six times, 12 events, split dev" in good.out
    assert "expects cause: ib_link_flap" in good.out
    bad = terminal("eval", "add", str(book))
    assert (bad.code, "there is no such file" in bad.err) == (2, True)
    assert "takes one of" in terminal("eval", "add").err
    assert "takes one of" in terminal("eval", "add", str(book), "--corrected").err


def test_a_case_is_made_through_the_running_server(terminal: Terminal, tmp_path: Path) -> None:
    server = Server(tmp_path / "store", DEMO, log=tmp_path / "serve.log", settings={
        "models.light.kind": "none", "models.heavy.kind": "none",
    })  # fmt: skip
    server.start()
    try:
        line = {"time": datetime.now(UTC).isoformat(), "host": "crah-3", "severity": "error", "message": "supply fan stopped"}  # fmt: skip
        httpx.post(f"{server.url}/v1/events", content=json.dumps(line), timeout=30).raise_for_status()
        deadline = time.monotonic() + PATIENCE_S
        listed: list[dict[str, str]] = []
        while not listed:
            assert time.monotonic() < deadline, "no incident came"
            listed = terminal("incidents", "list", "--all", "--json", "--store", str(server.store)).data
        made = terminal(
            "eval", "add", "--from-incident", listed[0]["id"], "--to", "mine", "--store", str(server.store)
        )
    finally:
        server.stop()
    assert (made.code, made.err) == (0, "")
    assert read_folder(Path("mine") / listed[0]["id"].lower()).case.site == "demo"


def test_an_incident_that_is_not_there_is_refused(shift: Terminal) -> None:
    missing = added(shift, "--from-incident", "INC-NOWHERE")
    assert missing.code == UsageError.exit_code
    assert "INC-NOWHERE" in missing.err
    assert not (shift.folder / "mine").exists()
