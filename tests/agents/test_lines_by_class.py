"""Classes of wording, each in a maker's line and its opposite: what is lost is paged, what is planned or over is not."""

from __future__ import annotations

import pytest

from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from evals.suites.triage.texts import event_of
from knowledge.rulebook import RuleBook

PAIRS = [
    # Is a reserve left?
    ("P0", "SEVERE UPS-A2 in forced bypass: inverter failed, load unprotected"),
    ("P2", "UPS-A2 power module 3 of 5 failed, load on N, redundancy lost"),
    ("P2", "WARNING UPS-B2 fan 3 failed, module cooling reduced"),
    ("P0", "GEN-2 tripped on overspeed, GEN-1 locked out, generator bus dead, site on batteries"),
    ("P2", "GEN-2 starting battery 21 V, charger fault"),
    ("P3", "GEN-2 weekly exercise, 20 min no-load run, stopped"),
    ("P0", "MV-SWGR breaker 52-M1 tripped on earth fault, hall 2 bus A de-energised"),
    ("P1", "PDU breaker B7 tripped, 18 outlets without power"),
    ("P2", "pdu r12-A inlet lost, r12 running on B feed, 58 % load"),
    ("P1", "CDU-07 pump 2 tripped on overload"),
    ("P2", "CDU-07 pump 2 VFD fault, pump 1 at 92 % holds flow"),
    ("P3", "CDU-07 lead/lag change: pump 2 stopped, pump 1 started, flow unchanged"),
    ("P2", "Liebert CRV-07 compressor 1 high pressure lockout, compressor 2 running"),
    ("P1", "Liebert CRV-07 unit off, supply air 31 C in row 7"),
    ("P0", "row 7: all CRAHs tripped after the power dip"),
    ("P0", "eth-spine-1 kernel crash, pod 3 isolated"),
    ("P2", "eth-spine-1 PSU 2 no AC, running on PSU 1"),
    ("P2", "eth-leaf-09 BGP peer 10.2.0.1 down, hold timer expired, 3 of 4 spines remain"),
    ("P1", "ib-leaf-08/03 to dgx-c02 down since 03:10, rail 3 lost on that node"),
    ("P0", "ufm: spine switches do not answer, hosts without a path"),
    ("P1", "r21-n08: fan group lower critical, all fans failed"),
    ("P2", "r21-n08: fan 4 lower critical, remaining fans at 100 %"),
    # One or many?
    ("P1", "slurmctld: error: Nodes gpu0102 not responding, setting DOWN"),
    ("P0", "slurmctld: error: Nodes gpu[0200-0391] not responding"),
    ("P0", "router: 0/24 backends ready, every request answered 503"),
    ("P1", "EngineCore died in pod chat-7f-x2, open requests lost"),
    ("P0", "HEALTH_ERR 1 full osd(s), 14 pool(s) full, writes blocked"),
    ("P2", "HEALTH_WARN 2 nearfull osd(s)"),
    ("P0", "idm: nobody can log in on any host"),
    ("P2", "sssd: backend offline, cached credentials used"),
    # Whose is it?
    ("P3", "NVRM: Xid (PCI:0000:1b:00): 13, Graphics Exception, job 9921 of user kchen"),
    ("P2", "NVRM: Xid (PCI:0000:1b:00): 13, Graphics Exception on GPU 3"),
    ("P3", "ImagePullBackOff pod/test-ella: repository registry/llmm not found"),
    ("P3", "Evicted pod/notebook: ephemeral-storage limit of the user exceeded"),
    ("P3", "pipeline build #881 FAILED lint"),
    ("P0", "sshd: Accepted password for root from 45.9.1.2 after 3120 failed tries"),
    # Planned, over, or only said so?
    ("P3", "UPS-A1 no longer on battery, mains back"),
    ("P3", "pdu-r30-B: L2 current back below upper warning"),
    ("P3", "VESDA hall 2 fire drill, panel isolated"),
    ("P0", "VESDA hall 2 ACTION level passed, 0.098 %/m, sampling pipe 3"),
    ("P3", "chassis opened, planned DIMM swap, ticket 5521"),
    ("P2", "chassis intrusion detected on r16-n02"),
    ("P3", "r02-n04 system CPU resetting, requested by change CHG-4410"),
    ("P3", "make-up water filled 2.1 L, 11 months since the last fill"),
    ("P2", "make-up water filled again, third time this week, reservoir level falling"),
    ("P0", "hall 1 EPO push button operated, PDUs at 0 V"),
    ("P0", "battery room O2 14.8 %vol, H2 2.1 %vol, exhaust fan not running"),
]  # fmt: skip
NEVER_SOFTENED = [
    "coolant pump tripped, reset requested by change CHG-1",
    "breaker failed on branch circuit 4",
    "nfs server failed to commit, clients hang",
    "cabinet door forced, ticket 5521",
    "smoke alarm hall 2, scheduled work order 12",
    "CDU-04 lead/lag change: pump 2 failed to start, no flow",
    "node gpu-07 drained, reason=kernel panic after planned upgrade",
    "all CRAHs tripped during the generator exercise",
]


@pytest.fixture(scope="module")
def engine() -> SymbolicEngine:
    return SymbolicEngine(RuleBook.load(), None, TextRanker.load())


@pytest.mark.parametrize(("expected", "line"), PAIRS)
def test_the_line_is_ranked_by_what_it_means(engine: SymbolicEngine, expected: str, line: str) -> None:
    triage = engine.rank(event_of(line)[0])
    assert triage.priority == expected, triage.decided_by


@pytest.mark.parametrize("line", NEVER_SOFTENED)
def test_words_of_planned_work_hide_no_loss(engine: SymbolicEngine, line: str) -> None:
    triage = engine.rank(event_of(line)[0])
    assert triage.priority != "P3", triage.decided_by
