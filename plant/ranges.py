"""Ranges in names, so that a site of a thousand accelerators is described in a few lines.

`gpu-[001-128]` stands for 128 names. In the `on:` and `redundant_with:` of an asset a range means all of them;
with `/k` behind it the names are dealt out instead: `on: ["r-[01-32]/4"]` of `gpu-[001-128]` puts gpu-001 to
gpu-004 in r-01, gpu-005 to gpu-008 in r-02 and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")
_DEALT = re.compile(r"^(.*\[\d+-\d+\].*)/(\d+)$")
MOST_NAMES = 100_000
"""More from one range is taken for a typing mistake."""


def expand(name: str) -> Iterator[str]:
    """`rack-[1-3]` to rack-1, rack-2, rack-3; leading zeros are kept, several ranges count like a clock.

    Raises ValueError for a range that runs backwards or is longer than MOST_NAMES.

    >>> list(expand("gpu-[08-10]"))
    ['gpu-08', 'gpu-09', 'gpu-10']
    """
    if size(name) > MOST_NAMES:
        raise ValueError(f"{name!r} stands for {size(name)} names; at most {MOST_NAMES} are read")
    return _expand(name)


def _expand(name: str) -> Iterator[str]:
    match = _RANGE.search(name)
    if not match:
        yield name
        return
    low, high = match.groups()
    for number in range(int(low), int(high) + 1):
        yield from _expand(name[: match.start()] + str(number).zfill(len(low)) + name[match.end() :])


def size(name: str) -> int:
    """How many names it stands for.

    >>> size("cdu-[1-4]-pump-[1-2]"), size("cdu-1")
    (8, 1)
    """
    count = 1
    for low, high in _RANGE.findall(name):
        if int(high) < int(low):
            raise ValueError(f"the range [{low}-{high}] in {name!r} runs backwards; write [{high}-{low}]")
        count *= int(high) - int(low) + 1
    return count


def dealt(written: str, position: int, of: int) -> Iterator[str]:
    """The names that `written` means to the asset at `position` (from 0) of `of` assets of one range.

    Raises ValueError where `/k` does not deal out evenly.

    >>> list(dealt("r-[01-02]/4", 5, 8)), list(dealt("r-[01-02]", 5, 8)), list(dealt("ups-1", 5, 8))
    (['r-02'], ['r-01', 'r-02'], ['ups-1'])
    """
    match = _DEALT.match(written)
    if not match:
        yield from expand(written)
        return
    names, each = list(expand(match[1])), int(match[2])
    if len(names) * each != of:
        raise ValueError(
            f"{written!r} deals out {len(names)} x {each} = {len(names) * each} places to {of} assets; "
            + _fitting(match[1], len(names), of)
        )
    yield names[position // each]


def _fitting(range_: str, names: int, of: int) -> str:
    if of % names == 0:
        return f"write {range_}/{of // names}"
    return f"{of} assets do not spread evenly over {names}; mend one of the two ranges"


def written(names: list[str] | tuple[str, ...]) -> str:
    """Names in the short form, runs of neighbours as a range: the opposite of `expand`.

    >>> written(["gpu-01", "gpu-02", "gpu-03", "gpu-07", "ctl-1"])
    'gpu-[01-03], gpu-07, ctl-1'
    """
    runs: list[tuple[str, int, int, int, str]] = []
    for name in names:
        stem, number, tail = _numbered(name)
        value, width = (int(number), len(number)) if number else (-1, 0)
        if runs and number and runs[-1] == (stem, runs[-1][1], value - 1, width, tail):
            runs[-1] = (stem, runs[-1][1], value, width, tail)
        else:
            runs.append((stem, value, value, width, tail))
    return ", ".join(_run(*run) for run in runs)


def _numbered(name: str) -> tuple[str, str, str]:
    match = re.match(r"^(.*?)(\d+)(\D*)$", name)
    return (match[1], match[2], match[3]) if match else (name, "", "")


def _run(stem: str, low: int, high: int, width: int, tail: str) -> str:
    if not width:
        return stem
    if low == high:
        return f"{stem}{low:0{width}}{tail}"
    return f"{stem}[{low:0{width}}-{high:0{width}}]{tail}"
