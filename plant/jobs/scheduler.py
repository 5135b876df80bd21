"""A scheduler in the manner of Slurm and Kubernetes: priorities, gangs, EASY backfill, preemption, drain and requeue.

Event-driven and deterministic: time moves by `advance`, and nothing depends on the wall clock or on chance.
The queue goes by priority, then by who came first. Its head starts when it fits; where it does not, work of lower
priority that may be preempted makes room; where that is not enough either, the head gets a reservation and later
work may only start if that reservation is not put off (EASY: D. Lifka, The ANL/IBM SP Scheduling System, 1995).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Literal

from plant.jobs.places import Floor, Place
from plant.jobs.work import Task, Work
from setpoint.errors import UsageError

What = Literal[
    "submit", "start", "backfill", "wait", "preempt", "pause", "resume", "relocate", "complete", "cancel",
    "interrupt", "node lost", "node back", "cordon", "uncordon", "budget",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing the scheduler did, and why."""

    time_s: float
    what: What
    subject: str
    """Work or node."""
    nodes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """How it went so far. Node-seconds count whole nodes."""

    completed: int
    running: int
    waiting: int
    mean_wait_s: float
    """Over all that started at least once, all their waits."""
    longest_wait_s: float
    utilisation_pu: float
    """Node-seconds held by work over all node-seconds since the start, lost nodes included."""
    useful_node_s: float
    """Work done and kept, without services."""
    lost_node_s: float
    """Work done and lost by interruptions."""
    interruptions: int
    preemptions: int


class Scheduler:
    """Nodes, work and time. Raises UsageError for requests that cannot be met; nothing is changed then."""

    def __init__(
        self,
        nodes: Iterable[Place | str],
        budgets_kw: Mapping[str, float] | None = None,
        *,
        restart_s: float = 0.0,
    ) -> None:
        """`budgets_kw`: what each budget of a place may draw. `restart_s`: time to load a checkpoint."""
        self.floor = Floor((Place(node) if isinstance(node, str) else node for node in nodes), budgets_kw)
        self.now_s = 0.0
        self.restart_s = restart_s
        self.tasks: dict[str, Task] = {}
        self.decisions: list[Decision] = []
        self._out: set[str] = set()
        self._cordoned: set[str] = set()
        self._held_node_s = 0.0
        self._future: list[tuple[float, int, Work]] = []
        self._number = 0
        self._reserved = ""

    # ---- requests -----------------------------------------------------------------------------------

    def submit(self, work: Work, at_s: float | None = None) -> None:
        """Put work in the queue, now or at a later time."""
        taken = {*self.tasks, *(later.name for _, _, later in self._future)}
        if work.name in taken:
            raise UsageError(f"{work.name} is already known to the scheduler", remedy="Give it another name")
        if work.nodes > len(self.floor.places):
            raise UsageError(
                f"{work.name} wants {work.nodes} nodes; there are {len(self.floor.places)}",
                remedy=f"Ask for at most {len(self.floor.places)}",
            )
        at_s = self.now_s if at_s is None else at_s
        if not at_s >= self.now_s:
            raise UsageError(f"{work.name} is submitted at {at_s:g} s; it is {self.now_s:g} s already")
        self._number += 1
        self._future.append((at_s, self._number, work))
        if at_s <= self.now_s:
            self._arrivals()
            self._schedule()

    def scale(self, replica: Work, replicas: int) -> None:
        """Keep so many replicas of a service, named `NAME/0`, `NAME/1` ...: missing ones are submitted, those with the
        highest numbers cancelled."""
        if not replica.service or replicas < 0:
            raise UsageError(
                f"cannot scale {replica.name} to {replicas}", remedy="Give a service, and 0 or more"
            )
        alive = [t for t in self.tasks.values() if t.state in ("waiting", "running", "paused")]
        parts = [task.work.name.rpartition("/") for task in alive]
        numbers = sorted(int(tail) for stem, _, tail in parts if stem == replica.name and tail.isdigit())
        for number in reversed(numbers[replicas:]):
            self.cancel(f"{replica.name}/{number}", f"scaled to {replicas}")
        fresh = (n for n in count() if f"{replica.name}/{n}" not in self.tasks)
        for number in islice(fresh, max(0, replicas - len(numbers))):
            self.submit(replica.model_copy(update={"name": f"{replica.name}/{number}"}))

    def pause(self, name: str, reason: str = "asked") -> None:
        """Checkpoint it and take it off its nodes; it waits for `resume`. Nothing is lost."""
        task = self._flexible(name, "pause")
        nodes = self._stop(task, kept_s=task.done_s(self.now_s), state="paused")
        self._note("pause", name, nodes, reason)
        self._schedule()

    def resume(self, name: str, reason: str = "asked", kept: Iterable[str] = ()) -> None:
        """Put paused work back in the queue. `kept`: cordoned nodes that wait for it; it takes those first."""
        task = self._task(name)
        if task.state != "paused":
            raise UsageError(f"{name} is {task.state}, not paused")
        task.state, task.queued_since_s = "waiting", self.now_s
        if nodes := tuple(kept):
            task.work = task.work.model_copy(update={"home": nodes})
            self._cordoned.difference_update(nodes)
        self._note("resume", name, (), reason)
        self._schedule()

    def relocate(self, name: str, away_from: Iterable[str] = (), reason: str = "asked") -> tuple[str, ...]:
        """Checkpoint it and start it on other nodes at once; returns them.

        `away_from`: nodes or racks it must leave; all its present nodes where none is named.
        """
        task = self._flexible(name, "move")
        shunned = set(away_from) or set(task.nodes)
        places = self.floor.places
        free = [
            node
            for node in (*self._free(), *task.nodes)
            if node not in shunned and places[node].rack not in shunned and node not in self._cordoned
        ]
        loads = self._loads(without=(name,))
        chosen = self.floor.choose(task.work.nodes, free, loads, task.work.load_pu)
        if chosen is None:
            raise UsageError(
                f"no room for {name} away from {', '.join(sorted(shunned))}: {task.work.nodes} nodes wanted, "
                f"{len(free)} free, or a power or cooling budget is spent",
                remedy="Pause other work, or pause this one",
            )
        before = self._stop(task, kept_s=task.done_s(self.now_s), state="waiting")
        self._run(task, chosen)
        self._note("relocate", name, chosen, f"{reason}; from {', '.join(before)}")
        self._schedule()
        return chosen

    def complete(self, name: str, reason: str = "its work is done") -> None:
        """End running work as done."""
        task = self._task(name)
        if task.state != "running":
            raise UsageError(f"{name} is {task.state}, not running")
        self._finish(task, reason)
        self._schedule()

    def cancel(self, name: str, reason: str = "asked") -> None:
        """Take work away for good."""
        task = self._task(name)
        if task.state in ("done", "cancelled"):
            raise UsageError(f"{name} is {task.state} already")
        nodes = self._stop(task, kept_s=task.done_s(self.now_s), state="cancelled")
        task.ended_s = self.now_s
        self._note("cancel", name, nodes, reason)
        self._schedule()

    def node_lost(self, node: str, reason: str = "hardware") -> None:
        """The node is gone: its work falls back to the last checkpoint and goes to the queue again."""
        self._known(node)
        self._out.add(node)
        self._note("node lost", node, (node,), reason)
        for task in self._running():
            if node in task.nodes:
                self._interrupt(task, f"lost {node}")
        self._schedule()

    def node_back(self, node: str) -> None:
        """The node is in order again."""
        self._known(node)
        self._out.discard(node)
        self._note("node back", node, (node,), "repaired")
        self._schedule()

    def cordon(self, node: str, reason: str = "asked") -> None:
        """No new work there; what runs goes on."""
        self._known(node)
        self._cordoned.add(node)
        self._note("cordon", node, (node,), reason)

    def drain(self, node: str, reason: str = "asked") -> tuple[str, ...]:
        """Cordon it, and move away or requeue, with a checkpoint, what may be moved. Returns what stays on it."""
        self.cordon(node, reason)
        stays: list[str] = []
        for task in [task for task in self._running() if node in task.nodes]:
            if task.work.preemptible:
                self._set_aside(task, "preempt", f"{node} is drained")
            else:
                stays.append(task.work.name)
        self._schedule()
        return tuple(stays)

    def uncordon(self, node: str) -> None:
        self._known(node)
        self._cordoned.discard(node)
        self._note("uncordon", node, (node,), "asked")
        self._schedule()

    def set_budget(self, name: str, limit_kw: float, reason: str = "asked") -> None:
        """Change a power or cooling budget. New starts keep to it; what runs is left to pause and relocate."""
        self.floor.budgets_kw[name] = limit_kw
        self._note("budget", name, (), f"{limit_kw:g} kW: {reason}")
        self._schedule()

    # ---- time ---------------------------------------------------------------------------------------

    def advance(self, until_s: float) -> None:
        """Let time pass: arrivals and completions happen in order, and each of them lets others start."""
        if not self.now_s <= until_s < math.inf:
            raise UsageError(
                f"cannot advance to {until_s:g} s; it is {self.now_s:g} s now",
                remedy="Give a later, finite time",
            )
        while (at_s := self.next_event_s()) <= until_s:
            self._pass(at_s)
            for task in sorted(self._running(), key=lambda task: task.number):
                if task.ends_s <= self.now_s + 1e-9:
                    self._finish(task, "its work is done")
            self._arrivals()
            self._schedule()
        self._pass(until_s)

    def next_event_s(self) -> float:
        """The next completion or arrival; infinite where there is none."""
        arrivals = (at_s for at_s, _, _ in self._future)
        return min([*arrivals, *(task.ends_s for task in self._running())], default=math.inf)

    def node_load(self, time_s: float | None = None) -> dict[str, float]:
        """Load of every node that training and batch work holds at that time, up to now. Nodes of services are not in
        it: the engines say what those do."""
        time_s = self.now_s if time_s is None else time_s
        if time_s > self.now_s:
            raise UsageError(f"{time_s:g} s has not come yet; it is {self.now_s:g} s", remedy="Advance first")
        loads: dict[str, float] = {}
        for task in self.tasks.values():
            if task.work.service:
                continue
            for nodes in _held_at(task, time_s):
                loads |= dict.fromkeys(nodes, task.work.load_pu)
        return loads

    def metrics(self) -> Metrics:
        tasks = list(self.tasks.values())
        started = [task for task in tasks if task.first_start_s is not None]
        waits = [task.waited_s for task in started]
        span_node_s = self.now_s * len(self.floor.places)
        return Metrics(
            completed=sum(task.state == "done" for task in tasks),
            running=sum(task.state == "running" for task in tasks),
            waiting=sum(task.state == "waiting" for task in tasks),
            mean_wait_s=sum(waits) / len(waits) if waits else 0.0,
            longest_wait_s=max(waits, default=0.0),
            utilisation_pu=self._held_node_s / span_node_s if span_node_s else 0.0,
            useful_node_s=sum(t.done_s(self.now_s) * t.work.nodes for t in tasks if not t.work.service),
            lost_node_s=sum(task.lost_node_s for task in tasks),
            interruptions=sum(task.interruptions for task in tasks),
            preemptions=sum(task.preemptions for task in tasks),
        )

    # ---- the queue ----------------------------------------------------------------------------------

    def queue(self) -> list[Task]:
        """What waits, in order."""
        return sorted((t for t in self.tasks.values() if t.state == "waiting"), key=lambda task: task.order)

    def _schedule(self) -> None:
        """Go through the queue until nothing more starts: what was preempted may fit elsewhere."""
        while self._through_queue():
            pass

    def _through_queue(self) -> bool:
        """Start what may start. The first that cannot gets the reservation; the rest must leave it alone.

        Returns whether anything was preempted.
        """
        reserved: Task | None = None
        preempted = False
        for task in self.queue():
            started, victims = self._try(task, reserved)
            preempted = preempted or victims
            if not started and reserved is None:
                reserved = task
                self._waits(task)
        if reserved is None:
            self._reserved = ""
        return preempted

    def _try(self, task: Task, reserved: Task | None) -> tuple[bool, bool]:
        """Whether the task started, and whether others were preempted for it."""
        victims: list[Task] = []
        chosen = self._fit(task, self._free(), self._loads())
        if chosen is None:
            victims = self._victims(task)
            chosen = self._fit_without(task, victims) if victims else None
        if chosen is None or (reserved is not None and self._puts_off(reserved, task, chosen, victims)):
            return False, False
        for victim in victims:
            self._set_aside(victim, "preempt", f"{task.work.name} has priority {task.work.priority}")
        reason = f"after preempting {', '.join(v.work.name for v in victims)}" if victims else "it fits"
        if reserved is not None:
            reason = f"{reason}, and {reserved.work.name} starts no later for it"
        self._run(task, chosen)
        self._note("start" if reserved is None else "backfill", task.work.name, chosen, reason)
        return True, bool(victims)

    def _waits(self, task: Task) -> None:
        """Note once that the task holds the reservation."""
        if self._reserved == task.work.name:
            return
        self._reserved = task.work.name
        at_s = self.reservation_s(task)
        when = (
            f"its turn is at {at_s:g} s at the latest"
            if math.isfinite(at_s)
            else "nothing that runs makes room"
        )
        free = len(self._free())
        short = "free" if free < task.work.nodes else "free, but a power or cooling budget is spent"
        self._note("wait", task.work.name, (), f"{task.work.nodes} nodes wanted, {free} {short}; {when}")

    def _fit(self, task: Task, free: Iterable[str], loads: Mapping[str, float]) -> tuple[str, ...] | None:
        return self.floor.choose(task.work.nodes, free, loads, task.work.load_pu, task.work.home)

    def _fit_without(self, task: Task, gone: list[Task]) -> tuple[str, ...] | None:
        names = tuple(t.work.name for t in gone)
        freed = [node for t in gone for node in t.nodes if self._usable(node)]
        return self._fit(task, [*self._free(), *freed], self._loads(without=names))

    def _victims(self, task: Task) -> list[Task]:
        """As few as let the task start: lowest priority first, then what loses least work, then the youngest.

        What turns out not to be needed is spared, the highest priority first (as kube-scheduler does). Empty where
        even all of them are not enough.
        """
        candidates = [
            t for t in self._running() if t.work.preemptible and t.work.priority < task.work.priority
        ]
        candidates.sort(key=lambda t: (t.work.priority, self._notice_cost(t), -t.started_s, -t.number))
        if not candidates or self._fit_without(task, candidates) is None:
            return []
        victims: list[Task] = []
        for candidate in candidates:
            victims.append(candidate)
            if self._fit_without(task, victims) is not None:
                break
        for spared in victims[-2::-1]:
            fewer = [victim for victim in victims if victim is not spared]
            if self._fit_without(task, fewer) is not None:
                victims = fewer
        return victims

    def _notice_cost(self, task: Task) -> float:
        """Node-seconds lost when it is stopped with notice: none with a checkpoint, else all."""
        return 0.0 if task.work.checkpointed else task.done_s(self.now_s) * task.work.nodes

    def _puts_off(self, reserved: Task, task: Task, chosen: tuple[str, ...], victims: list[Task]) -> bool:
        """Whether starting the task on those nodes would put the reservation off."""
        held = [_Held.of(t) for t in self._running() if t not in victims]
        restart_s = self._restart(task)
        end_s = self.now_s + restart_s + max(task.work.limit_s, task.work.duration_s) - task.progress_s
        held.append(_Held(end_s, task.number, chosen, task.work.load_pu))
        return self._first_fit_s(reserved, held) > self.reservation_s(reserved) + 1e-9

    def reservation_s(self, task: Task) -> float:
        """The earliest time at which the task fits, if all that runs takes its whole limit. Infinite: never."""
        return self._first_fit_s(task, [_Held.of(other) for other in self._running()])

    def _first_fit_s(self, task: Task, held: list[_Held]) -> float:
        loads = {node: one.load_pu for one in held for node in one.nodes}
        free = {node for node in self.floor.places if node not in loads and self._usable(node)}
        if self._fit(task, free, loads) is not None:
            return self.now_s
        for one in sorted(held, key=lambda one: (one.end_s, one.number)):
            if math.isinf(one.end_s):
                break
            free |= {node for node in one.nodes if self._usable(node)}
            for node in one.nodes:
                del loads[node]
            if self._fit(task, free, loads) is not None:
                return one.end_s
        return math.inf

    # ---- one task -----------------------------------------------------------------------------------

    def _run(self, task: Task, nodes: tuple[str, ...]) -> None:
        task.state, task.nodes, task.started_s = "running", nodes, self.now_s
        task.restart_s = self._restart(task)
        task.waited_s += self.now_s - task.queued_since_s
        if task.first_start_s is None:
            task.first_start_s = self.now_s

    def _restart(self, task: Task) -> float:
        return self.restart_s if task.runs and not task.work.service else 0.0

    def _stop(
        self, task: Task, kept_s: float, state: Literal["waiting", "paused", "done", "cancelled"]
    ) -> tuple[str, ...]:
        nodes = task.nodes
        if task.state == "running":
            task.lost_node_s += (task.done_s(self.now_s) - kept_s) * len(nodes)
            task.runs.append((task.started_s, self.now_s, nodes))
        elif task.state == "waiting":
            task.waited_s += self.now_s - task.queued_since_s
        task.progress_s, task.state, task.nodes = kept_s, state, ()
        task.queued_since_s = self.now_s
        return nodes

    def _set_aside(self, task: Task, what: What, reason: str) -> None:
        """With notice: it writes a checkpoint where it can, and queues again."""
        kept_s = task.done_s(self.now_s) if task.work.checkpointed else 0.0
        task.preemptions += 1
        self._note(what, task.work.name, self._stop(task, kept_s, "waiting"), reason)

    def _interrupt(self, task: Task, reason: str) -> None:
        """Without notice: it falls back to its last checkpoint."""
        task.interruptions += 1
        saved_s = task.saved_s(self.now_s)
        lost_s = task.done_s(self.now_s) - saved_s
        nodes = self._stop(task, saved_s, "waiting")
        self._note("interrupt", task.work.name, nodes, f"{reason}; {lost_s:.0f} s of its work are lost")

    def _finish(self, task: Task, reason: str) -> None:
        nodes = self._stop(task, kept_s=task.done_s(self.now_s), state="done")
        task.ended_s = self.now_s
        self._note("complete", task.work.name, nodes, reason)

    # ---- state --------------------------------------------------------------------------------------

    def _running(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.state == "running"]

    def _free(self) -> list[str]:
        held = {node for task in self._running() for node in task.nodes}
        return [node for node in self.floor.places if node not in held and self._usable(node)]

    def _usable(self, node: str) -> bool:
        return node not in self._out and node not in self._cordoned

    def _loads(self, without: Iterable[str] = ()) -> dict[str, float]:
        gone = set(without)
        running = (task for task in self._running() if task.work.name not in gone)
        return {node: task.work.load_pu for task in running for node in task.nodes}

    def _arrivals(self) -> None:
        due = sorted(entry for entry in self._future if entry[0] <= self.now_s)
        self._future = [entry for entry in self._future if entry[0] > self.now_s]
        for at_s, number, work in due:
            self.tasks[work.name] = Task(work, number, at_s, queued_since_s=at_s)
            self._note("submit", work.name, (), f"{work.nodes} x node, priority {work.priority}")

    def _pass(self, until_s: float) -> None:
        held = sum(len(task.nodes) for task in self._running())
        self._held_node_s += held * (until_s - self.now_s)
        self.now_s = until_s

    def _task(self, name: str) -> Task:
        if name not in self.tasks:
            raise UsageError(f"no work {name!r}", remedy=f"Known: {', '.join(self.tasks) or 'none'}")
        return self.tasks[name]

    def _flexible(self, name: str, verb: str) -> Task:
        task = self._task(name)
        if task.state != "running":
            raise UsageError(f"{name} is {task.state}, not running")
        if not task.work.preemptible:
            raise UsageError(f"{name} may not be stopped", remedy=f"{verb} work that is marked flexible")
        return task

    def _known(self, node: str) -> None:
        if node not in self.floor.places:
            raise UsageError(f"no node {node!r} in this scheduler")

    def _note(self, what: What, subject: str, nodes: tuple[str, ...], reason: str) -> None:
        self.decisions.append(Decision(self.now_s, what, subject, nodes, reason))


@dataclass(frozen=True, slots=True)
class _Held:
    """Nodes in use and until when at the latest."""

    end_s: float
    number: int
    nodes: tuple[str, ...]
    load_pu: float

    @classmethod
    def of(cls, task: Task) -> _Held:
        return cls(task.planned_end_s, task.number, task.nodes, task.work.load_pu)


def _held_at(task: Task, time_s: float) -> list[tuple[str, ...]]:
    """The nodes it held at that time, from its runs."""
    held = [nodes for start, end, nodes in task.runs if start <= time_s < end]
    return [*held, task.nodes] if task.state == "running" and task.started_s <= time_s else held
