"""How `setpoint model` reads on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from setpoint.app.screen import console, head, put, say

CURVE_CHARS = 60
_LEVELS = " ▁▂▃▄▅▆▇█"


def show_list(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a model."""
    screen = console()
    cells = [
        [
            row["name"],
            ", ".join(row["in_service"]) or "-",
            _size(row),
            row["made"],
            row["problem"] or row["score"],
        ]
        for row in rows
    ]
    put(screen, ("model", "in service", "size", "made how", "score"), cells, left=5)


def show_card(card: Mapping[str, Any]) -> None:
    """The whole card, part by part; what is not known is said to be so."""
    screen = console()
    say(screen, f"{card['name']}: {_size(card)}".rstrip(": "), "bold")
    say(screen, card.get("path", ""))
    say(screen, f"in service: {', '.join(card.get('in_service', ())) or 'nowhere'}")
    head(screen, "What it is")
    say(screen, card["is"])
    head(screen, "What it is not")
    say(screen, card["is_not"])
    if card.get("sha256"):
        _origin(screen, card)
    _scores(screen, card.get("scores", ()), card.get("sha256", ""))
    measured = card.get("measured", {})
    head(screen, "Roles")
    _verdicts(screen, measured.get("trial"))
    head(screen, "Modes")
    _modes(screen, measured)
    head(screen, "Cost")
    _cost(screen, measured.get("bench"))


def show_bench(found: Mapping[str, Any]) -> None:
    """Name and figure, one a line."""
    screen = console()
    say(screen, f"{found['name']}, {found['machine']}", "bold")
    _cost(screen, found)


def show_trial(found: Mapping[str, Any]) -> None:
    """A verdict a role, then its figures, then why words were refused."""
    screen = console()
    say(
        screen, f"{found['name']}: {found['suite']}, {found['split']} cases, {found['seconds']:.0f} s", "bold"
    )
    _verdicts(screen, found)
    for one in found["verdicts"]:
        if one["figures"]:
            head(screen, f"{one['role']} ({one['cases']} cases)")
            put(screen, ("figure", "value", "95 % interval"), list(_figures(one["figures"])))
    if found["refused"]:
        head(screen, "Words that the verifier refused for good")
        for problem, count in sorted(found["refused"].items(), key=lambda item: -item[1])[:8]:
            say(screen, f"{count} x {problem}")


def show_known(rows: Sequence[Mapping[str, Any]]) -> None:
    """The list of open models."""
    screen = console()
    cells = [[row["name"], row["parameters"], row["licence"], row["fit"], row["repository"]] for row in rows]
    put(
        screen,
        ("name", "parameters", "licence", "fit (untried: see `model try`)", "repository"),
        cells,
        left=5,
    )


def show_pulled(found: Mapping[str, Any]) -> None:
    screen = console()
    if not found["fetched"]:
        say(screen, f"{found['name']} is there already: {found['path']}")
        return
    say(screen, f"{found['name']} lies at {found['path']}")
    say(screen, f"sha256 {found['sha256']}, as {found['hash_said_by']} says; it is pinned now")
    say(screen, f"Next: setpoint model try {found['name']} --suite smoke")


# ---- parts ------------------------------------------------------------------------------------------------------------


def _origin(screen: Console, card: Mapping[str, Any]) -> None:
    head(screen, "How it was made")
    say(screen, card["made"])
    origin = card.get("origin", {})
    for name, value in _told(origin):
        say(screen, f"{name}: {value}")
    if curve := _curve(origin.get("curve")):
        say(screen, f"loss while it learned: {curve}")
    say(screen, f"architecture: {card['architecture']}, {card['context_tokens']:,} tokens of context")
    say(screen, f"sha256: {card['sha256']}")
    if prompts := card.get("prompts"):
        moved = [task for task, known in prompts.items() if card["current_prompts"].get(task) != known]
        fits = (
            f"other prompts of {', '.join(moved)} than this version's"
            if moved
            else "the prompts of this version"
        )
        say(screen, f"trained on {fits}", "red" if moved else "")


def _told(origin: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the card of the shipped, a trained or a pulled model holds, flat and in words."""
    words = {
        "time": "when", "tokens": "tokens", "cpu_s": "CPU-seconds", "wall_s": "seconds", "steps": "steps", "seed": "seed",
        "data_hash": "data", "warm_start": "from the weights of", "parity": "parity with llama.cpp", "base": "from",
        "lessons": "corrections", "training": "training", "origin": "signed", "repository": "repository", "file": "file",
        "licence": "licence", "hub": "hub", "commit": "commit", "hash_said_by": "hash said by",
    }  # fmt: skip
    for key, name in words.items():
        if (value := origin.get(key)) not in (None, "", {}, []):
            yield name, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if value > 100 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)


def _curve(rows: Any) -> str:
    """The loss as a row of blocks, first to last.

    >>> _curve([[1, 2.0, 0.1], [2, 1.0, 0.1], [3, 0.0, 0.1]])
    '2 █▅▁ 0'
    """
    if not isinstance(rows, list) or len(rows) < 2:
        return ""
    losses = [float(row[1]) for row in rows if isinstance(row, list | tuple) and len(row) > 1]
    step = max(1, len(losses) // CURVE_CHARS)
    shown, low, high = losses[::step], min(losses), max(losses)
    places = [1 + round((loss - low) / ((high - low) or 1.0) * (len(_LEVELS) - 2)) for loss in shown]
    return f"{losses[0]:.2g} {''.join(_LEVELS[place] for place in places)} {losses[-1]:.2g}"


def _scores(screen: Console, scores: Sequence[Mapping[str, Any]], sha256: str) -> None:
    head(screen, "Scores in the suites")
    if not scores:
        known = f" over this very file ({sha256[:12]})" if sha256 else ""
        say(
            screen,
            f"No eval run{known} is known here. `setpoint eval run alert rca --split held-out` makes one.",
        )
    for score in scores:
        roles = ", ".join(
            f"{role} in {mode}" for role, mode in zip(score["roles"], score["mode"], strict=True)
        )
        say(
            screen,
            f"{score['suite']}, {score['split']}, as {roles} ({score['record']}, {score['date']})",
            "bold",
        )
        rows = [
            [
                f"{one['set']}: {one['name']}",
                f"{one['value']:.3f}",
                f"{one['low']:.3f} to {one['high']:.3f}",
                str(one["n"]),
            ]
            for one in score["figures"]
        ]
        put(screen, ("figure", "value", "95 % interval", "n"), rows)


def _verdicts(screen: Console, trial: Mapping[str, Any] | None) -> None:
    if not trial:
        say(screen, "Not tried. `setpoint model try MODEL --suite smoke` says what it is good enough for.")
        return
    for one in trial["verdicts"]:
        say(
            screen,
            f"{one['role']}: {'good enough' if one['good'] else 'not good enough'}: {one['why']}",
            "green" if one["good"] else "red",
        )


def _modes(screen: Console, measured: Mapping[str, Any]) -> None:
    """Of each role by the largest measurement there is; facts without one."""
    trial, modes = measured.get("trial"), measured.get("modes")
    choices = [*(trial["modes"] if trial else ()), *([modes["choice"]] if modes else [])]
    for choice in {one["role"]: one for one in sorted(choices, key=lambda one: int(one["cases"]))}.values():
        _choice(screen, choice)
    if not choices:
        say(screen, "facts: code decides and the model words, because nothing else was measured")


def _choice(screen: Console, choice: Mapping[str, Any]) -> None:
    say(screen, f"{choice['role']}: {choice['mode']}, because {choice['why']}")
    if choice["figures"]:
        put(screen, ("figure", "value", "95 % interval"), list(_figures(choice["figures"])))


def _cost(screen: Console, bench: Mapping[str, Any] | None) -> None:
    if not bench:
        say(screen, "Not measured on this machine. `setpoint model bench MODEL` does it.")
        return
    first, speed = bench["first_token_ms"], bench["tokens_per_s"]
    rows = [
        ["load", f"{bench['load_ms']:.0f} ms", ""],
        ["memory it takes", f"{bench['rss_mb']:.0f} MB", ""],
        ["first token of an alert", f"{first['bound']:.1f} ms", f"{first['ours']:.1f} ms without grammar, {first['raw']:.1f} ms llama.cpp alone"],
        ["tokens/s, prompt included", f"{speed['ours']:.0f}", f"{speed['raw']:.0f} llama.cpp alone"],
        ["Setpoint's overhead, CPU time", *_ratio(bench["overhead_cpu"])],
        ["Setpoint's overhead, on the clock", *_ratio(bench["overhead"])],
        ["with the slot grammar, on the clock", *_ratio(bench["with_grammar"])],
        ["an alert in words", f"{bench['alert_s']:.2f} s", "median, verified, two tries at most"],
        ["an analysis in words", f"{bench['analysis_s']:.2f} s", "median over incidents, all texts"],
    ]  # fmt: skip
    put(screen, ("cost", "value", ""), rows, left=3)


def _ratio(figure: Sequence[float]) -> tuple[str, str]:
    value, low, high = figure
    return f"x {value:.2f}", f"{low:.2f} to {high:.2f}; llama.cpp alone is 1"


def _figures(figures: Mapping[str, Sequence[float]]) -> Iterator[list[str]]:
    for name, (value, low, high) in figures.items():
        yield [name, f"{value:.2f}", f"{low:.2f} to {high:.2f}"]


def _size(row: Mapping[str, Any]) -> str:
    if not row.get("size_mb"):
        return ""
    return f"{row['size_mb']:,.1f} MB, {row['parameters'] / 1e6:,.1f}M parameters, {row['stored_as']}"
