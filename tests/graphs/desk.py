"""A shift's desk for tests of review and act: real ledger, real checkpoints on disk, real graphs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph.state import CompiledStateGraph

from graphs.act import ActPorts, build_act_graph, run_act
from graphs.review import ReviewPorts, build_review_graph, open_review, resume_review
from setpoint.contracts import Action, Decision, Outcome, Review
from setpoint.ledger.records import Job
from setpoint.settings import ReviewSettings
from tests.tools.bench import Bench, action
from tools.actions import validate
from tools.proposals import proposal

CAP = action("cap_gpu_power", "gpu-20", cap_w=400.0)


class Desk:
    """Bench, graphs, and the two workers that the app would run."""

    def __init__(self, bench: Bench, saver: AsyncSqliteSaver) -> None:
        self.bench, self.ledger = bench, bench.ledger
        self.settings = ReviewSettings()
        self.review_graph: CompiledStateGraph[Any, Any, Any, Any] = build_review_graph(saver)
        self.act_graph: CompiledStateGraph[Any, Any, Any, Any] = build_act_graph(saver)

    @property
    def ports(self) -> ReviewPorts:
        return ReviewPorts(self.ledger, self.bench.site, self.bench.signer, self.settings, self.bench.clock)

    async def ask(
        self, wanted: Action = CAP, id: str = "REV-1", needed: int = 1, **changes: Any
    ) -> dict[str, Any]:
        """Put an action in the queue and bring its thread to the question."""
        self.put(wanted, id, needed, **changes)
        asked = await open_review(self.review_graph, self.ports, id)
        assert asked is not None
        return asked

    def put(self, wanted: Action = CAP, id: str = "REV-1", needed: int = 1, **changes: Any) -> Review:
        made = proposal(
            wanted.name,
            wanted.asset,
            self.bench.site,
            incident_id="INC-0001",
            why="GPU hot",
            evidence=("E1",),
        )
        made = made.model_copy(update={"action": validate(wanted, self.bench.site)})
        values: dict[str, Any] = {
            "id": id, "kind": "action", "incident_id": "INC-0001", "subject": "Cap the GPUs of gpu-20?", "proposal": made,
            "digest": made.action.digest("INC-0001"), "created": self.bench.clock(),
            "expires": self.bench.clock() + timedelta(hours=1),
        }  # fmt: skip
        review = Review(**(values | changes))
        self.ledger.open_review(review, approvals_needed=needed, now=self.bench.clock())
        return review

    def decide(self, type: str, who: str = "alice", id: str = "REV-1", **changes: Any) -> bool:
        """True once the decision is final."""
        review = self.ledger.get_review(id)
        typed = review.proposal.action.asset if review.proposal else ""
        decision = Decision.model_validate({"type": type, "who": who, "asset": typed} | changes)
        digest = review.digest
        return self.ledger.decide(id, digest, decision, now=self.bench.clock()).final

    def job(self, kind: str) -> Job | None:
        return self.ledger.claim([kind], "test", now=self.bench.clock())

    def acts(self) -> list[Job]:
        return self.ledger.list_jobs(kinds=["act"])

    async def resume(self, id: str = "REV-1") -> str:
        return await resume_review(self.review_graph, self.ports, id)

    async def act(self, job: Job, **executor: Any) -> Outcome:
        return await run_act(self.act_graph, ActPorts(self.bench.executor(**executor)), job.payload)


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[Desk]:
    bench = Bench(folder)
    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:
        yield Desk(bench, saver)
    bench.ledger.close()
