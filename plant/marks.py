"""Where in a YAML file a value stands: from the path of a value to its line."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Place = tuple[str | int, ...]
"""Keys and list positions from the top of the file."""


class Marks:
    """The node tree of one YAML text; made only once a fault has been found, for it costs a second parse."""

    def __init__(self, text: str) -> None:
        self._root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)

    def line(self, place: Sequence[str | int]) -> int:
        """Line (from 1) of the value at `place`, or of the nearest thing around it that the file has."""
        node, line = self._root, 1
        for part in place:
            found = _inside(node, part)
            if found is None:
                break
            node, line = found
        return line


def _inside(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
    """The child and its line; of a mapping's entry the line of its key."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child = node.value[part]
        return child, child.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line + 1
    return None
