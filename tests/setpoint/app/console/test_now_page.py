"""Now: what needs a person, the live plots, the plant at a glance, and the kill switch on every page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from setpoint.app.console.render import HERE
from setpoint.contracts import Quarantined
from setpoint.contracts.accounts import Role
from setpoint.contracts.loops import Cycle, LoopPlan, Trouble
from setpoint.ledger.records import OpenTrouble
from tests.setpoint.app.console.many import fill
from tests.setpoint.app.console.shift import LEAK, PUMP, Shift, on_shift
from tests.setpoint.app.console.words import Page
from tests.setpoint.app.served import Served, serving

HOSTILE = "<script>alert(1)</script> \u202egnp.exe " + "x" * 10_000


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with on_shift(tmp_path_factory.mktemp("shift")) as made:
        yield made


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Served]:
    """A fresh store that nothing has come into."""
    with serving(tmp_path) as made:
        yield made


async def asked(served: Served, path: str, status: int = 200, **headers: str) -> Page:
    async with served.client() as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == status, answer.text[:600]
    return Page(answer.text)


# ---- what needs a person -------------------------------------------------------------------------------------------


async def test_an_empty_store_says_that_nothing_waits(alone: Served) -> None:
    page = await asked(alone, "/")
    assert "Nothing waits for a person." in page.words
    assert "Stop all actions" in page.words, "the kill switch is there all the same"


async def test_what_is_most_urgent_stands_first_and_has_its_action_beside_it(shift: Shift) -> None:
    review = shift.ask()
    page = await (await shift.browser("olga", "operator")).open("/")
    ranks = re.findall(r'class="badge (p\d)"', page.text.partition('id="plots-head"')[0])
    assert ranks == sorted(ranks)
    assert len(ranks) > 2
    assert f"/approvals#{review.id}" in page.links
    assert f'name="incident" value="{LEAK}"' in page.text, "a P0 that nobody has can be acknowledged here"
    assert f'value="{PUMP}"' not in page.text, "one that somebody has is not asked about"


async def test_a_viewer_is_offered_nothing_to_acknowledge(shift: Shift) -> None:
    page = await (await shift.browser("vera", "viewer")).open("/")
    assert "/now/acknowledge" not in page.text


async def test_acknowledging_answers_with_what_is_left(shift: Shift) -> None:
    olga = await shift.browser("olga", "operator")
    answer = await olga.fetch("/now/acknowledge", incident=LEAK)
    assert f'value="{LEAK}"' not in answer.text
    assert shift.ledger.get_incident(LEAK).state == "acknowledged"
    assert any(
        row.who == "olga" and row.what == "incident-acknowledged"
        for row in shift.ledger.list_audit(subject=LEAK)
    )


async def test_the_counts_stand_in_the_navigation(shift: Shift) -> None:
    shift.ask()
    waiting = shift.ledger.waiting()
    page = await (await shift.browser("vera", "viewer")).open("/frame/nav?at=now")
    assert f"Approvals {waiting.reviews} waiting for a decision" in page.words


async def test_what_could_not_be_read_waits_for_somebody(alone: Served) -> None:
    item = Quarantined(
        id="Q-1",
        received=datetime.now(UTC),
        origin=HOSTILE,
        reason=HOSTILE,
        remedy="mend it",
        raw=HOSTILE.encode(),
    )
    alone.runtime.ledger.accept([], [item], "test")
    page = await asked(alone, "/")
    assert "1 item could not be read" in page.words
    assert "/quarantine" in page.links


async def test_a_loop_of_setpoint_that_has_ended_stands_above_all(
    alone: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone.runtime.engine, "dead_loops", lambda: ["the delivery loop has ended"])
    alone.runtime.engine.troubles["triage"] = HOSTILE
    page = await asked(alone, "/")
    assert "The delivery loop has ended: start Setpoint again" in page.words
    assert "\\u202egnp.exe" in page.text


async def test_a_control_loop_that_is_held_says_by_what_and_since_when(alone: Served) -> None:
    now = datetime.now(UTC)
    trouble = Trouble(
        kind="stale", asset="cdu-1", metric="supply_temp_c", what="the supply of cdu-1 was last read 9 min ago",
        instead="it holds 32 C", remedy="Look at its gateway",
    )  # fmt: skip
    plan = LoopPlan(loop="cooling", site="demo", made=now, horizon_s=3600.0, headline="holds")
    cycle = Cycle(id="LOOP-cooling-20260314T120000Z", loop="cooling", at=now, plan=plan)
    told = OpenTrouble(event_id="E-1", since=now, trouble=trouble)
    alone.runtime.ledger.note_cycle(cycle, troubles={"cdu-1 supply_temp_c": told})
    assert "cooling loop" not in (await asked(alone, "/")).words, "a loop that is not enabled holds nobody up"
    alone.runtime.loops.names = ("cooling",)
    page = await asked(alone, "/")
    assert "The cooling loop proposes nothing: the supply of cdu-1 was last read 9 min ago" in page.words
    assert "it holds 32 C. Look at its gateway" in page.words


# ---- plots and plant ------------------------------------------------------------------------------------------------


async def test_the_plots_tell_values_limits_and_what_was_done(shift: Shift) -> None:
    page = await (await shift.browser("vera", "viewer")).open("/")
    for head in ("Site power", "Hottest GPU", "Warmest rack inlet", "Stored energy", "Time to first token"):
        assert head in page.words
    assert page.text.count("data-plot=") == 5
    assert "contracted 430" in page.words


async def test_a_span_that_is_none_gives_the_nearest_that_is(shift: Shift) -> None:
    vera = await shift.browser("vera", "viewer")
    for hours in ("0", "-5", "1e9", "nan", "inf"):
        page = await vera.open(f"/now/plots?hours={hours}")
        assert page.text.count('aria-current="true"') == 1


async def test_the_plant_shows_every_rack_and_the_incidents_on_it(shift: Shift) -> None:
    page = await (await shift.browser("vera", "viewer")).open("/")
    site = shift.served.runtime.site
    assert {f"/incidents?asset={rack.name}" for rack in site.of_kind("rack", "cdu", "ups", "pdu")} <= set(
        page.links
    )
    cell = re.search(r'<a class="cell[^>]*href="/incidents\?asset=r-05".*?</a>', page.text, re.DOTALL)
    assert cell
    assert "P0" in cell[0], "a leak sensor has no cell: its rack shows the incident"


async def test_a_site_without_readings_says_so_and_stays_grey(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.runtime.adapter = None
        served.runtime.history = NothingRead()
        page = await asked(served, "/")
    assert "Nothing was read in this time." in page.words
    assert "Nothing is read from this site now" in page.words
    assert set(re.findall(r'class="cell (u\d)"', page.text)) == {"u9"}


class NothingRead:
    """A history without a single reading."""

    def metrics(self, asset: str) -> list[str]:
        return []

    def series(self, asset: str, metric: str) -> None:
        return None


# ---- the kill switch ------------------------------------------------------------------------------------------------

PAGES = (
    "/",
    "/incidents",
    "/approvals",
    "/knowledge",
    "/feedback",
    "/autonomy",
    "/evals",
    "/audit",
    "/quarantine",
    "/stop",
)


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_the_switch_and_tells_who_stopped_when_and_why(shift: Shift, path: str) -> None:
    vera = await shift.browser("vera", "viewer")
    assert 'action="/stop"' in (await vera.open(path)).text
    switch = shift.served.runtime.settings.store.dir / "STOP"
    switch.write_text("by mira: technician in <b>r-05</b> \u202e\n")
    try:
        page = await vera.open(path)
    finally:
        switch.unlink()
    assert "All actions are stopped since" in page.words
    assert "by mira: technician in <b>r-05</b> \\u202e" in page.words
    assert "setpoint stop --release" in page.words


async def test_stopping_needs_no_role_and_no_ledger(shift: Shift, monkeypatch: pytest.MonkeyPatch) -> None:
    vera = await shift.browser("vera", "viewer")
    switch = shift.served.runtime.settings.store.dir / "STOP"
    answer = await vera.fetch("/stop", why="smoke in hall 1")
    assert "by vera: smoke in hall 1" in answer.text
    assert switch.read_text() == "by vera: smoke in hall 1\n"
    await vera.fetch("/stop/release", status=403, why="it was nothing")
    anna = await shift.browser("anna", "approver")
    await anna.send("/stop/release", why="it was nothing")
    assert not switch.exists()
    told = [(row.who, row.what) for row in shift.ledger.list_audit(subject="site")]
    assert told == [("vera", "actions-stopped"), ("anna", "actions-released")]


async def test_a_ledger_that_is_locked_holds_up_no_stop(
    alone: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from setpoint.errors import StoreLocked

    def locked(*_: Any, **__: Any) -> None:
        raise StoreLocked("the ledger is locked")

    monkeypatch.setattr(alone.runtime.ledger, "audit", locked)
    monkeypatch.setattr(alone.runtime.ledger, "waiting", locked)
    async with alone.client() as client:
        token = re.findall(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/stop")).text)[0]
        answer = await client.post("/stop", data={"csrf": token, "why": ""}, headers={"X-Fragment": "1"})
    assert answer.status_code == 200
    assert "no reason given" in answer.text
    assert (alone.runtime.settings.store.dir / "STOP").exists()


async def test_a_stop_goes_back_to_the_page_it_was_pressed_on_and_nowhere_else(alone: Served) -> None:
    async with alone.client() as client:
        token = re.findall(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/stop")).text)[0]
        for referer, back in (
            ("http://127.0.0.1:8321/audit", "/audit"),
            ("https://evil.example//x", "/"),
            ("", "/"),
        ):
            answer = await client.post(
                "/stop", data={"csrf": token}, headers={"referer": referer} if referer else {}
            )
            assert (answer.status_code, answer.headers["location"]) == (303, back)


# ---- frame ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "admin"])
async def test_every_role_sees_every_page_and_a_hostile_night_stays_text(shift: Shift, role: Role) -> None:
    person = await shift.browser(f"O'Neil {role}", role)
    for path in PAGES:
        page = await person.open(path)  # Page refuses scripts, handlers, styles and an id that stands twice
        assert "\u202e" not in page.text


async def test_titles_and_causes_that_hold_markup_stay_text(alone: Served) -> None:
    fill(alone.runtime.ledger, alone.runtime.site, 20, datetime.now(UTC), titles=(HOSTILE,))
    for path in PAGES:
        page = await asked(alone, path)
        assert "\u202e" not in page.text
    assert "<script>alert(1)</script> \\u202egnp.exe" in (await asked(alone, "/")).words
    assert len((await asked(alone, "/")).text) < 150_000, (
        "a title of 10 kB is cut where it is one line of many"
    )


def test_the_scripts_are_small_and_ask_nobody_else() -> None:
    """The page's policy would stop them; nothing should have to."""
    static = HERE / "static"
    assert (static / "console.js").stat().st_size < 25_000
    for script in static.glob("*.js"):
        assert "http" not in script.read_text().replace("http://www.w3.org/2000/svg", ""), script.name
