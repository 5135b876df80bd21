"""Where a server may listen: refused before anything is opened, with the remedy."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from setpoint.app.binding import check_binding, own_url, somebody_decides, transport, writes_real_site
from setpoint.app.client import announce, find_running
from setpoint.app.doorway import Doorway
from setpoint.errors import ConfigError
from setpoint.ledger import Ledger
from setpoint.settings import ServeSettings, Settings
from tests.setpoint.app.served import SITE
from tests.setpoint.app.terminal import Terminal


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate for the name that people type, as `serve` takes it."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=setpoint.example", "-addext", "subjectAltName=DNS:setpoint.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    return {"tls_cert": cert, "tls_key": key}


def check(has_approver: bool = True, writes: bool = False, **values: Any) -> None:
    check_binding(ServeSettings.model_validate(values), lambda: has_approver, writes)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_loopback_needs_nothing(host: str) -> None:
    check(has_approver=False, host=host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "setpoint.example", ""])
def test_any_other_address_needs_accounts(host: str, tls: dict[str, Path]) -> None:
    for more in ({}, tls, {"behind_proxy": True, "public_url": "https://s.example"}):
        with pytest.raises(ConfigError, match="without accounts") as refused:
            check(host=host, **more)
        assert "serve.accounts = true" in refused.value.remedy


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.7"])
def test_any_other_address_needs_tls_or_a_proxy(host: str, tls: dict[str, Path]) -> None:
    people = {"host": host, "accounts": True, "public_url": "https://setpoint.example"}
    with pytest.raises(ConfigError, match="in the clear"):
        check(**people)
    check(**people, **tls)
    check(**people, behind_proxy=True)


def test_a_proxy_needs_accounts_even_on_loopback_and_its_address() -> None:
    with pytest.raises(ConfigError, match="people have to sign in"):
        check(behind_proxy=True, public_url="https://s.example")
    for url in ("", "http://s.example"):
        with pytest.raises(ConfigError, match="the address that people type"):
            check(accounts=True, behind_proxy=True, public_url=url)


def test_a_server_on_every_address_has_to_know_its_own(tls: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="does not know the one that people type"):
        check(host="0.0.0.0", accounts=True, **tls)


def test_a_real_site_that_may_be_written_to_needs_accounts_also_on_loopback() -> None:
    with pytest.raises(ConfigError, match="told apart") as refused:
        check(writes=True)
    assert "write: false" in refused.value.remedy
    check(writes=True, accounts=True)


def test_accounts_need_somebody_who_may_decide(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody could sign in and decide") as refused:
        check(accounts=True, has_approver=False)
    assert "setpoint user add" in refused.value.remedy
    settings = Settings.model_validate({"store": {"dir": tmp_path}})
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for name, roles, counts in (("Ada", ["admin"], False), ("Grace", ["approver"], True)):
            ledger.add_user(name, "x", roles, "root")  # type: ignore[arg-type]
            assert somebody_decides(settings) is counts
        ledger.set_disabled("Grace", True, "root")
        assert not somebody_decides(settings)


def test_certificates_are_tried_before_anything_is_opened(tls: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    for wrong, said in (
        ({"tls_cert": tls["tls_cert"]}, "belong together"),
        (tls | {"tls_key": tmp_path / "none.pem"}, "cannot be read"),
        (tls | {"tls_cert": broken}, "cannot be used"),
        (tls | {"behind_proxy": True, "public_url": "https://s.example"}, "either the proxy"),
    ):
        with pytest.raises(ConfigError, match=said):
            check(accounts=True, **wrong)


@pytest.mark.parametrize(("write", "simulated", "found"), [(True, False, True), (False, False, False), (True, True, False)])  # fmt: skip
def test_what_the_adapter_file_allows_is_read(
    tmp_path: Path, write: bool, simulated: bool, found: bool
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        SITE.read_text("utf-8").replace("simulated: true", f"simulated: {str(simulated).lower()}"), "utf-8"
    )
    name = next(
        line.split(":")[1].strip()
        for line in site.read_text("utf-8").splitlines()
        if line.startswith("name:")
    )
    (tmp_path / "adapters.yaml").write_text(json.dumps({"site": name, "write": write, "adapters": []}))
    settings = Settings.model_validate({"site": {"file": site, "adapters": tmp_path / "adapters.yaml"}})
    assert writes_real_site(settings) is found


def test_the_command_line_refuses_too(terminal: Terminal) -> None:
    ran = terminal("serve", "--set", "serve.host=0.0.0.0")
    assert ran.code == 2
    assert "serve.accounts = true" in ran.err
    assert not (terminal.folder / "var" / "ledger.db").exists(), "nothing was opened"


def test_commands_reach_the_server_where_it_listens(tls: dict[str, Path]) -> None:
    assert own_url(ServeSettings(host="0.0.0.0", tls_cert=tls["tls_cert"])) == "https://127.0.0.1:8321"
    assert own_url(ServeSettings(host="::1", port=9000)) == "http://[::1]:9000"
    assert "ssl_certfile" in transport(ServeSettings.model_validate(tls))


def test_a_servers_note_of_a_server_that_is_gone_is_ignored(tmp_path: Path, tls: dict[str, Path]) -> None:
    note = announce(tmp_path, "https://127.0.0.1:9", "token", tls["tls_cert"], accounts=True)
    assert note.stat().st_mode & 0o077 == 0
    assert find_running(tmp_path) is None


# ---- behind a proxy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "named", "client"),
    [("10.0.0.2", "203.0.113.9", "203.0.113.9"), ("10.0.0.2", "127.0.0.1, 203.0.113.9", "203.0.113.9"), ("127.0.0.1", "", "127.0.0.1"), ("10.0.0.3", "10.0.0.2", None)],
)  # fmt: skip
async def test_only_the_proxy_may_say_who_sent_a_request(peer: str, named: str, client: str | None) -> None:
    """What a sender wrote into the header himself stands before what the proxy added."""
    passed: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope)

    async def send(message: Any) -> None:
        passed.append(message)

    serve = ServeSettings(
        accounts=True, behind_proxy=True, public_url="https://s.example", proxy_addresses=("10.0.0.2",)
    )
    headers = [(b"host", b"s.example"), *([(b"x-forwarded-for", named.encode())] if named else [])]
    scope = {
        "type": "http",
        "path": "/",
        "method": "GET",
        "scheme": "http",
        "client": (peer, 5),
        "headers": headers,
    }
    await Doorway(inner, serve)(scope, lambda: None, send)  # type: ignore[arg-type, return-value]
    if client is None:
        assert passed[0]["status"] == 403
    else:
        assert (passed[0]["client"][0], passed[0]["scheme"]) == (client, "https")
