"""The serving engine as compiled code: continuous batching that jumps from event to event and counts blocks.

One call advances many instances. Requests are an array of records (`REQUEST`); what an instance holds is one row of
the arrays of `Rows`. A sequence that decodes is never touched step by step: `STEP` counts the decode steps of
its instance, its length is STEP + base, its end a step number, and how many sequences need a new block at a step is
read from a histogram of lengths modulo the block (`phase`). `reference.py` says the same slowly, with real block
tables; the tests hold the two equal.

A step, as in vLLM's scheduler: arrivals queue by priority, then age; sequences that decode get their block, and where
none is left the one of lowest priority and latest arrival is preempted; the queue is admitted from its head while
batch, token budget and blocks (less a watermark) last; then one token for each decoding sequence and the rest of the
budget for prompts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from plant.compiled import njit
from plant.inference.cost import step_time_s
from plant.power.gpu import gpu_power_w
from plant.power.use import issued_use

FUTURE, WAITING, PREFILL, DECODE, SWAPPED, HANDED, DONE, REJECTED, WITHDRAWN = range(9)
"""Status of a request. HANDED: its prompt was computed by another instance, its cache is to be placed here."""

INTS = (
    "STEP", "RUNNING", "PREFILLING", "DECODING", "FREE", "EVICTABLE", "CPU_FREE", "BASE_SUM", "NEXT_END", "QUEUE",
    "INBOX_HEAD", "INBOX_TAIL", "WAIT_ROOT", "SHARED_HELD", "PRIVATE", "SHARED_TOKENS", "LRU_HEAD", "LRU_TAIL",
    "BLOCKS", "BLOCK", "MAX_BATCH", "CHUNK", "WATERMARK", "MAX_LEN", "SHARING", "STATIC", "GPUS",
    "PEAK_BLOCKS", "COMPLETED", "REJECTIONS", "PREEMPTIONS", "SWAPS", "RECOMPUTES", "PREFIX_HITS", "PREFILL_TOKENS",
    "DECODE_TOKENS", "FIRST_TOKENS", "STEPS", "EVENTS", "EVICTIONS", "ASSIGNED", "OUT", "PREFILL_SUM",
)  # fmt: skip
"""Names of the integer state of one instance, in the order of `Rows.n`."""
(
    STEP, RUNNING, PREFILLING, DECODING, FREE, EVICTABLE, CPU_FREE, BASE_SUM, NEXT_END, QUEUE,
    INBOX_HEAD, INBOX_TAIL, WAIT_ROOT, SHARED_HELD, PRIVATE, SHARED_TOKENS, LRU_HEAD, LRU_TAIL,
    BLOCKS, BLOCK, MAX_BATCH, CHUNK, WATERMARK, MAX_LEN, SHARING, STATIC, GPUS,
    PEAK_BLOCKS, COMPLETED, REJECTIONS, PREEMPTIONS, SWAPS, RECOMPUTES, PREFIX_HITS, PREFILL_TOKENS,
    DECODE_TOKENS, FIRST_TOKENS, STEPS, EVENTS, EVICTIONS, ASSIGNED, OUT, PREFILL_SUM,
) = range(len(INTS))  # fmt: skip
REALS = (
    "NOW_S", "BUSY_S", "U_COMPUTE_S", "U_MEMORY_S", "ENERGY_J", "PEAK_W", "ALLOCATED_S", "USED_S", "TTFT_SUM_S",
    "TPOT_SUM_S", "CLOCK_PREFILL", "CLOCK_DECODE", "COPY_S", "LOAD_S", "LAST_W", "LAST_UC", "LAST_UM", "LAST_BUSY",
    "SPILL_S", "MOVE_S", "QUEUE_S", "RUNNING_S", "TOP_W",
)  # fmt: skip
"""Names of the real-valued state of one instance, in the order of `Rows.x`."""
(
    NOW_S, BUSY_S, U_COMPUTE_S, U_MEMORY_S, ENERGY_J, PEAK_W, ALLOCATED_S, USED_S, TTFT_SUM_S,
    TPOT_SUM_S, CLOCK_PREFILL, CLOCK_DECODE, COPY_S, LOAD_S, LAST_W, LAST_UC, LAST_UM, LAST_BUSY,
    SPILL_S, MOVE_S, QUEUE_S, RUNNING_S, TOP_W,
) = range(len(REALS))  # fmt: skip
NEVER = 1 << 62
PRIORITY_SHIFT = 40
"""A request's place in the queue is priority * 2^40 + index: one integer to compare."""


REQUEST = np.dtype(
    [
        ("arrival_s", np.float64),
        ("first_s", np.float64),
        ("finish_s", np.float64),
        (
            "base",
            np.int64,
        ),  # decoding: cached tokens less STEP; prefilling: tokens to compute; swapped: cached tokens
        ("end_step", np.int64),
        ("prompt", np.int32),
        ("output", np.int32),
        ("priority", np.int32),
        ("prefix", np.int32),  # leading tokens it has in common with others
        (
            "group",
            np.int32,
        ),  # which prefix; -1: it lies in a store behind the host link, loaded and not computed
        ("reserve", np.int32),  # slots taken at admission and held to the end; 0: paged
        ("generated", np.int32),
        ("done", np.int32),  # tokens of the prompt that are computed
        ("depth", np.int32),  # blocks it shares at the front of its table
        ("preempted", np.int32),
        ("link", np.int32),  # next in the inbox of its instance
        ("left", np.int32),  # children in the waiting heap
        ("right", np.int32),
        ("instance", np.int32),
        ("status", np.int8),
    ],
    align=True,
)
"""One request: what is given, where it stands, what comes out. Kept in the order of arrival."""
PREFIX = np.dtype(
    [
        ("resident", np.int32),  # blocks of this prefix that are cached
        ("held", np.int32),  # of those, how many sequences hold now
        ("newer", np.int32),  # neighbours in the order of last use
        ("older", np.int32),
    ]
)
"""One group of requests with a common prefix, as one instance has it cached."""


class Rows(NamedTuple):
    """One row an instance; inside the kernel the same names hold the row of one instance."""

    n: Any
    """Integers, see INTS."""
    x: Any
    """Reals, see REALS."""
    cost: Any
    use: Any
    power: Any
    run: Any
    """Sequences in the batch, in the order of their admission."""
    pre: Any
    """Those whose prompt is being computed."""
    phase: Any
    """Decoding sequences by their length modulo the block."""
    prefix: Any


@njit(cache=True)
def row(f: Rows, r: int) -> Rows:
    """Views of the row of one instance."""
    return Rows(f.n[r], f.x[r], f.cost[r], f.use[r], f.power[r], f.run[r], f.pre[r], f.phase[r], f.prefix[r])


@njit(cache=True)
def place(q: Any, i: int) -> int:
    """Order of service: lower goes first."""
    return int(np.int64(q[i].priority) << PRIORITY_SHIFT) + i


@njit(cache=True)
def meld(q: Any, a: int, b: int) -> int:
    """Two waiting heaps into one: the top-down skew heap of Sleator and Tarjan (1986); -1 is the empty heap."""
    root, parent = -1, -1
    while a >= 0 and b >= 0:
        if place(q, b) < place(q, a):
            a, b = b, a
        if parent < 0:
            root = a
        else:
            q[parent].left = a
        parent = a
        following = q[a].right
        q[a].right = q[a].left
        a = following
    rest = a if a >= 0 else b
    if parent < 0:
        return rest
    q[parent].left = rest
    return root


@njit(cache=True)
def wait(q: Any, s: Rows, i: int) -> None:
    q[i].left = -1
    q[i].right = -1
    s.n[WAIT_ROOT] = meld(q, s.n[WAIT_ROOT], i)
    s.n[QUEUE] += 1


@njit(cache=True)
def drop_head(q: Any, s: Rows) -> None:
    head = s.n[WAIT_ROOT]
    s.n[WAIT_ROOT] = meld(q, q[head].left, q[head].right)
    s.n[QUEUE] -= 1


@njit(cache=True)
def blocks_for(tokens: int, block: int) -> int:
    return (tokens + block - 1) // block


@njit(cache=True)
def arrive(q: Any, s: Rows) -> None:
    """Takes the requests that have arrived into the queue; rejects those that can never be served."""
    n = s.n
    while n[INBOX_HEAD] >= 0 and q[n[INBOX_HEAD]].arrival_s <= s.x[NOW_S]:
        i = n[INBOX_HEAD]
        n[INBOX_HEAD] = q[i].link
        if n[INBOX_HEAD] < 0:
            n[INBOX_TAIL] = -1
        length = q[i].prompt + q[i].output
        if length > n[MAX_LEN] or blocks_for(max(length, q[i].reserve), n[BLOCK]) > n[BLOCKS] - n[WATERMARK]:
            q[i].status = REJECTED
            n[REJECTIONS] += 1
            continue
        if q[i].status == FUTURE:
            q[i].status = WAITING
        wait(q, s, i)


@njit(cache=True)
def touch(s: Rows, g: int) -> None:
    """Makes a prefix group the most recently used, or takes it off the list when nothing of it is cached."""
    n = s.n
    older, newer = s.prefix[g].older, s.prefix[g].newer
    if older >= 0:
        s.prefix[older].newer = newer
    elif n[LRU_HEAD] == g:
        n[LRU_HEAD] = newer
    if newer >= 0:
        s.prefix[newer].older = older
    elif n[LRU_TAIL] == g:
        n[LRU_TAIL] = older
    s.prefix[g].newer = -1
    s.prefix[g].older = -1
    if s.prefix[g].resident > 0:
        s.prefix[g].older = n[LRU_TAIL]
        if n[LRU_TAIL] >= 0:
            s.prefix[n[LRU_TAIL]].newer = g
        else:
            n[LRU_HEAD] = g
        n[LRU_TAIL] = g


@njit(cache=True)
def take(s: Rows, blocks: int) -> None:
    """Takes free blocks; cached ones that nobody holds are evicted, least recently used prefix first, from its end."""
    n = s.n
    g = n[LRU_HEAD]
    while n[FREE] < blocks and g >= 0:
        following = s.prefix[g].newer
        out = min(s.prefix[g].resident - s.prefix[g].held, blocks - n[FREE])
        if out > 0:
            s.prefix[g].resident -= out
            n[EVICTABLE] -= out
            n[FREE] += out
            n[EVICTIONS] += out
            if s.prefix[g].resident == 0:
                touch(s, g)
        g = following
    n[FREE] -= blocks
    n[PRIVATE] += blocks


@njit(cache=True)
def hold(s: Rows, g: int, depth: int) -> None:
    """A sequence now shares the first `depth` blocks of a prefix."""
    if depth > s.prefix[g].held:
        s.n[EVICTABLE] -= depth - s.prefix[g].held
        s.n[SHARED_HELD] += depth - s.prefix[g].held
        s.prefix[g].held = depth
    touch(s, g)


@njit(cache=True)
def let_go(q: Any, s: Rows, i: int) -> None:
    """Sequence `i`, already off the run list, gives back its shared blocks; they stay cached."""
    g, depth = q[i].group, q[i].depth
    if depth == 0:
        return
    q[i].depth = 0
    s.n[SHARED_TOKENS] -= depth * s.n[BLOCK]
    if depth == s.prefix[g].held:
        deepest = 0
        for k in range(s.n[RUNNING]):
            other = s.run[k]
            if q[other].group == g and q[other].depth > deepest:
                deepest = q[other].depth
        s.n[EVICTABLE] += depth - deepest
        s.n[SHARED_HELD] -= depth - deepest
        s.prefix[g].held = deepest
    touch(s, g)


@njit(cache=True)
def publish(q: Any, s: Rows, i: int) -> None:
    """The prompt of `i` is computed: its full prefix blocks become the cached prefix, where nobody was faster."""
    g = q[i].group
    if s.n[SHARING] == 0 or g < 0 or q[i].reserve > 0:
        return
    want = min(q[i].prefix, q[i].prompt - 1) // s.n[BLOCK]
    have = q[i].depth
    if want <= have or s.prefix[g].resident != have:
        return
    s.prefix[g].resident = want
    s.n[EVICTABLE] += want - have
    s.n[PRIVATE] -= want - have
    s.n[SHARED_TOKENS] += (want - have) * s.n[BLOCK]
    q[i].depth = want
    hold(s, g, want)


@njit(cache=True)
def off_run(s: Rows, i: int) -> None:
    """Takes `i` from the run list; the others keep the order of their admission."""
    n = s.n
    found = 0
    for k in range(n[RUNNING]):
        if s.run[k] == i:
            found = 1
        elif found:
            s.run[k - 1] = s.run[k]
    n[RUNNING] -= found


@njit(cache=True)
def off_pre(s: Rows, i: int) -> None:
    """Takes `i` from the prompts in progress; the others keep their order."""
    n = s.n
    found = 0
    for k in range(n[PREFILLING]):
        if s.pre[k] == i:
            found = 1
        elif found:
            s.pre[k - 1] = s.pre[k]
    n[PREFILLING] -= found


@njit(cache=True)
def private_blocks(q: Any, s: Rows, i: int, cached: int) -> int:
    tokens = q[i].reserve if q[i].reserve > 0 else cached
    return int(blocks_for(tokens, s.n[BLOCK]) - q[i].depth)


@njit(cache=True)
def release(q: Any, s: Rows, i: int, cached: int) -> None:
    """Frees what sequence `i`, with `cached` slots, holds, and takes it off the run list."""
    blocks = private_blocks(q, s, i, cached)
    s.n[FREE] += blocks
    s.n[PRIVATE] -= blocks
    off_run(s, i)
    let_go(q, s, i)


@njit(cache=True)
def soonest_end(q: Any, s: Rows) -> int:
    end = np.int64(NEVER)
    for k in range(s.n[RUNNING]):
        i = s.run[k]
        if q[i].status == DECODE and q[i].end_step < end:
            end = q[i].end_step
    return int(end)


@njit(cache=True)
def start_decode(q: Any, s: Rows, i: int, cached: int) -> None:
    """Sequence `i` with `cached` tokens takes part from the next token on."""
    n = s.n
    q[i].status = DECODE
    q[i].base = cached - n[STEP]
    q[i].end_step = n[STEP] + q[i].output - q[i].generated
    n[DECODING] += 1
    n[BASE_SUM] += q[i].base
    n[NEXT_END] = min(n[NEXT_END], q[i].end_step)
    if q[i].reserve == 0:
        s.phase[q[i].base % n[BLOCK]] += 1


@njit(cache=True)
def stop_decode(q: Any, s: Rows, i: int) -> int:
    """Takes `i` out of the decoding ones; its cached tokens."""
    n = s.n
    n[DECODING] -= 1
    n[BASE_SUM] -= q[i].base
    if q[i].reserve == 0:
        s.phase[q[i].base % n[BLOCK]] -= 1
    q[i].generated = q[i].output - (q[i].end_step - n[STEP])
    return int(q[i].base + n[STEP])


@njit(cache=True)
def context(s: Rows) -> float:
    """Tokens attended at this step: for each decoding sequence its cache and the token itself."""
    return float(s.n[BASE_SUM] + s.n[DECODING] * (s.n[STEP] + 1))


@njit(cache=True)
def recompute_s(s: Rows, tokens: int) -> float:
    """What computing a cache of `tokens` again adds to the decode step it would ride on."""
    n, x = s.n, s.x
    t, b, c = float(tokens), float(n[DECODING]), context(s)
    with_s = step_time_s(s.cost, t, t * t / 2.0, b, c, x[CLOCK_PREFILL])
    return with_s - step_time_s(s.cost, 0.0, 0.0, b, c, x[CLOCK_DECODE])


@njit(cache=True)
def preempt(q: Any, s: Rows) -> None:
    """Puts out the running sequence of lowest priority and latest arrival: swapped or recomputed, as is cheaper."""
    n = s.n
    victim = s.run[0]
    for k in range(1, n[RUNNING]):
        if place(q, s.run[k]) > place(q, victim):
            victim = s.run[k]
    n[PREEMPTIONS] += 1
    q[victim].preempted += 1
    if q[victim].status == PREFILL:
        off_pre(s, victim)
        n[PREFILL_SUM] -= q[victim].base
        n[RECOMPUTES] += 1
        release(q, s, victim, q[victim].base)
        q[victim].status = WAITING
    else:
        cached = stop_decode(q, s, victim)
        release(q, s, victim, cached)
        n[NEXT_END] = soonest_end(q, s)
        blocks = blocks_for(cached, n[BLOCK])
        if blocks <= n[CPU_FREE] and 2.0 * blocks * s.x[COPY_S] < recompute_s(s, cached + 1):
            q[victim].status = SWAPPED
            q[victim].base = cached
            n[CPU_FREE] -= blocks
            n[SWAPS] += 1
            s.x[MOVE_S] += blocks * s.x[COPY_S]
        else:
            q[victim].status = WAITING
            n[RECOMPUTES] += 1
    wait(q, s, victim)


@njit(cache=True)
def crossing(s: Rows) -> int:
    """Sequences that need a new block at this step."""
    return int(s.phase[(-s.n[STEP]) % s.n[BLOCK]])


@njit(cache=True)
def admit(q: Any, s: Rows, i: int, budget: int) -> int:
    """Admits the head of the queue if its blocks fit; the tokens it takes of this step's budget, 0 if it must wait."""
    n, x = s.n, s.x
    status = q[i].status
    placed = status in (SWAPPED, HANDED)
    paged = q[i].reserve == 0
    tokens = q[i].prompt + q[i].generated
    if status == SWAPPED:
        tokens = q[i].base
    elif status == HANDED:
        tokens = q[i].prompt
    hit, unheld = 0, 0
    g = q[i].group
    want = min(q[i].prefix, q[i].prompt - 1) // n[BLOCK]
    if not placed and paged and g >= 0 and n[SHARING] == 1:
        hit = min(want, s.prefix[g].resident)
        unheld = max(0, hit - s.prefix[g].held)
    blocks = blocks_for(tokens if paged else q[i].reserve, n[BLOCK]) - hit
    first = 1 if placed and paged and tokens % n[BLOCK] == 0 else 0
    left = n[FREE] + n[EVICTABLE] - unheld - crossing(s) - blocks - first
    if left < n[WATERMARK] and n[RUNNING] > 0:
        return 0
    drop_head(q, s)
    if hit > 0:
        q[i].depth = hit
        n[SHARED_TOKENS] += hit * n[BLOCK]
        hold(s, g, hit)
    take(s, blocks)
    s.run[n[RUNNING]] = i
    n[RUNNING] += 1
    if placed:
        if status == SWAPPED:
            held = blocks_for(tokens, n[BLOCK])
            n[CPU_FREE] += held
            x[MOVE_S] += held * x[COPY_S]
        start_decode(q, s, i, tokens)
        return 1
    stored = want * n[BLOCK] if g < 0 and n[SHARING] == 1 and paged else 0
    x[MOVE_S] += stored * x[LOAD_S]
    q[i].done = hit * n[BLOCK] + stored
    n[PREFIX_HITS] += q[i].done
    q[i].status = PREFILL
    q[i].base = tokens
    n[PREFILL_SUM] += tokens
    s.pre[n[PREFILLING]] = i
    n[PREFILLING] += 1
    return int(min(tokens - q[i].done, budget))


@njit(cache=True)
def schedule(q: Any, s: Rows) -> bool:
    """Makes room for the decoding sequences and admits from the queue; True where something was preempted."""
    n = s.n
    preempted = False
    while crossing(s) > n[FREE] + n[EVICTABLE]:
        preempt(q, s)
        preempted = True
    if preempted or (n[STATIC] == 1 and n[RUNNING] > 0):
        return preempted
    budget = n[CHUNK] - n[DECODING]
    for k in range(n[PREFILLING]):
        budget -= q[s.pre[k]].base - q[s.pre[k]].done
    while n[WAIT_ROOT] >= 0 and n[RUNNING] < n[MAX_BATCH] and (budget > 0 or n[STATIC] == 1):
        used = admit(q, s, n[WAIT_ROOT], max(budget, 1))
        if used == 0:
            break
        budget -= used
    return False


@njit(cache=True)
def account(s: Rows, time_s: float, u_compute: float, u_memory: float, watts: float) -> None:
    """Adds a span of time at constant use and power (all accelerators) to the sums."""
    x = s.x
    x[BUSY_S] += time_s
    x[U_COMPUTE_S] += u_compute * time_s
    x[U_MEMORY_S] += u_memory * time_s
    x[ENERGY_J] += watts * time_s
    x[PEAK_W] = max(x[PEAK_W], watts)
    x[TOP_W] = max(x[TOP_W], watts)
    x[LAST_W], x[LAST_UC], x[LAST_UM], x[LAST_BUSY] = watts, u_compute, u_memory, 1.0


@njit(cache=True)
def fill(s: Rows, time_s: float, context_tokens: float, blocks: float) -> None:
    """Adds to the time integrals of slots allocated and slots that hold a token, of queue and of batch."""
    n, x = s.n, s.x
    x[ALLOCATED_S] += blocks * n[BLOCK] * time_s
    x[USED_S] += (context_tokens + n[PREFILL_SUM] - n[SHARED_TOKENS] + n[SHARED_HELD] * n[BLOCK]) * time_s
    x[QUEUE_S] += n[QUEUE] * time_s
    x[RUNNING_S] += n[RUNNING] * time_s
    n[PEAK_BLOCKS] = max(n[PEAK_BLOCKS], n[PRIVATE] + n[SHARED_HELD])


@njit(cache=True)
def complete(q: Any, s: Rows, i: int) -> None:
    n, x = s.n, s.x
    q[i].status = DONE
    q[i].finish_s = x[NOW_S]
    n[COMPLETED] += 1
    if q[i].output > 1:
        x[TPOT_SUM_S] += (x[NOW_S] - q[i].first_s) / (q[i].output - 1)


@njit(cache=True)
def finish_decodes(q: Any, s: Rows) -> None:
    """Ends the sequences whose last token this step was."""
    n = s.n
    if n[STEP] < n[NEXT_END]:
        return
    k = 0
    while k < n[RUNNING]:
        i = s.run[k]
        if q[i].status == DECODE and q[i].end_step == n[STEP]:
            cached = stop_decode(q, s, i)
            release(q, s, i, cached)
            complete(q, s, i)
        else:
            k += 1
    n[NEXT_END] = soonest_end(q, s)


@njit(cache=True)
def finish_prompt(q: Any, s: Rows, i: int) -> None:
    """The prompt (or what was recomputed) of `i` is done: it has its next token."""
    n, x = s.n, s.x
    off_pre(s, i)
    cached = q[i].base
    n[PREFILL_SUM] -= cached
    publish(q, s, i)
    if q[i].generated == 0:
        q[i].first_s = x[NOW_S]
        x[TTFT_SUM_S] += x[NOW_S] - q[i].arrival_s
        n[FIRST_TOKENS] += 1
    q[i].generated += 1
    if q[i].generated == q[i].output:
        release(q, s, i, cached)
        complete(q, s, i)
    else:
        start_decode(q, s, i, cached)


@njit(cache=True)
def move(s: Rows) -> None:
    """Time spent on copies to and from the CPU before a step; the accelerators wait."""
    x = s.x
    if x[MOVE_S] > 0.0:
        watts = s.n[GPUS] * gpu_power_w(s.power, 1.0, 0.0, 0.0, x[CLOCK_DECODE])
        account(s, x[MOVE_S], 0.0, 0.0, watts)
        fill(s, x[MOVE_S], context(s), float(s.n[PRIVATE] + s.n[SHARED_HELD]))
        x[NOW_S] += x[MOVE_S]
        x[MOVE_S] = 0.0


@njit(cache=True)
def mixed_step(q: Any, s: Rows) -> None:
    """One step that computes prompts, beside one token of each decoding sequence."""
    n, x = s.n, s.x
    budget = n[CHUNK] - n[DECODING]
    tokens, pairs = 0, 0.0
    for k in range(n[PREFILLING]):
        i = s.pre[k]
        part = min(q[i].base - q[i].done, budget)
        pairs += part * (q[i].done + part / 2.0)
        q[i].done += part
        tokens += part
        budget -= part
    need = crossing(s)
    take(s, need)
    length, batch, clock = context(s), float(n[DECODING]), x[CLOCK_PREFILL]
    time_s = step_time_s(s.cost, float(tokens), pairs, batch, length, clock)
    u_compute, u_memory = issued_use(s.use, float(tokens), pairs, batch, length, time_s)
    account(s, time_s, u_compute, u_memory, n[GPUS] * gpu_power_w(s.power, 1.0, u_compute, u_memory, clock))
    fill(s, time_s, length, float(n[PRIVATE] + n[SHARED_HELD]))
    x[NOW_S] += time_s
    n[STEP] += 1
    n[STEPS] += 1
    n[DECODE_TOKENS] += n[DECODING]
    n[PREFILL_TOKENS] += tokens
    finish_decodes(q, s)
    k = 0
    while k < n[PREFILLING]:
        i = s.pre[k]
        if q[i].done == q[i].base:
            finish_prompt(q, s, i)
        else:
            k += 1


@njit(cache=True)
def decode_step_s(s: Rows, ahead: float) -> float:
    """Seconds of the decode step `ahead` steps from now, the batch unchanged."""
    b = float(s.n[DECODING])
    return step_time_s(s.cost, 0.0, 0.0, b, context(s) + b * ahead, s.x[CLOCK_DECODE])


@njit(cache=True)
def nodes(steps: int) -> tuple[float, float, float]:
    """Middle, distance and outer weight of the 3-point Gauss rule for a sum over 0 .. steps - 1.

    The rule of the discrete uniform measure on `steps` points (Gram polynomials): with the central moments
    m2 = (k^2 - 1) / 12 and m4 / m2 = (3 k^2 - 7) / 20, nodes lie at the middle and at +- sqrt(m4 / m2), the outer
    weights are m2 / (2 x^2). Exact for polynomials to degree 5, and for 1 to 3 points.

    >>> middle, reach, weight = nodes(100)
    >>> exact = sum(j**4 for j in range(100))
    >>> rule = 100 * (weight * ((middle - reach)**4 + (middle + reach)**4) + (1 - 2 * weight) * middle**4)
    >>> abs(rule / exact - 1) < 1e-12
    True
    """
    k2 = float(steps) * steps
    if steps < 2:
        return 0.0, 0.0, 0.0
    square = (3.0 * k2 - 7.0) / 20.0
    return (steps - 1) / 2.0, np.sqrt(square), (k2 - 1.0) / 24.0 / square


@njit(cache=True)
def steps_s(s: Rows, steps: int) -> float:
    """Seconds of the next `steps` decode steps."""
    if steps < 2:
        return decode_step_s(s, 0.0) * steps
    middle, reach, weight = nodes(steps)
    outer = decode_step_s(s, middle - reach) + decode_step_s(s, middle + reach)
    inner = decode_step_s(s, middle) if steps > 2 else 0.0
    return steps * (weight * outer + (1.0 - 2.0 * weight) * inner)


@njit(cache=True)
def steps_to_full(s: Rows, steps: int) -> int:
    """How many of the next `steps` decode steps find their blocks."""
    n = s.n
    room, batch, block = n[FREE] + n[EVICTABLE], n[DECODING], n[BLOCK]
    if batch * (steps // block + 1) <= room:
        return steps
    paged = 0
    for k in range(block):
        paged += s.phase[k]
    if paged == 0:
        return steps
    cycles = room // paged
    room -= cycles * paged
    k = cycles * block
    while k < steps:
        need = s.phase[(-(n[STEP] + k)) % block]
        if need > room:
            break
        room -= need
        k += 1
    return int(min(k, steps))


@njit(cache=True)
def blocks_crossed(s: Rows, steps: int) -> tuple[int, float]:
    """Blocks that the next `steps` decode steps take, and how many of the taken ones are held at a step, on average."""
    n = s.n
    crossed, held = 0, 0.0
    for k in range(min(n[BLOCK], steps)):
        sequences = s.phase[(-(n[STEP] + k)) % n[BLOCK]]
        times = (steps - 1 - k) // n[BLOCK] + 1
        crossed += sequences * times
        held += sequences * (times * float(steps - k) - n[BLOCK] * times * (times - 1) / 2.0)
    return crossed, held / steps


@njit(cache=True)
def steps_until(s: Rows, most: int, stop_s: float) -> tuple[int, float]:
    """The fewest steps, at most `most`, after which the clock is at `stop_s` or later; and their seconds."""
    span_s, first_s = stop_s - s.x[NOW_S], decode_step_s(s, 0.0)
    if most == 1 or first_s >= span_s:
        return 1, first_s
    # Steps only grow longer, so that no more than span / first are needed, and each correction stays on that side.
    steps = most if span_s >= most * first_s else min(most, int(span_s / first_s) + 1)
    time_s = steps_s(s, steps)
    while steps > 1 and time_s > span_s:
        last_s = decode_step_s(s, float(steps - 1))
        if time_s - last_s < span_s:
            break
        steps = max(1, steps - max(1, int((time_s - span_s) / last_s)))
        time_s = steps_s(s, steps)
    return steps, time_s


@njit(cache=True)
def jump_use(s: Rows, steps: int, at: float, weight: float) -> None:
    """Adds the share of one quadrature node of a jump to the sums."""
    n, x = s.n, s.x
    b = float(n[DECODING])
    length = context(s) + b * at
    time_s = step_time_s(s.cost, 0.0, 0.0, b, length, x[CLOCK_DECODE])
    u_compute, u_memory = issued_use(s.use, 0.0, 0.0, b, length, time_s)
    watts = n[GPUS] * gpu_power_w(s.power, 1.0, u_compute, u_memory, x[CLOCK_DECODE])
    account(s, weight * steps * time_s, u_compute, u_memory, watts)


@njit(cache=True)
def jump(q: Any, s: Rows, most: int, stop_s: float) -> None:
    """As many decode steps as pass without an event: a completion, an arrival that matters, or blocks run out."""
    n, x = s.n, s.x
    most = steps_to_full(s, min(most, n[NEXT_END] - n[STEP]))
    if n[INBOX_HEAD] >= 0 and n[RUNNING] < n[MAX_BATCH]:
        stop_s = min(stop_s, q[n[INBOX_HEAD]].arrival_s)
    steps, time_s = steps_until(s, most, stop_s)
    middle, reach, weight = nodes(steps)
    if steps == 1:
        jump_use(s, 1, 0.0, 1.0)
    else:
        jump_use(s, steps, middle - reach, weight)
        if steps > 2:
            jump_use(s, steps, middle, 1.0 - 2.0 * weight)
        jump_use(s, steps, middle + reach, weight)
    crossed, held = blocks_crossed(s, steps)
    blocks = n[PRIVATE] + n[SHARED_HELD] + held
    take(s, crossed)
    fill(s, time_s, context(s) + n[DECODING] * (steps - 1) / 2.0, blocks)
    x[NOW_S] += time_s
    n[STEP] += steps
    n[STEPS] += steps
    n[DECODE_TOKENS] += steps * n[DECODING]
    finish_decodes(q, s)


@njit(cache=True)
def rest(q: Any, s: Rows, until_s: float) -> None:
    """Nothing to do: on to the next arrival or the end of the window, at idle power."""
    n, x = s.n, s.x
    to_s = until_s
    if n[INBOX_HEAD] >= 0:
        to_s = min(to_s, q[n[INBOX_HEAD]].arrival_s)
    if to_s > x[NOW_S] and to_s < np.inf:
        watts = n[GPUS] * gpu_power_w(s.power, 0.0, 0.0, 0.0, x[CLOCK_DECODE])
        x[ENERGY_J] += watts * (to_s - x[NOW_S])
        x[PEAK_W] = max(x[PEAK_W], watts)
        x[LAST_W], x[LAST_UC], x[LAST_UM], x[LAST_BUSY] = watts, 0.0, 0.0, 0.0
        x[NOW_S] = to_s


@njit(cache=True)
def shift(s: Rows, over_s: float) -> None:
    """Moves `over_s` seconds at the use and power of the last step into the sums (negative: out of them)."""
    x = s.x
    x[ENERGY_J] += over_s * x[LAST_W]
    x[BUSY_S] += over_s * x[LAST_BUSY]
    x[U_COMPUTE_S] += over_s * x[LAST_UC]
    x[U_MEMORY_S] += over_s * x[LAST_UM]


@njit(cache=True)
def open_window(s: Rows) -> None:
    """Counts what the last step did after the end of the window before."""
    x = s.x
    if x[SPILL_S] > 0.0:
        x[PEAK_W] = max(x[PEAK_W], x[LAST_W])
        shift(s, x[SPILL_S])
        x[SPILL_S] = 0.0


@njit(cache=True)
def close_window(s: Rows, until_s: float) -> None:
    """Takes out what the last step does after the end of the window."""
    s.x[SPILL_S] = max(0.0, s.x[NOW_S] - until_s)
    shift(s, -s.x[SPILL_S])


@njit(cache=True)
def advance_row(q: Any, s: Rows, until_s: float) -> None:
    """Runs one instance to the first end of a step at or after `until_s`; with infinity, until its work is done."""
    n, x = s.n, s.x
    if n[OUT]:
        if until_s < np.inf:
            x[NOW_S] = max(x[NOW_S], until_s)
        return
    while x[NOW_S] < until_s:
        arrive(q, s)
        if n[RUNNING] == 0 and n[WAIT_ROOT] < 0:
            if n[INBOX_HEAD] < 0 and until_s == np.inf:
                break
            rest(q, s, until_s)
            continue
        n[EVENTS] += 1
        preempted = schedule(q, s)
        move(s)
        if n[PREFILLING] > 0:
            mixed_step(q, s)
        elif n[DECODING] > 0:
            jump(q, s, 1 if preempted else NEVER, until_s)


@njit(cache=True)
def advance(q: Any, f: Rows, until_s: float) -> None:
    """Runs every instance to `until_s`, and parts the step that overlaps the end between the windows."""
    for r in range(f.n.shape[0]):
        s = row(f, r)
        open_window(s)
        advance_row(q, s, until_s)
        close_window(s, until_s)


@njit(cache=True)
def assign(q: Any, f: Rows, i: int, r: int) -> None:
    """Puts request `i` into the inbox of instance `r`."""
    n = f.n[r]
    q[i].link = -1
    if n[INBOX_TAIL] >= 0:
        q[n[INBOX_TAIL]].link = i
    else:
        n[INBOX_HEAD] = i
    n[INBOX_TAIL] = i
    n[ASSIGNED] += 1
    q[i].instance = r


@njit(cache=True)
def deal(q: Any, f: Rows, first: int, last: int) -> None:
    """Requests first .. last - 1 to the instances in turn."""
    for i in range(first, last):
        assign(q, f, i, i % f.n.shape[0])


@njit(cache=True)
def deal_to_least(q: Any, f: Rows, first: int, last: int) -> None:
    """Requests first .. last - 1, each when it arrives to the instance with the fewest in it; of equals in turn."""
    for r in range(f.n.shape[0]):
        open_window(row(f, r))
    for i in range(first, last):
        best, fewest = 0, np.int64(NEVER)
        for turn in range(f.n.shape[0]):
            r = (i + turn) % f.n.shape[0]
            if f.x[r, NOW_S] < q[i].arrival_s:
                advance_row(q, row(f, r), q[i].arrival_s)
            open_ones = f.n[r, ASSIGNED] - f.n[r, COMPLETED] - f.n[r, REJECTIONS]
            if f.n[r, OUT]:
                open_ones += NEVER // 2
            if open_ones < fewest:
                best, fewest = r, open_ones
        assign(q, f, i, best)
