"""Recorded nights: a few hundred raw event lines of one site, with the truth about each.

A night is what a site's sources would have written: kernel syslog, Alertmanager webhooks, CloudEvents of a GPU
health monitor and plain JSON of the building management system, in one stream sorted by time. The truth beside
each line (expected priority, root cause, story) is for evals and is never in the line itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from plant.faults import routine, wire
from plant.faults.wire import Line

__all__ = ["HOURS", "START", "STORIES", "Line", "Story", "night"]

START = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
HOURS = 8.0


@dataclass(frozen=True)
class Story:
    """One thing that goes wrong: what each line is, minutes after the story's start."""

    name: str
    at_min: float
    """Minutes after the night's start."""
    cause: str
    tell: Callable[[Teller], None]


class Teller:
    """Collects the lines of one story."""

    def __init__(self, story: Story, rng: random.Random) -> None:
        self.story, self.rng, self.lines = story, rng, list[Line]()

    def _add(self, minute: float, text: Callable[[datetime], str], priority: str) -> None:
        time = START + timedelta(minutes=self.story.at_min + minute)
        self.lines.append(Line(time, text(time), self.story.name, priority, self.story.cause))

    def kernel(self, minute: float, priority: str, host: str, message: str) -> None:
        """An RFC 5424 kernel line."""
        self._add(minute, lambda t: wire.kernel(t, host, message), priority)

    def syslog(
        self, minute: float, priority: str, host: str, program: str, message: str, level: int = 6
    ) -> None:
        """An RFC 5424 line of the daemon facility; `level` 0 (emergency) to 7 (debug)."""
        self._add(minute, lambda t: wire.syslog(t, host, program, message, level), priority)

    def bms(
        self, minute: float, priority: str, host: str, severity: str, message: str, **reading: float | str
    ) -> None:
        """One line of the building management system: metric, value, unit and threshold where it has them."""
        self._add(minute, lambda t: wire.bms(t, host, severity, message, reading), priority)

    def alertmanager(
        self,
        minute: float,
        priority: str,
        name: str,
        instance: str,
        severity: str,
        text: str,
        status: str = "firing",
    ) -> None:
        """A webhook of Alertmanager with one alert."""
        self._add(minute, lambda t: wire.webhook(t, name, instance, severity, text, status), priority)

    def gpu_health(
        self, minute: float, priority: str, node: str, check: str, message: str, fatal: bool
    ) -> None:
        """A CloudEvent of the GPU health monitor."""
        number = f"{self.rng.randrange(16**8):08x}"
        self._add(minute, lambda t: wire.cloudevent(t, number, node, check, message, fatal), priority)


def night(seed: int = 7, noise: int = 230) -> list[Line]:
    """One night, sorted by time. The same seed gives the same night to the byte."""
    lines: list[Line] = []
    for story in STORIES:
        teller = Teller(story, random.Random(f"{seed}-{story.name}"))
        story.tell(teller)
        lines += teller.lines
    lines += _noise(random.Random(f"{seed}-noise"), noise)
    return sorted(lines, key=lambda line: (line.time, line.text))


def _pump_under_surge(t: Teller) -> None:
    pump, cdu = "cdu-1-pump-a", "cdu-1"
    t.bms(-52, "P2", pump, "warning", "Pump vibration above its usual band", metric="vibration_mm_s", value=7.4,
          unit="mm/s", threshold=4.5)  # fmt: skip
    t.bms(-20, "P2", pump, "warning", "Pump motor current above its usual band", metric="current_a", value=21.8,
          unit="A", threshold=18.0)  # fmt: skip
    t.alertmanager(-4, "P2", "PrefillQueueGrowing", "pool-chat", "warning",
                   "Prefill queue of pool-chat grew to 412 requests, three times its usual length at this hour")  # fmt: skip
    t.bms(-2, "P2", "r-02", "warning", "Rack power step of long prompts", metric="power_kw", value=38.6, unit="kW",
          threshold=36.0)  # fmt: skip
    t.bms(0, "P1", pump, "critical", "Pump tripped on overload and stopped", metric="speed_rpm", value=0, unit="rpm",
          threshold=1200)  # fmt: skip
    t.bms(0.2, "P0", cdu, "critical", "Coolant flow below minimum", metric="flow_lpm", value=41.0, unit="lpm",
          threshold=60.0)  # fmt: skip
    t.bms(0.4, "P0", cdu, "critical", "Standby pump cdu-1-pump-b did not start on demand")
    t.bms(1.1, "P1", cdu, "warning", "Coolant return temperature high", metric="return_temp_c", value=57.3, unit="C",
          threshold=52.0)  # fmt: skip
    for number in range(1, 13):
        node = f"gpu-{number:02d}"
        if number % 2:
            t.kernel(1.2 + 0.11 * number, "P2", node,
                     f"NVRM: GPU at PCI:0000:1b:00: HW Thermal Slowdown is active, clocks reduced, temperature {88 + number % 4} C")  # fmt: skip
        else:
            t.alertmanager(1.3 + 0.1 * number, "P1", "GpuTemperatureHigh", node, "critical",
                           f"GPU 0 of {node} is at {88 + number % 5} C, limit 87 C")  # fmt: skip
    t.alertmanager(2.6, "P1", "TtftSloBreach", "pool-chat", "critical",
                   "TTFT p99 of pool-chat is 1840 ms, SLO 500 ms, for 2 minutes")  # fmt: skip
    t.bms(14, "P3", cdu, "info", "Coolant flow back to normal", metric="flow_lpm", value=171.0, unit="lpm",
          threshold=60.0)  # fmt: skip
    t.alertmanager(19, "P3", "TtftSloBreach", "pool-chat", "critical",
                   "TTFT p99 of pool-chat is back under its SLO", status="resolved")  # fmt: skip


def _gpu_off_bus(t: Teller) -> None:
    node = "gpu-19"
    t.kernel(
        -6,
        "P3",
        node,
        "pcieport 0000:40:01.0: AER: Corrected error received: 0000:41:00.0 replay timer timeout",
    )
    t.kernel(0, "P3", node, "NVRM: GPU at PCI:0000:41:00: GPU-6f1c0a52-7e0b-11ef")
    t.kernel(
        0.01,
        "P1",
        node,
        "NVRM: Xid (PCI:0000:41:00): 79, pid=48211, name=python3, GPU has fallen off the bus.",
    )
    t.gpu_health(0.3, "P1", node, "GpuXidError", "XID 79 on GPU 3: the GPU does not answer on PCIe", True)
    t.syslog(
        0.8,
        "P1",
        node,
        "slurmstepd",
        "error: job 88213 step 0: NCCL watchdog: rank 27 lost, 31 ranks waiting",
        3,
    )
    t.syslog(
        1.5,
        "P1",
        "sched-1",
        "slurmctld",
        "job 88213 failed: node gpu-19 is unresponsive on one GPU, requeued",
        3,
    )
    t.alertmanager(4, "P1", "GpuCountMismatch", node, "critical", "gpu-19 reports 7 of 8 GPUs")


def _leak(t: Teller) -> None:
    t.bms(0, "P0", "leak-r-05", "critical", "Leak rope wet at rack r-05, zone 2")
    t.bms(0.6, "P1", "cdu-2", "warning", "Coolant reservoir level falling", metric="level_pct", value=71.0, unit="%",
          threshold=80.0)  # fmt: skip
    t.bms(1.4, "P1", "cdu-2", "warning", "Loop pressure low", metric="pressure_kpa", value=164.0, unit="kPa",
          threshold=190.0)  # fmt: skip
    t.bms(3.0, "P0", "leak-r-05", "critical", "Leak rope wet at rack r-05, zone 3")


def _smoke(t: Teller) -> None:
    t.bms(-3, "P0", "fire-panel-2", "warning", "Aspirating smoke detector hall 2, pre-alarm", metric="obscuration_pct_m",
          value=0.09, unit="%/m", threshold=0.08)  # fmt: skip
    t.bms(0, "P0", "fire-panel-2", "critical", "Smoke alarm hall 2, aspirating detector zone 4", metric="obscuration_pct_m",
          value=0.24, unit="%/m", threshold=0.2)  # fmt: skip
    t.bms(0.5, "P0", "fire-panel-2", "critical", "Second detector zone 5 confirms smoke in hall 2")


def _feed_lost(t: Teller) -> None:
    t.bms(
        0,
        "P0",
        "feed-b",
        "critical",
        "Utility feed B lost",
        metric="voltage_v",
        value=0.0,
        unit="V",
        threshold=360.0,
    )
    t.bms(0.02, "P0", "ups-2", "critical", "UPS on battery", metric="runtime_min", value=11.0, unit="min")
    t.bms(0.05, "P2", "ats-1", "warning", "Transfer switch moved the cooling plant to feed A")
    for rack in range(1, 9):
        t.bms(
            0.1 + rack * 0.03,
            "P2",
            f"pdu-{rack:02d}b",
            "warning",
            "Input on battery, A side carries the rack",
        )
    t.bms(
        6,
        "P0",
        "ups-2",
        "critical",
        "UPS battery low",
        metric="charge_pct",
        value=38.0,
        unit="%",
        threshold=40.0,
    )
    t.bms(
        9,
        "P3",
        "feed-b",
        "info",
        "Utility feed B back",
        metric="voltage_v",
        value=402.0,
        unit="V",
        threshold=360.0,
    )
    t.bms(9.5, "P3", "ups-2", "info", "UPS back on mains, charging")


def _intrusion(t: Teller) -> None:
    bmc, source = "bmc-17", "198.51.100.23"
    for attempt in range(9):
        t.syslog(attempt * 0.12, "P2", bmc, "ipmi", f"IPMI login failed for user ADMIN from {source}", 4)
    t.syslog(
        1.3,
        "P0",
        bmc,
        "ipmi",
        f"IPMI login of user ADMIN from {source} succeeded, outside the management network",
        1,
    )
    t.syslog(
        1.9,
        "P0",
        bmc,
        "redfish",
        f"Account svc-backup with role Administrator created by ADMIN from {source}",
        1,
    )


def _vip_kv_pressure(t: Teller) -> None:
    pool = "pool-vip"
    t.alertmanager(
        -3, "P1", "KvCacheUsageHigh", pool, "warning", "KV cache of pool-vip is 96 % full, limit 92 %"
    )
    t.alertmanager(-1, "P1", "PreemptionsHigh", pool, "warning",
                   "pool-vip preempted 58 requests in 5 minutes, swap to CPU memory rising")  # fmt: skip
    t.alertmanager(
        0,
        "P1",
        "TtftSloBreach",
        pool,
        "critical",
        "TTFT p99 of pool-vip is 2310 ms, SLO 500 ms, for 3 minutes",
    )
    t.alertmanager(2, "P1", "TenantErrorRateHigh", "northwind-portal", "critical",
                   "4.1 % of northwind requests time out, SLO 0.5 %")  # fmt: skip


def _after_firmware(t: Teller) -> None:
    for number, minute in enumerate((0, 7, 19, 24, 43, 61)):
        node = f"gpu-{21 + number % 4}"
        t.kernel(minute, "P2", node,
                 f"nvidia-fsp: boot heartbeat skew {310 + 17 * number} us on channel {number % 3}, resync requested")  # fmt: skip


def _sensor_lost(t: Teller) -> None:
    t.bms(0, "P2", "temp-r-03", "warning", "No reading from rack inlet sensor temp-r-03 for 15 minutes")
    t.bms(30, "P2", "temp-r-03", "warning", "No reading from rack inlet sensor temp-r-03 for 45 minutes")


def _flapping_link(t: Teller) -> None:
    for turn in range(7):
        t.syslog(
            turn * 3.1, "P2", "ib-link-l3-s1", "opensm", "Port ib-leaf-3/17 link state changed to Down", 4
        )
        t.syslog(
            turn * 3.1 + 0.4,
            "P3",
            "ib-link-l3-s1",
            "opensm",
            "Port ib-leaf-3/17 link state changed to Active",
            6,
        )


def _in_maintenance(t: Teller) -> None:
    t.alertmanager(0, "P3", "NodeDown", "gpu-31", "critical", "gpu-31 does not answer for 2 minutes")
    t.kernel(
        25,
        "P3",
        "gpu-31",
        "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (after module swap)",
    )


def _batch_stall(t: Teller) -> None:
    t.syslog(0, "P2", "store-1", "lustre", "OST oss-1 slow reply 8.4 s on write, 3 clients waiting", 4)
    t.syslog(4, "P2", "store-1", "lustre", "OST oss-1 slow reply 9.1 s on write, 5 clients waiting", 4)
    t.alertmanager(
        6,
        "P2",
        "CheckpointWriteSlow",
        "pool-batch",
        "warning",
        "Checkpoint write takes 6.2 times its usual time",
    )


STORIES: tuple[Story, ...] = (
    Story("after_firmware", 75, "firmware_regression", _after_firmware),
    Story("sensor_lost", 95, "sensor_lost", _sensor_lost),
    Story("pump_under_surge", 160, "coolant_pump_failure", _pump_under_surge),
    Story("gpu_off_bus", 190, "gpu_off_bus", _gpu_off_bus),
    Story("leak", 226, "coolant_leak", _leak),
    Story("in_maintenance", 255, "no_fault", _in_maintenance),
    Story("vip_kv_pressure", 275, "kv_cache_pressure", _vip_kv_pressure),
    Story("flapping_link", 292, "ib_link_flap", _flapping_link),
    Story("feed_lost", 340, "power_feed_lost", _feed_lost),
    Story("intrusion", 372, "intrusion_management", _intrusion),
    Story("batch_stall", 398, "storage_latency", _batch_stall),
    Story("smoke", 430, "fire_smoke", _smoke),
)


_PLACES = routine.Places(
    node=lambda rng: f"gpu-{rng.randint(1, 30):02d}",
    cdu=lambda rng: f"cdu-{rng.randint(1, 2)}",
    inlet=lambda rng: f"temp-r-{rng.randint(1, 8):02d}",
    scheduler="sched-1",
)


def _noise(rng: random.Random, count: int) -> Iterator[Line]:
    """Routine lines, evenly over the night, and three damaged ones."""
    for _ in range(count):
        time = START + timedelta(hours=rng.uniform(0, HOURS))
        yield Line(time, routine.line(rng, time, _PLACES), "noise", "P3", "no_fault")
    for minute, text in (
        (
            61.0,
            '{"time": "2026-03-14T22:01:00Z", "host": "cdu-2", "metric": "flow_lpm", "value": NaN, "message": "flow"}',
        ),
        (133.0, '{"time": "2026-03-14T23:13:00Z", "host": "gpu-11", "severity": "warning", "mess'),
        (301.0, '["not", "an", "event"]'),
    ):
        yield Line(START + timedelta(minutes=minute), text, "damaged", "", "")
