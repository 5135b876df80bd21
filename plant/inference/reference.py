"""The serving engine step by step over real block tables: slow and plain. It says what `kernel.py` must compute.

Nothing is jumped over and nothing is counted in aggregate. Tests hold the two equal on random workloads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.kv import BlockManager
from plant.inference.memory import plan_memory
from plant.inference.trace import Trace
from plant.power.gpu import gpu_power_w, power_coefficients
from plant.power.use import issued_use, use_coefficients

Status = Literal["waiting", "prefill", "decode", "swapped", "done", "rejected"]


@dataclass
class Request:
    """One request on its way."""

    index: int
    arrival_s: float
    prompt: int
    output: int
    priority: int
    prefix: int
    group: int
    status: Status = "waiting"
    generated: int = 0
    target: int = 0
    """Tokens to compute before it decodes: the prompt, and after a recomputation what it had answered."""
    computed: int = 0
    first_s: float = float("nan")
    finish_s: float = float("nan")
    preempted: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Order of service."""
        return (self.priority, self.index)


@dataclass
class Counts:
    """What happened."""

    completed: int = 0
    rejected: int = 0
    preemptions: int = 0
    swaps: int = 0
    recomputes: int = 0
    prefix_hit_tokens: int = 0
    prefill_tokens: int = 0
    decode_tokens: int = 0
    steps: int = 0
    peak_blocks: int = 0
    energy_j: float = 0.0
    u_compute_s: float = 0.0
    u_memory_s: float = 0.0
    busy_s: float = 0.0
    slots_s: float = 0.0
    filled_s: float = 0.0


@dataclass
class Reference:
    """One instance and one trace; `run()` serves it to the end."""

    deployment: Deployment
    trace: Trace
    clock_prefill_pu: float = 1.0
    clock_decode_pu: float = 1.0
    now_s: float = 0.0
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        d, t = self.deployment, self.trace
        self.memory = plan_memory(d)
        self.cost, self.power = step_coefficients(d), power_coefficients(d.gpu)
        self.use = use_coefficients(d)
        self.kv = BlockManager(
            self.memory.blocks, d.block_tokens, cpu_blocks=self.memory.cpu_blocks,
            watermark=self.memory.watermark_blocks,
        )  # fmt: skip
        columns = (t.arrival_s, t.prompt_tokens, t.output_tokens, t.priority, t.prefix_tokens, t.prefix_group)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        self.all = [Request(i, *row) for i, row in enumerate(rows)]
        self.coming = list(self.all)
        self.waiting: list[Request] = []
        self.running: list[Request] = []
        self.max_batch = min(d.max_batch, d.chunk_tokens)

    def run(self) -> Counts:
        """Serves everything; the counts."""
        while self.coming or self.waiting or self.running:
            self.arrive()
            if not self.waiting and not self.running:
                if self.coming:
                    self.idle_until(self.coming[0].arrival_s)
                continue
            self.step()
        return self.counts

    def arrive(self) -> None:
        while self.coming and self.coming[0].arrival_s <= self.now_s:
            seq = self.coming.pop(0)
            room = self.memory.blocks - self.memory.watermark_blocks
            length = seq.prompt + seq.output
            if length > self.deployment.max_len or self.kv.blocks_for(length) > room:
                seq.status = "rejected"
                self.counts.rejected += 1
            else:
                self.waiting.append(seq)

    def idle_until(self, until_s: float) -> None:
        watts = self.deployment.gpus * gpu_power_w(self.power, 0.0, 0.0, 0.0, self.clock_decode_pu)
        self.counts.energy_j += watts * (until_s - self.now_s)
        self.now_s = until_s

    def step(self) -> None:
        """One engine step: room, admission, copies, computation."""
        move_s, preempted = self.make_room()
        if not preempted:
            move_s += self.admit()
        self.spend(move_s)
        self.compute()

    def decoding(self) -> list[Request]:
        return [s for s in self.running if s.status == "decode"]

    def crossing(self) -> int:
        """Decoding sequences that need a block for their next token."""
        return sum(self.kv.needs_block(s.index) for s in self.decoding())

    def context(self) -> float:
        return float(sum(self.kv.tables[s.index].tokens + 1 for s in self.decoding()))

    def make_room(self) -> tuple[float, bool]:
        """Preempts until every decoding sequence finds its block: seconds of copies, and whether any was put out."""
        move_s, preempted = 0.0, False
        while self.crossing() > self.kv.free_blocks:
            move_s += self.preempt(max(self.running, key=lambda s: s.place))
            preempted = True
        return move_s, preempted

    def preempt(self, victim: Request) -> float:
        self.running.remove(victim)
        self.waiting.append(victim)
        self.counts.preemptions += 1
        victim.preempted += 1
        blocks = len(self.kv.tables[victim.index].blocks)
        if victim.status == "decode" and blocks <= self.kv.cpu_free_blocks and self.swap_is_cheaper(victim):
            victim.status = "swapped"
            self.kv.swap_out(victim.index)
            self.counts.swaps += 1
            return blocks * self.memory.copy_s
        victim.status = "waiting"
        self.kv.free(victim.index)
        self.counts.recomputes += 1
        return 0.0

    def swap_is_cheaper(self, victim: Request) -> bool:
        """Two copies of all its blocks, against what computing it again adds to the step of the others."""
        table = self.kv.tables[victim.index]
        batch, context, tokens = float(len(self.decoding())), self.context(), float(table.tokens + 1)
        with_s = step_time_s(self.cost, tokens, tokens**2 / 2, batch, context, self.clock_prefill_pu)
        without_s = step_time_s(self.cost, 0.0, 0.0, batch, context, self.clock_decode_pu)
        return bool(2 * len(table.blocks) * self.memory.copy_s < with_s - without_s)

    def keys(self, seq: Request) -> list[tuple[int, int]]:
        """Names of the full prefix blocks; the last token of a prompt is always computed."""
        if not self.deployment.prefix_sharing or seq.group < 0:
            return []
        full = min(seq.prefix, seq.prompt - 1) // self.deployment.block_tokens
        return [(seq.group, k) for k in range(full)]

    def admit(self) -> float:
        """Admits from the head of the queue while batch, budget and blocks last; seconds of copies."""
        d, move_s = self.deployment, 0.0
        prefills = [s for s in self.running if s.status == "prefill"]
        budget = d.chunk_tokens - len(self.decoding()) - sum(s.target - s.computed for s in prefills)
        while self.waiting and len(self.running) < self.max_batch and budget > 0:
            seq = min(self.waiting, key=lambda s: s.place)
            swapped = seq.status == "swapped"
            tokens = self.kv.swapped[seq.index].tokens if swapped else seq.prompt + seq.generated
            keys = [] if swapped else self.keys(seq)
            first = int(swapped and tokens % d.block_tokens == 0)
            if self.running and not self.kv.can_admit(tokens, keys, self.crossing() + first):
                break
            self.waiting.remove(seq)
            if swapped:
                move_s += len(self.kv.swap_in(seq.index)) * self.memory.copy_s
                seq.status = "decode"
                budget -= 1
            else:
                move_s += self.begin(seq, tokens, keys)
                budget -= min(seq.target - seq.computed, budget)
            self.running.append(seq)
        return move_s

    def begin(self, seq: Request, tokens: int, keys: list[tuple[int, int]]) -> float:
        """Gives a sequence its blocks; seconds of loading where its prefix lies in a store."""
        seq.status, seq.target = "prefill", tokens
        seq.computed = self.kv.allocate(seq.index, tokens, keys)
        stored = 0
        if seq.group < 0 and self.deployment.prefix_sharing:
            block = self.deployment.block_tokens
            stored = min(seq.prefix, seq.prompt - 1) // block * block
        seq.computed += stored
        self.counts.prefix_hit_tokens += seq.computed
        return stored * self.memory.load_s

    def spend(self, move_s: float) -> None:
        if move_s > 0.0:
            watts = self.deployment.gpus * gpu_power_w(self.power, 1.0, 0.0, 0.0, self.clock_decode_pu)
            self.counts.energy_j += watts * move_s
            self.counts.busy_s += move_s
            self.now_s += move_s

    def compute(self) -> None:
        """One pass of the model: a token for each decoding sequence, the rest of the budget for prompts."""
        decoding = self.decoding()
        prefills = [s for s in self.running if s.status == "prefill"]
        context, tokens, pairs = self.context(), 0, 0.0
        budget = self.deployment.chunk_tokens - len(decoding)
        for seq in prefills:
            part = min(seq.target - seq.computed, budget)
            pairs += part * (seq.computed + part / 2.0)
            seq.computed += part
            tokens += part
            budget -= part
        for seq in decoding:
            self.kv.append(seq.index)
        clock = self.clock_prefill_pu if prefills else self.clock_decode_pu
        self.charge(float(tokens), pairs, float(len(decoding)), context, clock)
        self.counts.decode_tokens += len(decoding)
        self.counts.prefill_tokens += tokens
        self.finish([s for s in decoding if s.generated + 1 == s.output], decoding)
        self.first_tokens([s for s in prefills if s.computed == s.target])

    def charge(self, tokens: float, pairs: float, batch: float, context: float, clock_pu: float) -> None:
        """Time, use, energy and occupancy of the step."""
        c = self.counts
        time_s = step_time_s(self.cost, tokens, pairs, batch, context, clock_pu)
        u_compute, u_memory = issued_use(self.use, tokens, pairs, batch, context, time_s)
        watts = self.deployment.gpus * gpu_power_w(self.power, 1.0, u_compute, u_memory, clock_pu)
        c.energy_j += watts * time_s
        c.u_compute_s += u_compute * time_s
        c.u_memory_s += u_memory * time_s
        c.busy_s += time_s
        slots = self.kv.used_blocks * self.deployment.block_tokens
        c.slots_s += slots * time_s
        c.filled_s += slots * (1.0 - self.kv.waste()) * time_s
        c.peak_blocks = max(c.peak_blocks, self.kv.used_blocks)
        c.steps += 1
        self.now_s += time_s

    def finish(self, last: list[Request], decoding: list[Request]) -> None:
        for seq in decoding:
            seq.generated += 1
        for seq in last:
            self.end(seq)

    def end(self, seq: Request) -> None:
        seq.status, seq.finish_s = "done", self.now_s
        self.running.remove(seq)
        self.kv.free(seq.index)
        self.counts.completed += 1

    def first_tokens(self, ready: list[Request]) -> None:
        """Prompts that are computed give their next token, and decode from the next step on."""
        for seq in ready:
            self.kv.publish(seq.index, self.keys(seq))
            if seq.generated == 0:
                seq.first_s = self.now_s
            seq.generated += 1
            seq.status = "decode"
            if seq.generated == seq.output:
                self.end(seq)
