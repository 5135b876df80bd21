"""The block manager: no block is lost or written by two, prefixes are shared, copies happen before writes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from plant.inference.kv import BlockManager, OutOfBlocks, block_keys
from setpoint.errors import UsageError


def test_blocks_are_taken_as_tokens_come() -> None:
    kv = BlockManager(4, 16)
    kv.allocate(1, 17)
    assert len(kv.tables[1].blocks) == 2
    for _ in range(15):
        assert not kv.needs_block(1)
        kv.append(1)
    assert kv.needs_block(1)
    kv.append(1)
    assert (len(kv.tables[1].blocks), kv.used_blocks, kv.free_blocks) == (3, 3, 1)
    kv.free(1)
    assert kv.free_blocks == 4


def test_waste_is_the_empty_end_of_the_last_block() -> None:
    kv = BlockManager(10, 16)
    kv.allocate(1, 40)
    assert kv.waste() == pytest.approx(8 / 48)
    kv.fork(1, 2)
    assert kv.waste() == pytest.approx(8 / 48)


def test_a_shared_block_is_copied_before_it_is_written() -> None:
    kv = BlockManager(10, 4)
    kv.allocate(1, 6)
    kv.fork(1, 2)
    assert kv.used_blocks == 2
    copy = kv.append(2)
    assert copy == (kv.tables[1].blocks[1], kv.tables[2].blocks[1])
    assert kv.tables[1].blocks[0] == kv.tables[2].blocks[0]
    assert kv.append(1) is None
    assert kv.used_blocks == 3


def test_a_common_prefix_is_found_by_its_content_and_survives_its_owner() -> None:
    kv = BlockManager(10, 4)
    prompt = list(range(10))
    assert kv.allocate(1, 10, block_keys(prompt, 4)) == 0
    kv.publish(1, block_keys(prompt, 4))
    kv.free(1)
    assert kv.free_blocks == 10
    other = [*range(8), 99, 98, 97, 96]
    assert kv.allocate(2, 12, block_keys(other, 4)) == 8
    assert kv.used_blocks == 3


def test_the_least_recently_used_prefix_goes_first_and_from_its_end() -> None:
    kv = BlockManager(6, 2)
    for seq, first in ((1, 10), (2, 20)):
        keys = block_keys([first, 1, 2, 3], 2)
        kv.allocate(seq, 4, keys)
        kv.publish(seq, keys)
        kv.free(seq)
    kv.allocate(3, 6)
    assert len(kv.hits(block_keys([10, 1, 2, 3], 2))) == 1
    assert len(kv.hits(block_keys([20, 1, 2, 3], 2))) == 2
    assert kv.evictions == 1


def test_swapping_out_and_in_keeps_the_tokens() -> None:
    kv = BlockManager(4, 4, cpu_blocks=3)
    kv.allocate(1, 10)
    assert len(kv.swap_out(1)) == 3
    assert (kv.free_blocks, kv.cpu_free_blocks) == (4, 0)
    kv.allocate(2, 4)
    assert len(kv.swap_in(1)) == 3
    assert (kv.tables[1].tokens, kv.free_blocks, kv.cpu_free_blocks) == (10, 0, 3)


def test_a_refusal_changes_nothing() -> None:
    kv = BlockManager(3, 4, cpu_blocks=1)
    kv.allocate(1, 8)
    for wrong in (lambda: kv.allocate(2, 9), lambda: kv.swap_out(1)):
        with pytest.raises(OutOfBlocks):
            wrong()
    assert (kv.used_blocks, kv.cpu_free_blocks, list(kv.tables)) == (2, 1, [1])
    with pytest.raises(UsageError, match="has a table already"):
        kv.allocate(1, 1)


def test_the_watermark_holds_back_new_sequences() -> None:
    kv = BlockManager(10, 4, watermark=2)
    assert kv.can_admit(32)
    assert not kv.can_admit(33)
    assert not kv.can_admit(32, reserved=1)


class Pool(RuleBasedStateMachine):
    """Random use of a small pool, against a plain record of what each sequence wrote into each slot."""

    def __init__(self) -> None:
        super().__init__()
        self.kv = BlockManager(12, 3, cpu_blocks=5)
        self.prompts: dict[int, list[int]] = {}
        self.written: dict[int, list[int | None]] = {}
        self.content: dict[tuple[int, int], int] = {}
        self.next = 0

    def write(self, seq: int, place: int, token: int) -> None:
        block = self.kv.tables[seq].blocks[place // 3]
        assert self.kv.refs[block] == 1, "a shared block is never written"
        self.content[block, place % 3] = token

    @rule(length=st.integers(1, 14), family=st.integers(0, 2), branch=st.integers(0, 14))
    def admit(self, length: int, family: int, branch: int) -> None:
        self.next += 1
        tokens = [family * 100 + k if k < branch else self.next * 1000 + k for k in range(length)]
        keys = block_keys(tokens, 3)
        try:
            hit = self.kv.allocate(self.next, length, keys)
        except OutOfBlocks:
            return
        self.prompts[self.next] = tokens
        for place in range(hit, length):
            self.write(self.next, place, tokens[place])
        self.kv.publish(self.next, keys)

    @precondition(lambda self: self.kv.tables)
    @rule(data=st.data())
    def grow(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(sorted(self.kv.tables)))
        try:
            copy = self.kv.append(seq)
        except OutOfBlocks:
            return
        if copy:
            for slot in range(3):
                if (copy[0], slot) in self.content:
                    self.content[copy[1], slot] = self.content[copy[0], slot]
        self.prompts[seq].append(-len(self.prompts[seq]) - seq * 1000)
        self.write(seq, len(self.prompts[seq]) - 1, self.prompts[seq][-1])

    @precondition(lambda self: self.kv.tables)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(sorted(self.kv.tables)))
        self.next += 1
        self.kv.fork(seq, self.next)
        self.prompts[self.next] = list(self.prompts[seq])

    @precondition(lambda self: self.kv.tables)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.kv.free(data.draw(st.sampled_from(sorted(self.kv.tables))))

    @precondition(lambda self: self.kv.tables)
    @rule(data=st.data())
    def go_out(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(sorted(self.kv.tables)))
        try:
            moved = self.kv.swap_out(seq)
        except OutOfBlocks:
            return
        self.written |= {home: [self.content.get((b, k)) for k in range(3)] for b, home in moved}

    @precondition(lambda self: self.kv.swapped)
    @rule(data=st.data())
    def come_in(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(sorted(self.kv.swapped)))
        try:
            moved = self.kv.swap_in(seq)
        except OutOfBlocks:
            return
        for home, block in moved:
            for slot, token in enumerate(self.written.pop(home)):
                if token is not None:
                    self.content[block, slot] = token

    @invariant()
    def references_are_the_tables(self) -> None:
        held = Counter(b for table in self.kv.tables.values() for b in table.blocks)
        assert [held[b] for b in range(12)] == self.kv.refs
        assert all(len(set(t.blocks)) == len(t.blocks) for t in self.kv.tables.values())

    @invariant()
    def blocks_are_conserved(self) -> None:
        assert self.kv.free_blocks + sum(r > 0 for r in self.kv.refs) == 12
        away = [b for table in self.kv.swapped.values() for b in table.blocks]
        assert self.kv.cpu_free_blocks + len(set(away)) == 5
        assert len(set(away)) == len(away)

    @invariant()
    def every_sequence_reads_what_it_wrote(self) -> None:
        for seq, table in self.kv.tables.items():
            assert table.tokens == len(self.prompts[seq])
            read = [self.content[table.blocks[k // 3], k % 3] for k in range(table.tokens)]
            assert read == self.prompts[seq]


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
