"""`setpoint plant` as a person types it: on every site, with every kind of wrong input, and as its own help says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from setpoint.app.cli_plant import plant
from setpoint.app.screen import put
from tests.setpoint.app.terminal import Ran, Terminal

SITES = ("demo", "lab-16", "hall-1024", "gb200-row")
DATA = Path(__file__).parents[4] / "shared" / "data" / "plant"
OWN = """\
name: attic
timezone: Europe/Berlin
assets:
  - {name: mains, kind: feed}
  - {name: hall, kind: hall}
  - {name: pdu-1, kind: pdu, on: [mains]}
  - {name: crah-1, kind: crah, on: [hall]}
  - {name: r-1, kind: rack, on: [hall, pdu-1, crah-1]}
  - {name: "n-[1-2]", kind: gpu_node, on: [r-1], spec: {gpu: L40S, gpus: 4}}
pools:
  - {name: chat, nodes: ["n-[1-2]"], model: llama-3.1-8b, tp: 1}
"""
HEADER = "arrival_s,input_toks,output_toks\n"
TRACE = HEADER + "".join(f"{n / 4},{200 + n},{20 + n % 30}\n" for n in range(120))


@pytest.fixture
def run(terminal: Terminal) -> Terminal:
    terminal.write("conv.csv", TRACE)
    terminal.write("attic.yaml", OWN)
    return terminal


def strict(ran: Ran) -> Any:
    """Exit 0, nothing on stderr, and JSON that any parser takes."""
    assert (ran.code, ran.err) == (0, "")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(ran.out, parse_constant=refuse)


@pytest.mark.parametrize("site", [*SITES, "attic.yaml"])
def test_a_site_is_shown_and_placed(run: Terminal, site: str) -> None:
    shown = run("plant", "show", site)
    assert shown.code == 0
    assert "When one is lost at full load" in shown.out
    assert run("plant", "show", "--site", site).out == shown.out
    assert strict(run("plant", "show", site, "--json"))["pools"]
    assert run("plant", "show", site, "--tree").out.count("└─") > 1
    assert strict(run("plant", "trends", "--site", site, "--json"))["standing"]["pue"] > 1
    assert "this site" in run("plant", "trends", "--site", site).out


@pytest.mark.parametrize("site", [*SITES, "attic.yaml"])
def test_a_site_is_run_and_compared(run: Terminal, site: str) -> None:
    ran = run("plant", "simulate", "--site", site, "--trace", "conv.csv", "--hours", "0.01")
    assert ran.code == 0
    assert ran.err == ""
    assert "\x1b" not in ran.out
    assert "Wh and" in ran.out
    found = strict(
        run("plant", "simulate", "--site", site, "--trace", "conv.csv", "--hours", "0.01", "--json")
    )
    assert sum(pool["completed"] for pool in found["pools"]) > 100
    assert found["totals"]["pue"] > 1
    both = strict(
        run("plant", "what-if", "clock=1200MHz", "--over", "20s", "--site", site, "--rate", "0.1", "--json")
    )
    rows = {row["what"]: row for row in both["compared"]}
    assert rows["IT energy"]["with"] < rows["IT energy"]["without"]
    assert run("plant", "night", "--site", site, "--hours", "1", "--faults", "2", "--out", "n").code == 0
    assert sorted(path.name for path in (run.folder / "n").iterdir()) >= ["events.log", "telemetry.csv"]


WRONG = [
    ("simulate --trace missing.csv", "missing.csv: cannot be read"),
    ("simulate --trace folder", "folder: cannot be read: Is a directory"),
    ("simulate --trace binary.csv", "binary.csv: is not UTF-8 text"),
    ("simulate --trace empty.csv", "column arrival_s is missing; found nothing"),
    ("simulate --trace header.csv", "no request. Give at least one line"),
    ("simulate --trace columns.csv", "column arrival_s is missing; found a, b, c"),
    ("simulate --trace back.csv", "line 3: arrival_s 1 comes before 5: the trace is not sorted"),
    ("simulate --trace nan.csv", "line 2: input_toks is nan"),
    ("simulate --trace zero.csv", "line 2: input_toks is 0. Wanted: 1 to"),
    ("simulate --trace rates.csv", "line 2: rps is -5"),
    ("simulate --site nowhere", "no site file 'nowhere'. Give a path, or one of the included demo"),
    ("simulate --site conv.csv", "a site file is a mapping"),
    ("simulate --hours 0", "0 hours of plant time. Give a time above zero"),
    ("simulate --hours nan", "nan hours of plant time"),
    ("simulate --hours 1e9", "at most 8,784 hours"),
    ("simulate --hours 0.01 --rate 1e9", "synthetic requests. At most 20,000,000"),
    ("simulate --hours 0.01 --rate nan", "a rate factor of nan"),
    ("simulate --hours 0.01 --seed -1", "Invalid value for '--seed'"),
    ("simulate --hours 0.01 --step 1ns", "Choose a --step of"),
    ("simulate --hours 0.01 --step 30C", "'30C' is a temperature; a time is wanted"),
    ("simulate --hours 0.01 --fault nosuch@1s", "no fault 'nosuch' in the catalog. Near names are"),
    ("simulate --hours 0.01 --fault pump_trip:gpu-01@1s", "cannot strike it. Fitting are cdu-1-pump-a"),
    ("simulate --hours 0.01 --fault pump_trip@2h", "pump_trip begins at 7200 s, the run ends at 36 s"),
    ("simulate --hours 0.01 --fault pump_trip", "Write NAME:ASSET@T"),
    ("simulate --site lab-16 --hours 0.01 --fault pump_trip@1s", "has no pump that pump_trip can strike"),
    ("simulate --hours 0.01 --report folder", "folder: cannot write the report: is a folder"),
    ("simulate --hours 0.01 --report conv.csv/run.html", "cannot write the report"),
    ("what-if batch=0 --over 1m", "batch lies between 1 and 4096"),
    ("what-if batch=2.5 --over 1m", "batch is a whole number"),
    ("what-if 'batch=64 batch=32' --over 1m", "batch is set twice on pool-chat. Set it once"),
    ("what-if clocks=1 --over 1m", "Use clock"),
    ("what-if batch=64 --over 0", "'0' is not above zero. Write it as 10m"),
    ("what-if batch=64 --over 999999h", "at most 8,784 hours"),
    ("what-if flow=90 --site lab-16", "site lab-16 has no cdu to set flow on"),
    ("size --model nosuch --gpu H100 --slo ttft=1s,tpot=50ms --rate 1", "unknown model 'nosuch'. Known are"),
    ("size --model llama-3.1-70b --gpu H1 --slo ttft=1s,tpot=50ms --rate 1", "unknown GPU 'H1'"),
    ("size --model llama-3.1-70b --gpu H100 --slo ttft=1s --rate 1", "tpot is missing"),
    ("size --model llama-3.1-70b --gpu H100 --slo ttft=1s,tpot=50ms --rate -1", "Give a finite rate above 0"),
    ("size --model llama-3.1-70b --gpu H100 --slo ttft=1s,tpot=50ms --rate 1 --weights fp3", "'fp3' is no dtype. Use"),
    ("size --model deepseek-v3 --gpu L40S --weights bf16 --slo ttft=1s,tpot=50ms --rate 1 --max-gpus 1", "The weights alone fill 32"),
    ("size --model llama-3.1-70b --gpu H100 --slo ttft=1ms,tpot=1ms --rate 1", "Allow"),
    ("bench --trace conv.csv --tp 3", "64 heads do not divide by tp 3"),
    ("bench --trace conv.csv --tp 0", "Invalid value for '--tp'"),
    ("bench --trace conv.csv --tp 1", "It fits with tp 2"),
    ("bench --trace conv.csv --replicas 0", "Invalid value for '--replicas'"),
    ("bench --trace conv.csv --hbm-util 0.01", "It fits with memory_share"),
    ("bench --trace conv.csv --hbm-util 2", "Use hbm_util 0.05 to 1"),
    ("bench --trace conv.csv --repeat 1000000000", "At most 20,000,000 requests"),
    ("validate --table nosuch conv.csv", "unknown table 'nosuch'. Use one of silicon"),
    ("validate --table silicon conv.csv", "not a silicon table: column"),
    ("validate --table mlperf missing.csv", "missing.csv: cannot read the table"),
    ("validate --table vllm-bench binary.csv", "binary"),
    ("show --site demo lab-16", "two sites: lab-16 and demo. Name one"),
    ("faults nosuch", "no fault 'nosuch'. Use for example"),
    ("night --out conv.csv", "conv.csv: is a file. Name a folder with --out"),
    ("night --out n --hours 1000000", "Invalid value for '--hours'"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "words"), WRONG, ids=[typed for typed, _ in WRONG])
def test_what_is_wrong_is_said_in_one_line_with_exit_2(run: Terminal, typed: str, words: str) -> None:
    (run.folder / "folder").mkdir()
    run.write("binary.csv", b"\xff\xfe\x00\x81" * 50)
    for name, body in (("empty", ""), ("header", HEADER), ("columns", "a,b,c\n1,2,3\n"), ("nan", HEADER + "0,nan,5\n"),
                       ("back", HEADER + "5,10,5\n1,10,5\n"), ("zero", HEADER + "0,0,5\n"),
                       ("rates", "t_s,rps\n0,-5\n600,2\n")):  # fmt: skip
        run.write(f"{name}.csv", body)
    ran = run("plant", *shlex.split(typed))
    assert ran.code == 2, ran.err
    assert words in ran.err
    assert ran.err.startswith("setpoint: ")
    assert ran.err.count("\n") == 1
    assert ran.out == ""


def test_windows_text_is_read_and_unsorted_arrivals_on_request(run: Terminal) -> None:
    run.write("excel.csv", b"\xef\xbb\xbf" + TRACE.replace("\n", "\r\n").encode())
    plain = run("plant", "bench", "--trace", "conv.csv", "--json").data
    excel = run("plant", "bench", "--trace", "excel.csv", "--json").data
    assert excel["completed"] == plain["completed"] == 120
    run.write("back.csv", HEADER + "5,100,5\n1,100,5\n")
    assert run("plant", "bench", "--trace", "back.csv").code == 2
    assert strict(run("plant", "bench", "--trace", "back.csv", "--sort", "--json"))["completed"] == 2


def test_a_starved_bench_swaps_and_recomputes_and_says_what_starves(run: Terminal) -> None:
    usual = run("plant", "bench", "--trace", "conv.csv", "--replicas", "1")
    assert "figure" in usual.out
    asked = re.search(r"--hbm-util ([\d.]+) starves", usual.out)
    assert asked
    burst = "".join(f"{n / 1000},60,{300 + n}\n" for n in range(200))
    run.write("burst.csv", HEADER + burst)
    hint = re.search(
        r"--hbm-util ([\d.]+) starves", run("plant", "bench", "--trace", "burst.csv", "--replicas", "1").out
    )
    assert hint
    starved = strict(
        run("plant", "bench", "--trace", "burst.csv", "--replicas", "1", "--hbm-util", hint[1], "--json")
    )
    assert starved["completed"] == 200
    assert starved["preemptions"] > 0
    assert starved["swaps"] + starved["recomputes"] == starved["preemptions"]
    assert set(starved) >= {
        "requests_per_cpu_s",
        "completed",
        "preemptions",
        "swaps",
        "recomputes",
        "peak_rss_mb",
    }
    assert (
        strict(run("plant", "bench", "--trace", "burst.csv", "--compare", "--json"))["rows"][0]["scheme"]
        == "paged"
    )


def test_rows_that_cannot_be_used_are_counted_with_their_reason(run: Terminal) -> None:
    source = DATA / "mlperf51_llm_dev.csv"
    if not source.exists():
        pytest.skip("public measurements are not here: ../shared/data/plant")
    lines = source.read_text("utf-8").splitlines()
    at = lines[0].split(",").index("Accelerator")
    odd = lines[1].split(",")
    odd[at] = "Zeta-9000"
    run.write("odd.csv", "\n".join([*lines[:40], ",".join(odd), "1,2,3"]) + "\n")
    found = strict(run("plant", "validate", "--table", "mlperf", "odd.csv", "--json"))
    assert found["used"] > 5
    assert sum(found["skipped"].values()) >= 2
    told = run("plant", "validate", "--table", "mlperf", "odd.csv")
    assert told.out.count("skipped ") == len(found["skipped"])


def test_faults_are_listed_and_shown(run: Terminal) -> None:
    listed = strict(run("plant", "faults", "--json"))
    assert len(listed) >= 40
    assert f"{len(listed)} faults" in run("plant", "faults").out
    assert "id: rack_leak" in run("plant", "faults", "rack_leak").out
    assert strict(run("plant", "faults", "rack_leak", "--json"))["id"] == "rack_leak"


def test_a_report_is_written_beside_the_answer(run: Terminal) -> None:
    ran = run(
        "plant", "simulate", "--hours", "0.02", "--rate", "0.1", "--report", "out/run.html",
        "--fault", "chiller_trip@30s", "--json",
    )  # fmt: skip
    assert strict(ran)["happened"][0]["what"]
    assert (run.folder / "out" / "run.html").stat().st_size > 50_000


# ---- help ----------------------------------------------------------------------------------------------------------

GROUP: Any = typer.main.get_command(plant)
EXAMPLES = [
    example
    for command in GROUP.commands.values()
    for example in re.findall(r"`setpoint (plant .+?)`", re.sub(r"\s+", " ", command.help or ""))
]
SHORTER = {
    "--hours 0.5": "--hours 0.2",
    "--over 10m": "--over 30s",
    "@10m": "@1m",
    "--seed 3": "--seed 3 --hours 2",
}
"""The same, in less time."""


def test_every_command_has_an_example() -> None:
    assert set(GROUP.commands) == {example.split()[1] for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_help_work_as_pasted(run: Terminal, example: str) -> None:
    if "nvidia_silicon_e2e_dev.csv" in example:
        source = DATA / "nvidia_silicon_e2e_dev.csv"
        if not source.exists():
            pytest.skip("public measurements are not here: ../shared/data/plant")
        run.write(source.name, "\n".join(source.read_text("utf-8").splitlines()[:60]) + "\n")
    for long, short in SHORTER.items():
        example = example.replace(long, short)
    ran = run(*shlex.split(example))
    assert ran.code == 0, ran.err
    assert ran.out


# ---- the terminal --------------------------------------------------------------------------------------------------


def drawn(width: int, columns: int) -> list[str]:
    screen = Console(width=width, force_terminal=True, color_system=None, highlight=False)
    with screen.capture() as taken:
        names = ["pool", *(f"quantity {n}" for n in range(columns))]
        put(screen, names, [[f"pool-{row}", *("123,456" for _ in range(columns))] for row in range(3)])
    return [re.sub(r"\x1b\[\d*m", "", line) for line in taken.get().splitlines()]


def test_a_table_is_turned_where_the_terminal_is_narrow_and_nothing_is_cut() -> None:
    wide, narrow, narrowest = drawn(200, 8), drawn(60, 8), drawn(24, 8)
    assert (len(wide), len(narrow)) == (4, 9)
    assert narrow[0].split() == ["pool", "pool-0", "pool-1", "pool-2"]
    for lines, width in ((wide, 200), (narrow, 60), (narrowest, 24)):
        assert max(len(line) for line in lines) <= width
        assert " ".join(lines).count("123,456") == 24
        assert "…" not in " ".join(lines)
