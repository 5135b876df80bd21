"""The data paths, held against an independent event-by-event pipeline and against bounds."""

from __future__ import annotations

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.hardware.gpus import gpu
from plant.hardware.paths import HostRates, Path, path, path_names, paths, transfer_s
from setpoint.errors import ConfigError

H100 = gpu("H100")
GB = 1e9


def simulated_s(way: Path, size: float, chunk: float) -> float:
    """Chunks through the stages one event at a time: each stage serves one chunk, `depth` chunks are in flight.

    Latencies are pure delays before the stages; the issuer is a stage of its own.
    """
    count = math.ceil(size / chunk)
    stages = [chunk / rate for rate in way._stages()]
    in_flight: list[float] = []
    free, issuer, last = [0.0] * len(stages), 0.0, 0.0
    for _ in range(count):
        start = issuer if len(in_flight) < way.depth else max(issuer, heapq.heappop(in_flight))
        issuer = start + way.request_s / way.issuers
        at = start + way.latency_s
        for stage, service in enumerate(stages):
            at = max(at, free[stage]) + service
            free[stage] = at
        heapq.heappush(in_flight, at)
        last = max(last, at)
    return last


@pytest.mark.parametrize("name", path_names())
@pytest.mark.parametrize("ways", [1, 8])
@pytest.mark.parametrize("chunk", [65_536.0, 1e6, 16e6])
def test_the_closed_form_agrees_with_a_simulated_pipeline(name: str, ways: int, chunk: float) -> None:
    way = path(name, H100, ways=ways)
    size = 600 * chunk
    assert transfer_s(way, size, chunk) == pytest.approx(simulated_s(way, size, chunk), rel=0.02)


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(path_names()), size=st.floats(1.0, 1e12), more=st.floats(1.0, 1e12), chunk=st.floats(4096.0, 1e8)
)  # fmt: skip
def test_time_is_bounded_by_the_narrowest_hop_and_grows_with_size(
    name: str, size: float, more: float, chunk: float
) -> None:
    way = path(name, H100)
    taken = transfer_s(way, size, chunk)
    assert taken >= size / way.bytes_per_s + way.latency_s - 1e-12
    assert transfer_s(way, size + more, chunk) >= taken * (1 - 1e-12)
    if size >= chunk:
        assert size / taken <= way.sustained_bytes_per_s(chunk) * (1 + 1e-9)


def test_a_bounce_buffer_takes_dram_several_times() -> None:
    """With every link as wide as DRAM, what is left of its 480 GB/s is a quarter, a half, or not asked for at all."""
    wide = H100.model_copy(update={"host_bytes_per_s": 1e13})
    host = HostRates(nvme_drives=1000, copy_bytes_per_s=1e13, nvme_write_bytes_per_s=1e13)
    rates = {name: found.bytes_per_s for name, found in paths(wide, host).items()}
    dram = 0.8 * host.dram_bytes_per_s
    assert rates["ssd_bounce"] == pytest.approx(dram / 4)
    assert rates["ssd_uring"] == pytest.approx(dram / 2)
    assert rates["ssd_gds"] > 5 * dram


def test_order_of_the_ways_to_load_weights() -> None:
    """Eight accelerators: copying cores hold the bounce buffer back, drives the others, DRAM nothing."""
    known = paths(H100, ways=8)
    assert known["ssd_bounce"].narrowest.name == "copy"
    assert known["ssd_uring"].narrowest.name == "nvme"
    assert (
        transfer_s(known["ssd_bounce"], 141 * GB)
        > transfer_s(known["ssd_gds"], 141 * GB)
        > transfer_s(known["dram_hbm"], 141 * GB)
    )
    assert transfer_s(known["dram_hbm_hmm"], 141 * GB) > 5 * transfer_s(known["dram_hbm"], 141 * GB)


def test_accelerators_share_drives_but_not_their_own_links() -> None:
    one, eight = paths(H100), paths(H100, ways=8)
    assert eight["dram_hbm"].bytes_per_s == 8 * one["dram_hbm"].bytes_per_s
    assert eight["cxl_hbm"].bytes_per_s == one["cxl_hbm"].bytes_per_s
    assert eight["ssd_dram"].bytes_per_s == one["ssd_dram"].bytes_per_s
    assert eight["dram_hbm"].latency_s == one["dram_hbm"].latency_s


def test_measured_anchors() -> None:
    """nvbandwidth prints 55.6 GB/s to a PCIe 5.0 card; verbs reach about 392 Gb/s of an NDR port."""
    assert path("dram_hbm", H100).bytes_per_s / GB == pytest.approx(55.6, rel=0.01)
    assert path("peer_rdma", H100).bytes_per_s / GB == pytest.approx(392 / 8, rel=0.02)


def test_small_requests_pay_latency() -> None:
    way = path("ssd_gds", H100)
    assert transfer_s(way, 4096.0) == pytest.approx(way.latency_s, rel=0.01)
    assert transfer_s(way, 0.0) == 0.0


def test_a_node_without_the_hop_says_so() -> None:
    bare = paths(H100, HostRates(nvme_drives=0, cxl_bytes_per_s=0))
    assert not bare["ssd_gds"].usable
    assert bare["dram_hbm"].usable
    with pytest.raises(ConfigError, match="no nvme_direct"):
        transfer_s(bare["ssd_gds"], 1e9)
    assert bare["cxl_hbm"].sustained_bytes_per_s() == 0.0


@pytest.mark.parametrize(
    ("size", "chunk"), [(-1.0, 1e6), (float("nan"), 1e6), (1e9, 0.0), (1e9, -5.0), (float("inf"), 1e6)]
)
def test_impossible_sizes_are_refused(size: float, chunk: float) -> None:
    with pytest.raises(ConfigError, match="cannot move"):
        transfer_s(path("dram_hbm", H100), size, chunk)


def test_unknown_path_and_no_accelerators() -> None:
    with pytest.raises(ConfigError, match="ssd_gds"):
        path("teleport", H100)
    with pytest.raises(ConfigError, match="1 or more"):
        paths(H100, ways=0)


def test_small_reads_live_from_requests_in_flight() -> None:
    """4 KiB at random: 64 in flight without a copy against eight reading threads, each waiting for the drive."""
    plain, ring = path("ssd_bounce", H100), path("ssd_uring", H100)
    assert ring.sustained_bytes_per_s(4096.0) > 5 * plain.sustained_bytes_per_s(4096.0)
    assert ring.pace(4096.0) == plain.pace(4096.0) == "requests in flight"
    one_reader = plain.model_copy(update={"depth": 1})
    reads_per_s = one_reader.sustained_bytes_per_s(4096.0) / 4096.0
    assert (
        10_000 < reads_per_s < 30_000
    )  # 28,418 on a drive of 35 us, github.com/nazq/io-uring-bench; ours has 70 us
