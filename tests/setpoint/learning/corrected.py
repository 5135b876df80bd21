"""A small ledger as a shift leaves it: alerts and analyses in a model's words, and what people say about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agents.alert_facts import case_of
from agents.alerter import first_notice, plain_notice
from agents.explainer import Budget, explain, subject_sheet
from agents.rewording import alert_input
from agents.wordings import origin_of
from knowledge.causes import load_causes
from plant.site_file import site_file
from prompts import AlertInput, Prompt, fill
from setpoint.contracts import (
    Context,
    Diagnosis,
    Event,
    Evidence,
    FactSheet,
    Hypothesis,
    Incident,
    Judgement,
    RecoveryGuide,
    Triage,
)
from setpoint.contracts.dispatch import Dispatch, Ranked
from setpoint.contracts.site import Site, load_site
from setpoint.ledger import Ledger

START = datetime(2026, 11, 2, 2, 14, 7, tzinfo=UTC)
ALERT = "{what} on {asset} since {time}: {metric} {value} against a limit of {limit}. {why}."
STEP = "{what} on {asset} at {time} speaks for this cause: {cause}."
SUMMARY = "{what} on {asset} since {time}. The likely cause is {cause}."
MODEL = "setpoint-small"
REASON = "the racks on this loop lose their flow"


@dataclass
class Said:
    text: str
    tokens: int = 10


@dataclass
class Scripted:
    """A model that says the same words each time, as a terse model is asked for them."""

    name: str = MODEL
    terse: bool = True

    def words(self, prompt: Prompt, sheet: FactSheet, *, attempt: int = 0) -> Said:
        if prompt.task == "step":
            return Said(STEP)
        return Said(SUMMARY if "{cause}" in prompt.user else "{what} on {asset} since {time}.")


def site() -> Site:
    return load_site(site_file("demo"))


def event(number: int, **changes: object) -> Event:
    at = START + timedelta(hours=number)
    given: dict[str, object] = {
        "id": f"evt-{number}", "time": at, "received": at, "asset": "cdu-1-pump-a", "source": "bms", "kind": "PumpTrip",
        "message": f"coolant pump tripped, flow {40 + number} lpm", "severity": "critical", "metric": "coolant_flow_lpm",
        "value": 40.0 + number, "unit": "lpm", "threshold": 60.0,
    }  # fmt: skip
    return Event.model_validate(given | changes)


def put_incident(ledger: Ledger, number: int, *, model: bool = True, **changes: object) -> str:
    """One P0 incident with its first notice, plain words and analysis. `model`: a model wrote them."""
    told, where = event(number, **changes), site()
    name = f"INC-{number:04d}"
    triage = Triage(
        event_id=told.id, priority="P0", urgency=Judgement(level="high", reason="loss is near"),
        impact=Judgement(level="high", reason=REASON), complexity=Judgement(level="low", reason="the event names it"),
        confidence=0.95, decided_by=("cooling.pump-failed@1",), condition="coolant pump failed", cause_hints=("coolant_pump_failure",),
    )  # fmt: skip
    incident = Incident(
        id=name, group_key=f"g{number}", title=f"{told.asset}: coolant pump failed", priority="P0", state="open", opened=told.time,
        updated=told.time, assets=(told.asset,), event_count=1, path="fast", grouped_by="one asset",
    )  # fmt: skip
    ranked = Ranked(
        event=told,
        context=Context(),
        triage=triage,
        incident_id=name,
        group_key=incident.group_key,
        grouped_by="one asset",
    )
    first = first_notice(incident, [told], [triage], where)
    ledger.accept([told], (), "test")
    ledger.commit_triage(
        Dispatch(batch_id=name, time=told.time, ranked=(ranked,), incidents=(incident,), new_incidents=(name,), notices=(first,)),
        now=told.time,
    )  # fmt: skip
    inputs = alert_input(case_of(incident, [told], [triage], where))
    if model:
        plain = plain_notice(first.model_copy(update={"version": 1}), fill(ALERT, inputs), MODEL)
        origin = origin_of("alert", inputs, ALERT)
        ledger.queue_notice(plain.model_copy(update={"origin": origin}), now=told.time + timedelta(seconds=1))
    ledger.record_diagnosis(analysis(name, inputs, model), now=told.time + timedelta(seconds=5))
    return name


def analysis(incident: str, inputs: AlertInput, model: bool = True) -> Diagnosis:
    """Of one piece of evidence, in the scripted model's words or the template's."""
    told = {fact.slot: fact.text for fact in inputs.sheet.facts}
    sheet = subject_sheet(inputs.sheet.condition, told["asset"], "", told["time"], "E1")
    text = "; ".join((sheet.condition, *(fact.text for fact in sheet.facts)))
    piece = Evidence(id="E1", kind="event", text=text, source="test", sheet=sheet)
    causes = load_causes()
    top = Hypothesis(
        cause="coolant_pump_failure", title=causes["coolant_pump_failure"].title, score=1.0, supports=("E1",)
    )
    budget = Budget(tokens=10_000, calls=10, seconds=60.0)
    steps, summary, fallbacks = explain(
        Scripted() if model else None, top, "likely", {"E1": piece}, sheet, "", budget
    )
    assert not fallbacks, fallbacks
    return Diagnosis(
        incident_id=incident, revision=0, mode="facts", evidence=(piece,), passages=(), hypotheses=(top,), steps=tuple(steps),
        summary=summary.text, summary_by=summary.written_by, summary_origin=summary.origin, guide=RecoveryGuide(steps=()),
        written_by=MODEL if model else "template",
    )  # fmt: skip


def open_ledger(folder: Path, incidents: int = 1, **changes: object) -> Ledger:
    ledger = Ledger.open(folder / "ledger.db")
    for number in range(incidents):
        put_incident(ledger, number, **changes)  # type: ignore[arg-type]  # of the event, or `model`
    return ledger


def say(
    ledger: Ledger,
    incident: str,
    part: str,
    text: str,
    who: str = "ada",
    hours: float = 100.0,
    why: str = "clearer",
) -> None:
    """A person says one text better."""
    ledger.correct(
        incident, "wording", {"part": part, "text": text}, who, why, now=START + timedelta(hours=hours)
    )


def better(
    ledger: Ledger,
    incident: str,
    words: str = "{asset}: {what} since {time}, {metric} {value} against {limit}. {why}.",
) -> str:
    """An alert of the incident in a person's style, its facts filled in."""
    from agents.wordings import inputs_of

    text = next(one for one in ledger.list_texts(incident) if one.part == "alert")
    assert text.origin is not None
    return fill(words, inputs_of(text.origin))
