# SPDX-License-Identifier: Apache-2.0
"""Records beside each other at one name: families, conflicts, and what others need is kept."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.dns.answers import RecordType
from postroom.dns.publishing.beside import conflict, family, is_merged, kept
from postroom.dns.publishing.records import (
    PublishedRecord,
    RecordSet,
    record_sets,
)

DOMAIN = "send.example.com"


def txt(value: str, name: str = DOMAIN, **more: Any) -> PublishedRecord:
    return PublishedRecord(name, RecordType.TXT, value, **more)


@pytest.mark.parametrize(
    ("name", "value", "protocol"),
    [
        (DOMAIN, "v=spf1 -all", "spf1"),
        (DOMAIN, "V=SPF1", "spf1"),
        (DOMAIN, '"v=spf1 -all"', "spf1"),
        (DOMAIN, " v=spf1; a", "spf1"),
        (f"_dmarc.{DOMAIN}", "v=DMARC1; p=none", "dmarc1"),
        (f"_mta-sts.{DOMAIN}", "v=STSv1; id=1", "stsv1"),
        (f"k1._domainkey.{DOMAIN}", "p=abc", "dkim1"),
        (DOMAIN, "postroom-verification=abc", None),
        (DOMAIN, "ov=spf1", None),
    ],
)
def test_families(name: str, value: str, protocol: str | None) -> None:
    assert family(name, value) == protocol
    assert is_merged(txt(value, name)) is (protocol in ("spf1", "dmarc1"))


def test_conflicts() -> None:
    assert conflict([txt("a"), txt("b"), txt("v=spf1 -all"), txt("v=spf1 -all", ttl=60)]) is None
    found = conflict([txt("v=spf1 -all"), txt("v=spf1 a -all")])
    assert found is not None
    assert found[0] == txt("v=spf1 a -all")
    assert "there may be only one" in found[1]
    alias = PublishedRecord(DOMAIN, RecordType.CNAME, "x.example.net")
    for pair in ([alias, txt("a")], [txt("a"), alias]):
        found = conflict(pair)
        assert found is not None
        assert "nothing may stand beside a CNAME" in found[1]


def wanted(kind: RecordType, *values: str, name: str = DOMAIN) -> RecordSet:
    (made,) = record_sets(PublishedRecord(name, kind, value) for value in values)
    return made


def test_what_others_need_is_kept() -> None:
    ours = wanted(RecordType.TXT, "v=spf1 a -all", "x=y")
    there = ["v=spf1 -all", '"v=spf1 mx"', "x=y", "other=1", "google-site-verification=z"]
    assert [one.value for one in kept(ours, there)] == ["google-site-verification=z", "other=1"]
    assert all(one.purpose is None for one in kept(ours, there))
    key = wanted(RecordType.TXT, "p=new", name=f"s1._domainkey.{DOMAIN}")
    assert kept(key, ["v=DKIM1; p=old", "p=older"]) == ()


def test_of_other_types_only_exchanges_are_kept() -> None:
    ours = wanted(RecordType.MX, "10 mx.example.net")
    assert [one.value for one in kept(ours, ["0 .", "20 b.example.org"])] == ["20 b.example.org"]
    assert kept(wanted(RecordType.CNAME, "a.example.net"), ["b.example.net"]) == ()
