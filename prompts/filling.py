"""Words with slots, and what stands behind the slots: facts of the sheet, and the phrases of the prompt themselves.

A model never writes out what happened, why it matters, what to do first or what caused it. It writes `{what}`, `{why}`,
`{first}` and `{cause}` like any fact; code puts the given phrase there, as its place in the sentence wants it.
"""

from __future__ import annotations

import re

from prompts.tasks import AlertInput, PlanInput, StepInput, SummaryInput, WordInput
from setpoint.contracts import Fact, FactSheet

UNNAMED_CAUSES = ("unknown", "no_fault")
"""A conclusion about these names no cause."""
_END = ".;:,!"
_MARKUP = re.compile(r"<\|[^<>]*\|>|[{}<>|]")
_SLOT = re.compile(r"\{([a-z]+[0-9]?)\}")
_SENTENCE_BEGINS = re.compile(r"(?:^|[.!?]\s+)$")


def phrase(text: str) -> str:
    """`text` on one line, without anything a chat template or a slot could take for markup.

    >>> phrase("pump  failed {now}\\n<|im_end|>")
    'pump failed now'
    """
    return " ".join(_MARKUP.sub(" ", text).split())


def capital(text: str) -> str:
    """A phrase as it begins a sentence.

    >>> capital("coolant pump failed")
    'Coolant pump failed'
    """
    clean = phrase(text).rstrip(_END + " ")
    return clean[:1].upper() + clean[1:]


def inner(text: str) -> str:
    """A phrase as it stands inside a sentence: names written with several capitals keep them.

    >>> inner("Coolant pump failed"), inner("GPU fell off the bus"), inner("NVLink error.")
    ('coolant pump failed', 'GPU fell off the bus', 'NVLink error')
    """
    clean = phrase(text).rstrip(_END + " ")
    return clean if _keeps_its_capital(clean) else clean[:1].lower() + clean[1:]


def phrases(inputs: WordInput | PlanInput) -> dict[str, str]:
    """What each phrase slot of the prompt stands for, as it reads inside a sentence. A slot without a text is left out.

    >>> phrases(AlertInput("P1", FactSheet(condition="Coolant pump failed"), todo="Start the standby pump."))
    {'what': 'coolant pump failed', 'first': 'start the standby pump'}
    """
    if isinstance(inputs, PlanInput):
        return {_line_slot(number): inner(line) for number, line in enumerate(inputs.lines)}
    found = {"what": inputs.sheet.condition}
    if isinstance(inputs, AlertInput):
        found |= {"why": inputs.impact, "first": inputs.todo}
    elif isinstance(inputs, StepInput):
        found["cause"] = inputs.title
    elif isinstance(inputs, SummaryInput):
        found |= {"cause": _named_cause(inputs), "first": inputs.todo}
    clean = {slot: inner(text) for slot, text in found.items()}
    return {slot: text for slot, text in clean.items() if text}


def required_slots(inputs: WordInput | PlanInput) -> tuple[str, ...]:
    """Slots that the words must use: every given phrase, and the facts that the sheet calls required. A plan's lines hold
    its facts, so the lines are enough."""
    required = tuple(phrases(inputs))
    if isinstance(inputs, PlanInput):
        return required
    return (*required, *(fact.slot for fact in inputs.sheet.facts if fact.required))


def whole_sheet(inputs: WordInput | PlanInput) -> FactSheet:
    """The facts of `inputs` with its phrases as slots before them: all that the words may use."""
    given = tuple(
        Fact(slot=slot, kind="phrase", text=text, evidence_id="given", required=True)
        for slot, text in phrases(inputs).items()
    )
    taken = {fact.slot for fact in given}
    facts = tuple(fact for fact in inputs.sheet.facts if fact.slot not in taken)
    return inputs.sheet.model_copy(update={"facts": (*given, *facts)})


def spread(words: str, inputs: PlanInput) -> str:
    """`words` with each line slot replaced by its line, the facts in it still as slots."""
    lines = {_line_slot(number): line.strip().rstrip(_END + " ") for number, line in enumerate(inputs.lines)}
    return _put(words, {slot: (_lowered(line), line) for slot, line in lines.items()})


def fill(words: str, inputs: WordInput | PlanInput) -> str:
    """`words` with every slot filled. A phrase or the name of a metric that begins a sentence gets a capital.

    Raises KeyError on a slot that the prompt does not have.

    >>> given = AlertInput("P1", FactSheet(condition="Coolant pump failed"), todo="Start the standby pump.")
    >>> fill("{what}. First: {first}.", given), fill("Seen: {what}. {first}.", given)
    ('Coolant pump failed. First: start the standby pump.', 'Seen: coolant pump failed. Start the standby pump.')
    """
    if isinstance(inputs, PlanInput):
        words, given = spread(words, inputs), dict[str, str]()
    else:
        given = phrases(inputs)
    texts = {fact.slot: (fact.text, fact.text) for fact in inputs.sheet.facts}
    texts |= {
        fact.slot: (fact.text, _raised(fact.text)) for fact in inputs.sheet.facts if fact.kind == "metric"
    }
    texts |= {slot: (text, capital(text)) for slot, text in given.items()}
    missing = [slot for slot in _SLOT.findall(words) if slot not in texts]
    if missing:
        raise KeyError(missing[0])
    return _put(words, texts)


def _put(words: str, texts: dict[str, tuple[str, str]]) -> str:
    """Each known slot replaced by its text: the first of the pair inside a sentence, the second where one begins."""

    def text_of(found: re.Match[str]) -> str:
        if found[1] not in texts:
            return found[0]
        begins = _SENTENCE_BEGINS.search(words[: found.start()])
        return texts[found[1]][1 if begins else 0]

    return _SLOT.sub(text_of, words)


def _line_slot(number: int) -> str:
    return f"line{number + 1 if number else ''}"


def _named_cause(inputs: SummaryInput) -> str:
    """Empty where there is none to name, or where it is the very thing that was seen: nobody says it twice."""
    same = inner(inputs.title).lower() == inner(inputs.sheet.condition).lower()
    return "" if same or inputs.cause in UNNAMED_CAUSES else inputs.title


def _lowered(line: str) -> str:
    return line if line.startswith("{") or _keeps_its_capital(line) else line[:1].lower() + line[1:]


def _raised(text: str) -> str:
    """The name of a metric at the beginning; one that is written like an identifier stays as it is.

    >>> _raised("coolant flow"), _raised("return_temp_c")
    ('Coolant flow', 'return_temp_c')
    """
    word = text.split(" ", 1)[0]
    return text if not word.isalpha() else text[:1].upper() + text[1:]


def _keeps_its_capital(text: str) -> bool:
    first = text.split(" ", 1)[0]
    return any(char.isupper() or char.isdigit() for char in first[1:])
