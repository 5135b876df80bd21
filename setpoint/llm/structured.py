"""JSON that a model cannot get wrong: a grammar from a schema in which every field is bounded.

An unbounded string under a token limit ends in cut-off JSON, so such a schema is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from setpoint.errors import UsageError

_CHAR = r'char ::= [ !#-\[\]-~] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})'
Schema = Mapping[str, Any] | type[BaseModel]


def json_schema_of(schema: Schema) -> dict[str, Any]:
    """The JSON schema, checked. Raises UsageError naming the first field without a bound."""
    if isinstance(schema, Mapping):
        tree = dict(schema)
    elif isinstance(schema, type) and issubclass(schema, BaseModel):
        tree = schema.model_json_schema()
    else:
        raise UsageError("a structured answer needs a pydantic model or a JSON schema", where=str(schema))
    name = getattr(schema, "__name__", "") or str(tree.get("title", "answer"))
    _require_bounds(tree, name, tree.get("$defs", {}), ())
    return tree


def json_grammar(tree: Mapping[str, Any]) -> str:
    """GBNF of a checked JSON schema."""
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    grammar = str(json_schema_to_gbnf(json.dumps(tree)))
    # Printable ASCII in free text (JSON escapes reach the rest): a small model may emit half a UTF-8 character,
    # which counts as one here and as several once it is decoded.
    return re.sub(r"(?m)^char ::= .*$", lambda _: _CHAR, grammar)


def _require_bounds(
    node: Mapping[str, Any], where: str, defs: Mapping[str, Any], seen: tuple[str, ...]
) -> None:
    if "$ref" in node:
        name = str(node["$ref"]).rsplit("/", 1)[-1]
        if name in seen:
            raise UsageError("a schema that holds itself has no bound", where=where)
        return _require_bounds(defs[name], where, defs, (*seen, name))
    if "enum" in node or "const" in node:
        return None
    if node.get("type") == "string" and "maxLength" not in node:
        raise UsageError("a text field needs maxLength or an enum", where=where)
    if node.get("type") == "array" and "maxItems" not in node:
        raise UsageError("a list field needs maxItems", where=where)
    if node.get("type") == "object" and not node.get("properties"):
        raise UsageError("an object needs named fields", where=where)
    for part in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        _require_bounds(part, where, defs, seen)
    for key, part in node.get("properties", {}).items():
        _require_bounds(part, f"{where}.{key}", defs, seen)
    if isinstance(node.get("items"), Mapping):
        _require_bounds(node["items"], f"{where}[]", defs, seen)
    return None
