"""What a sink is sent: the link to the incident and one key for all versions, as each service has them."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from apprise.plugins import pagerduty, slack

from setpoint.app.delivery import Deliverer
from setpoint.app.links import address, incident_link
from setpoint.app.pressure import Pressure
from setpoint.app.sinks import AppriseSink, make_sink
from setpoint.contracts import Notice
from setpoint.contracts.wording import Wording
from setpoint.ledger import Ledger
from setpoint.settings import ServeSettings
from tests.setpoint.ledger.builders import notice

pytestmark = pytest.mark.filterwarnings(
    "ignore:'imghdr' is deprecated:DeprecationWarning"
)  # Apprise imports it
LINK = "https://setpoint.example.net/incidents/INC-7"


class Receiver:
    """A server on loopback that keeps what is posted to it."""

    def __init__(self) -> None:
        got: list[dict[str, Any]] = []

        class Keep(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None: ...

        self.got = got
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keep)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    # Only the address differs from what goes out to the service.
    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", made.url)
    monkeypatch.setattr(slack.NotifySlack, "webhook_url", made.url)
    monkeypatch.setattr(pagerduty.NotifyPagerDuty, "request_rate_per_sec", 0)
    monkeypatch.setattr(slack.NotifySlack, "request_rate_per_sec", 0)
    yield made
    made.close()


def told(**changes: Any) -> Notice:
    values = {"stage": "first", "priority": "P0", "link": LINK, "dedup_key": "INC-7", "incident_id": "INC-7"}
    return notice().model_copy(update=values | changes)


PAGERDUTY = f"pagerduty://{'a' * 20}@{'b' * 20}"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/ops"


async def test_pagerduty_keeps_one_incident_that_leads_here_and_ends_with_ours(receiver: Receiver) -> None:
    sink = AppriseSink(PAGERDUTY)
    await sink.send(told(), "k1")
    await sink.send(told(version=2, stage="update"), "k2")
    await sink.send(told(version=3, stage="resolved"), "k3")
    first, second, last = receiver.got
    assert [one["dedup_key"] for one in receiver.got] == ["INC-7"] * 3
    assert [one["event_action"] for one in receiver.got] == ["trigger", "trigger", "resolve"]
    assert first["links"] == second["links"] == [{"href": LINK}]
    assert first["payload"]["severity"] == "critical"
    assert last["routing_key"] == first["routing_key"]


async def test_what_the_url_says_stands(receiver: Receiver) -> None:
    sink = AppriseSink(f"{PAGERDUTY}?dedup=ours&action=trigger&click=https://wiki.example.net")
    await sink.send(told(stage="resolved"), "k1")
    (sent,) = receiver.got
    assert (sent["dedup_key"], sent["event_action"]) == ("ours", "trigger")
    assert sent["links"] == [{"href": "https://wiki.example.net"}]


async def test_slack_reads_the_link_and_the_key(receiver: Receiver) -> None:
    await AppriseSink(SLACK).send(told(), "k1")
    (sent,) = receiver.got
    (said,) = sent["attachments"]
    assert said["text"].splitlines()[-2:] == [LINK, "Key: INC-7"]


async def test_two_notices_sent_at_once_keep_their_own_keys(receiver: Receiver) -> None:
    sink = AppriseSink(PAGERDUTY)
    names = [f"INC-{number}" for number in range(8)]
    await asyncio.gather(
        *(sink.send(told(title=name, dedup_key=name, link=f"http://x/{name}"), name) for name in names)
    )
    for sent in receiver.got:
        assert sent["links"] == [{"href": f"http://x/{sent['dedup_key']}"}]
    assert sorted(sent["dedup_key"] for sent in receiver.got) == names


async def test_every_sink_is_handed_the_link(empty: Ledger, receiver: Receiver) -> None:
    """From the outbox: what triage queued knows no address; the deliverer of a server with pages adds it."""
    shown: list[Notice] = []
    names = ("console", f"webhook+{receiver.url}")
    sinks = {name: make_sink(name, shown.append) for name in names}
    deliverer = Deliverer(empty, sinks, Pressure(), lambda *_: None, lambda: None)
    deliverer.link = lambda one: incident_link("https://setpoint.example.net", one)
    for name in names:
        empty.queue_notice(told(link=""), sinks=[name])
    await deliverer.turn()
    while deliverer.busy:
        await asyncio.sleep(0.01)
    await deliverer.stop()
    assert [one.link for one in shown] == [LINK]
    assert [one["link"] for one in receiver.got] == [LINK]


def test_a_storm_leads_to_all_incidents() -> None:
    assert incident_link("http://h", told(stage="storm")) == "http://h/incidents"


def test_the_address_is_what_people_type() -> None:
    assert (
        address(ServeSettings(public_url="https://setpoint.example.net/")) == "https://setpoint.example.net"
    )
    assert address(ServeSettings(port=9001)) == "http://127.0.0.1:9001"


async def test_no_sink_is_sent_what_the_words_were_written_from(receiver: Receiver) -> None:
    told = notice().model_copy(update={"origin": Wording(task="alert", words="{what} on {asset}.")})
    sink = make_sink(f"webhook+{receiver.url}/alerts", lambda _: None)
    await sink.send(told, "key")
    await sink.close()
    (body,) = receiver.got
    assert body["text"] == told.text
    assert "origin" not in body
