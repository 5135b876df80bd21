"""An approval fits one action, one incident, one set of limits and one span of time."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from setpoint.contracts import Action
from setpoint.errors import ActionRefused, BackendError
from tests.tools.bench import INCIDENT, Bench, action
from tools.actions import validate
from tools.tokens import KEY_FILE, Signer, limits_version

FLOW = Action(name="set_coolant_flow", asset="cdu-1", args={"flow_lpm": 180.0})


def token(bench: Bench, **changes: object) -> str:
    return bench.signer.mint(bench.grant(FLOW, **changes))


def test_it_fits_what_was_approved(bench: Bench) -> None:
    grant = bench.signer.verify(token(bench), FLOW, INCIDENT, bench.site, bench.clock())
    assert grant.approvers == ("alice",)


@pytest.mark.parametrize(
    "edited",
    [
        FLOW.model_copy(update={"args": {"flow_lpm": 180.1}}),
        FLOW.model_copy(update={"asset": "cdu-2"}),
        FLOW.model_copy(update={"name": "set_supply_temp"}),
    ],
)
def test_an_edited_action_needs_a_new_one(bench: Bench, edited: Action) -> None:
    with pytest.raises(ActionRefused, match="changed after the approval"):
        bench.signer.verify(token(bench), edited, INCIDENT, bench.site, bench.clock())


def test_another_incident(bench: Bench) -> None:
    with pytest.raises(ActionRefused):
        bench.signer.verify(token(bench), FLOW, "INC-0002", bench.site, bench.clock())


def test_changed_limits_void_it(bench: Bench) -> None:
    tighter = bench.site.model_copy(update={"limits": bench.site.limits | {"flow_max_lpm": 170.0}})
    assert limits_version(tighter) != limits_version(bench.site)
    with pytest.raises(ActionRefused, match="limits or catalog have changed"):
        bench.signer.verify(token(bench), FLOW, INCIDENT, tighter, bench.clock())


def test_it_expires(bench: Bench) -> None:
    given = token(bench)
    with pytest.raises(ActionRefused, match="it expired at 2026-03-14 21:15:00Z"):
        bench.signer.verify(given, FLOW, INCIDENT, bench.site, bench.clock() + timedelta(minutes=15))


def test_a_policys_approval_counts_on_a_simulated_site_only(bench: Bench) -> None:
    given = token(bench, simulated=True)
    bench.signer.verify(given, FLOW, INCIDENT, bench.site, bench.clock())
    real = bench.site.model_copy(update={"simulated": False})
    with pytest.raises(ActionRefused, match="simulated site only"):
        bench.signer.verify(given, FLOW, INCIDENT, real, bench.clock())


def test_nobody_is_not_an_approver(bench: Bench) -> None:
    with pytest.raises(ActionRefused, match="nobody approved"):
        token(bench, approvers=())


def test_a_rewritten_body_is_seen(bench: Bench) -> None:
    body, signature = token(bench).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body)) | {"approvers": ["mallory"]}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
    with pytest.raises(ActionRefused, match="signature is not ours"):
        bench.signer.verify(f"{forged}.{signature}", FLOW, INCIDENT, bench.site, bench.clock())


def test_another_stores_token_is_not_ours(bench: Bench, tmp_path: Path) -> None:
    other = Signer.open(tmp_path / "other").mint(bench.grant(FLOW))
    with pytest.raises(ActionRefused, match="signature is not ours"):
        bench.signer.verify(other, FLOW, INCIDENT, bench.site, bench.clock())


@pytest.mark.parametrize("junk", ["", "yes", "a.b.c", "approved.", ".", "\u00e9.\u00e9", "e30.e30"])
def test_junk_is_refused(bench: Bench, junk: str) -> None:
    with pytest.raises(ActionRefused):
        bench.signer.verify(junk, FLOW, INCIDENT, bench.site, bench.clock())


def test_the_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    first = Signer.open(tmp_path / "var")
    path = tmp_path / "var" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Signer.open(tmp_path / "var").key == first.key
    assert [entry.name for entry in path.parent.iterdir()] == [KEY_FILE]


def test_a_key_others_can_read_is_not_used(tmp_path: Path) -> None:
    Signer.open(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(BackendError, match="chmod 600"):
        Signer.open(tmp_path)


def test_a_damaged_key_is_not_used(tmp_path: Path) -> None:
    Signer.open(tmp_path)
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(BackendError, match="5 bytes where 32"):
        Signer.open(tmp_path)


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from tools.tokens import Signer; print(Signer.open(Path({str(tmp_path)!r})).key.hex())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    keys = {process.communicate(timeout=120)[0].strip() for process in started}
    assert len(keys) == 1
    assert len(keys.pop()) == 64


def test_the_token_does_not_show_the_key(bench: Bench) -> None:
    known = validate(action("page", "gpu-01"), bench.site)
    assert bench.signer.key.hex() not in bench.order(known).token
