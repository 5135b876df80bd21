"""What of the desk is offered over HTTP: one line a function, with its address and the least role that may call it.

Who calls is never an argument: the server puts the name of the principal where a function asks `who`. A function that stands
not here is offered to no browser and no program, and for commands asks as much as deciding does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from setpoint.contracts.accounts import Role


@dataclass(frozen=True)
class Offered:
    """One function of the desk under /v1."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    """Below /v1; a name in braces is the argument of that name."""
    role: Role
    withheld: frozenset[str] = frozenset()
    """Arguments that nobody may give over HTTP."""

    @property
    def tag(self) -> str:
        return self.path.split("/")[1]


def _get(name: str, path: str, role: Role = "viewer") -> Offered:
    return Offered(name, "GET", path, role)


def _post(name: str, path: str, role: Role, *withheld: str) -> Offered:
    return Offered(name, "POST", path, role, frozenset(withheld))


OFFERED: tuple[Offered, ...] = (
    _get("incidents_list", "/incidents"),
    _get("incidents_causes", "/incidents/causes"),
    _get("incidents_show", "/incidents/{id}"),
    _post("incidents_ack", "/incidents/{id}/ack", "operator"),
    _post("incidents_close", "/incidents/{id}/close", "operator"),
    _post("incidents_escalate", "/incidents/{id}/escalate", "operator"),
    _post("incidents_correct", "/incidents/{id}/correct", "operator"),
    _get("incidents_texts_list", "/incidents/{id}/texts"),
    _post("incidents_ungroup", "/incidents/{id}/ungroup", "operator"),
    _post("review_approve_recommended", "/incidents/{incident}/approve-recommended", "approver"),
    _get("silence_list", "/silences"),
    _post("silence_add", "/silences", "operator"),
    _post("silence_remove", "/silences/{id}/remove", "operator"),
    _get("review_list", "/reviews"),
    _get("review_show", "/reviews/{id}"),
    _get("review_fields_list", "/reviews/{id}/fields"),
    # A simulated decision is that of a run's policy, never of somebody who asks over HTTP.
    _post("review_decide", "/reviews/{id}/decide", "approver", "simulated"),
    _post("review_propose", "/reviews", "operator", "via"),
    _get("feedback_list", "/feedback"),
    _get("feedback_export", "/feedback/export", "operator"),
    _get("learning_show", "/learning"),
    _post("learning_prepare", "/learning/prepare", "operator"),
    _post("learning_sign", "/learning/sign", "approver"),
    _get("quarantine_list", "/quarantine"),
    _get("quarantine_show", "/quarantine/{id}"),
    _post("quarantine_replay", "/quarantine/{id}/replay", "operator"),
    _post("quarantine_remove", "/quarantine/{id}/remove", "operator"),
    _get("knowledge_list", "/knowledge"),
    _get("knowledge_search", "/knowledge/search"),
    _get("knowledge_causes", "/knowledge/causes"),
    _post("knowledge_add", "/knowledge", "admin"),
    _post("knowledge_remove", "/knowledge/{manual}/remove", "admin"),
    _get("rules_list", "/rules"),
    _get("audit_list", "/audit"),
    _get("audit_verify", "/audit/verify"),
    _get("stats", "/stats"),
    _get("site_info", "/site"),
    _get("site_plots_list", "/site/plots"),
    _get("who_show", "/me"),
    _get("tools_list", "/tools"),
    _post("tools_call", "/tools/{tool}", "viewer"),
    _post("chat_ask", "/chat", "operator"),
    _get("chat_list", "/chat/threads", "operator"),
    _get("chat_show", "/chat/threads/{thread}", "operator"),
    _post("chat_remove", "/chat/threads/{thread}/remove", "operator"),
    _post("chat_start", "/chat/turns", "operator"),
    _get("chat_follow", "/chat/turns/{turn}", "operator"),
    _post("chat_stop", "/chat/turns/{turn}/stop", "operator"),
    _get("autonomy_list", "/autonomy"),
    _get("autonomy_show", "/autonomy/{kind}"),
    _post("autonomy_set", "/autonomy/{kind}/set", "approver"),
    _post("autonomy_sign", "/autonomy/{kind}/sign", "approver"),
    # The safe direction: whoever is on shift may take back what runs alone, and say that it did harm.
    _post("autonomy_revoke", "/autonomy/revoke", "operator"),
    _post("autonomy_harm", "/autonomy/harm", "operator"),
    _get("loops_list", "/loops"),
    _get("loops_show", "/loops/{id}"),
    _get("cases_list", "/cases"),
    _get("cases_show", "/cases/{id}"),
)
NEEDS: dict[str, Role] = {one.name: one.role for one in OFFERED}
"""The least role of each desk function."""
