"""The eras of computing as a sanity frame for a site: energy, data, number and PUE of data centers.

The eras are those of the project's mission ("Big Changes with AI"). Growth is computed from their figures, since the
factors printed there do not all follow from them: `notes()` says which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from itertools import pairwise

from setpoint.errors import UsageError

HOURS_A_YEAR = 8760.0


@dataclass(frozen=True)
class Era:
    """The world's data centers in one era."""

    name: str
    energy_twh: float
    """A year, all data centers."""
    data_pb_per_day: float
    data_centers: float
    pue: float
    """Facility energy over IT energy, 1 or more."""
    at_least: bool = False
    """The source prints the energy as a lower bound."""

    @property
    def mean_gwh(self) -> float:
        """Energy a year of the mean data center."""
        return 1000.0 * self.energy_twh / self.data_centers

    @property
    def mean_mw(self) -> float:
        """Draw of the mean data center, averaged over the year.

        >>> round(ERAS[1].mean_mw, 2)
        5.71
        """
        return 1000.0 * self.mean_gwh / HOURS_A_YEAR

    @property
    def kwh_per_tb(self) -> float:
        """Facility energy for each TB of data that is handled."""
        return self.energy_twh * 1e9 / (self.data_pb_per_day * 365.0 * 1000.0)


ERAS = (
    Era("internet", 10.0, 2.0, 1_000.0, 3.0),
    Era("mobile and cloud", 200.0, 20_000.0, 4_000.0, 1.8),
    Era("AI", 400.0, 1e9, 12_000.0, 1.4, at_least=True),
)
PRINTED: dict[tuple[str, str], float] = {
    ("mobile and cloud", "energy_twh"): 20.0,
    ("mobile and cloud", "data_pb_per_day"): 10_000.0,
    ("mobile and cloud", "data_centers"): 4.0,
    ("AI", "energy_twh"): 40.0,
    ("AI", "data_pb_per_day"): 500_000.0,
    ("AI", "data_centers"): 12.0,
}
"""Growth factors as the source prints them, each against the era before ("40x additional increase")."""


@dataclass(frozen=True)
class Growth:
    """How one era's figure compares with those before."""

    era: str
    figure: str
    since_previous: float
    since_first: float
    printed: float | None = None

    @property
    def follows(self) -> bool:
        """The printed factor is the growth since the era before it."""
        return self.printed is None or math.isclose(self.printed, self.since_previous)


def growth() -> tuple[Growth, ...]:
    """Growth of every figure of every era after the first, beside the factor printed.

    >>> [(g.figure, g.since_previous, g.printed) for g in growth() if not g.follows]
    [('energy_twh', 2.0, 40.0), ('data_pb_per_day', 50000.0, 500000.0), ('data_centers', 3.0, 12.0)]
    """
    figures = [field.name for field in fields(Era) if field.name not in ("name", "at_least")]
    return tuple(
        Growth(
            era=era.name,
            figure=figure,
            since_previous=getattr(era, figure) / getattr(before, figure),
            since_first=getattr(era, figure) / getattr(ERAS[0], figure),
            printed=PRINTED.get((era.name, figure)),
        )
        for before, era in pairwise(ERAS)
        for figure in figures
    )


def notes() -> tuple[str, ...]:
    """A sentence for each printed factor that does not follow from the source's own figures."""
    return tuple(_note(g) for g in growth() if not g.follows)


def _note(g: Growth) -> str:
    text = f"{g.era}, {g.figure}: printed {g.printed:,.0f} times, computed {g.since_previous:,.0f} times the era before"
    if math.isclose(g.printed or 0.0, g.since_first):
        return f"{text}; the printed factor is against the first era"
    return f"{text} and {g.since_first:,.0f} times the first: the printed factor is neither"


@dataclass(frozen=True)
class Against:
    """A site beside one era."""

    era: Era
    energy_ratio: float
    """Its energy a year over that of the era's mean data center."""
    pue_difference: float
    """Its PUE less the era's: below 0 is better."""
    saving_pu: float
    """Share of its energy that the era's PUE would save at equal IT load; below 0 where the site is better."""


@dataclass(frozen=True)
class Standing:
    """Where a site stands among the eras."""

    annual_gwh: float
    mean_mw: float
    pue: float
    it_gwh: float
    against: tuple[Against, ...]
    nearest_by_energy: str
    """Era whose mean data center is nearest in size, as a ratio."""
    nearest_by_pue: str
    world_share: float
    """Of the last era's energy (a lower bound there, so at most this share)."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What stands out, in sentences: nothing where nothing does."""
        last = self.against[-1]
        said = []
        if last.saving_pu > 0.0:
            said.append(
                f"A PUE of {last.era.pue:g} would save {100 * last.saving_pu:.1f}% of its energy, "
                f"{last.saving_pu * self.annual_gwh:.3g} GWh a year."
            )
        if self.pue > ERAS[0].pue:
            said.append(f"A PUE of {self.pue:g} is above that of the first era: check the meters.")
        if last.energy_ratio > 30.0 or last.energy_ratio < 1e-3:
            said.append(
                f"Its energy is {last.energy_ratio:.3g} times the mean of the {last.era.name} era: check the scale."
            )
        return tuple(said)


def rows(site: Standing | None = None) -> tuple[tuple[str, ...], ...]:
    """A table as text: header, a row an era, and the site's row where given.

    >>> rows()[2]
    ('mobile and cloud', '200', '20,000', '4,000', '1.8', '50', '27.4')
    """
    head = ("era", "TWh a year", "PB a day", "data centers", "PUE", "GWh a center", "kWh a TB")
    eras = tuple(_row(era) for era in ERAS)
    if site is None:
        return (head, *eras)
    own = (
        "this site",
        f"{site.annual_gwh / 1000:.3g}",
        "",
        "1",
        f"{site.pue:g}",
        f"{site.annual_gwh:.3g}",
        "",
    )
    return (head, *eras, own)


def _row(era: Era) -> tuple[str, ...]:
    energy = f"{era.energy_twh:g}+" if era.at_least else f"{era.energy_twh:g}"
    return (era.name, energy, f"{era.data_pb_per_day:,.0f}", f"{era.data_centers:,.0f}", f"{era.pue:g}", f"{era.mean_gwh:.3g}",
            f"{era.kwh_per_tb:,.3g}")  # fmt: skip


def place(annual_twh: float | None = None, pue: float = 1.4, *, mean_kw: float | None = None) -> Standing:
    """Where a site of that energy and PUE stands. Give energy a year, or the mean facility draw in kW.

    At equal IT load the energy at another PUE is E * PUE' / PUE, so the saving is 1 - PUE' / PUE.
    Raises UsageError for no or both energies, for one not above 0, or a PUE below 1.

    >>> site = place(mean_kw=1000.0, pue=1.2)
    >>> round(site.annual_gwh, 2), site.nearest_by_energy, site.nearest_by_pue
    (8.76, 'internet', 'AI')
    """
    if (annual_twh is None) == (mean_kw is None):
        raise UsageError("give the site's energy once", remedy="Give annual_twh, or mean_kw")
    gwh = 1000.0 * annual_twh if annual_twh is not None else (mean_kw or 0.0) * HOURS_A_YEAR / 1e6
    if not (math.isfinite(gwh) and gwh > 0):
        raise UsageError(f"{gwh:g} GWh a year is not the energy of a site", remedy="Give a number above 0")
    if not (math.isfinite(pue) and pue >= 1):
        raise UsageError(
            f"a PUE of {pue:g} is impossible",
            remedy="Give 1 or more: facility energy over IT energy, and facility contains IT",
        )
    return Standing(
        annual_gwh=gwh,
        mean_mw=1000.0 * gwh / HOURS_A_YEAR,
        pue=pue,
        it_gwh=gwh / pue,
        against=tuple(Against(era, gwh / era.mean_gwh, pue - era.pue, 1.0 - era.pue / pue) for era in ERAS),
        nearest_by_energy=min(ERAS, key=lambda era: abs(math.log(gwh / era.mean_gwh))).name,
        nearest_by_pue=min(ERAS, key=lambda era: abs(pue - era.pue)).name,
        world_share=gwh / 1000.0 / ERAS[-1].energy_twh,
    )
