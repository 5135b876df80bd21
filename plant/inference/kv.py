"""PagedAttention's block manager: logical to physical block tables, sharing with copy-on-write, swapping.

After Kwon et al., "Efficient memory management for large language model serving with PagedAttention" (arXiv 2309.06180).
The cache of a sequence lies in blocks of `block_tokens` slots, anywhere in the pool; only its last block can be partly
empty. Full blocks of a common prefix are found again by a chained hash and shared. This is the readable form, with real
tables; the compiled engine counts the same blocks (`kernel.py`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from setpoint.errors import UsageError


@dataclass
class Table:
    """Of one sequence: physical blocks in logical order, and the slots in use."""

    blocks: list[int] = field(default_factory=list)
    tokens: int = 0


class OutOfBlocks(UsageError):
    """The pool has no free block left: preempt a sequence, or wait."""


def block_keys(tokens: Sequence[int], block_tokens: int) -> list[bytes]:
    """Chained hashes of the full blocks of a prompt: equal keys mean equal tokens up to the end of that block.

    >>> a, b = block_keys([1, 2, 3, 4, 5], 2), block_keys([1, 2, 9, 4], 2)
    >>> len(a), a[0] == b[0], a[1] == b[1]
    (2, True, False)
    """
    keys, parent = [], b""
    for end in range(block_tokens, len(tokens) + 1, block_tokens):
        part = ",".join(map(str, tokens[end - block_tokens : end]))
        parent = hashlib.sha256(parent + part.encode()).digest()[:16]
        keys.append(parent)
    return keys


class BlockManager:
    """A pool of `blocks` on the accelerator and `cpu_blocks` beside it.

    A physical block is free, held by one or more sequences (`refs`), or cached: held by none, but its content may be
    wanted again. Cached blocks are evicted when free ones run out: the least recently used prefix first, its deepest
    block first. `watermark` blocks stay free when a new sequence is admitted.
    """

    def __init__(self, blocks: int, block_tokens: int, *, cpu_blocks: int = 0, watermark: int = 0) -> None:
        if blocks < 1 or block_tokens < 1:
            raise UsageError(f"{blocks} blocks of {block_tokens} tokens", remedy="Use 1 or more of both")
        self.blocks, self.block_tokens, self.watermark = blocks, block_tokens, watermark
        self.refs = [0] * blocks
        self.tables: dict[int, Table] = {}
        self.swapped: dict[int, Table] = {}
        self.evictions = 0
        self._free = list(range(blocks - 1, -1, -1))
        self._cpu_free = list(range(cpu_blocks - 1, -1, -1))
        self._by_key: dict[Hashable, int] = {}
        self._key_of: dict[int, Hashable] = {}
        self._root_of: dict[int, int] = {}
        self._chains: OrderedDict[int, list[int]] = OrderedDict()

    @property
    def free_blocks(self) -> int:
        """Free, and cached but held by none."""
        return len(self._free) + sum(self.refs[b] == 0 for b in self._key_of)

    @property
    def cpu_free_blocks(self) -> int:
        return len(self._cpu_free)

    @property
    def used_blocks(self) -> int:
        """Held by at least one sequence."""
        return self.blocks - self.free_blocks

    def blocks_for(self, tokens: int) -> int:
        """ceil(tokens / block_tokens)."""
        return -(-tokens // self.block_tokens)

    def hits(self, keys: Sequence[Hashable]) -> list[int]:
        """Physical blocks that already hold the front of this chain of keys."""
        found = []
        for key in keys:
            if key not in self._by_key:
                break
            found.append(self._by_key[key])
        return found

    def can_admit(self, tokens: int, keys: Sequence[Hashable] = (), reserved: int = 0) -> bool:
        """Whether a sequence fits with the watermark and `reserved` other blocks kept free."""
        shared = self.hits(keys)
        unheld = sum(self.refs[b] == 0 for b in shared)
        left = self.free_blocks - unheld - (self.blocks_for(tokens) - len(shared)) - reserved
        return left >= self.watermark

    def allocate(self, seq: int, tokens: int, keys: Sequence[Hashable] = ()) -> int:
        """Gives a new sequence its table; the tokens at its front that were found in the cache.

        Raises OutOfBlocks, and leaves everything as it was, where the pool is too full.
        """
        if seq in self.tables or seq in self.swapped:
            raise UsageError(f"sequence {seq} has a table already", remedy="Free it first")
        shared = self.hits(keys)[: self.blocks_for(tokens)]
        unheld = sum(self.refs[b] == 0 for b in shared)
        fresh = self.blocks_for(tokens) - len(shared)
        if fresh > self.free_blocks - unheld:
            raise OutOfBlocks(f"{fresh} blocks wanted, {self.free_blocks - unheld} are free")
        for block in shared:
            self.refs[block] += 1
        if shared:
            self._chains.move_to_end(self._root_of[shared[0]])
        self.tables[seq] = Table(shared + [self._take() for _ in range(fresh)], tokens)
        return len(shared) * self.block_tokens

    def publish(self, seq: int, keys: Sequence[Hashable]) -> None:
        """Makes the full blocks at the front of a computed sequence findable under these keys.

        Where another sequence was faster the blocks stay its own: each key names one block.
        """
        table = self.tables[seq]
        for place, key in enumerate(keys[: table.tokens // self.block_tokens]):
            block = table.blocks[place]
            if key in self._by_key:
                if self._by_key[key] != block:
                    return
                continue
            root = self._root_of[table.blocks[place - 1]] if place else block
            self._by_key[key], self._key_of[block], self._root_of[block] = block, key, root
            self._chains.setdefault(root, []).append(block)
            self._chains.move_to_end(root)

    def fork(self, parent: int, child: int) -> None:
        """A new sequence with all the tokens of another, and no new block (parallel sampling, beam search)."""
        table = self.tables[parent]
        if child in self.tables or child in self.swapped:
            raise UsageError(f"sequence {child} has a table already", remedy="Free it first")
        for block in table.blocks:
            self.refs[block] += 1
        self.tables[child] = Table(list(table.blocks), table.tokens)

    def needs_block(self, seq: int) -> bool:
        """Whether the next token takes a block: the last is full, or is shared and must be copied."""
        table = self.tables[seq]
        return table.tokens % self.block_tokens == 0 or self.refs[table.blocks[-1]] > 1

    def append(self, seq: int) -> tuple[int, int] | None:
        """A slot for one more token; (from, to) where a shared block must be copied before it is written.

        Raises OutOfBlocks.
        """
        table = self.tables[seq]
        copy = None
        if table.tokens % self.block_tokens == 0:
            table.blocks.append(self._take())
        elif self.refs[table.blocks[-1]] > 1:
            shared = table.blocks[-1]
            table.blocks[-1] = self._take()
            self.refs[shared] -= 1
            copy = (shared, table.blocks[-1])
        table.tokens += 1
        return copy

    def free(self, seq: int) -> None:
        """Gives the blocks back; published ones stay cached."""
        for block in self.tables.pop(seq).blocks:
            self._drop(block)

    def swap_out(self, seq: int) -> list[tuple[int, int]]:
        """Moves a sequence to the CPU; the copies (accelerator block, CPU block). Raises OutOfBlocks."""
        table = self.tables[seq]
        if len(table.blocks) > len(self._cpu_free):
            raise OutOfBlocks(f"{len(table.blocks)} CPU blocks wanted, {len(self._cpu_free)} are free")
        homes = [self._cpu_free.pop() for _ in table.blocks]
        self.swapped[seq] = Table(homes, table.tokens)
        self.free(seq)
        return list(zip(table.blocks, homes, strict=True))

    def swap_in(self, seq: int) -> list[tuple[int, int]]:
        """Moves a sequence back; the copies (CPU block, accelerator block). Raises OutOfBlocks."""
        table = self.swapped[seq]
        if len(table.blocks) > self.free_blocks:
            raise OutOfBlocks(f"{len(table.blocks)} blocks wanted, {self.free_blocks} are free")
        del self.swapped[seq]
        self.tables[seq] = Table([self._take() for _ in table.blocks], table.tokens)
        self._cpu_free.extend(table.blocks)
        return list(zip(table.blocks, self.tables[seq].blocks, strict=True))

    def waste(self) -> float:
        """Share of the slots in held blocks that hold no token; shared blocks count once. 0 for an empty pool."""
        filled: dict[int, int] = {}
        for table in self.tables.values():
            for place, block in enumerate(table.blocks):
                used = min(self.block_tokens, table.tokens - place * self.block_tokens)
                filled[block] = max(filled.get(block, 0), used)
        slots = len(filled) * self.block_tokens
        return 1.0 - sum(filled.values()) / slots if slots else 0.0

    def _take(self) -> int:
        if not self._free:
            self._evict()
        block = self._free.pop()
        self.refs[block] = 1
        return block

    def _evict(self) -> None:
        for root, chain in self._chains.items():
            # Parents are published before children and held wherever a child is, so that the last unheld is a leaf.
            block = next((b for b in reversed(chain) if self.refs[b] == 0), None)
            if block is not None:
                chain.remove(block)
                del self._by_key[self._key_of.pop(block)], self._root_of[block]
                if not chain:
                    del self._chains[root]
                self._free.append(block)
                self.evictions += 1
                return
        raise OutOfBlocks("every block is held")

    def _drop(self, block: int) -> None:
        self.refs[block] -= 1
        if block in self._key_of:
            self._chains.move_to_end(self._root_of[block])
        elif self.refs[block] == 0:
            self._free.append(block)
