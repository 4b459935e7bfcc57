# SPDX-License-Identifier: Apache-2.0
"""Records to publish as values: from plans and statuses, into sets and zones."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.findings import Finding, Fix, FixAction, Severity
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import Purpose, RecordState, RecordStatus, SendingDomainSpec
from postroom.dns import planning
from postroom.dns.answers import RecordType
from postroom.dns.publishing.records import (
    PublishedRecord,
    distinct,
    from_plan,
    from_status,
    into_zones,
    record_sets,
)
from postroom.dns.texts.presentation import CannotPublish

DOMAIN = "send.example.com"


def txt(value: str, name: str = DOMAIN, **more: Any) -> PublishedRecord:
    return PublishedRecord(name, RecordType.TXT, value, **more)


def status(**more: Any) -> RecordStatus:
    given = {
        "id": "spf",
        "purpose": Purpose.SPF,
        "name": DOMAIN,
        "host_label": "send",
        "type": "TXT",
        "value": "v=spf1 -all",
        "required": True,
        "state": RecordState.MISSING,
    }
    return RecordStatus(**{**given, **more})


def test_from_a_plan() -> None:
    spec = parse_spec(
        Kind.SENDING_DOMAIN,
        {
            "domain": DOMAIN,
            "ownership": {"value": "x=y"},
            "mx": [{"host": "mx.example.net"}],
            "require": ["MX"],
        },
    )
    assert isinstance(spec, SendingDomainSpec)
    made = from_plan(planning.plan(spec, "mail", b"", {}), ttl=300)
    assert made == (
        txt("x=y", purpose=Purpose.OWNERSHIP, ttl=300),
        PublishedRecord(DOMAIN, RecordType.MX, "10 mx.example.net", 300, Purpose.MX, required=True),
    )


def test_from_a_status() -> None:
    made = from_status([status()], [finding("There is none.")], ttl=60)
    assert made == (
        txt(
            "v=spf1 -all",
            ttl=60,
            purpose=Purpose.SPF,
            comment="There is none.",
            required=True,
            state=RecordState.MISSING,
        ),
    )
    assert not made[0].is_there
    assert from_status([status(state=RecordState.PROPAGATING)])[0].is_there
    with pytest.raises(CannotPublish, match="of type SVCB, which is newer"):
        from_status([status(type="SVCB")])


def finding(message: str, action: FixAction | None = None) -> Finding:
    fix = Fix(action=action) if action is not None else None
    return Finding(
        code="SPF_MISSING", severity=Severity.ERROR, subject="spf", message=message, fix=fix
    )


@pytest.mark.parametrize(
    ("kind", "value", "observed", "state", "action", "expected"),
    [
        ("CNAME", "k.example.net", ["k.example.net"], "Wrong", "External", True),
        ("TXT", "v=DMARC1; p=none", ["v=DMARC1; p=none"], "Wrong", "External", True),
        ("MX", "10 mx.example.net", ["20 mx.example.net"], "Wrong", "External", True),
        ("MX", "10 mx.example.net", ["5 b.example.net", "10 mx.example.net"], "Wrong", "External",
         True),
        # Something is to be published, or to go.
        ("MX", "10 mx.example.net", ["10 mx.example.net"], "Wrong", "Delete", False),
        ("TXT", "v=spf1 -all", ["v=spf1 -all"], "Wrong", "Replace", False),
        ("TXT", "v=spf1 -all", ["v=spf1 -all"], "Wrong", None, False),
        ("TXT", "v=spf1 -all", ["v=spf1 -all", "v=spf1 ~all"], "Conflicting", "External", False),
        ("TXT", "v=STSv1; id=2", ["v=STSv1; id=1"], "Wrong", "External", False),
        ("MX", "10 mx.example.net", ["10 other.example.net"], "Wrong", "External", False),
        ("PTR", "mx.example.net", ["other.example.net"], "Wrong", "External", False),
        ("TXT", "v=spf1 -all", [], "Missing", "External", False),
        ("CNAME", "k.example.net", ["k.example.net"], "Unknown", "External", False),
    ],
)  # fmt: skip
def test_what_fails_for_a_cause_elsewhere_is_there(
    kind: str, value: str, observed: list[str], state: str, action: str | None, expected: bool
) -> None:
    record = status(type=kind, value=value, observed=observed, state=RecordState(state))
    said = finding("Up to others.", FixAction(action) if action else None)
    (made,) = from_status([record], [said])
    assert made.fails_elsewhere is made.is_there is expected
    assert not from_status([record])[0].fails_elsewhere


def test_types_that_are_only_asked_for_are_not_published() -> None:
    assert from_status([status(type="SOA"), status(type="DS")]) == ()


def test_a_delegation_is_a_record_per_server() -> None:
    spec = parse_spec(
        Kind.SENDING_DOMAIN,
        {"domain": DOMAIN, "dkimDelegation": ["ns2.example.net", "ns1.example.net"]},
    )
    assert isinstance(spec, SendingDomainSpec)
    made = from_plan(planning.plan(spec, "mail", b"", {}))
    servers = [one for one in made if one.type is RecordType.NS]
    assert [server.value for server in servers] == ["ns1.example.net", "ns2.example.net"]
    assert {(server.name, server.purpose) for server in servers} == {
        (f"_domainkey.{DOMAIN}", Purpose.DKIM)
    }


def test_equal_records_are_one() -> None:
    made = distinct([txt("a", ttl=60), txt("b"), txt("a", required=True)])
    assert made == (txt("a", ttl=60, required=True), txt("b"))


def test_sets_keep_the_order() -> None:
    exchange = PublishedRecord(DOMAIN, RecordType.MX, "10 mx.example.net")
    sets = record_sets([txt("a"), exchange, txt("b")])
    assert [(one.type, one.values) for one in sets] == [
        (RecordType.TXT, ("a", "b")),
        (RecordType.MX, ("10 mx.example.net",)),
    ]


def test_the_deepest_zone_holds_a_record() -> None:
    deep, shallow, foreign = txt("a"), txt("b", "example.com"), txt("c", "example.net")
    zones, elsewhere = into_zones([deep, shallow, foreign], ["example.com", DOMAIN, "other.org"])
    assert [(zone.zone, zone.records) for zone in zones] == [
        ("example.com", (shallow,)),
        (DOMAIN, (deep,)),
    ]
    assert elsewhere == (foreign,)
