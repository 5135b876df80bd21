"""Conditions in kernel lines, and lines that belong together."""

from __future__ import annotations

import pytest

from setpoint.contracts import Event
from setpoint.intake.kernel import classify
from tests.setpoint.intake.conftest import Reader

PANIC = [
    "Kernel panic - not syncing: Fatal exception", "CPU: 3 PID: 0 Comm: swapper", "Call Trace:", " <NMI>",
    " panic+0x101/0x2e3", "---[ end Kernel panic - not syncing: Fatal exception ]---",
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "kind", "labels"),
    [
        ("NVRM: Xid (PCI:0000:3B:00): 79, pid=1234, name=python, GPU has fallen off the bus.", "xid-79",
         {"pci": "0000:3b:00", "xid": "79", "pid": "1234", "process": "python"}),
        ("NVRM: Xid (0000:03:00): 14, Channel 00000001", "xid-14", {"pci": "0000:03:00", "xid": "14"}),
        ("NVRM: Xid (PCI:0018:01:00.0): 149, NETIR_LINK_EVT Fatal", "xid-149", {"pci": "0018:01:00", "xid": "149"}),
        ("nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 24007, Fatal, Link 30 sourcetrack timeout error", "sxid-24007",
         {"nvswitch": "0", "pci": "0000:c3:00", "sxid": "24007", "link": "30", "fatal": "true"}),
        ("EDAC MC0: 1 UE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (channel:1)", "edac-ue",
         {"mc": "0", "count": "1", "dimm": "CPU_SrcID#0_Ha#0_Chan#1_DIMM#0"}),
        ('EDAC MC1: CE row 0, channel 1, label "DIMM_B1": i5000', "edac-ce", {"mc": "1", "count": "1", "dimm": "DIMM_B1"}),
        ("mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 0: 9000004000010005", "mce",
         {"cpu": "0", "bank": "0", "mce_class": "corrected"}),
        ("mce: [Hardware Error]: CPU 11: Machine Check: 0 Bank 0: b000000000070005", "mce",
         {"cpu": "11", "bank": "0", "mce_class": "uncorrected"}),
        ("[Hardware Error]: Corrected error, no action required.", "mce", {"mce_class": "corrected"}),
        ("NVRM: GPU at PCI:0000:9d:00 has fallen off the bus", "gpu-off-bus", {"pci": "0000:9d:00"}),
        ("GPU has fallen off the bus gpu_serial=0323612015658", "gpu-off-bus", {}),
        ("watchdog: BUG: soft lockup - CPU#3 stuck for 22s!", "soft-lockup", {}),
    ],
)  # fmt: skip
def test_conditions_are_named(line: str, kind: str, labels: dict[str, str]) -> None:
    found = classify(line)
    assert found is not None
    assert (found.kind, found.labels) == (kind, labels)


@pytest.mark.parametrize(
    "line",
    [
        "mce: CPU supports 32 MCE banks", "EDAC MC: Ver: 3.0.0", "Xid Errors page opened", "+BEGIN HARDWARE ERROR STATE AT CMC",
        "user asked about Xid 79", "NVRM: loading NVIDIA UNIX x86_64 Kernel Module",
    ],
)  # fmt: skip
def test_lines_that_only_look_alike(line: str) -> None:
    assert classify(line) is None


def test_every_format_names_kernel_conditions(take: Reader) -> None:
    line = "NVRM: Xid (PCI:0000:3b:00): 48, pid=1, name=x, DBE"
    sources = [
        f'{{"host": "gpu-1", "message": "{line}"}}', f'host,message\ngpu-1,"{line}"\n',
        f"<11>1 - gpu-1 kernel - - - {line}", f"Nov 21 06:00:00 gpu-1 kernel: {line}", f"[ 12.000001] {line}",
        '{"host": "gpu-1", "xid": 48, "msg": "x"}',
    ]  # fmt: skip
    kinds = [item.kind for source in sources for item in take(source) if isinstance(item, Event)]
    assert kinds == ["xid-48"] * len(sources)


def test_a_trace_is_one_event_though_hosts_interleave(take: Reader) -> None:
    lines = []
    for text in PANIC:
        lines += [f"Nov 21 06:00:00 gpu-{n} kernel: [ 5.000001] {text}" for n in (1, 2)]
        lines.append("Nov 21 06:00:00 gpu-1 sshd[7]: unrelated")
    events = [item for item in take("\n".join(lines)) if isinstance(item, Event)]
    traces = [event for event in events if event.kind == "kernel-panic"]
    assert [event.asset for event in traces] == ["gpu-1", "gpu-2"]
    assert all(event.labels["lines"] == "6" and event.message.count("\n") == 5 for event in traces)
    assert len(events) == 2 + len(PANIC)


def test_another_condition_ends_a_trace(take: Reader) -> None:
    lines = [
        "Kernel panic - not syncing",
        "NVRM: Xid (PCI:0000:3b:00): 79, x",
        "NVRM: Xid (PCI:0000:3b:00): 79, x",
    ]
    kinds = [
        e.kind
        for e in take("\n".join(f"<2>Nov 21 06:00:00 gpu-1 kernel: {x}" for x in lines))
        if isinstance(e, Event)
    ]
    assert kinds == ["kernel-panic", "xid-79", "xid-79"]


def test_a_waiting_source_gets_its_panic_out() -> None:
    """A host that panics says nothing more: what is held back goes out as soon as the source waits."""
    import io

    from setpoint.intake import read
    from tests.setpoint.intake.conftest import RECEIVED, ZONE

    class Pipe(io.RawIOBase):
        pieces = iter(
            (b"<0>Nov 21 06:00:00 gpu-1 kernel: Kernel panic - not syncing\n", b"never asked for\n")
        )
        asked = 0

        def read(self, size: int = -1) -> bytes:
            self.asked += 1
            return next(self.pieces)

    pipe = Pipe()
    first = next(read(pipe, origin="pipe", zone=ZONE, received=RECEIVED))  # type: ignore[arg-type]
    assert isinstance(first, Event)
    assert (first.kind, pipe.asked) == ("kernel-panic", 1)


def test_messages_that_state_their_length(take: Reader) -> None:
    one, two = b"<13>1 - gpu-1 app - - - first\nsecond", b"<13>1 - gpu-1 app - - - third"
    data = b"%d %s%d %s" % (len(one), one, len(two), two)
    assert [item.message for item in take(data) if isinstance(item, Event)] == ["first\nsecond", "third"]
    assert [
        item.message for item in take(b"7 <13>1 - gpu-1 app - - - no frame\n") if isinstance(item, Event)
    ] == ["no frame"]
