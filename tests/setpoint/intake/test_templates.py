"""What varies is masked, what means something stays, and memory is bounded."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setpoint.intake.templates import TemplateMiner, mask

SHARED = Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
LOGHUB = SHARED / "events" / "loghub"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Xid (PCI:0000:3b:00): 79", "Xid (PCI:<*>): <*>"),
        ("nvlink on 0000:0b:00.0 down", "nvlink on <*> down"),
        ("from 10.1.2.3 port 3321 ssh2", "from <*> port <*> ssh2"),
        ("peer fe80:0:0:0:1a2b:3c4d:5e6f:1 lost", "peer <*> lost"),
        ("mac 00:1b:44:11:3a:b7 moved", "mac <*> moved"),
        ("job 7f9c24e8-3b1d-4c8e-9f6a-0d2b6c1e5a47 failed", "job <*> failed"),
        ("at 2026-03-15T01:02:03.5Z", "at <*>"),
        ("addr 0xdeadbeef, ecc deadbeef12345678", "addr <*>, ecc <*>"),
        ("disk S/N Z1F4A2B7 slow", "disk S/N <*> slow"),
        ("inlet 41.5C, 300ms, 92%", "inlet <*>C, <*>ms, <*>%"),
        ("H100 HBM3 eth0  ib0", "H100 HBM3 eth0 ib0"),
        ("link up", "link up"),
    ],
)
def test_mask(message: str, expected: str) -> None:
    assert mask(message) == expected


def test_a_word_that_varies_becomes_a_wildcard() -> None:
    miner = TemplateMiner()
    miner.add("session opened for user alice by login")
    template = miner.add("session opened for user bob by login")
    assert (template.text, template.count, len(miner)) == ("session opened for user <*> by login", 2, 1)


@pytest.mark.parametrize(
    ("one", "other"), [("up", "down"), ("corrected", "uncorrected"), ("lost", "restored")]
)
def test_opposites_never_share_a_template(one: str, other: str) -> None:
    miner = TemplateMiner()
    text = "the memory controller of node a reports state {} now"
    assert miner.add(text.format(one)).id != miner.add(text.format(other)).id


def test_kinds_do_not_mix() -> None:
    miner = TemplateMiner()
    assert miner.add("limit exceeded", "A").id != miner.add("limit exceeded", "B").id


def test_the_oldest_template_is_forgotten_first() -> None:
    miner = TemplateMiner(limit=3)
    for word in ("a", "b", "c", "a", "d"):
        miner.add(f"{word} happened")
    assert len(miner) == 3
    assert miner.add("a happened").count == 3
    assert miner.add("b happened").count == 1


@settings(max_examples=50, deadline=None, database=None)
@given(st.lists(st.text(max_size=40), max_size=30), st.lists(st.text(max_size=40), max_size=10))
def test_a_snapshot_goes_on_alike(before: list[str], after: list[str]) -> None:
    miner, copy = TemplateMiner(), TemplateMiner()
    for text in before:
        miner.add(text)
    copy.restore(miner.snapshot())
    for text in after:
        one, other = miner.add(text), copy.add(text)
        assert (one.id, one.text, one.count) == (other.id, other.text, other.count)


def test_hostile_lines_are_cut_not_chewed() -> None:
    miner = TemplateMiner()
    for line in ("1" * 1_000_000, "a-" * 500_000, "a1_" * 500_000, ":0" * 500_000, " " * 100_000, ""):
        miner.add(line)
    assert len(miner) == 5


@pytest.mark.skipif(not LOGHUB.is_dir(), reason="the public data set (shared/data/events/loghub) is not here")
@pytest.mark.parametrize(
    ("system", "least"), [("Hadoop", 0.9), ("OpenSSH", 0.9), ("Spark", 0.9), ("Zookeeper", 0.95)]
)
def test_agreement_with_labelled_logs(system: str, least: float) -> None:
    """Grouping accuracy: the share of lines whose template holds exactly the lines of its labelled one."""
    with (LOGHUB / f"{system}_2k.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    miner = TemplateMiner()
    true, found = defaultdict(set), defaultdict(set)
    for number, row in enumerate(rows):
        true[row["EventId"]].add(number)
        found[miner.add(row["Content"]).id].add(number)
    right = sum(len(group) for group in true.values() if group in found.values())
    assert right / len(rows) >= least
