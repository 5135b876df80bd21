"""A person's own proposal, from the desk, chat or another agent, on its way into the shift's queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import JsonValue, ValidationError

from agents.proposer import ProposerPorts, propose_for_review
from setpoint.app.asked import same
from setpoint.contracts import Action, ActionProposal
from setpoint.contracts.action import ArgValue
from setpoint.contracts.site import Site
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from setpoint.settings import Settings
from tools.actions import describe
from tools.proposals import no_readings

if TYPE_CHECKING:
    from setpoint.app.trials import PlantTrials
    from tools.adapter import SiteAdapter


class Propose(Protocol):
    """Puts one action to review for a person. Returns what became of it as JSON values."""

    def __call__(
        self, action: str, asset: str, args: Mapping[str, ArgValue], why: str, who: str, via: str
    ) -> dict[str, JsonValue]: ...


def make_proposer(
    settings: Settings,
    site: Site,
    ledger: Ledger,
    adapter: SiteAdapter | None,
    trials: Callable[[], PlantTrials] | None = None,
) -> Propose:
    """`trials`: the run's own, where there is a run; else they are made at the first proposal."""
    from setpoint.app.opening import once, utc_now

    rehearsing = trials or once(lambda: _own_trials(settings, site, ledger, adapter))

    def rehearsed(proposal: ActionProposal) -> ActionProposal:
        found = rehearsing().rehearse_now(proposal.action)
        return proposal if found is None else proposal.model_copy(update={"rehearsal": found})

    ports = ProposerPorts(
        ledger=ledger, site=site, read=adapter.read if adapter else no_readings, settings=settings.review,
        clock=utc_now, rehearse=rehearsed, alike=same,
    )  # fmt: skip

    def propose(
        action: str, asset: str, args: Mapping[str, ArgValue], why: str, who: str, via: str
    ) -> dict[str, JsonValue]:
        put = propose_for_review(_typed(action, asset, args), why, who, via, ports)
        review = put.review
        words = describe(review.proposal.action) if review.proposal else review.subject
        return {
            "review": review.model_dump(mode="json"),
            "fresh": put.fresh,
            "said": f"Put to review as {review.id}: {words}"
            if put.fresh
            else f"It waits for a decision already: {review.id}, {words}",
        }

    return propose


def _typed(action: str, asset: str, args: Mapping[str, Any]) -> Action:
    try:
        return Action(name=action, asset=asset, args=dict(args))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise UsageError(f"not an action: {error.errors()[0]['msg']}", where=where) from error


def _own_trials(settings: Settings, site: Site, ledger: Ledger, adapter: SiteAdapter | None) -> PlantTrials:
    from setpoint.app.histories import open_history
    from setpoint.app.opening import utc_now
    from setpoint.app.trials import PlantTrials  # the compiled plant takes a second to load
    from tools.night_site import NightSite

    clock = (lambda: adapter.now) if isinstance(adapter, NightSite) else utc_now
    return PlantTrials(site, open_history(settings, site, ledger, utc_now, adapter), clock)
