"""Events per second of CPU time that intake reads, by format: `python tests/setpoint/intake/bench_read.py`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from setpoint.contracts import Event
from setpoint.intake import read

COUNT = 40_000
RECEIVED = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
COLUMNS = ("time", "host", "source", "severity", "message", "metric", "value", "unit", "threshold")


def record(n: int) -> dict[str, object]:
    temp_c = 80 + n % 15
    moment = (RECEIVED - timedelta(seconds=COUNT - n)).isoformat()
    words = f"GPU {n % 8} temperature {temp_c} C exceeds the slowdown limit"
    return dict(
        zip(
            COLUMNS,
            (moment, f"gpu-{n % 1000:04}", "dcgm", "warning", words, "gpu_temp_c", temp_c, "C", 87),
            strict=True,
        )
    )


def jsonl(n: int) -> str:
    return json.dumps(record(n))


def csv_row(n: int) -> str:
    return ",".join(map(str, record(n).values())) if n else ",".join(COLUMNS)


def syslog(n: int) -> str:
    text = (
        f"sshd[{n}]: Accepted publickey for ops from 10.0.0.{n % 255} port 50022 ssh2",
        f"kernel: NVRM: Xid (PCI:0000:{n % 255:02x}:00): 79, pid={n}, name=python, GPU has fallen off the bus.",
        f"kernel: EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (channel:1 page:0x{n:x})",
    )[n % 3]
    return f"<{3 + n % 4}>Nov 21 0{n // 3600 % 6}:{n // 60 % 60:02}:{n % 60:02} gpu-{n % 1000:04} {text}"


def health_event(n: int) -> str:
    health = {
        "agent": "gpu-health-monitor", "checkName": "GpuXidError", "nodeName": f"gpu-{n % 1000}", "isFatal": True,
        "isHealthy": False, "errorCode": ["79"], "recommendedAction": 2, "message": "GPU fell off the bus",
        "entitiesImpacted": [{"entityType": "GPU", "entityValue": str(n % 8)}],
    }  # fmt: skip
    envelope = {
        "specversion": "1.0",
        "id": f"id-{n:09}",
        "source": "nvsentinel://c/healthevents",
        "type": "health.v1",
    }
    return json.dumps({**envelope, "time": RECEIVED.isoformat(), "data": {"healthEvent": health}})


def alert(n: int) -> str:
    labels = {
        "alertname": "GpuHot",
        "severity": "warning",
        "instance": f"gpu-{n % 1000}:9400",
        "gpu": str(n % 8),
    }
    notes = {"summary": f"GPU hot {n}", "value": "92.4"}
    times = {"startsAt": RECEIVED.isoformat(), "endsAt": "0001-01-01T00:00:00Z"}
    one = {"status": "firing", "labels": labels, "annotations": notes, **times, "fingerprint": f"{n:016x}"}
    return json.dumps({"version": "4", "groupKey": "g", "receiver": "setpoint", "alerts": [one]})


def rate(line: Callable[[int], str]) -> float:
    """Best of three, events per second of CPU time."""
    data = "\n".join(map(line, range(COUNT))).encode()
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        events = sum(
            isinstance(item, Event)
            for item in read(data, origin="bench", zone=ZoneInfo("UTC"), received=RECEIVED)
        )
        assert events >= COUNT - 1
        best = max(best, events / (time.process_time() - start))
    return best


if __name__ == "__main__":
    for line in (jsonl, csv_row, syslog, health_event, alert):
        print(f"{line.__name__:13} {rate(line):>8,.0f} events/s")
