# SPDX-License-Identifier: Apache-2.0
"""`SendingDomain`: what a spec declares and requires, and what contradicts itself in one."""

from __future__ import annotations

from typing import Any, cast

import pytest

from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.api.sendingdomain import Purpose, SendingDomainSpec

KEYS = [{"selector": "k1", "cname": "k1.example.net"}]
SPF = {"includes": ["spf.example.net"]}


def spec(**fields: Any) -> SendingDomainSpec:
    raw = {"domain": "example.com", **fields}
    return cast("SendingDomainSpec", parse_spec(Kind.SENDING_DOMAIN, raw))


@pytest.mark.parametrize(
    ("fields", "declared"),
    [
        ({}, ["Ownership"]),
        ({"dkim": KEYS}, ["Ownership", "DKIM"]),
        ({"dkim": [], "mx": [], "sendingIPs": []}, ["Ownership"]),
        ({"dmarc": {}, "spf": SPF}, ["Ownership", "SPF", "DMARC"]),
        ({"mx": [{"host": "mx.example.net"}]}, ["Ownership", "MX"]),
        ({"sendingIPs": ["192.0.2.1"]}, ["Ownership", "ReverseDNS"]),
    ],
)
def test_what_a_spec_declares_is_in_the_order_that_decides(
    fields: dict[str, Any], declared: list[str]
) -> None:
    assert [purpose.value for purpose in spec(**fields).declared] == declared


def test_every_purpose_can_be_declared() -> None:
    everything: dict[str, Any] = {
        "dkim": KEYS,
        "spf": SPF,
        "dmarc": {},
        "mx": [{"host": "mx.example.net"}],
        "returnPath": {"name": "bounce", "mx": [{"host": "mx.example.net"}], "spf": SPF},
        "tracking": {"name": "click", "cname": "click.example.net"},
        "mtaSTS": {"mode": "Enforce", "cname": "sts.example.net"},
        "tlsRPT": {"rua": ["mailto:tls@example.com"]},
        "bimi": {"logo": "https://example.com/logo.svg"},
        "dane": {},
        "sendingIPs": ["192.0.2.1"],
    }
    assert spec(**everything).declared == tuple(Purpose)


@pytest.mark.parametrize(
    ("require", "required"),
    [
        (None, ["Ownership", "SPF", "DMARC"]),
        (["SPF"], ["SPF"]),
        (["DMARC", "Ownership"], ["Ownership", "DMARC"]),
    ],
)
def test_all_that_is_declared_is_required_unless_said_otherwise(
    require: list[str] | None, required: list[str]
) -> None:
    found = spec(dmarc={}, spf=SPF, require=require)
    assert [purpose.value for purpose in found.required] == required


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"require": ["DKIM"]}, "require names DKIM, which the spec does not declare: add dkim"),
        ({"require": ["DANE"], "provider": "SendGrid"}, "require names DANE"),
        ({"ownership": {"name": "example.net"}}, "ownership.name must be the domain itself"),
        ({"parameters": {"region": "x"}}, "parameters must come with provider"),
        ({"dkim": KEYS * 2}, "dkim selector k1 is listed twice"),
        ({"mx": [{"host": "mx.example.net"}] * 2}, "mx host mx.example.net is listed twice"),
        ({"require": ["Ownership"] * 2}, "require entry Ownership is listed twice"),
        ({"sendingIPs": ["192.0.2.1"] * 2}, "sendingIPs entry 192.0.2.1 is listed twice"),
        (
            {"publish": {"via": "ExternalDNS", "records": ["SPF", "SPF"]}},
            "publish.records entry SPF is listed twice",
        ),
    ],
)
def test_a_spec_that_contradicts_itself_is_one_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        spec(**fields)
    assert says in str(raised.value)


def test_what_a_provider_may_bring_can_be_required() -> None:
    assert spec(provider="SendGrid", require=["DKIM"]).require
