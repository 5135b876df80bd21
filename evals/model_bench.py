"""How fast a model file is as Setpoint asks it, beside the same file decoded by llama.cpp alone, in one run.

Both answer the same prompts of the product in turns, greedily, on one thread, keeping what a prompt shares with the one
before. `ours` is a role's model without grammar, so that both write the same words; `bound` is how the product runs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage

from evals.bench_service import load_now
from evals.intervals import bootstrap
from evals.model_trial import WORD_TASKS, Tell, Wording, word_cases, words
from evals.word_inputs import Told
from prompts import Prompt, render, whole_sheet
from setpoint.llm import RoleModel, load_role, words_grammar
from setpoint.llm.chat_model import LlamaChat
from setpoint.llm.engine import load_library
from setpoint.llm.raw_decode import RawDecoder
from setpoint.settings import ModelSettings

AIM_RATIO = 1.15
ROUNDS = 5
"""Each text so often; its fastest counts on either side, since what else the machine does only ever adds."""
Interval = tuple[float, float, float]


@dataclass(frozen=True)
class Timed:
    """One text by all three, in seconds."""

    raw_s: float
    ours_s: float
    bound_s: float
    raw_cpu_s: float
    ours_cpu_s: float
    raw_first_s: float
    ours_first_s: float
    bound_first_s: float
    tokens: int
    """Of the answer without grammar, by llama.cpp's own count."""
    task: str


@dataclass(frozen=True)
class Bench:
    """What a model file costs on this machine."""

    machine: str
    texts: int
    load_ms: float
    """The file into memory and a context; the library was there."""
    rss_mb: float
    """By which loading it and a first answer made the process larger."""
    first_token_ms: dict[str, float]
    """Median, of alerts: raw, ours, bound."""
    tokens_per_s: dict[str, float]
    """Prompts included."""
    overhead: Interval
    """Wall time of ours over raw without a grammar; aim below AIM_RATIO."""
    overhead_cpu: Interval
    """The same in CPU time, which other work on the machine does not stretch."""
    with_grammar: Interval
    """Time of bound over raw. The words differ where the grammar forbids some."""
    alert_s: float
    """Median of a notice's words as the product makes them: two tries at most, verified."""
    analysis_s: float
    """Median over incidents: all steps and the conclusion."""


def bench(settings: ModelSettings, texts: int = 24, tell: Tell = lambda *_: None) -> Bench:
    """Raises ModelMissing, ModelFailed; UsageError for a server, which has no file to decode."""
    bound = load_role(settings)
    assert bound.path is not None  # a file, as the caller made sure
    cases = word_cases("dev", max(1, texts // len(WORD_TASKS)))
    load_ms, rss_mb = _loading(bound, cases[0])
    free = RoleModel(
        bound.name, bound.mode, lambda: _unloaded(settings, bound.path), path=bound.path, terse=bound.terse, timeout_s=600.0
    )  # fmt: skip
    raw = RawDecoder(bound.path, context_tokens=settings.context_tokens, threads=settings.threads)
    try:
        timed = _timed(raw, free, bound, cases, settings.max_tokens, tell)
    finally:
        raw.close()
    worded = words(bound, cases, tell)
    return Bench(
        load_now(), len(cases), load_ms, rss_mb, _first(timed), _speed(timed), _ratio(timed, lambda one: one.ours_s),
        _ratio(timed, lambda one: one.ours_cpu_s, lambda one: one.raw_cpu_s),
        _ratio(timed, lambda one: one.bound_s), _median([one.seconds for one in worded if one.task == "alert"]),
        _median(_per_incident(worded)),
    )  # fmt: skip


def _loading(model: RoleModel, case: Told) -> tuple[float, float]:
    """Milliseconds and megabytes of loading it; one answer makes the context real."""
    load_library()
    before, began = _rss_mb(), time.perf_counter()
    chat = model.chat
    assert isinstance(chat, LlamaChat)
    chat.load()
    load_ms = 1000 * (time.perf_counter() - began)
    model.words(render(case.task, case.inputs, show_values=not model.terse), whole_sheet(case.inputs))
    return load_ms, _rss_mb() - before


def _unloaded(settings: ModelSettings, path: Path | None) -> LlamaChat:
    assert path is not None
    return LlamaChat(
        path=path, context_tokens=settings.context_tokens, max_tokens=settings.max_tokens, threads=settings.threads, timeout_s=600.0
    )  # fmt: skip


def _timed(
    raw: RawDecoder, free: RoleModel, bound: RoleModel, cases: Sequence[Told], max_tokens: int, tell: Tell
) -> list[Timed]:
    rounds, total = [list[Timed]() for _ in cases], (ROUNDS + 1) * len(cases)
    for turn in range(ROUNDS + 1):
        for number, case in enumerate(cases):
            row = _one(raw, free, bound, case, max_tokens)
            if turn:  # the first round warms all three up
                rounds[number].append(row)
            tell("decoding", turn * len(cases) + number + 1, total)
    return list(map(_fastest, rounds))


def _fastest(rounds: Sequence[Timed]) -> Timed:
    """Of each figure the least over the rounds of one text."""
    seconds = {
        name: min(getattr(one, name) for one in rounds)
        for name in Timed.__annotations__
        if name.endswith("_s")
    }
    return replace(rounds[0], **seconds)


def _one(raw: RawDecoder, free: RoleModel, bound: RoleModel, case: Told, max_tokens: int) -> Timed:
    prompt = render(case.task, case.inputs, show_values=not bound.terse)
    sheet = whole_sheet(case.inputs)
    alone = raw.decode((("system", prompt.system), ("user", prompt.user)), max_tokens)
    ours_s, ours_cpu_s = _seconds(lambda: free.words(prompt, sheet))
    bound_s, _ = _seconds(lambda: bound.words(prompt, sheet))
    return Timed(
        alone.total_s, ours_s, bound_s, alone.cpu_s, ours_cpu_s, alone.first_s, _first_s(free, prompt), _first_s(bound, prompt, grammar=words_grammar(sheet)),
        alone.tokens, case.task,
    )  # fmt: skip


def _first_s(model: RoleModel, prompt: Prompt, **options: Any) -> float:
    """Until the first piece of the answer is there. The stream is left then, and the engine stops."""
    began = time.perf_counter()
    stream = model.chat.stream([SystemMessage(prompt.system), HumanMessage(prompt.user)], **options)
    next(stream)
    found = time.perf_counter() - began
    for _ in stream:  # to its end: a cut answer would leave the next one a shorter start
        pass
    return found


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of the processor."""
    began, cpu_began = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu_began


def _first(rows: Sequence[Timed]) -> dict[str, float]:
    alerts = [row for row in rows if row.task == "alert"]
    return {
        "raw": 1000 * _median([row.raw_first_s for row in alerts]),
        "ours": 1000 * _median([row.ours_first_s for row in alerts]),
        "bound": 1000 * _median([row.bound_first_s for row in alerts]),
    }


def _speed(rows: Sequence[Timed]) -> dict[str, float]:
    tokens = sum(row.tokens for row in rows)
    return {"raw": tokens / sum(row.raw_s for row in rows), "ours": tokens / sum(row.ours_s for row in rows)}


def _ratio(
    rows: Sequence[Timed],
    above: Callable[[Timed], float],
    below: Callable[[Timed], float] = lambda one: one.raw_s,
) -> Interval:
    def of(some: Sequence[Timed]) -> float:
        return sum(map(above, some)) / sum(map(below, some))

    return of(rows), *bootstrap(rows, of)


def _per_incident(worded: Sequence[Wording]) -> list[float]:
    spent: dict[str, float] = {}
    for one in worded:
        if one.task != "alert":
            spent[one.incident] = spent.get(one.incident, 0.0) + one.seconds
    return list(spent.values())


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


def _rss_mb() -> float:
    """Memory of this process that is really there; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
    except OSError:
        return 0.0
