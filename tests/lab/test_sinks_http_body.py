# SPDX-License-Identifier: Apache-2.0
"""What an application gets of a message: the octets, what is told of them, and the signature."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings import http as binding
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from lab import sink_world
from lab.sink_world import Application, Hit, send, serving, sink, told
from postroom.delivery.events import OVERSIZED, Format
from postroom.delivery.sinks import http

LARGE = random.Random(13).randbytes(25 * 1024 * 1024)  # noqa: S311 - the same each time
MESSAGES = {
    "a message": sink_world.MESSAGE,
    "nothing": b"",
    "one octet": b"\x00",
    "all octets": bytes(range(256)),
    "bare line feeds": b"A: b\n\nc\n.\n\n",
    "bare carriage returns": b"A: b\r\rc\r",
    "no line end": b"A: b",
    "looks like HTTP": b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "at the size of a piece": b"p" * 65536,
    "more than a piece": b"p" * 65537,
    "at what is sent at once": b"q" * 262144,
    "more than that": b"q" * 262145,
    "25 MiB": LARGE,
}


async def hit_of(message: bytes | None, **options: Any) -> Hit:
    application = Application()
    async with serving(application) as port, sink(port, **options) as to:
        assert (await send(to, message)).status == 204
    (hit,) = application.hits
    return hit


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
async def test_a_message_comes_octet_for_octet(message: bytes) -> None:
    hit = await hit_of(message)
    assert hit.body == message
    assert (hit.method, hit.path) == ("POST", "/mail")
    assert hit.headers["content-type"] == "message/rfc822"
    assert hit.headers["content-length"] == str(len(message))


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
async def test_a_message_comes_octet_for_octet_in_a_document(message: bytes) -> None:
    hit = await hit_of(message, written_as=Format.CLOUD_EVENT)
    assert hit.headers["content-type"] == "application/cloudevents+json"
    event = binding.from_structured(
        binding.HTTPMessage(headers=dict(hit.headers), body=hit.body), JSONFormat()
    )
    assert event.get_data() == message
    assert event.get_datacontenttype() == "message/rfc822"
    assert event.get_attributes()["size"] == len(message)


async def test_nothing_else_is_said_than_what_is_meant() -> None:
    hit = await hit_of(sink_world.MESSAGE)
    assert sorted(hit.names) == sorted(
        ["host", "user-agent", "content-type", "content-length"]
        + [f"webhook-{name}" for name in ("id", "timestamp", "signature")]
        + [f"ce-{name}" for name in told()]
    )
    assert hit.headers["user-agent"] == "postroom"


async def test_the_official_sdk_reads_the_headers() -> None:
    message = (
        b'Message-ID: <a%20"b@example.com>\r\n'
        b"References: <\xc3\xa4@example.com> <z@z>\r\n\r\nGr\xfc\xdfe\r\n"
    )
    hit = await hit_of(message)
    headers = dict(hit.headers)
    event = binding.from_binary(binding.HTTPMessage(headers=headers, body=hit.body), JSONFormat())
    assert event.get_id() == sink_world.PLACE.event_id == hit.headers["webhook-id"]
    assert event.get_type() == "dev.postroom.mail.received.v1"
    assert event.get_time() == datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    assert event.get_extension("messageid") == 'a%20"b@example.com'
    assert event.get_extension("threadhint") == "ä@example.com"
    assert event.get_data() == message


@pytest.mark.parametrize("written_as", Format)
async def test_of_a_message_too_large_all_is_told_but_the_message(written_as: Format) -> None:
    hit = await hit_of(None, written_as=written_as)
    if written_as is Format.RAW:
        assert hit.headers["ce-type"] == OVERSIZED
        assert (hit.body, hit.headers["content-length"]) == (b"", "0")
        assert "content-type" not in hit.headers
    else:
        document = json.loads(hit.body)
        assert document["type"] == OVERSIZED
        assert not {"data", "data_base64", "datacontenttype"} & set(document)
    Webhook(sink_world.KEY).verify(hit.body, dict(hit.headers), json_parse=False)


@pytest.mark.parametrize(
    ("message", "written_as"),
    [
        (sink_world.MESSAGE, Format.RAW),
        ("Subject: Grüße\r\n\r\n\x00".encode(), Format.RAW),
        (b"", Format.RAW),
        (bytes(range(256)), Format.CLOUD_EVENT),
        (LARGE[:300_000], Format.CLOUD_EVENT),
    ],
)
async def test_the_official_library_verifies_either_key_and_no_other(
    message: bytes, written_as: Format
) -> None:
    keys = (sink_world.KEY, sink_world.OTHER_KEY)
    hit = await hit_of(message, keys=keys, written_as=written_as)
    headers = dict(hit.headers)
    assert len(headers["webhook-signature"].split(" ")) == 2
    for key in keys:
        Webhook(key).verify(hit.body, headers, json_parse=False)
    for key, changed, body in (
        ("whsec_" + "eA" * 16, {}, hit.body),
        (keys[0], {"webhook-id": "0" * 32}, hit.body),
        (keys[0], {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, hit.body),
        (keys[0], {}, hit.body + b"x"),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body, headers | changed, json_parse=False)


@pytest.mark.parametrize(("off", "complaint"), [(-600, "too old"), (600, "too new")])
async def test_a_signature_has_its_time(off: int, complaint: str) -> None:
    hit = await hit_of(sink_world.MESSAGE, now=lambda: datetime.now(UTC) + timedelta(seconds=off))
    with pytest.raises(WebhookVerificationError, match=complaint):
        Webhook(sink_world.KEY).verify(hit.body, dict(hit.headers), json_parse=False)


async def test_each_attempt_is_signed_anew_under_the_same_id() -> None:
    time, application = 1_800_000_000, Application()
    async with (
        serving(application) as port,
        sink(port, now=lambda: datetime.fromtimestamp(time, UTC)) as to,
    ):
        await send(to)
        time += 90
        await send(to)
    first, second = application.hits
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert second.headers["webhook-timestamp"] == "1800000090"
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("address", "port", "secure", "host"),
    [
        ("10.0.0.1", 80, False, "tickets.mail.svc"),
        ("10.0.0.1", 8080, False, "tickets.mail.svc:8080"),
        ("10.0.0.1", 443, True, "tickets.mail.svc"),
        ("10.0.0.1", 80, True, "tickets.mail.svc:80"),
        ("fd00::1", 8080, False, "tickets.mail.svc:8080"),
    ],
)
def test_the_host_is_the_name_of_the_service(
    address: str, port: int, secure: bool, host: str
) -> None:
    destination = http.Destination(address, port, sink_world.NAME, "/", secure)
    assert destination.host == host
    assert destination.url.host == address
    assert destination.url.port == port


@pytest.mark.parametrize("path", ["/", "/a%2Fb", "/a;b=c,d", "//x", "/%zz", "/a/../b", "/~$&'()*"])
async def test_the_path_is_asked_for_as_it_was_written(path: str) -> None:
    assert (await hit_of(sink_world.MESSAGE, path=path)).path == path


async def test_an_address_of_version_six() -> None:
    application = Application()
    try:
        async with serving(application, "::1") as port, sink(port, address="::1") as to:
            assert (await send(to)).status == 204
            assert application.hits[0].headers["host"] == f"tickets.mail.svc:{port}"
    except OSError:  # pragma: no cover
        pytest.skip("no IPv6 on this machine")


async def test_no_name_is_looked_up_and_no_proxy_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object, **options: object) -> Any:
        pytest.fail("a name was looked up")

    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1/")
    application = Application()
    async with serving(application) as port, sink(port) as to:
        monkeypatch.setattr(socket, "gethostbyname", forbidden)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", forbidden)
        assert (await send(to)).status == 204
    assert len(application.hits) == 1


async def test_a_name_is_no_address() -> None:
    async with sink(80, address="localhost") as to:
        answer = await send(to)
    assert (answer.status, "cannot be reached" in answer.trouble) == (None, True)


async def test_no_cookie_is_kept() -> None:
    application = Application(answer_headers={"Set-Cookie": "session=1; Path=/"})
    async with serving(application) as port, sink(port) as to:
        await send(to)
        await send(to)
    assert [hit.headers.get("cookie") for hit in application.hits] == [None, None]
    assert len(application.connections) == 1, "the connection was not kept"
