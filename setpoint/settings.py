"""Every setting of Setpoint, with its default. Unknown keys are errors; each value knows where it came from.

Precedence: flags > environment `SETPOINT_SECTION__KEY` > ./setpoint.toml > user config > defaults.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from setpoint.errors import ConfigError

Switch = Literal["ask", "auto", "off"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteSettings(_Section):
    file: Path | None = None
    """Site YAML. None: every asset is unknown and judged by its name alone."""
    telemetry: Path | None = None
    """CSV file of recorded readings (time, asset, metric, value), which causes are tested against. None: readings of
    the simulated plant, or those that events carried."""
    adapters: Path | None = None
    """Adapter file of a real site (docs/adapters.md): where its readings come from and who moves it. None: a site that is
    not simulated is neither read nor moved."""


class StoreSettings(_Section):
    dir: Path = Path("var")
    """Where the ledger, checkpoints and index live."""
    url: str = ""
    """SQLAlchemy URL of the ledger; empty: SQLite in `dir`."""
    checkpoint_days: float = Field(default=7.0, gt=0)
    """Checkpoints of finished threads are dropped after this many days."""
    event_days: float = Field(default=90.0, gt=0)
    """Events that belong to no open incident are dropped after this many days."""
    chat_days: float = Field(default=90.0, gt=0)
    """Conversations in which nobody spoke for this many days are dropped."""


class ModelSettings(_Section):
    kind: Literal["bundled", "gguf", "openai", "none"] = "bundled"
    """The model that ships, a GGUF file, an OpenAI-compatible server, or no model at all."""
    path: Path | None = None
    """GGUF file, for kind = "gguf"."""
    url: str = ""
    """Base URL of an OpenAI-compatible server, for kind = "openai"."""
    model: str = ""
    """Model name at that server."""
    api_key_env: str = "SETPOINT_API_KEY"
    """Name of the environment variable that holds the key."""
    mode: Literal["facts", "assisted", "free"] = "facts"
    """Who decides: code (facts), the model among code's candidates (assisted), the model (free)."""
    context_tokens: int = Field(default=2048, ge=256)
    """Tokens of prompt and answer together."""
    max_tokens: int = Field(default=160, ge=8)
    """Tokens of one answer."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of a local model; one leaves the other cores to the alert path."""
    timeout_s: float = Field(default=20.0, gt=0)
    """One answer may take this long; then the deterministic text stands."""


class ModelsSettings(_Section):
    light: ModelSettings = ModelSettings(timeout_s=5.0)
    """Words alerts (fast path) and chat."""
    heavy: ModelSettings = ModelSettings()
    """Words analyses (slow path); decides them too where its mode allows."""
    tokens_per_incident: int = Field(default=6000, ge=0)
    """What one analysis may cost in tokens of all its model calls."""
    seconds_per_incident: float = Field(default=120.0, gt=0)
    """What one analysis may take in model calls."""
    calls_per_incident: int = Field(default=16, ge=0)
    """Model calls of one analysis; 0: plain facts only."""
    storm_queue: int = Field(default=25, ge=1)
    """With more analyses waiting than this, their words are templates: a storm is no storm of model calls."""
    dir: Path | None = None
    """Folder of trained and pulled models, and of what was promoted. None: `models` in the store's folder."""
    hub: str = "https://huggingface.co"
    """Where `setpoint model pull` fetches open models: a hub, or a mirror of one inside the site."""
    look_again_s: tuple[float, ...] = (15.0, 30.0, 60.0)
    """`setpoint serve`: how long after a look that left the cause of a P0 or P1 open the next one is taken, with the readings
    that came meanwhile."""


class AlertSettings(_Section):
    sinks: tuple[str, ...] = ("console",)
    """First sink first: "console", "webhook+http://host/path", or any Apprise URL."""
    priorities: tuple[Literal["P0", "P1", "P2", "P3"], ...] = ("P0", "P1")
    """Which priorities notify somebody at once."""
    escalate_after_s: float = Field(default=300.0, gt=0)
    """An unacknowledged P0 goes to the next sink after this long."""
    update_every_s: float = Field(default=60.0, ge=0)
    """At least this long between updates of one incident's notification."""
    flood_per_10min: int = Field(default=10, ge=1)
    """More new notifications than this in ten minutes are summed up in one (ISA-18.2); P0 is never held back."""


class TriageSettings(_Section):
    batch: int = Field(default=200, ge=1, le=2000)
    """Most events triaged together."""
    rules: tuple[Path, ...] = ()
    """Further rule files of the site."""
    repeat_window_s: float = Field(default=900.0, gt=0)
    """Repeats of one condition within this span are one incident."""
    group_window_s: float = Field(default=600.0, gt=0)
    """Events on assets that depend on each other are one incident within this span."""
    flap_count: int = Field(default=4, ge=2)
    """Firing and clearing this often within `flap_window_s` is flapping."""
    flap_window_s: float = Field(default=1800.0, gt=0)
    """The span that `flap_count` is counted over."""
    future_skew_s: float = Field(default=300.0, ge=0)
    """A time further ahead of receipt than this is doubted."""
    doubt_below: float = Field(default=0.5, ge=0, le=1)
    """Ranks with less confidence wait as doubtful input (they are alerted on meanwhile)."""


class ReviewSettings(_Section):
    actions: Switch = "ask"
    """"ask": a person decides each action. "off": nothing is proposed. "auto" is refused outside a simulated site."""
    doubtful_input: Switch = "ask"
    """Human check 2. "ask": a doubtful event waits for a person (it is alerted on meanwhile)."""
    rule_change: Switch = "ask"
    """Human check 1. "ask": a new or changed rule file counts only after a yes."""
    expire_s: float = Field(default=3600.0, gt=0)
    """An action or a doubtful input that nobody decided by then expires."""
    two_people_for: tuple[Literal["low", "medium", "high"], ...] = ("high",)
    """Risk classes that need a yes of two people."""

    def people_for(self, risk: str) -> int:
        """How many must agree to an action of that class."""
        return 2 if risk in self.two_people_for else 1


class ActSettings(_Section):
    dry_run: bool = True
    """True: every check runs, nothing moves."""
    telemetry_max_age_s: float = Field(default=30.0, gt=0)
    """An action is refused where the readings its interlocks need are older."""
    per_asset_per_hour: int = Field(default=6, ge=1)
    """Most actions on one asset within an hour."""


class AutonomySettings(_Section):
    highest: Literal["observe", "assist", "advise", "closed loop"] = "closed loop"
    """No kind of action goes above this level, whatever was signed."""
    per_hour: int = Field(default=4, ge=1)
    """Most actions of one kind that run alone within an hour; a signature may ask for less, never for more."""
    per_day: int = Field(default=24, ge=1)
    """Most actions of one kind that run alone within a day; a signature may ask for less, never for more."""
    all_per_hour: int = Field(default=8, ge=1)
    """Most actions of all kinds together that run alone within an hour."""
    least_days: int = Field(default=7, ge=1)
    """The good decisions that a signature rests on lie on at least so many days."""
    watch_s: float = Field(default=3600.0, ge=0)
    """After an action, harm is looked for this long before it counts as good."""


class KnowledgeSettings(_Section):
    url: str = ""
    """Qdrant server; empty: embedded in the store folder."""
    api_key_env: str = "SETPOINT_QDRANT_KEY"
    """Name of the environment variable that holds the server's key."""
    embedding: Path | None = None
    """GGUF embedding model for dense vectors; None: sparse BM25 with the glossary."""
    passages: int = Field(default=6, ge=1, le=50)
    """Passages retrieved for each question of an analysis."""


class LoopsSettings(_Section):
    enabled: tuple[Literal["energy", "peak", "cooling", "maintenance"], ...] = ()
    """Control loops that `setpoint serve` runs; none: they run on demand only."""
    most_proposals: int = Field(default=8, ge=1)
    """Most proposals of one loop that wait for a decision at a time; what is less urgent is recorded with the reason."""
    no_holds_s: float = Field(default=3600.0, ge=0)
    """A no to a loop's proposal holds for so long: the same is not proposed again meanwhile."""


class ServeSettings(_Section):
    host: str = "127.0.0.1"
    """Address to listen on. One that is no loopback address needs `accounts`, and `tls_cert` with `tls_key` or
    `behind_proxy` (docs/accounts.md)."""
    port: int = Field(default=8321, ge=1, le=65535)
    """TCP port."""
    max_body_mb: float = Field(default=16.0, gt=0)
    """A larger request is refused."""
    accounts: bool = False
    """True: everybody signs in, or sends a token. False: on loopback whoever reaches the port is this machine's user."""
    tls_cert: Path | None = None
    """PEM file of the server's certificate, with its chain."""
    tls_key: Path | None = None
    """PEM file of the certificate's key."""
    behind_proxy: bool = False
    """True: a proxy in front ends TLS. `public_url` says what people type; only `proxy_addresses` may connect."""
    proxy_addresses: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses that the proxy connects from."""
    public_url: str = ""
    """What people type to come here, as https://setpoint.example.net; links in notices begin with it. Empty: made of host
    and port."""
    session_h: float = Field(default=12.0, gt=0, le=24 * 30)
    """A sign-in lasts at most so long: a shift."""
    session_idle_s: float = Field(default=7200.0, gt=0)
    """A sign-in ends after so long without a request."""

    @property
    def secure(self) -> bool:
        """Whether browsers reach this server over TLS."""
        return self.tls_cert is not None or self.behind_proxy


class Settings(_Section):
    site: SiteSettings = SiteSettings()
    store: StoreSettings = StoreSettings()
    models: ModelsSettings = ModelsSettings()
    alerts: AlertSettings = AlertSettings()
    triage: TriageSettings = TriageSettings()
    review: ReviewSettings = ReviewSettings()
    act: ActSettings = ActSettings()
    autonomy: AutonomySettings = AutonomySettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    loops: LoopsSettings = LoopsSettings()
    serve: ServeSettings = ServeSettings()


class Loaded(BaseModel):
    """Settings with the origin of each value that is not a default, by dotted key."""

    settings: Settings
    origins: dict[str, str]


def user_config() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "setpoint" / "setpoint.toml"


def load_settings(
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    files: tuple[Path, ...] | None = None,
) -> Loaded:
    """Merge all sources. `flags` are dotted keys ("store.dir"). Raises ConfigError naming key, place and remedy."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path in files if files is not None else (user_config(), Path("setpoint.toml")):
        _merge(values, origins, _flatten(_read_toml(path)), str(path))
    for name, value in (env if env is not None else os.environ).items():
        if name.startswith("SETPOINT_") and "__" in name:
            key = name.removeprefix("SETPOINT_").lower().replace("__", ".")
            _merge(values, origins, {key: _env_value(value)}, f"environment {name}")
    _merge(values, origins, {k: v for k, v in (flags or {}).items() if v is not None}, "command line")
    try:
        return Loaded(settings=Settings.model_validate(_nest(values)), origins=origins)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        remedy = "`setpoint config show` lists every key" if first["type"] == "extra_forbidden" else ""
        what = f"unknown setting {key!r}" if first["type"] == "extra_forbidden" else f"{key}: {first['msg']}"
        raise ConfigError(what, where=_origin_of(key, origins), remedy=remedy) from error


def flatten_settings(settings: Settings) -> dict[str, Any]:
    """Every setting by dotted key."""
    return _flatten(settings.model_dump(mode="json"))


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from error


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, leaf = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _merge(values: dict[str, Any], origins: dict[str, str], new: Mapping[str, Any], origin: str) -> None:
    values.update(new)
    origins.update(dict.fromkeys(new, origin))


def _env_value(text: str) -> Any:
    """A TOML value where the text is one (numbers, lists, booleans), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _origin_of(key: str, origins: Mapping[str, str]) -> str:
    return next(
        (origin for known, origin in origins.items() if key.startswith(known) or known.startswith(key)), ""
    )
