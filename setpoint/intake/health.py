"""NVSentinel health events, bare or inside CloudEvents.

Field names and the numbers of `recommendedAction` follow the HealthEvent reference of NVSentinel's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from setpoint.errors import InputError
from setpoint.intake.draft import Draft
from setpoint.intake.text import shown

_ACTIONS = {
    0: "NONE", 2: "COMPONENT_RESET", 5: "CONTACT_SUPPORT", 6: "RUN_FIELDDIAG", 15: "RESTART_VM", 24: "RESTART_BM",
    25: "REPLACE_VM", 26: "RUN_DCGMEUD", 27: "CUSTOM", 99: "UNKNOWN", 100: "CUSTOM",
}  # fmt: skip
_CODE = re.compile(r"(?:S?XID[-_ ]?)?(\d{1,6})", re.IGNORECASE)
_TRAILING_CODE = re.compile(r"S?XID_ERROR_(\d{1,6})$", re.IGNORECASE)


def is_health_event(item: Mapping[str, object]) -> bool:
    return "nodeName" in item and "checkName" in item


def read_health_event(item: Mapping[str, object]) -> Draft:
    """One health event. Raises InputError where a field has the wrong type."""
    node, check = _text(item, "nodeName"), _text(item, "checkName")
    codes = _codes(item)
    fatal, healthy = _truth(item, "isFatal"), _truth(item, "isHealthy")
    entities = _entities(item)
    draft = Draft("cloudevents", time=item.get("generatedTimestamp"), asset=node)
    draft.source = _text(item, "agent") or "nvsentinel"
    draft.kind = _kind(check, codes)
    draft.message = _text(item, "message") or " ".join((check, *codes))
    draft.severity = "info" if healthy else "critical" if fatal else "warning"
    draft.status = "resolved" if healthy else "firing"
    draft.labels = {"check": check, "fatal": str(fatal).lower(), **entities, "action": _action(item)}
    if codes:
        draft.labels["error_code"] = ",".join(codes)
    if component := _text(item, "componentClass"):
        draft.labels["component"] = component
    if healthy and fatal:
        draft.flags.append("contradiction")
    # A healthy report names the check and the part, not the error it ends.
    draft.dedup_key = "|".join(("health", node, check, *(f"{k}={v}" for k, v in sorted(entities.items()))))
    return draft


def _kind(check: str, codes: list[str]) -> str:
    """`xid-79` or `sxid-12028` where the check is about those, else the check's name.

    Upper case tells them apart: `SysLogsXIDError` is about Xids, `SysLogsSXIDError` about SXids.
    """
    family = next(
        (name for name in ("SXID", "XID") if name in check or (codes and codes[0].startswith(name))), None
    )
    if family is None:
        return check
    code = _CODE.fullmatch(codes[0]) if codes else _TRAILING_CODE.search(check)
    return f"{family.lower()}-{int(code[1])}" if code else check


def _codes(item: Mapping[str, object]) -> list[str]:
    given = item.get("errorCode")
    if given is None or given == "":
        return []
    codes = given if isinstance(given, list) else [given]
    if not all(isinstance(code, str | int) for code in codes):
        raise InputError(f"errorCode is {shown(given)}", remedy="Send a list of texts")
    return [str(code) for code in codes[:16]]


def _entities(item: Mapping[str, object]) -> dict[str, str]:
    """`{"gpu": "3", "pci": "0000:17:00.0"}`; several of one type are joined."""
    given = item.get("entitiesImpacted") or []
    if not isinstance(given, list) or not all(isinstance(entity, dict) for entity in given):
        raise InputError(
            f"entitiesImpacted is {shown(given)}", remedy="Send a list of {entityType, entityValue}"
        )
    found: dict[str, str] = {}
    for entity in given[:64]:
        name = str(entity.get("entityType", "entity")).lower()
        value = str(entity.get("entityValue", ""))
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _action(item: Mapping[str, object]) -> str:
    given = item.get("recommendedAction", 0)
    custom = item.get("customRecommendedAction")
    name = _ACTIONS.get(given, str(given)) if isinstance(given, int) else str(given)
    return str(custom) if name == "CUSTOM" and custom else name


def _text(item: Mapping[str, object], field: str) -> str:
    given = item.get(field)
    if given is None:
        return ""
    if not isinstance(given, str):
        raise InputError(f"{field} is {shown(given)}, not text", remedy=f"Send {field} as text")
    return given


def _truth(item: Mapping[str, object], field: str) -> bool:
    given = item.get(field, False)
    if not isinstance(given, bool):
        raise InputError(f"{field} is {shown(given)}, not true or false", remedy=f"Send {field} as a boolean")
    return given
