# SPDX-License-Identifier: Apache-2.0
"""Applications that are handed messages over TLS: proven by the name of their Service."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

import pytest

from lab import certificates
from lab.certificates import Issued, Plan, days
from lab.sink_world import NAME, SHORT, Application, answering, scripted, send, serving, sink
from postroom.delivery.answers import Meaning

ROOT = certificates.root()
OTHER = certificates.root("Other Root")
GOOD = Plan(NAME, (NAME,), issuer=ROOT)


async def trouble_of(shown: Issued | ssl.SSLContext, **options: Any) -> str:
    """Why nothing was handed over; the application must have got nothing."""
    context = shown.context() if isinstance(shown, Issued) else shown
    application = Application()
    given: dict[str, Any] = {"secure": True, "ca_bundle": ROOT.pem} | options
    async with serving(application, context=context) as port, sink(port, **given) as to:
        answer = await send(to)
    assert (answer.status, answer.meaning) == (None, Meaning.LATER)
    assert application.hits == []
    return answer.trouble


@pytest.mark.parametrize("names", [(NAME,), ("*.mail.svc",), ("other.mail.svc", NAME)])
async def test_a_service_is_proven_by_its_name(names: tuple[str, ...]) -> None:
    asked = list[str | None]()
    context = Plan(names[0], names, issuer=ROOT).issue().context()
    context.sni_callback = lambda _, name, __: asked.append(name)
    application = Application()
    async with (
        serving(application, context=context) as port,
        sink(port, secure=True, ca_bundle=ROOT.pem) as to,
    ):
        answers = [(await send(to)).status for _ in range(2)]
    assert answers == [204, 204]
    assert asked == [NAME], "one handshake, with the name of the Service"


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (Plan("old.mail.svc", (NAME,), issuer=ROOT, ends=days(-1)), "has expired: renew it"),
        (Plan("new.mail.svc", (NAME,), issuer=ROOT, begins=days(1)), "is not valid yet"),
        (Plan("a.mail.svc", ("a.mail.svc",), issuer=ROOT), f"is not for {NAME}"),
        (Plan(NAME, ("tickets.other.svc",), issuer=ROOT), f"is not for {NAME}"),
        (Plan(NAME, ("*.svc",), issuer=ROOT), f"is not for {NAME}"),
        (Plan(NAME, ("tickets",), issuer=ROOT), f"is not for {NAME}"),
        (Plan(NAME, ("127.0.0.1",), issuer=ROOT), f"is not for {NAME}"),
        # The name stands in the subject alone, which is no name any more.
        (Plan(NAME, ("x.mail.svc",), issuer=ROOT), f"is not for {NAME}"),
        (Plan(NAME, (NAME,)), "is signed by itself alone"),
        (Plan(NAME, (NAME,), issuer=OTHER), "an authority that is not trusted"),
    ],
)
async def test_what_is_not_proven_gets_nothing(shown: Plan, words: str) -> None:
    assert words in await trouble_of(shown.issue())


async def test_without_a_bundle_the_public_authorities_count() -> None:
    assert "not trusted" in await trouble_of(GOOD.issue(), ca_bundle=None)


async def test_a_bundle_that_is_none() -> None:
    assert "CA bundle" in await trouble_of(GOOD.issue(), ca_bundle="none")


async def test_a_certificate_may_be_trusted_itself() -> None:
    alone = Plan(NAME, (NAME,), ends=days(3)).issue()
    application = Application()
    async with (
        serving(application, context=alone.context()) as port,
        sink(port, secure=True, ca_bundle=alone.pem) as to,
    ):
        assert (await send(to)).status == 204


async def test_old_versions_of_tls() -> None:
    old = GOOD.issue().context()
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    assert (await trouble_with(old)).startswith("The application speaks no TLS 1.2 or newer")


async def trouble_with(context: ssl.SSLContext) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        shaking = asyncio.create_task(asyncio.to_thread(shake_hands, listening, context))
        port = listening.getsockname()[1]
        async with sink(port, secure=True, ca_bundle=ROOT.pem) as to:
            answer = await send(to)
        await shaking
    return answer.trouble


def shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    """Fail as servers do, with a word; asyncio's own go without one."""
    connection, _ = listening.accept()
    shaking = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    with shaking, suppress(ssl.SSLError):
        try:
            shaking.do_handshake()
        finally:
            time.sleep(0.2)  # a socket that is closed at once could take its own word back


async def test_who_goes_without_a_word() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with scripted(script) as port, sink(port, secure=True) as to:
        assert (await send(to)).trouble.startswith("TLS with the application cannot be negotiated")


@pytest.mark.parametrize(
    ("newest", "words"),
    [
        (ssl.TLSVersion.TLSv1_3, "The application asks for a client certificate"),
        # This version has no word for it.
        (ssl.TLSVersion.TLSv1_2, "TLS with the application cannot be negotiated"),
    ],
)
async def test_an_application_that_wants_a_certificate_of_its_client(
    newest: ssl.TLSVersion, words: str
) -> None:
    mutual = GOOD.issue().context()
    mutual.maximum_version = newest
    mutual.verify_mode = ssl.CERT_REQUIRED
    mutual.load_verify_locations(cadata=ROOT.pem)
    assert (await trouble_with(mutual)).startswith(words)


async def test_http_where_https_is_asked_for() -> None:
    async with serving(Application()) as port, sink(port, secure=True) as to:
        assert (await send(to)).trouble.startswith("The application speaks no TLS on this port")


async def test_https_where_http_is_asked_for() -> None:
    application = Application()
    async with serving(application, context=GOOD.issue().context()) as port, sink(port) as to:
        answer = await send(to)
    assert (answer.meaning, application.hits) == (Meaning.LATER, [])


async def test_a_handshake_that_is_not_answered_ends() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    limits = type(SHORT)(connect=0.2, silence=5.0)
    async with scripted(script) as port, sink(port, secure=True, limits=limits) as to:
        assert (await send(to)).trouble == "The application does not take the connection in time"


async def test_two_bundles_do_not_share_a_connection() -> None:
    """A tenant may not lean on what another one trusts."""
    application = Application()
    async with (
        serving(application, context=GOOD.issue().context()) as port,
        sink(port, secure=True, ca_bundle=ROOT.pem) as trusting,
        sink(port, secure=True, ca_bundle=OTHER.pem) as other,
    ):
        other._session = trusting._session
        assert (await send(trusting)).status == 204
        assert "not trusted" in (await send(other)).trouble
    assert len(application.hits) == 1


async def test_a_kept_connection_that_is_cut_under_tls() -> None:
    once = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with (
        scripted(answering(once), GOOD.issue().context()) as port,
        sink(port, secure=True, ca_bundle=ROOT.pem, limits=SHORT) as to,
    ):
        assert [(await send(to)).status for _ in range(3)] == [200] * 3
