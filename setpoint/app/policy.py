"""Decision policies of headless runs: `ask`, `approve`, `reject`, or a TOML file of rules.

A policy stands in for people on a simulated site or to say no; its yes is refused on a real one, and nothing it
decides counts for autonomy or training.
"""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from plant.diagnosis.results import Rehearsal
from setpoint.contracts import Review
from setpoint.contracts.site import Site
from setpoint.errors import ConfigError, UsageError

Verdict = Literal["ask", "approve", "reject", "edit"]
Shown = Literal["refused", "no_gain", "gain"]


MORE_IS_BETTER = frozenset({"gpu_work_pct", "served_share_pct"})
"""Costs of a rehearsal of which more is a gain."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicyRule(_Closed):
    """The first rule that matches decides."""

    decide: Verdict
    kind: str = "*"
    """Glob over review kinds: action, doubtful_input, rule_change."""
    action: str = "*"
    """Glob over catalog action names."""
    asset: str = "*"
    risk: tuple[str, ...] = ()
    """Risk classes it is for; empty: all."""
    rehearsed: tuple[Shown, ...] = ()
    """What the rehearsal must have shown: "refused" by the interlock, "no_gain" over doing nothing, or "gain". Empty:
    anything, or no rehearsal."""
    args: dict[str, float | int | str | bool] = {}
    """For `edit`: the changed arguments."""
    reason: str = ""


class Policy(_Closed):
    """Rules in order, and what holds where none matches."""

    name: str = "policy"
    default: Verdict = "ask"
    rule: tuple[PolicyRule, ...] = ()

    def verdict(self, review: Review) -> PolicyRule:
        return next((rule for rule in self.rule if _matches(rule, review)), PolicyRule(decide=self.default))

    @property
    def can_approve(self) -> bool:
        return any(d in ("approve", "edit") for d in (self.default, *(rule.decide for rule in self.rule)))


def load_policy(text: str, site: Site) -> Policy:
    """`ask`, `approve`, `reject` or a file. Raises UsageError where it would say yes on a real site."""
    if text in ("ask", "approve", "reject"):
        policy = Policy.model_validate({"name": f"--decide {text}", "default": text})
    else:
        policy = _read(Path(text))
    if policy.can_approve and not site.simulated:
        raise UsageError(
            "a policy may say yes only on a simulated site",
            where=policy.name,
            remedy="Set `simulated: true` in the site file of a simulated site, or use ask or reject",
        )
    return policy


def _read(path: Path) -> Policy:
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return Policy.model_validate({"name": path.name} | raw)
    except OSError as error:
        raise UsageError(
            f"no policy {str(path)!r}: {error.strerror}", remedy="ask, approve, reject or a TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigError(f"not a policy: {error}", where=str(path)) from error


def _matches(rule: PolicyRule, review: Review) -> bool:
    if not fnmatchcase(review.kind, rule.kind):
        return False
    proposal = review.proposal
    if proposal is None:
        return rule.action == "*" and rule.asset == "*" and not rule.risk and not rule.rehearsed
    return (
        fnmatchcase(proposal.action.name, rule.action)
        and fnmatchcase(proposal.action.asset, rule.asset)
        and (not rule.risk or proposal.risk in rule.risk)
        and (not rule.rehearsed or _shown(proposal.rehearsal) in rule.rehearsed)
    )


def _shown(rehearsal: Rehearsal | None) -> Shown | None:
    """What a rehearsal comes to; None where there is none. A gain is a chance of breaking a limit that falls, fewer GPUs
    lost, or more work done."""
    if rehearsal is None:
        return None
    if rehearsal.refused:
        return "refused"
    safer = any(risk.acted < risk.without for risk in rehearsal.risks)
    better = any(
        cost.low > 0 if cost.what in MORE_IS_BETTER else cost.high < 0
        for cost in rehearsal.costs
        if cost.what != "energy_kwh"
    )
    return "gain" if safer or better else "no_gain"
