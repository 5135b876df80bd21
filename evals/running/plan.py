"""A run of several suites for several contenders: who runs where, in which order, and the record of it all."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import count
from multiprocessing import get_context
from pathlib import Path

from evals.registry import SPLITS, SUITES, Ask, Split, Suite
from evals.running.contenders import SYSTEMS, Contender, System, baseline, contender
from evals.running.provenance import made, without_folders
from evals.running.record import RECORD, RUNS, Asked, Made, Ran, Record, write
from evals.running.runner import run_suite
from setpoint.errors import BackendError, ModelMissing, SetpointError, UsageError

ALL = "all"
NO_DATA = Path("no-public-data")
"""A folder that is not there: what `--data none` looks into, so that every machine measures the same."""
_ORDER: tuple[System, ...] = tuple(SYSTEMS)
Tell = Callable[[str, int, int], None]
"""Is told which job, how many of its cases are done, of how many. `of` is 0 where a job runs elsewhere and has ended."""


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    suites: Sequence[str]
    models: Sequence[str] = ()
    """As `--model` takes them; none: the bundled one."""
    against: Sequence[str] = ()
    limit: int | None = None
    seed: int = 1
    split: str = "dev"
    epochs: int = 1
    data: str = ""
    """A folder, `none`, or "" for where public data usually lies."""
    cases: tuple[Path, ...] = ()
    name: str = ""
    out: Path = RUNS
    parallel: int = 1
    command: Sequence[str] = ()


@dataclass(frozen=True)
class Job:
    """One suite for one contender."""

    suite: str
    ask: Ask
    epochs: int
    logs: Path

    @property
    def key(self) -> str:
        return f"{self.suite} by {self.ask.contender.name}"


@dataclass(frozen=True)
class Plan:
    """Everything checked, nothing run yet."""

    name: str
    folder: Path
    asked: Asked
    contenders: tuple[Contender, ...]
    jobs: tuple[Job, ...]
    not_run: tuple[str, ...]
    made: Made
    parallel: int = 1


def plan(wanted: Wanted) -> Plan:
    """Raises UsageError for what cannot be run, BackendError without Inspect."""
    if find_spec("inspect_ai") is None:
        raise BackendError("the eval suites need Inspect", remedy="Install it: pip install 'setpoint[eval]'")
    suites, split = _suites(wanted.suites), _split(wanted.split)
    _at_least_one(wanted)
    models = tuple(map(contender, wanted.models or ("bundled",)))
    others = tuple(map(baseline, wanted.against))
    everybody = (*models, *others)
    if double := {one.name for one in everybody if [other.name for other in everybody].count(one.name) > 1}:
        raise UsageError(
            f"two contenders are named {sorted(double)[0]!r}", remedy="Name each once, or rename the file"
        )
    provenance = made(wanted.command or sys.argv[1:])
    name = wanted.name or _free_name(wanted.out, provenance.date, suites)
    folder = wanted.out / name
    if (folder / RECORD).exists():
        raise UsageError(
            "there is a run of this name", where=str(folder), remedy="Choose another with --name"
        )
    ask = Ask(limit=wanted.limit, seed=wanted.seed, split=split, data=_data(wanted.data), cases=wanted.cases)
    pairs, not_run = _placed(suites, everybody)
    asked = Asked(
        suites, tuple(one.name for one in models), tuple(one.name for one in others), wanted.limit, wanted.seed, split,
        wanted.epochs, wanted.data if wanted.data == "none" else "given" if wanted.data else "usual", len(wanted.cases),
    )  # fmt: skip
    jobs = tuple(
        Job(suite, replace(ask, contender=one), wanted.epochs, folder / _slug(f"{suite}-{one.name}"))
        for suite, one in pairs
    )
    return Plan(name, folder, asked, everybody, jobs, tuple(not_run), provenance, wanted.parallel)


def _free_name(out: Path, date: str, suites: Sequence[str]) -> str:
    """When and what; a number behind it where that second has a run already."""
    what = ALL if len(suites) == len(SUITES) else "-".join(suites)[:40]
    plain = f"{date.replace(' ', '-').replace(':', '')}-{what}"
    names = (f"{plain}-{number}" if number > 1 else plain for number in count(1))
    return next(name for name in names if not (out / name).exists())


def _suites(names: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in SUITES and name != ALL]:
        raise UsageError(f"no eval suite {unknown[0]!r}", remedy=f"One of: {', '.join(SUITES)}, or all")
    return tuple(SUITES) if ALL in names else tuple(dict.fromkeys(names))


def _split(name: str) -> Split:
    for split in SPLITS:
        if split == name:
            return split
    raise UsageError(f"no split {name!r}", remedy=f"One of: {', '.join(SPLITS)}")


def _at_least_one(wanted: Wanted) -> None:
    for name, value in (("limit", wanted.limit), ("epochs", wanted.epochs), ("parallel", wanted.parallel)):
        if value is not None and value < 1:
            raise UsageError(f"--{name} is {value}", remedy="Give 1 or more")


def _data(given: str) -> Path | None:
    if given == "none":
        return NO_DATA
    if given and not Path(given).is_dir():
        raise UsageError(
            "no such folder", where=given, remedy="--data takes a folder of public data, or none"
        )
    return Path(given) if given else None


def _placed(
    suites: Sequence[str], everybody: Sequence[Contender]
) -> tuple[list[tuple[str, Contender]], list[str]]:
    """Who runs where. A contender that would give what another one gives does not run twice."""
    pairs, not_run = list[tuple[str, Contender]](), list[str]()
    for name in suites:
        ran: dict[System, str] = {}
        for one in everybody:
            system = runs_as(SUITES[name], one)
            if system is None:
                not_run.append(f"{name}: {one.name} is no system of this suite")
            elif system != "model" and system in ran:
                not_run.append(
                    f"{name}: {one.name} would be the same as {ran[system]}: no model is asked here"
                )
            elif one.system not in ("model", system):
                not_run.append(f"{name}: {one.name} would be the same as {system}")
            else:
                ran[system] = one.name
                pairs.append((name, one))
    return pairs, not_run


def runs_as(suite: Suite, one: Contender) -> System | None:
    """Its own system, else the one before it that the suite lists; None where there is none."""
    before = _ORDER[: _ORDER.index(one.system) + 1]
    return next((system for system in reversed(before) if system in suite.systems), None)


def _slug(text: str) -> str:
    """A folder's name.

    >>> _slug("alert-light=qwen.gguf@free,heavy=none")
    'alert-light_qwen.gguf_free_heavy_none'
    """
    return re.sub(r"[^\w.-]+", "_", text)


def again(
    baseline: Record, *, models: tuple[str, ...] = (), data: str = "", out: Path = RUNS, parallel: int = 1
) -> Wanted:
    """The run that a baseline is held against. `models`, `data`: where they lie here."""
    asked = baseline.asked
    if asked.data == "given" and not data:
        raise UsageError("the baseline was made with a folder of public data", remedy="Name it with --data")
    if asked.cases:
        raise UsageError(
            "the baseline was made with folders of cases of your own", remedy="Run them and gate that run"
        )
    return Wanted(
        asked.suites, models or asked.models, asked.against, asked.limit, asked.seed, asked.split, asked.epochs,
        data or ("none" if asked.data == "none" else ""), out=out, parallel=parallel,
    )  # fmt: skip


# ---- running -------------------------------------------------------------------------------------------------------


def run(planned: Plan, tell: Tell = lambda job, done, of: None) -> Record:
    """Runs it. The record is written after each job, so that whatever ends the run leaves what was done.

    Raises ModelMissing or ModelFailed where a contender's model does not answer at all.
    """
    _check_models(planned)
    began, done = time.monotonic(), dict[str, Ran]()
    about = {one.name: one.about() for one in planned.contenders}
    record = Record(planned.name, planned.made, planned.asked, about, (), planned.not_run)
    for ran in _each(planned, tell):
        done[ran.key] = ran
        inside = tuple(done[job.key] for job in planned.jobs if job.key in done)
        record = replace(record, ran=inside, seconds=round(time.monotonic() - began, 1))
        write(record, planned.folder / RECORD)
    if len(done) < len(planned.jobs) or any(ran.interrupted for ran in done.values()):
        record = replace(record, interrupted=True)
        write(record, planned.folder / RECORD)
    return record


def _check_models(planned: Plan) -> None:
    """Only of the contenders whose models some suite asks."""
    for one in planned.contenders:
        if any(job.ask.contender == one and "model" in SUITES[job.suite].systems for job in planned.jobs):
            one.check()


def _each(planned: Plan, tell: Tell) -> Iterator[Ran]:
    """Each job's result, until somebody stops them."""
    if planned.parallel > 1 and len(planned.jobs) > 1:
        yield from _elsewhere(planned, tell)
        return
    for job in planned.jobs:
        try:
            ran = do(job, partial(tell, job.key))
        except KeyboardInterrupt:
            return
        yield ran
        if ran.interrupted:
            return


def _elsewhere(planned: Plan, tell: Tell) -> Iterator[Ran]:
    """In processes of their own, in the order in which they end."""
    with ProcessPoolExecutor(min(planned.parallel, len(planned.jobs)), get_context("spawn")) as pool:
        futures: dict[Future[Ran], Job] = {pool.submit(do, job): job for job in planned.jobs}
        told: set[Future[Ran]] = set()
        try:
            for future in as_completed(futures):
                told.add(future)
                ran = _result(future, futures[future])
                tell(ran.key, len(ran.cases), 0)
                yield ran
        except KeyboardInterrupt:  # the processes were stopped too, and give what they have
            pool.shutdown(cancel_futures=True)
            rest = [one for one in futures if one not in told and not one.cancelled()]
            yield from (one.result() for one in rest if one.exception() is None)


def _result(future: Future[Ran], job: Job) -> Ran:
    """Without memory a process ends and says nothing; that is an error of its suite too."""
    try:
        return future.result()
    except BrokenProcessPool as error:
        return _failed(job, f"its process ended: {error}")


def do(job: Job, tell: Callable[[int, int], None] = lambda done, of: None) -> Ran:
    """One job. A suite that cannot be loaded or prepared is an error of that suite; the others go on."""
    try:
        ran = run_suite(
            job.suite, SUITES[job.suite].load(), job.ask, logs=job.logs, epochs=job.epochs, tell=tell
        )
        return replace(ran, log=f"{job.logs.name}/{ran.log}" if ran.log else "")
    except ModelMissing as error:
        return _failed(job, str(error), missing=str(error))
    except SetpointError as error:
        return _failed(job, str(error))
    except Exception as error:  # whatever a suite does wrong must not take the other suites with it
        return _failed(job, f"{type(error).__name__}: {error}")


def _failed(job: Job, why: str, *, missing: str = "") -> Ran:
    said = f"cannot run: {without_folders(why)}"
    return Ran(job.suite, job.ask.contender.name, errors=(said,), model_missing=without_folders(missing))


def exit_code(record: Record) -> int:
    """0 whole and accepted; 130 interrupted; 3 a model was not there; 1 a case or suite failed, or a suite refuses its
    figures. A baseline to compare with (`--against`) is not held to them."""
    if record.interrupted:
        return 130
    if record.model_missing:
        return BackendError.exit_code
    ours = [one for one in record.ran if one.contender not in record.asked.against]
    return 1 if record.errors or any(one.failed_gate for one in ours) else 0
