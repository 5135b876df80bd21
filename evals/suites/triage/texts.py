"""Raw texts that another hand wrote and labelled without having seen a rule: what is new to the product.

Each goes the way a raw line goes in a site: through intake. What intake refuses can still be had as the message of a
JSON line, for suites that ask what becomes of an event; suite triage counts it as a line that nobody is told of.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import yaml

from evals.playing import DEMO_SITE
from evals.triage_data import priority_of
from setpoint.contracts import Event, Priority
from setpoint.contracts.site import Site, load_site
from setpoint.errors import ConfigError, UsageError
from setpoint.intake import read, sense
from setpoint.settings import TriageSettings

FOLDER = Path(__file__).parents[2] / "texts"
READ_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
"""When the lines arrive: the days they name are the days before."""
_FAMILIES = {
    "gpu": ("nvrm", "dcgm", "nccl", "nvswitch", "nvlink", "nvidia", "inventory", "amd", "rocm", "xid"),
    "host": ("dell", "supermicro", "bmc", "linux", "hpe", "ilo", "lenovo", "xclarity", "openbmc", "kernel", "smartd", "chrony"),
    "power": ("apc", "raritan", "caterpillar", "epo", "ups", "pdu", "schneider", "eaton", "cummins", "kohler", "abb", "socomec", "servertech", "geist", "ats"),
    "cooling": ("vertiv", "liebert", "tracetek", "leak", "cdu", "ecostruxure", "chiller", "bms", "stulz", "motivair", "coolit", "trane", "carrier", "york", "daikin"),
    "building": ("vesda", "lenel", "gasdetect", "netbotz", "fire", "door", "siemens", "honeywell", "notifier", "axis"),
    "fabric": ("arista", "ufm", "cisco", "mlnx", "sonic", "opensm", "juniper", "cumulus", "edgecore", "bluefield"),
    "storage": ("ceph", "restic", "lustre", "weka", "vast", "gpfs", "nfs", "netapp", "pure", "isilon", "beegfs", "daos", "zfs", "minio"),
    "serving": ("vllm", "triton", "router", "tgi", "sglang", "ray", "trtllm", "gateway", "envoy"),
    "platform": ("k8s", "kubelet", "slurm", "slurmctld", "jenkins", "sshd", "sssd", "certwatch", "etcd", "prometheus", "alertmanager", "pbs", "systemd"),
}  # fmt: skip


@dataclass(frozen=True)
class HandText:
    """One text with the label its writer gave it."""

    id: str
    text: str
    style: str
    """Maker and channel as its writer named them, such as "dell/idrac"."""
    gold: Priority
    accept: frozenset[Priority]

    @property
    def family(self) -> str:
        """What it speaks of, by the maker."""
        maker = self.style.partition("/")[0]
        return next((name for name, makers in _FAMILIES.items() if maker in makers), "other")


def by_hand(split: str, folder: Path = FOLDER) -> list[HandText]:
    """The texts of one half. Raises ConfigError where the file is missing or a label is none."""
    path = folder / f"triage-{split}.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the texts: {error}", where=str(path)) from error
    return [_text_of(row, path) for row in raw]


def _text_of(row: dict[str, object], path: Path) -> HandText:
    accept = row["accept"]
    try:
        if not isinstance(accept, list):
            raise UsageError("accept is no list")
        gold, tolerated = priority_of(str(row["gold"])), frozenset(priority_of(str(one)) for one in accept)
    except UsageError as error:
        raise ConfigError(f"{row['id']}: gold and accept must be of P0 to P3", where=str(path)) from error
    return HandText(str(row["id"]), str(row["text"]), str(row["style"]), gold, tolerated)


def event_of(text: str) -> tuple[Event, bool]:
    """The event that intake makes of a raw line, and whether it read the line as it stands."""
    for line, as_it_stands in ((text, True), (as_json_line(text), False)):
        events = _events(line, _site())
        if len(events) == 1:
            return events[0], as_it_stands
    raise ConfigError(f"one line gives one event, not {len(events)}: {text!r}")


def as_json_line(text: str) -> str:
    return json.dumps({"message": text})


def _events(line: str, site: Site) -> Sequence[Event]:
    items = read(line.encode() + b"\n", origin="text", zone=site.zone, received=READ_AT)
    return [sense(item, site, TriageSettings()) for item in items if isinstance(item, Event)]


@cache
def _site() -> Site:
    return load_site(DEMO_SITE)
