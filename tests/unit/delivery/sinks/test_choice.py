# SPDX-License-Identifier: Apache-2.0
"""The sink of each destination, and destinations to which nothing is handed."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from postroom.api.reasons import Reason
from postroom.delivery.events import Format
from postroom.delivery.sinks import http, jetstream
from postroom.delivery.sinks.choice import Sinks
from postroom.mail.connect.guard import DialPolicy

SUBJECT = jetstream.Subject("mail", "support")
SERVER = jetstream.Server("nats://127.0.0.1:1", "postroom")


def service(address: str) -> http.Destination:
    return http.Destination(address, 8080, "tickets.mail.svc", "/")


def sinks(policy: DialPolicy | None = None, nats: jetstream.Server | None = None) -> Sinks:
    return Sinks(lambda: datetime.now(UTC), nats=nats, policy=policy)


async def test_each_destination_has_its_sink() -> None:
    made = sinks(nats=SERVER)
    assert isinstance(made.sink(service("10.0.0.7"), (), Format.RAW), http.HttpSink)
    assert isinstance(made.sink(SUBJECT, (), Format.RAW), jetstream.JetStreamSink)
    await made.close()


async def test_a_stream_needs_a_server() -> None:
    without, given = sinks(), sinks(nats=SERVER)
    objection = without.objection(SUBJECT, "mail")
    assert objection is not None and objection[0] is Reason.SINK_NOT_CONFIGURED
    assert "--nats-url" in objection[1]
    assert given.objection(SUBJECT, "mail") is None
    await without.close()
    await given.close()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("10.96.0.10", None),
        ("172.20.1.1", None),
        ("192.168.0.1", None),
        ("100.64.0.1", None),
        ("fd00:10:96::a", None),
        ("34.118.224.10", None),  # some clusters have their Services in public ranges
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("169.254.169.254", "metadata"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fd00:ec2::254", "metadata"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("10.0.0.1.nip.io", "unreadable"),
        ("localhost", "unreadable"),
        ("10.0.0.1:80", "unreadable"),
        ("0x7f.1", "unreadable"),
    ],
)
async def test_an_address_is_one_that_a_service_can_have(address: str, kind: str | None) -> None:
    made = sinks()
    objection = made.objection(service(address), "mail")
    if kind is None:
        assert objection is None
    else:
        assert objection is not None
        assert objection[0] is Reason.SERVICE_NOT_USABLE
        assert f"({kind})" in objection[1] and "tickets.mail.svc" in objection[1]
    await made.close()


async def test_an_administrator_opens_ranges_and_the_api_server_stays_shut() -> None:
    opened = sinks(DialPolicy((ip_network("240.0.0.0/4"), ip_network("127.0.0.0/8"))))
    assert opened.objection(service("240.0.0.1"), "mail") is None
    assert opened.objection(service("127.0.0.1"), "mail") is None
    assert opened.objection(service("169.254.169.254"), "mail") is not None
    await opened.close()
    shut = sinks(DialPolicy(denied_networks=(ip_network("10.96.0.1/32"),)))
    assert shut.objection(service("10.96.0.1"), "mail") is not None
    assert shut.objection(service("10.96.0.2"), "mail") is None
    await shut.close()
