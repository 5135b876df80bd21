"""Reading, drawing and reshaping request traces; what a wrong file is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plant.inference.trace import Lengths, make_trace, read_trace, synthetic, trace_from_rate
from setpoint.errors import InputError, UsageError

HEADER = "arrival_s,input_toks,output_toks\n"


def written(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_in_any_order_with_priority_and_prefix(tmp_path: Path) -> None:
    path = written(
        tmp_path, "output_toks,priority,input_toks,arrival_s,prefix_toks,prefix_group\n7,2,100,0.5,64,3\n"
    )
    trace = read_trace(path)
    assert (trace.arrival_s[0], trace.prompt_tokens[0], trace.output_tokens[0]) == (0.5, 100, 7)
    assert (trace.priority[0], trace.prefix_tokens[0], trace.prefix_group[0]) == (2, 64, 3)


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "bom.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"0,5,5\n\n1,5,5\n")
    assert len(read_trace(path)) == 2


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (HEADER + "0,5,5\n-1,5,5\n", 3, "arrival_s is -1"),
        (HEADER + "nan,5,5\n", 2, "arrival_s is nan"),
        (HEADER + "0,inf,5\n", 2, "input_toks is inf"),
        (HEADER + "0,0,5\n", 2, "input_toks is 0"),
        (HEADER + "0,5,0\n", 2, "output_toks is 0"),
        (HEADER + "0,5.5,1\n", 2, "input_toks is 5.5"),
        (HEADER + "0,5,1e30\n", 2, "output_toks is 1e\\+30"),
        (HEADER + "0,99999999,1\n", 2, "input_toks is 1e\\+08"),
        (HEADER + "0,5,1\n3,5,1\n2,5,1\n", 4, "not sorted.*--sort"),
        (HEADER + "0,5,x\n", 2, "output_toks is 'x', not a number"),
        (HEADER + "0,5\n", 2, "2 cells, the header names 3"),
        ("t,a,b\n0,5,5\n", 1, "column arrival_s is missing; found t, a, b"),
        (HEADER.replace("\n", ",prefix_toks\n") + "0,5,5,6\n", 2, "prefix_toks is 6.*at most input_toks"),
    ],
)
def test_a_wrong_line_is_named_with_its_remedy(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=f"line {line}: .*{says}") as caught:
        read_trace(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "content", [b"", b"arrival_s,input_toks,output_toks\n", b"\xff\xfe\x00binary", b"a\x00b"]
)
def test_empty_and_binary_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_trace(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")


def test_sorting_on_request_keeps_the_columns_together(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "3,30,3\n1,10,1\n2,20,2\n")
    trace = read_trace(path, sort=True)
    assert list(trace.arrival_s) == [1, 2, 3]
    assert list(trace.prompt_tokens) == [10, 20, 30]


def test_a_long_gap_is_a_note(tmp_path: Path) -> None:
    lines = "".join(f"{t},5,5\n" for t in [*range(100), 5000])
    assert read_trace(written(tmp_path, HEADER + lines)).notes == ("no arrival for 4901 s before line 102",)


def test_scaling_and_repeating_keep_the_requests(shared_data: Path) -> None:
    trace = read_trace(shared_data / "plant" / "trace_azure2023_conv.csv")
    assert (len(trace), int(trace.prompt_tokens.sum())) == (19366, 22361870)
    assert trace.scaled(2).rate_rps == pytest.approx(2 * trace.rate_rps)
    many = trace.repeat(3)
    assert len(many) == 3 * len(trace)
    assert np.all(np.diff(many.arrival_s) >= 0)
    assert many.rate_rps == pytest.approx(trace.rate_rps, rel=1e-3)


def test_the_mooncake_columns_give_the_prefix(shared_data: Path) -> None:
    trace = read_trace(shared_data / "plant" / "trace_mooncake_synthetic.csv")
    assert np.all(trace.prefix_tokens <= trace.prompt_tokens)
    assert trace.prefix_tokens.sum() / trace.prompt_tokens.sum() == pytest.approx(0.65, abs=0.05)


def test_arrivals_follow_the_rate_file(tmp_path: Path) -> None:
    path = written(tmp_path, "t_s,rps\n0,10\n600,0\n1200,30\n")
    trace = trace_from_rate(path, 7)
    counts = np.histogram(trace.arrival_s, [0, 600, 1200, 1800])[0]
    assert counts[1] == 0
    assert abs(counts[0] - 6000) < 5 * np.sqrt(6000)
    assert abs(counts[2] - 18000) < 5 * np.sqrt(18000)
    assert np.array_equal(trace.arrival_s, trace_from_rate(path, 7).arrival_s)
    regular = trace_from_rate(path, 7, regular=True)
    assert len(regular) == 24000
    assert np.allclose(np.diff(regular.arrival_s[:6000]), 0.1)


def test_part_of_a_rate_file_starts_at_zero(shared_data: Path) -> None:
    path = shared_data / "plant" / "rate_servegen_m-large_10min.csv"
    trace = trace_from_rate(path, 1, start_s=86400.0, hours=1.0, factor=0.01)
    assert trace.arrival_s[0] >= 0
    assert trace.arrival_s[-1] <= 3600.0
    assert trace.rate_rps == pytest.approx(1.96, rel=0.7)


@pytest.mark.parametrize("rows", ["0,-1\n", "0,nan\n", "0,5\n0,6\n", ""])
def test_a_wrong_rate_file_is_refused(tmp_path: Path, rows: str) -> None:
    with pytest.raises(InputError):
        trace_from_rate(written(tmp_path, "t_s,rps\n" + rows), 1)


def test_a_made_up_trace_has_what_was_asked() -> None:
    trace = synthetic(20_000, 5.0, 3, burstiness=4.0, urgent_share=0.2, groups=5, prefix_tokens=100)
    assert trace.rate_rps == pytest.approx(5.0, rel=0.1)
    apart = np.diff(trace.arrival_s)
    assert apart.var() / apart.mean() ** 2 == pytest.approx(4.0, rel=0.15)
    assert (trace.priority == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert set(trace.prefix_group) == set(range(5))
    assert np.median(synthetic(20_000, 5.0, 3).prompt_tokens) == pytest.approx(1020, rel=0.05)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_wrong_factor_is_refused(factor: float) -> None:
    with pytest.raises(UsageError):
        synthetic(10, 1.0, 1).scaled(factor)


def test_arrays_are_checked_too() -> None:
    two = np.array([5, 5])
    with pytest.raises(InputError, match="request 1: arrival_s 0 comes before 1"):
        make_trace(np.array([1.0, 0.0]), two, two)
    assert Lengths(longest=10).draw(100, np.random.default_rng(1))[0].max() <= 10
