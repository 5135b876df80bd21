"""What the plant tools stand on, and how they find what they are asked about.

Modules of the plant that compile kernels are imported inside the calls that need them: making the tools costs nothing.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from plant.hardware.gpus import Dtype
from plant.specs import PoolSpec
from setpoint.contracts.site import Asset, AssetKind, Site
from tools.readings import Read
from tools.telemetry import History
from tools.typed import Args, ToolError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from plant.hardware.models import Model
    from plant.inference.deployment import Deployment
    from plant.sim import Plant

QUIET = "from a model of the site in its quiet state: its present state is not known here"
LIVE = "from a copy of the plant as it is now"
PROMPT_TOKENS, OUTPUT_TOKENS = 1155, 211
"""Mean request where none is given: the Azure 2023 conversation trace (plant.show)."""
SPREAD = 1.0
"""Sigma of the log-normal lengths of made-up requests; the same trace has about 1.05."""
MOST_NAMED = 6

Name = Annotated[str, Field(max_length=120)]
Rate = Annotated[float, Field(gt=0, le=2000, allow_inf_nan=False, description="Requests a second")]
Prompt = Annotated[int, Field(ge=1, le=131_072, description="Mean prompt")]
Output = Annotated[int, Field(ge=1, le=32_768, description="Mean answer")]


def _unread(_asset: str) -> None:
    return None


@dataclass(frozen=True)
class PlantPorts:
    """All that the plant tools reach. They change none of it."""

    site: Site
    history: History
    clock: Callable[[], datetime]
    read: Read = _unread
    """Latest reading of an asset; None where there is no telemetry of it."""
    twin: Callable[[], Plant] | None = None
    """A copy of the live plant as it is now; None where nothing live can be copied."""

    def plant(self) -> tuple[Plant, str]:
        """A plant of one's own to move, and where its state comes from."""
        if self.twin is not None:
            return self.twin(), LIVE
        from plant.sim import Plant

        return Plant.start(self.site, self.clock()), QUIET

    def local_hour(self) -> float:
        """Hour of the site's day."""
        now = self.clock().astimezone(self.site.zone)
        return now.hour + now.minute / 60


class ModelArgs(Args):
    """One instance: of a pool of the site, or a model on an accelerator."""

    pool: Annotated[Name, Field(description="Serving pool of the site; empty: give model and gpu")] = ""
    model: Annotated[Name, Field(description="Model, e.g. llama-3.1-70b")] = ""
    gpu: Annotated[Name, Field(description="Accelerator, e.g. H200")] = ""
    tp: Annotated[int, Field(ge=0, le=72, description="Tensor parallel ways; 0: the fewest that hold it")] = 0
    weights: Annotated[
        Dtype | None, Field(description="Width of the weights; null: as published or as the pool's")
    ] = None


@dataclass(frozen=True)
class Served:
    """What is asked about: one instance, and the pool it is of."""

    deployment: Deployment
    pool: PoolSpec | None
    instances: int

    @property
    def name(self) -> str:
        d = self.deployment
        return (
            self.pool.name
            if self.pool
            else f"{d.model.name} in {d.weights} on {d.gpus} {d.gpu.name}, tp {d.tp}"
        )

    @property
    def slo_ms(self) -> tuple[float, float]:
        """TTFT and TPOT limits of the pool; 500 and 50 ms without one."""
        return (self.pool.ttft_slo_ms, self.pool.tpot_slo_ms) if self.pool else (500.0, 50.0)


def served(site: Site, args: ModelArgs) -> Served:
    """The pool named, or the model on the accelerator; the site's only pool where neither is given.

    Raises ToolError that names the pools, and ConfigError that says what would fit.
    """
    from plant.inference.memory import plan_memory

    if args.pool and (args.model or args.gpu):
        raise ToolError("pool and model are both given; give a pool, or a model with a gpu")
    if args.model or args.gpu:
        return Served(_own(site, args), None, 1)
    name = args.pool or (site.pools[0].name if len(site.pools) == 1 else "")
    if not name:
        raise ToolError(
            f"which pool? This site has {listed(p.name for p in site.pools) or 'none'}; or give model and gpu"
        )
    pool = site.pool(name)
    deployment = site.deployment(pool)
    if args.tp or args.weights:
        changes = {"tp": args.tp or pool.tp, "weights": args.weights or pool.weights}
        deployment = deployment.model_copy(update=changes)
        plan_memory(deployment)
    return Served(deployment, pool, len(site.instances(pool)))


def _own(site: Site, args: ModelArgs) -> Deployment:
    from plant.inference.deployment import Deployment
    from plant.inference.memory import plan_memory
    from plant.inference.parallel import options

    if not (args.model and args.gpu):
        raise ToolError("give both model and gpu, such as llama-3.1-70b and H200, or a pool of the site")
    model, gpu = model_of(site, args.model), site.gpu(args.gpu)
    ways = args.tp
    if not ways:
        found = options(model, gpu, max_gpus=min(gpu.scale_up_domain, 16), weights=args.weights)
        ways = next((o.tp for o in found if o.possible and o.pp == 1 and o.dp == 1), 1)
    deployment = Deployment(model=model, gpu=gpu, tp=ways, weights=args.weights or model.weights)
    plan_memory(deployment)
    return deployment


def model_of(site: Site, name: str) -> Model:
    """The site's own model or the catalog's. Raises ToolError that names the nearest, of many."""
    from plant.hardware.models import nearest
    from setpoint.errors import ConfigError

    try:
        return site.model(name)
    except ConfigError:
        own = difflib.get_close_matches(name, [model.name for model in site.models], 2)
        raise ToolError(f"unknown model {name!r}; near are {', '.join([*own, *nearest(name)])}") from None


def asset_of(site: Site, name: str, *kinds: AssetKind, first: bool = False) -> Asset:
    """The asset of that name and one of these kinds; with `first` the first of them where no name is given."""
    fitting = [asset.name for asset in site.of_kind(*kinds)]
    wanted = " or ".join(kinds) if len(kinds) <= 4 else "asset that this can be asked of"
    if not name and first and fitting:
        return site.of_kind(*kinds)[0]
    found = site.find(name) if name else None
    if found is None:
        if not fitting:
            raise ToolError(f"this site has no {wanted}")
        near = difflib.get_close_matches(name, fitting, 3, 0.4) or fitting[:MOST_NAMED]
        raise ToolError(f"no {wanted} {name!r} on this site; use for example {', '.join(near)}")
    if found.kind not in kinds:
        raise ToolError(
            f"{found.name} is a {found.kind}; name a {' or '.join(kinds)}, such as {listed(fitting) or 'none here'}"
        )
    return found


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more."""
    every = list(names)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(every[:MOST_NAMED]) + more


def number(value: float, digits: int = 4) -> float | None:
    """Rounded to significant digits for an answer; None where it is not finite.

    >>> number(1234.5678), number(0.00012345), number(float("nan"))
    (1235.0, 0.0001234, None)
    """
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def known(value: float, digits: int = 4) -> float:
    """As `number`, of a value that is finite."""
    return float(f"{value:.{digits}g}")


def percentiles(values: Sequence[float] | NDArray[np.float64], *shares: float) -> list[float]:
    """Percentiles of what is finite; NaN where nothing is."""
    import numpy as np

    kept = np.asarray(values, float)
    kept = kept[np.isfinite(kept)]
    return [float(v) for v in np.percentile(kept, shares)] if len(kept) else [math.nan] * len(shares)
