"""Is a notice faithful and complete? Code judges, apart from the code that wrote the notice.

Faithful means that every number, name, time and quotation stands in the incident's own records. The judge itself is
tried on every case: mistakes are planted in the notice, and each of them must be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from agents.alert_facts import Case, clock, limit, reading, unit_of
from agents.alerter import Alerter, FirstStep, read_first_steps, why_in_words
from agents.verification import verify_text
from knowledge.runbooks import load_corpus
from setpoint.contracts import Triage
from setpoint.contracts.site import Site

_QUOTED = re.compile(r'"([^"\n]*)"')
_WORDS_OF_PROBLEM = re.compile(r"'[^']*'|\"[^\"]*\"|\b\d+\b")


def unfaithful(text: str, case: Case) -> list[str]:
    """What the text says beyond the incident's records."""
    own = without_quotations(text, case)
    if runbook := str(first_step(case.triage, case.site)):
        own = own.replace(runbook, "")  # word for word what people wrote, the section's name included
    return list(verify_text(own, records(case), given=given(case)).problems)


def without_quotations(text: str, case: Case) -> str:
    """The text without what it quotes of the source word for word, cut or whole: a source may write what it likes,
    commands too. A quotation that is not the source's stays, for the judge to refuse."""
    said = _source_words(case)
    return _QUOTED.sub(lambda found: "" if found[1].removesuffix("...").rstrip() in said else found[0], text)


def _source_words(case: Case) -> str:
    return " ".join(case.lead.message.split()).replace('"', "'")


def missing(text: str, case: Case) -> list[str]:
    """What an operator needs and is not told."""
    event, absent = case.lead, list[str]()
    if event.asset != "unknown" and event.asset.lower() not in text.lower():
        absent.append("where")
    what = [case.triage.condition, event.message[:40].replace('"', "'").strip()]
    if not case.triage.condition:
        what.append(reading(event))  # where nobody has a name for it, the reading is what happened
    if not any(phrase and phrase.lower() in text.lower() for phrase in what):
        absent.append("what happened")
    if event.value is not None and reading(event) not in text:
        absent.append("the reading")
    if event.threshold is not None and event.value is not None and limit(event) not in text:
        absent.append("the limit")
    return absent


def keeps_phrases(words: str, case: Case) -> bool:
    """Whether what happened and why it matters stand in the model's words as they were given to it."""
    phrases = [case.condition, why_in_words(case)]
    return all(phrase.lower() in words.lower() for phrase in phrases if phrase)


def records(case: Case) -> list[str]:
    """What is known of the incident, as its sources and the site have it: never what the alerter makes of it."""
    event, incident, site = case.lead, case.incident, case.site
    times = [incident.opened, incident.updated, event.time]
    local = [moment.astimezone(site.zone).strftime("%d %b %H:%M:%S %Z").lstrip("0") for moment in times]
    asset = site.find(event.asset)
    around = [event.asset, *site.upstream(event.asset), *(asset.redundant_with if asset else ())]
    below = len(site.downstream(event.asset))
    tenants = [
        one.tenant for name in (event.asset, *site.downstream(event.asset)) if (one := site.find(name))
    ]
    counts = f"{incident.event_count} events, {len(incident.assets)} assets, {below} assets stand, {len(incident.assets) - 1} more"
    metric = event.metric or ""
    readings = f"{reading(event)} {limit(event)} {metric} {' '.join(re.split(r'[^a-zA-Z0-9]+', metric))}"
    kind = re.sub(r"^(s?xid)-", r"\1 ", event.kind, flags=re.IGNORECASE).upper()
    return [
        f'"{_source_words(case)}"',
        " ".join(local),
        ", ".join(around),
        ", ".join(tenants),
        counts,
        readings,
        kind,
    ]


def given(case: Case) -> list[str]:
    """Words people wrote: the rules' reasons, runbooks, and the incident's title."""
    triage: Triage = case.triage
    reasons = [triage.urgency.reason, triage.impact.reason, triage.complexity.reason, triage.condition]
    runbook = str(first_step(triage, case.site))
    section = runbook.rpartition("(runbook ")[2].rstrip(")")
    known = [step.text for step in load_corpus()[section].steps] if section in load_corpus() else []
    said = [case.incident.title, case.incident.priority, runbook, *known]
    return [text for text in (*reasons, *said) if text]


def first_step(triage: Triage, site: Site) -> FirstStep:
    """What the runbook says to do first about it."""
    return Alerter(site, _first_steps()).first_step([triage])


@cache
def _first_steps() -> dict[str, FirstStep]:
    return read_first_steps()


# ---- the judge on trial --------------------------------------------------------------------------------------------


def unseen_mistakes(text: str, case: Case) -> tuple[int, list[str]]:
    """How many mistakes were planted in the text, one at a time, and those that the judge did not see."""
    planted = dict(mistakes(text, case))
    blind = [
        name for name, wrong in planted.items() if not unfaithful(wrong, case) and not missing(wrong, case)
    ]
    return len(planted), blind


def mistakes(text: str, case: Case) -> Iterator[tuple[str, str]]:
    """(sort, text with that mistake): a figure, a unit, an asset left out, another asset, another time."""
    event = case.lead
    value, unit = reading(event), unit_of(event)
    if value and value in text:
        number = value.partition(" ")[0]
        yield "another reading", text.replace(value, value.replace(number, _other_number(number), 1))
        if unit:
            yield "another unit", text.replace(value, f"{number} {'MPa' if unit == 'bar' else 'bar'}")
    if event.asset != "unknown" and event.asset in text:
        yield "no asset", text.replace(event.asset, "one")
        other = next(name for name in _others(case) if name not in text)
        yield "another asset", text.replace(event.asset, other)
    time = clock(event.time, case.site)
    if time in text:
        hour = int(time[:2])
        yield "another time", text.replace(time, f"{(hour + 5) % 24:02d}{time[2:]}")


def _other_number(number: str) -> str:
    """Of the same form: "41" gives "47", "92.4" gives "98.4".

    >>> _other_number("92.4"), _other_number("0")
    ('98.4', '6')
    """
    digits = [place for place, char in enumerate(number) if char.isdigit()]
    place = [at for at in digits if "." not in number[:at]][-1]
    return f"{number[:place]}{(int(number[place]) + 6) % 10}{number[place + 1 :]}"


def _others(case: Case) -> Iterator[str]:
    """Names of the site that the incident does not know."""
    known = " ".join(records(case)) + case.lead.message
    yield from (asset.name for asset in case.site.assets if asset.name not in known)


def reason_of(problem: str) -> str:
    """A refusal without its particulars, to count by.

    >>> reason_of("unknown slot 'rack'"), reason_of("too long: 44 words, 40 allowed")
    ('unknown slot ...', 'too long: ... words, ... allowed')
    """
    return _WORDS_OF_PROBLEM.sub("...", problem)
