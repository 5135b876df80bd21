"""The adapter file of a site: which system reads and moves which asset. One YAML file beside the site file.

Reading needs the mapping alone. Writing needs `write: true` at the top of this file, for this site, and still goes
through review, token, guards and the one executor. Secrets are not in it: it names environment variables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from setpoint.contracts.site import Site
from setpoint.errors import ConfigError
from tools.actions import CATALOG

NumberType = Literal["int16", "uint16", "int32", "uint32", "float32", "int64", "uint64", "float64"]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Scaled(_Closed):
    """A raw number and ours: value = raw * scale + offset."""

    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _can_be_inverted(self) -> _Scaled:
        if self.scale == 0.0:
            raise ValueError("a scale of 0 tells nothing")
        return self

    def ours(self, raw: float) -> float:
        """The reading of a raw number."""
        return raw * self.scale + self.offset

    def raw(self, value: float) -> float:
        """The raw number of a setpoint."""
        return (value - self.offset) / self.scale


class _Write(_Scaled):
    """One argument of one action on one asset."""

    action: str
    asset: str
    arg: str
    minimum: float | None = None
    """Tighter than the catalog's bounds, where the device's are."""
    maximum: float | None = None

    @model_validator(mode="after")
    def _in_the_catalog(self) -> _Write:
        spec = CATALOG.get(self.action)
        if spec is None:
            raise ValueError(f"no action {self.action!r} in the catalog; it has: {', '.join(CATALOG)}")
        if spec.arg(self.arg) is None:
            known = ", ".join(arg.name for arg in spec.args) or "none"
            raise ValueError(f"{self.action} has no argument {self.arg!r}; it has: {known}")
        return self


class PrometheusReading(_Scaled):
    """One query. With `by` its label names the asset, so that one query reads many."""

    query: str
    metric: str
    asset: str = ""
    by: str = ""
    """Label whose value is the asset's name."""

    @model_validator(mode="after")
    def _names_its_asset(self) -> PrometheusReading:
        if bool(self.asset) == bool(self.by):
            raise ValueError("give either `asset` or `by` (the label that names the asset)")
        return self


class PrometheusSource(_Closed):
    kind: Literal["prometheus"]
    url: str
    token_env: str = ""
    timeout_s: float = Field(default=5.0, gt=0)
    readings: tuple[PrometheusReading, ...]


class RedfishReading(_Scaled):
    """One number in one resource."""

    asset: str
    metric: str
    path: str
    """Of the resource ("/redfish/v1/ThermalEquipment/CDUs/1/PrimaryCoolantConnectors/1")."""
    pointer: str
    """JSON pointer to the number in it ("/FlowLitersPerMinute/Reading")."""


class RedfishWrite(_Write):
    path: str
    """Of a Control resource."""
    property: str = "SetPoint"


class RedfishSource(_Closed):
    kind: Literal["redfish"]
    url: str
    user_env: str = "SETPOINT_REDFISH_USER"
    password_env: str = "SETPOINT_REDFISH_PASSWORD"
    verify: bool | Path = True
    """A CA file, or false for a self-signed BMC on a network of its own."""
    timeout_s: float = Field(default=10.0, gt=0)
    readings: tuple[RedfishReading, ...] = ()
    writes: tuple[RedfishWrite, ...] = ()


class KubernetesPool(_Closed):
    """A serving pool run as replicas of a workload."""

    asset: str
    workload: Literal["deployments", "statefulsets"] = "deployments"
    name: str
    nodes_per_replica: int = Field(default=1, ge=1)


class KubernetesSource(_Closed):
    kind: Literal["kubernetes"]
    url: str
    token_file: Path | None = None
    ca_file: Path | None = None
    namespace: str = "default"
    timeout_s: float = Field(default=10.0, gt=0)
    pools: tuple[KubernetesPool, ...] = ()
    nodes: bool = True
    """GPU nodes of the site are nodes of the cluster, by the same name."""
    may_pause: str = "setpoint/may-pause=true"
    """Label that a Job must carry to be paused."""


class SlurmSource(_Closed):
    kind: Literal["slurm"]
    url: str
    version: str = Field(default="v0.0.41", pattern=r"^v\d+\.\d+\.\d+$")
    user_env: str = "SETPOINT_SLURM_USER"
    token_env: str = "SLURM_JWT"
    timeout_s: float = Field(default=10.0, gt=0)
    flexible_partitions: tuple[str, ...] = ()
    """Jobs of these may be paused."""


class NvmlSource(_Closed):
    """GPUs of the machine that Setpoint runs on."""

    kind: Literal["nvml"]
    asset: str
    """The node it is."""


class ModbusReading(_Scaled):
    asset: str
    metric: str
    address: int = Field(ge=0, le=65535)
    table: Literal["holding", "input"] = "holding"
    type: NumberType = "uint16"


class ModbusWrite(_Write):
    address: int = Field(ge=0, le=65535)
    type: NumberType = "uint16"


class ModbusSource(_Closed):
    kind: Literal["modbus"]
    host: str
    port: int = Field(default=502, ge=1, le=65535)
    device_id: int = Field(default=1, ge=0, le=255)
    word_order: Literal["big", "little"] = "big"
    timeout_s: float = Field(default=3.0, gt=0)
    readings: tuple[ModbusReading, ...] = ()
    writes: tuple[ModbusWrite, ...] = ()


AnySource = Annotated[
    PrometheusSource | RedfishSource | KubernetesSource | SlurmSource | NvmlSource | ModbusSource,
    Field(discriminator="kind"),
]


class AdapterFile(_Closed):
    """All of one site."""

    site: str
    """Name of the site it is for; it is refused for any other."""
    write: bool = False
    """Whether anything may be written to this site."""
    adapters: tuple[AnySource, ...]


def load_adapters(path: Path, site: Site) -> AdapterFile:
    """Raises ConfigError that names the place and what was wrong: a file that is none, an unknown key, an asset that is
    not on the site, a file of another site."""
    try:
        raw: Any = yaml.safe_load(path.read_text("utf-8"))
        found = AdapterFile.model_validate(raw)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not YAML: {error}", where=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where or 'the file'}: {first['msg']}", where=str(path),
                          remedy="docs/adapters.md shows every key") from error  # fmt: skip
    if found.site != site.name:
        raise ConfigError(
            f"it is for the site {found.site!r}, this one is {site.name!r}", where=str(path),
            remedy="Use the adapter file of this site",
        )  # fmt: skip
    _know_assets(found, site, path)
    return found


def _know_assets(found: AdapterFile, site: Site, path: Path) -> None:
    for number, adapter in enumerate(found.adapters):
        named = [
            one.asset
            for part in ("readings", "writes", "pools")
            for one in getattr(adapter, part, ())
            if one.asset
        ]
        for asset in (*named, *([adapter.asset] if isinstance(adapter, NvmlSource) else ())):
            if site.find(asset) is None:
                raise ConfigError(
                    f"adapters.{number} ({adapter.kind}) maps {asset}, which is not on the site",
                    where=str(path), remedy="`setpoint plant show SITE` lists the assets",
                )  # fmt: skip
