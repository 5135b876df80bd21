"""One rehearsal as a page, and as text for a terminal: what is in danger first, then what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plant.diagnosis.quantities import limit_words
from plant.diagnosis.results import Compared, LimitRisk, Option, Rehearsal
from setpoint.app import trial_pictures, trial_words
from setpoint.app.charts import figure
from setpoint.app.formatting import counted, day_and_time, span
from setpoint.app.screen import console, head, put, say
from setpoint.app.still_page import render_still, write_still
from setpoint.contracts import Action
from setpoint.contracts.site import Site
from tools.actions import describe, spec_of

_STYLES = ("parts.css", "report.css", "plant.css", "small.css", "rehearsal.css")
MOST_TILES = 4


def write_page(
    path: Path, rehearsal: Rehearsal, site: Site, source: str, compared: Compared | None = None
) -> None:
    """Write the page. `source` says where the state came from; `compared` is what came of it, where that is known.

    Raises BackendError where it cannot be written.
    """
    write_still(path, render_page(rehearsal, site, source, compared))


def render_page(rehearsal: Rehearsal, site: Site, source: str, compared: Compared | None = None) -> str:
    """The page as text."""
    functions = (
        trial_pictures.band_plot, trial_pictures.key_sign, trial_pictures.interval_words, trial_words.share_words,
        trial_words.cost_words, trial_words.difference_words, trial_words.rehearsal_facts, limit_words, figure, counted,
        span, day_and_time, worst_words, trust_words,
    )  # fmt: skip
    shown = {
        "r": rehearsal, "title": title_of(rehearsal), "spec": spec_of(rehearsal.action), "site": site.name,
        "zone": site.zone, "source": source, "tiles": telling(rehearsal.risks)[:MOST_TILES],
        "quiet": _quiet(rehearsal.risks), "compared": compared,
    }  # fmt: skip
    return render_still("rehearsal.html.j2", _STYLES, shown, functions=functions)


def title_of(rehearsal: Rehearsal) -> str:
    """The action in the catalog's words."""
    return describe(Action(name=rehearsal.action, asset=rehearsal.asset, args=rehearsal.args))


def telling(risks: Sequence[LimitRisk]) -> list[LimitRisk]:
    """Limits that may be broken, with it or without."""
    return [risk for risk in risks if max(risk.without, risk.acted) > 0.0]


def _quiet(risks: Sequence[LimitRisk]) -> list[str]:
    """Limits that no run broke, in words."""
    return [limit_words(risk.name, risk.limit) for risk in risks if max(risk.without, risk.acted) == 0.0]


def worst_words(option: Option, rehearsal: Rehearsal) -> str:
    """Which limit an option would most surely break; "none" where none."""
    found = next((risk for risk in rehearsal.risks if risk.name == option.worst_limit), None)
    return limit_words(found.name, found.limit) if found else "none"


def trust_words(rehearsal: Rehearsal) -> str:
    """How well the state it started from is known."""
    if rehearsal.confidence == 0.0:
        return "none, no reading was compared with it"
    return trial_words.share_words(rehearsal.confidence)


# ---- terminal ----------------------------------------------------------------------------------------------------


def tell(rehearsal: Rehearsal, source: str) -> None:
    """Print it."""
    screen = console()
    say(screen, title_of(rehearsal), "bold")
    say(screen, rehearsal.said)
    if rehearsal.refused:
        say(screen, f"The interlock would refuse it: {rehearsal.refused}", "bold red")
    risks = telling(rehearsal.risks)
    if risks:
        head(screen, f"Chance of breaking a limit within {span(rehearsal.horizon_s)}")
        put(
            screen, ("limit", "asset", "without", "with", "90 % interval"),
            [(limit_words(one.name, one.limit), one.asset, trial_words.share_words(one.without), trial_words.share_words(one.acted),
              trial_pictures.interval_words(one.low, one.high)) for one in risks], left=2,
        )  # fmt: skip
    head(screen, "What it costs")
    put(
        screen, ("", "without", "with", "difference, 90 %"),
        [(trial_words.cost_words(one), figure(one.without), figure(one.acted), trial_words.difference_words(one))
         for one in rehearsal.costs],
    )  # fmt: skip
    head(screen, "Ways to go on, best first")
    put(
        screen, ("way", "surest break of a limit", "chance", "GPU work %", "energy kWh"),
        [(one.label, worst_words(one, rehearsal), trial_words.share_words(one.worst_risk), figure(one.gpu_work_pct),
          figure(one.energy_kwh)) for one in rehearsal.options], left=2,
    )  # fmt: skip
    say(screen, f"\nFrom {source}.")
    say(
        screen,
        f"{counted(rehearsal.members, 'run')} each way over {span(rehearsal.horizon_s)}, constants varied; "
        f"{rehearsal.seconds:.1f} s. Trust in the state: {trust_words(rehearsal)}.",
        "dim",
    )
