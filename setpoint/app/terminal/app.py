"""`setpoint chat` at a terminal: the conversation, and beside it incidents, the approval queue and plots of the site.

It looks at the desk each second, and at once where a server tells of a change. Writing goes through the desk alone, except for
the stop file, which is written directly: it must work where nothing else does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget
from textual.widgets import OptionList, Static, Tab, Tabs

from setpoint.app.formatting import counted, visible
from setpoint.app.terminal import sheets
from setpoint.app.terminal.asking import Asking
from setpoint.app.terminal.decide import Deciding, Kind
from setpoint.app.terminal.forms import Sheet
from setpoint.app.terminal.link import Link
from setpoint.app.terminal.news import News
from setpoint.app.terminal.panels import Keys, Plots, Side
from setpoint.app.terminal.picture import MOST_INCIDENTS, Looker, Picture
from setpoint.app.terminal.talk import Talk
from setpoint.app.terminal.words import incident_row, now_utc, review_row
from setpoint.errors import SetpointError

LOOK_EVERY_S = 1.0
LOOK_TOLD_S = 5.0
"""Where the server tells of changes, a look without being told comes so seldom."""
LOOK_LEAST_S = 0.2
"""Changes that come closer together are seen in one look."""
WIDE = 100
"""Columns from which on all panes are shown at once."""
NOBODY = (
    "people have accounts here and you are nobody yet: you may look. Your page /you in the browser, or `setpoint token add`, "
    "makes an API token; put it into SETPOINT_TOKEN and open the console again"
)
PANES = ("talk", "incidents", "reviews", "plots")
TITLES = {"talk": "Conversation", "incidents": "Incidents", "reviews": "Approvals", "plots": "Plots"}
ON_MAIN = frozenset(
    {
        "approve",
        "edit",
        "reject",
        "respond",
        "acknowledge",
        "silence",
        "details",
        "help",
        "next_pane",
        "take_up",
    }
)
"""What is not begun while a sheet is open."""


class ConsoleApp(App[None]):
    """The console in the terminal."""

    CSS_PATH = "console.tcss"
    TITLE = "Setpoint"
    ENABLE_COMMAND_PALETTE = False
    # Textual declares the two as instance variables.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012  # Textual reads it of the class
    VERTICAL_BREAKPOINTS = [(0, "-low"), (44, "-tall")]  # noqa: RUF012  # Textual reads it of the class
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help", priority=True),
        Binding("f2", "decide('approve')", "approve", priority=True),
        Binding("f3", "decide('edit')", "edit", priority=True),
        Binding("f4", "decide('reject')", "reject", priority=True),
        Binding("f5", "decide('respond')", "respond", priority=True),
        Binding("f6", "acknowledge", "acknowledge", priority=True),
        Binding("f7", "silence", "silence", priority=True),
        Binding("f8", "details", "open", priority=True),
        Binding("f9,ctrl+s", "stop", "stop", priority=True),
        Binding("escape", "stop_answer", "stop the answer"),
        Binding("ctrl+r", "take_up", "last conversation", priority=True),
        Binding("ctrl+n", "next_pane", "next pane", priority=True),
        Binding("ctrl+q", "quit", "quit", priority=True),
    ]

    def __init__(self, link: Link, who: str) -> None:
        super().__init__()
        self.link, self.who = link, who
        self.picture = Picture()
        self._looker = Looker(link, link.stop.reason, who)
        self._asking = Asking(link, who)
        self._changed = asyncio.Event()
        self.news = News(link, self._changed.set)
        self.header, self.band, self.trouble, self.told = (
            Static("", markup=False, id=name) for name in ("header", "band", "trouble", "told")
        )
        self.talk, self.plots, self.keys = Talk(id="talk", classes="-shown"), Plots(), Keys()
        self.incidents = Side("incidents", "no open incident")
        self.reviews = Side("reviews", "nothing waits for a decision")
        self._on_incident = True
        """Whether the incidents had the focus last, of the two lists."""
        self._trouble = ""

    # ---- layout -----------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.band
        yield self.trouble
        yield Tabs(*(Tab(TITLES[name], id=f"tab-{name}") for name in PANES), id="tabs")
        with Container(id="panes"):
            yield self.talk
            with Vertical(id="side"):
                yield self.incidents
                yield self.reviews
                yield self.plots
        yield self.told
        yield self.keys

    def on_mount(self) -> None:
        for name in PANES:
            self.query_one(f"#{name}", Widget).border_title = TITLES[name]
        self.talk.question.focus()
        self._show()
        self.set_interval(1.0, self._show)
        if self.link.server and self.link.server.nobody:
            self._tell(NOBODY, wrong=True)
        self._watch()
        self._listen()

    @on(Tabs.TabActivated)
    def _show_pane(self, event: Tabs.TabActivated) -> None:
        self._bring((event.tab.id or "").removeprefix("tab-"))

    def _bring(self, name: str) -> None:
        """In a narrow terminal one pane is shown at a time."""
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == name, "-shown")
        self.query_one("#side").set_class(name != "talk", "-shown")
        target = self.talk.question if name == "talk" else self.query_one(f"#{name}", Widget)
        if self.query_one("#tabs").display and not self.query_one("#tabs").has_focus:
            target.focus()

    # ---- looking ------------------------------------------------------------------------------------------------------

    @work(exclusive=True, group="look")
    async def _watch(self) -> None:
        """Look, show, wait, for as long as the console is open."""
        while True:
            try:
                self.picture = await asyncio.to_thread(self._looker)
                self._trouble = ""
            except SetpointError as error:
                self._trouble = str(error)
            self._show()
            for screen in self.screen_stack:
                if isinstance(screen, Sheet):
                    screen.noticed(self.picture)
            await self._next_look()

    async def _next_look(self) -> None:
        """At once where something changed, else when it is time."""
        try:
            await asyncio.wait_for(self._changed.wait(), LOOK_TOLD_S if self.news.live else LOOK_EVERY_S)
        except TimeoutError:
            return
        self._changed.clear()
        await asyncio.sleep(LOOK_LEAST_S)

    @work(exclusive=True, group="news")
    async def _listen(self) -> None:
        await self.news.listen()

    def _show(self) -> None:
        """Everything but the conversation, from the last look; counting times go on without one."""
        now, picture = now_utc(), self.picture
        self.incidents.show(picture.incidents, lambda row: incident_row(row, now))
        self.reviews.show(picture.reviews, lambda row: review_row(row, now))
        self.plots.show(picture)
        stopped = self.link.stop.reason()
        _say(self.band, stop_words(stopped))
        _say(self.trouble, self._trouble_words())
        self.keys.release = bool(stopped)
        self.keys.draw()
        self._write_header(stopped)

    def _trouble_words(self) -> str:
        since = self.link.lost_since
        if since is None:
            return visible(self._trouble)
        at = since.astimezone(ZoneInfo(self.picture.zone))
        if not self.link.let_in:
            return (
                f"NOT LET IN since {at:%H:%M:%S}: {visible(self._trouble)}. Lists are as they were then. Stopping works all the "
                "same."
            )
        return (
            f"SERVER LOST since {at:%H:%M:%S}: {visible(self._trouble)}. Lists are as they were then; it is asked again "
            "each second. Stopping works all the same."
        )

    def _write_header(self, stopped: str) -> None:
        picture = self.picture
        now = now_utc().astimezone(ZoneInfo(picture.zone))
        alone = "no server: decisions wait for `setpoint serve`" if self.size.width >= WIDE else "no server"
        live = {"server": "live", "alone": alone, "lost": "SERVER LOST" if self.link.let_in else "NOT LET IN"}
        self.header.update(
            Text.assemble(
                ("Setpoint ", "bold"), visible(picture.site), f"  {now:%H:%M:%S %Z}  ",
                ("STOPPED" if stopped else live[self.link.standing], "bold reverse" if stopped else ""),
                f"  {incidents_words(len(picture.incidents))}, {len(picture.reviews)} to decide",
                f"  as {visible(picture.who or self.who)}", no_wrap=True, overflow="ellipsis",
            )
        )  # fmt: skip

    # ---- conversation ---------------------------------------------------------------------------------------------------

    @on(Talk.Asked)
    def _ask(self, event: Talk.Asked) -> None:
        if self._asking.busy:
            self.talk.say(
                "the answer before this one is still being written; your question is kept (Escape stops the answer)"
            )
        else:
            self._answer(event.question)

    @work(group="answer")
    async def _answer(self, question: str) -> None:
        await self._asking.ask(self.talk, question)

    @work(group="answer-control", exclusive=True)
    async def action_stop_answer(self) -> None:
        """Stop the answer that is being written."""
        try:
            await self._asking.stop()
        except SetpointError as error:
            self._tell(str(error), wrong=True)

    @work(group="answer-control", exclusive=True)
    async def action_take_up(self) -> None:
        """Go on with the last conversation."""
        if self._asking.busy:
            return
        try:
            self._tell(await self._asking.take_up(self.talk))
        except SetpointError as error:
            self._tell(str(error), wrong=True)

    # ---- keys -----------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing new is begun over an open sheet; stopping and quitting always work."""
        if action in ON_MAIN or action == "decide":
            return len(self.screen_stack) == 1
        if action == "stop":
            return not isinstance(self.screen, sheets.Stopping)
        return True

    def action_help(self) -> None:
        self.push_screen(Sheet("Keys", lambda _width: Text(sheets.HELP)))

    def action_next_pane(self) -> None:
        """The next pane, by focus where all are shown, by tab where one is."""
        tabs = self.query_one(Tabs)
        if tabs.display:
            tabs.action_next_tab()
            return
        places: list[Widget] = [self.talk.question, self.incidents, self.reviews]
        at = next((k for k, one in enumerate(places) if one.has_focus), -1)
        places[(at + 1) % len(places)].focus()

    @on(Side.Entered)
    def _entered(self, event: Side.Entered) -> None:
        self._on_incident = event.side is self.incidents

    @on(OptionList.OptionSelected)
    def _open_chosen(self) -> None:
        self.action_details()

    def action_approve(self) -> None:
        self.action_decide("approve")

    def action_edit(self) -> None:
        self.action_decide("edit")

    def action_reject(self) -> None:
        self.action_decide("reject")

    def action_respond(self) -> None:
        self.action_decide("respond")

    def action_decide(self, kind: Kind) -> None:
        """The sheet for one decision about the chosen review."""
        chosen = self.reviews.chosen
        if chosen:
            self._open_decision(chosen, kind)
        else:
            self._tell("nothing waits for a decision")

    @work(exclusive=True, group="open")
    async def _open_decision(self, id: str, kind: Kind) -> None:
        try:
            review = await asyncio.to_thread(self.link, "review_show", id=id)
            args = await asyncio.to_thread(self.link, "review_fields_list", id=id) if kind == "edit" else []
        except SetpointError as error:
            self._tell(str(error), wrong=True)
            return
        if kind == "edit" and not args:
            self._tell("it has no value that could be changed: approve, reject or answer it", wrong=True)
            return
        sheet = Deciding(kind, review, args, call=self.link, who=self.who, zone=self.picture.zone)
        self.push_screen(sheet, self._decided)

    def _decided(self, value: Any) -> None:
        if value is not None:
            self._tell(sheets.decided_words(value))

    def action_details(self) -> None:
        """All about the chosen incident or review, whichever list was used last."""
        chosen = (self.incidents if self._on_incident else self.reviews).chosen
        if not chosen:
            self._tell("nothing is chosen")
            return
        self._open_details(
            *(("incidents_show", "incident") if self._on_incident else ("review_show", "review")), chosen
        )

    @work(exclusive=True, group="open")
    async def _open_details(self, call: str, view: str, id: str) -> None:
        try:
            value = await asyncio.to_thread(self.link, call, id=id)
        except SetpointError as error:
            self._tell(str(error), wrong=True)
            return
        self.push_screen(sheets.details(view, id, value, self.picture.zone))

    def action_acknowledge(self) -> None:
        self._on_chosen_incident(
            lambda row: sheets.acknowledging(row, self.link, self.who), "is acknowledged"
        )

    def action_silence(self) -> None:
        self._on_chosen_incident(lambda row: sheets.silencing(row, self.link, self.who), "")

    def _on_chosen_incident(self, make: Callable[[Mapping[str, Any]], Sheet], done: str) -> None:
        row = self.picture.incident(self.incidents.chosen)
        if row is None:
            self._tell("no incident is chosen")
            return
        told = row["id"]

        def ended(value: Any) -> None:
            if value is not None:
                self._tell(f"{told} {done}" if done else sheets.silenced_words(value, self.picture.zone))

        self.push_screen(make(row), ended)

    def action_stop(self) -> None:
        """Stop every action, or let them go on: asked once, done at Enter, without the desk."""
        stopped = self.link.stop.reason()
        sheet = (
            sheets.releasing(self.link.stop, stopped)
            if stopped
            else sheets.stopping(self.link.stop, self.who)
        )
        self.push_screen(sheet, lambda _value: self._show())

    def _tell(self, text: str, *, wrong: bool = False) -> None:
        """The last word on what was done, with its time, until there is a newer one."""
        at = now_utc().astimezone(ZoneInfo(self.picture.zone))
        _say(self.told, f"{at:%H:%M:%S}  {visible(text)}", "bold red" if wrong else "bold")


def _say(line: Static, text: str, style: str = "") -> None:
    """A line that is there while it has something to say."""
    line.update(Text(text, style))
    line.display = bool(text)


def incidents_words(many: int) -> str:
    """How many are listed, which may not be all."""
    return counted(many, "incident") if many < MOST_INCIDENTS else f"{many} or more incidents"


def stop_words(reason: str) -> str:
    """What the red band says; "" while nothing is stopped."""
    return f"STOPPED {visible(reason)}. No action is executed. F9 lets them go on." if reason else ""
