"""What `setpoint eval run` and `gate` print for machines: json, junit and github."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from xml.etree import ElementTree as ET

from evals.running.gate import Fall
from evals.running.record import Outcome, Ran, Record, as_json
from setpoint.app.eval_text import failing_of, number, said
from setpoint.app.formatting import one_line
from setpoint.app.machine_text import workflow_command, xml_text

MOST_COMMANDS = 20
"""Failing cases told as commands: a runner shows few of them; the summary has the counts."""


def json_text(record: Record, falls: tuple[Fall, ...] = ()) -> str:
    """The whole record as one object."""
    more = (
        {"gate": [{"suite": one.suite, "contender": one.contender, "what": one.what} for one in falls]}
        if falls
        else {}
    )
    return json.dumps(as_json(record) | more, indent=1, ensure_ascii=False) + "\n"


# ---- junit -----------------------------------------------------------------------------------------------------------


def junit_text(record: Record, falls: tuple[Fall, ...] = ()) -> str:
    """A suite for each column, a test case for each case; what the gate holds against it fails as a case of its own."""
    root = ET.Element("testsuites", {"name": "setpoint eval", "time": f"{record.seconds:.3f}"})
    for ran in record.ran:
        _junit_suite(
            root, ran, [one for one in falls if (one.suite, one.contender) == (ran.suite, ran.contender)]
        )
    known = {(ran.suite, ran.contender) for ran in record.ran}
    if elsewhere := [one for one in falls if (one.suite, one.contender) not in known]:
        _junit_suite(root, Ran("gate"), elsewhere)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _junit_suite(root: ET.Element, ran: Ran, falls: list[Fall]) -> None:
    own = [error for error in ran.errors if error.partition(": ")[0] not in ran.cases]
    failures = sum(bool(one.problems) and not one.error for one in ran.cases.values()) + len(falls)
    errors = sum(bool(one.error) for one in ran.cases.values()) + len(own)
    suite = ET.SubElement(root, "testsuite", {
        "name": xml_text(ran.key if ran.contender else ran.suite), "time": f"{ran.seconds:.3f}",
        "tests": str(len(ran.cases) + len(falls) + len(own)), "failures": str(failures), "errors": str(errors),
    })  # fmt: skip
    for case, outcome in ran.cases.items():
        _junit_case(suite, ran, case, outcome)
    for error in own:
        own_case = ET.SubElement(
            suite, "testcase", {"classname": xml_text(ran.suite), "name": "the suite", "time": "0"}
        )
        ET.SubElement(own_case, "error", {"message": xml_text(one_line(error, 300))}).text = xml_text(error)
    for fall in falls:
        fallen = ET.SubElement(
            suite,
            "testcase",
            {"classname": "gate", "name": xml_text(fall.what.partition(" -> ")[0]), "time": "0"},
        )
        failure = ET.SubElement(fallen, "failure", {"message": xml_text(one_line(fall.what, 300))})
        failure.text = xml_text("\n".join((fall.what, *fall.broken)))


def _junit_case(suite: ET.Element, ran: Ran, name: str, outcome: Outcome) -> None:
    where = {
        "classname": xml_text(f"{ran.suite}.{ran.contender}"),
        "name": xml_text(name),
        "time": f"{outcome.seconds:.3f}",
    }
    case = ET.SubElement(suite, "testcase", where)
    if not outcome.fine:
        what = ET.SubElement(
            case, "error" if outcome.error else "failure", {"message": xml_text(one_line(said(outcome), 300))}
        )
        what.text = xml_text("\n".join(outcome.problems) or outcome.error)


# ---- github ----------------------------------------------------------------------------------------------------------


def github_text(record: Record, falls: tuple[Fall, ...] = ()) -> str:
    """Commands that mark what failed, then a summary in Markdown (`>> $GITHUB_STEP_SUMMARY`)."""
    lines = [
        workflow_command(
            "error", f"gate: {one.suite} by {one.contender}", "\n".join((one.what, *one.broken[:5]))
        )
        for one in falls
    ]
    lines += [workflow_command("error", "eval", error) for error in record.errors[:MOST_COMMANDS]]
    lines += [
        workflow_command("error", f"gate of {ran.key}", ran.failed_gate)
        for ran in record.ran
        if ran.failed_gate
    ]
    failing = [
        (ran, case, outcome) for ran in record.ran for case, outcome in failing_of(ran) if not outcome.error
    ]
    lines += [
        workflow_command("warning", f"{ran.key}: {case}", said(outcome))
        for ran, case, outcome in failing[:MOST_COMMANDS]
    ]
    if len(failing) > MOST_COMMANDS:
        lines.append(
            workflow_command("notice", "eval", f"{len(failing) - MOST_COMMANDS} more cases with a problem")
        )
    return "\n".join([*lines, *markdown(record)]) + "\n"


def markdown(record: Record) -> Iterator[str]:
    """A table a suite, contenders as columns."""
    asked, made = record.asked, record.made
    yield f"## Setpoint evals: {asked.split} split, seed {asked.seed}, limit {asked.limit or 'none'}, {made.date} UTC, code {made.code}"
    for suite in record.suites:
        columns = record.of(suite)
        found = [{figure.key: figure for figure in one.figures} for one in columns]
        yield f"\n### {suite}\n"
        yield "| figure | n | " + " | ".join(_cell(one.contender) for one in columns) + " |"
        yield "|---|---:|" + "---|" * len(columns)
        for key in dict.fromkeys(key for one in found for key in one):
            row = [one.get(key) for one in found]
            counts = "/".join(dict.fromkeys(str(figure.n) for figure in row if figure))
            cells = [
                f"{number(one.value)} ({number(one.low)} to {number(one.high)})" if one else "-"
                for one in row
            ]
            yield f"| {_cell(key)} | {counts} | " + " | ".join(cells) + " |"
        for line in dict.fromkeys(line for one in columns for line in one.skipped):
            yield f"\nskipped: {_cell(line)}"


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|").replace("<", "&lt;")


FORMATS: Mapping[str, Callable[[Record, tuple[Fall, ...]], str]] = {
    "json": json_text,
    "junit": junit_text,
    "github": github_text,
}
