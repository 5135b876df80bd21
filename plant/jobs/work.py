"""What asks for nodes: training and batch jobs that end, and replicas of services that do not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from plant.closed import Closed
from plant.specs import JobSpec
from plant.units import PerUnit

State = Literal["waiting", "running", "paused", "done", "cancelled"]


class Work(Closed):
    """A gang: all its nodes at once or none. Nodes are taken whole."""

    name: str
    nodes: int = Field(ge=1)
    priority: int = 0
    """Higher goes first, as a Kubernetes PriorityClass."""
    duration_s: float = Field(math.inf, gt=0)
    """Work to do, in seconds of undisturbed running; infinite for a replica of a service."""
    limit_s: float = Field(math.inf, gt=0)
    """The longest it runs; reservations go by it. At least `duration_s`."""
    load_pu: PerUnit = Field(0.92, ge=0, le=1)
    service: bool = False
    """A replica of an inference pool. Its load is the engine's to say."""
    preemptible: bool = False
    """Work of a higher priority may take its nodes, and operators may pause and move it."""
    checkpoint_s: float = Field(1800.0, gt=0)
    checkpointed: bool = True
    home: tuple[str, ...] = ()
    """Nodes it takes where they are free; else it is placed as any other."""


def job_work(spec: JobSpec) -> Work:
    """A job of the site file as work.

    >>> job_work(JobSpec(name="tune", nodes=2, duration_s="2h", flexible=True)).limit_s
    7200.0
    """
    return Work(
        name=spec.name,
        nodes=spec.nodes,
        priority=spec.priority,
        duration_s=spec.duration_s,
        limit_s=spec.limit_s or spec.duration_s,
        load_pu=spec.load_pu,
        preemptible=spec.flexible,
        checkpoint_s=spec.checkpoint_s,
        checkpointed=spec.checkpointed,
    )


@dataclass
class Task:
    """A piece of work on its way: where it is and how far."""

    work: Work
    number: int
    """In order of submission."""
    submitted_s: float
    state: State = "waiting"
    nodes: tuple[str, ...] = ()
    started_s: float = 0.0
    """Of the present run."""
    first_start_s: float | None = None
    ended_s: float | None = None
    restart_s: float = 0.0
    """Of the present run: time to load a checkpoint before work goes on."""
    progress_s: float = 0.0
    """Work done when the present run began, or now where it does not run."""
    queued_since_s: float = 0.0
    waited_s: float = 0.0
    lost_node_s: float = 0.0
    """Work done and lost again, times nodes."""
    interruptions: int = 0
    preemptions: int = 0
    runs: list[tuple[float, float, tuple[str, ...]]] = field(default_factory=list)
    """Start, end and nodes of the runs that are over."""

    def done_s(self, now_s: float) -> float:
        """Work done by now."""
        if self.state != "running":
            return self.progress_s
        return self.progress_s + max(0.0, now_s - self.started_s - self.restart_s)

    def saved_s(self, now_s: float) -> float:
        """Work that an interruption now would leave: up to the last checkpoint of this run, or what it began with."""
        if not self.work.checkpointed:
            return 0.0
        fresh = self.done_s(now_s) - self.progress_s
        return self.progress_s + math.floor(fresh / self.work.checkpoint_s) * self.work.checkpoint_s

    @property
    def ends_s(self) -> float:
        """When the present run completes if nothing happens."""
        return self.started_s + self.restart_s + self.work.duration_s - self.progress_s

    @property
    def planned_end_s(self) -> float:
        """When the present run is over at the latest, by its limit."""
        return (
            self.started_s + self.restart_s + max(self.work.limit_s, self.work.duration_s) - self.progress_s
        )

    @property
    def order(self) -> tuple[int, float, int]:
        """Place in the queue: priority, then who came first."""
        return (-self.work.priority, self.submitted_s, self.number)
