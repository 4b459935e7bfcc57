# SPDX-License-Identifier: Apache-2.0
"""What a spec may say of each kind of record. The API server says the same
(tests/cluster/test_schema.py).

Covers: ownership, of which the name is at or below the domain and the value was handed out;
networks of SPF; report addresses of DMARC; the one way to say where DKIM and return path lead.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.api.sendingdomain_records import DMARC, SPF, DKIMKey, ReturnPath

#: Values that stand in DNS anyway: they show nothing about who wrote them into a spec.
STANDARD = [
    "v=spf1 -all",
    "V=SPF1 include:x.example ~all",
    '"v=spf1 -all"',
    "  v=spf1",
    "'v=spf1 -all'",
    "v = spf1 -all",
    "v=spf1",
    "spf2.0/pra -all",
    "v=DKIM1; k=rsa; p=MIGfMA0GCSq",
    "v=DKIM1;p=",
    "k=rsa; p=MIGfMA0GCSq",
    "t=y; k=rsa; p=",
    "h=sha256;p=abc",
    "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC5N",
    "p = MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC5N; k=rsa",
    "v=DMARC1; p=none",
    "v=dmarc1;p=reject",
    "v=STSv1; id=20260101",
    "v=TLSRPTv1; rua=mailto:a@b.example",
    "v=BIMI1; l=https://x.example/l.svg",
    "v=ATPS1; d=example.com",
    "dkim=all",
    "dkim = discardable",
]
HANDED_OUT = [
    "provider-verify=abc",
    "google-site-verification=rXOxyZounnZasA8Z7oaD3c14JdjS9aKSWvsR1EbUSIQ",
    "MS=ms12345678",
    "v=verifydomain MS=1234",
    "v=msv1 t=2097A7B9-1",
    "apple-domain=30afIBcvSuDV2PLX",
    "0123456789abcdef0123456789abcdef01234567",
    "postal-verification ex4mplet0ken",
    "spf1",
    "dkim=verification",
    "p=1",
    "v=spf10",
]


def spec(**ownership: Any) -> object:
    raw = {"domain": "mail.example.com", "dmarc": {}, "ownership": ownership}
    return parse_spec(Kind.SENDING_DOMAIN, raw)


@pytest.mark.parametrize("value", STANDARD)
def test_a_record_that_stands_there_anyway_is_no_proof(value: str) -> None:
    with pytest.raises(InvalidSpec, match=r"spec\.ownership\.value: must be the value that"):
        spec(value=value)


@pytest.mark.parametrize("value", HANDED_OUT)
def test_a_value_that_was_handed_out_is_taken(value: str) -> None:
    assert spec(value=value)


@pytest.mark.parametrize(
    "name", ["mail.example.com", "_x.mail.example.com", "a.b.mail.example.com"]
)
def test_a_name_at_or_below_the_domain_is_taken(name: str) -> None:
    assert spec(name=name)
    assert spec(name=name, value="x=1")


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "_x.example.com",
        "evil.example",
        "xmail.example.com",
        "mail.example.com.evil.example",
    ],
)
@pytest.mark.parametrize("more", [{}, {"value": "x=1"}])
def test_a_name_elsewhere_proves_nothing(name: str, more: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec, match=r"ownership\.name must be the domain itself or a name"):
        spec(name=name, **more)


def accepts(type_: Any, value: object) -> bool:
    try:
        TypeAdapter(type_).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "spf",
    [{"ip4": ["192.0.2.1", "192.0.2.7/24"]}, {"ip6": ["2001:db8::/32", "64:ff9b::192.0.2.1"]}],
)
def test_networks(spf: dict[str, list[str]]) -> None:
    assert accepts(SPF, spf)


@pytest.mark.parametrize(
    "spf",
    [{"ip4": [one]} for one in ("999.1.1.1", "192.0.2.0/33", "192.0.2.0/024", "::1", "1.2.3", "")]
    + [{"ip6": [one]} for one in ("192.0.2.1", ":", "::1%eth0", "::/129", "::ffff:192.0.2.1")],
)
def test_what_is_no_network_is_refused(spf: dict[str, list[str]]) -> None:
    assert not accepts(SPF, spf)


@pytest.mark.parametrize("uri", ["mailto:d@example.com", "mailto:a+b-c=d@x.example"])
def test_report_addresses(uri: str) -> None:
    assert accepts(DMARC, {"rua": [uri]})


@pytest.mark.parametrize(
    "end", ["@x\x00.com", "@x.com; p=none", ",mailto:b@x.com", "@x.com!10m", "@x.com.", "@x..com"]
)
def test_what_is_no_report_address_is_refused(end: str) -> None:
    assert not accepts(DMARC, {"rua": [f"mailto:a{end}"]})
    assert not accepts(DMARC, {"rua": ["mailto://a@x.example"]})


KEY = {"publicKeyRef": {"kind": "ConfigMap", "name": "keys", "key": "k1"}}
TARGET = {"cname": "k1.example.net"}


@pytest.mark.parametrize(
    ("sources", "is_one"),
    [({}, False), (TARGET, True), (KEY, True), ({**TARGET, **KEY}, False)],
)
def test_a_dkim_key_is_a_cname_or_a_key(sources: dict[str, Any], is_one: bool) -> None:
    assert accepts(DKIMKey, {"selector": "k1", **sources}) is is_one


MAIL = {"mx": [{"host": "feedback.example.net"}], "spf": {"includes": ["example.net"]}}


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ({}, False),
        ({"cname": "bounce.example.net"}, True),
        (MAIL, True),
        ({"mx": MAIL["mx"]}, True),
        ({"spf": MAIL["spf"]}, True),
        ({"cname": "bounce.example.net", **MAIL}, False),
        ({"cname": "bounce.example.net", "mx": MAIL["mx"]}, False),
    ],
)
def test_a_return_path_is_a_cname_or_records_of_its_own(said: dict[str, Any], fits: bool) -> None:
    assert accepts(ReturnPath, {"name": "bounce", **said}) is fits


def test_spf_names_who_may_send() -> None:
    assert not accepts(SPF, {})
    assert not accepts(SPF, {"includes": [], "ip4": []})
    assert accepts(SPF, {"includes": ["_spf.example.net"]})
