"""What a healthy site writes all night: lines that need nobody."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from plant.faults import wire

USERS = ("mira", "jon", "svc-train", "svc-eval")
Draw = Callable[[random.Random], str]


@dataclass(frozen=True)
class Places:
    """Where routine lines come from: one draw of a name a kind of place."""

    node: Draw
    cdu: Draw
    inlet: Draw
    """A rack inlet sensor."""
    scheduler: str
    site: str = "demo"


def line(rng: random.Random, time: datetime, places: Places) -> str:
    """One routine line. What is drawn first is drawn for every line, so that a seed gives the same night."""
    node, user = places.node(rng), rng.choice(USERS)
    job, port = rng.randint(70000, 89999), rng.randint(30000, 60999)

    def said(program: str, message: str, facility: int = wire.DAEMON, host: str = node) -> str:
        return wire.syslog(time, host, program, message, facility=facility)

    lines: tuple[Callable[[], str], ...] = (
        lambda: said("sshd", f"Accepted publickey for {user} from 10.8.{rng.randint(0, 9)}.{rng.randint(2, 250)} port {port} ssh2", wire.AUTHPRIV),
        lambda: said("sshd", f"pam_unix(sshd:session): session closed for user {user}", wire.AUTHPRIV),
        lambda: said("CRON", "(root) CMD (run-parts /etc/cron.hourly)", wire.CRON),
        lambda: said("slurmd", f"launch task {job}.0 request from user {user}"),
        lambda: said("slurmctld", f"job {job} completed with exit code 0 on {node}", host=places.scheduler),
        lambda: said("kernel", f"EDAC MC{rng.randint(0, 3)}: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#{rng.randint(0, 7)}_DIMM#0 (channel:0 slot:0 page:0x{rng.randrange(16**6):06x})", wire.KERN),
        lambda: said("systemd", "Started Daily apt download activities."),
        lambda: said("chronyd", f"Selected source 10.8.0.{rng.randint(2, 9)}"),
        lambda: said("smartd", "Device: /dev/nvme0, SMART/Health Information: no errors logged"),
        lambda: wire.bms(time, places.cdu(rng), "info", "Coolant flow within its band", {
            "metric": "flow_lpm", "value": round(rng.uniform(165, 176), 1), "unit": "lpm", "threshold": 60.0}),
        lambda: wire.bms(time, places.inlet(rng), "info", "Rack inlet temperature normal", {
            "metric": "temp_c", "value": round(rng.uniform(21, 25), 1), "unit": "C", "threshold": 27.0}),
        lambda: wire.webhook(time, "NodeClockSkew", node, "info", f"Clock of {node} is back within 1 ms of its source", "resolved", site=places.site),
    )  # fmt: skip
    return rng.choice(lines)()
