# SPDX-License-Identifier: Apache-2.0
"""From a spec to the records that must be published: each with its name, value and weight.

Covers: every part of a spec, proofs of control, keys that do not sign, what cannot be read, and
what does not fit into DNS or a status.
"""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.resource import InvalidSpec
from postroom.api.sendingdomain import Purpose, SendingDomainSpec
from postroom.dns import ownership
from postroom.dns.planning import plan
from postroom.dns.requirements import DomainPlan
from unit.dns.dkim_keys import ed25519_base64, rsa_base64, rsa_numbers

DOMAIN = "send.example.com"
PEM = f"-----BEGIN PUBLIC KEY-----\n{rsa_base64(rsa_numbers())}\n-----END PUBLIC KEY-----"
TOKEN = ownership.challenge(b"key", "mail", DOMAIN)
OLD = ownership.challenge(b"old", "mail", DOMAIN)


def planned(
    *, keys: list[bytes] | bytes = b"", public: dict[str, str] | None = None, **spec: Any
) -> DomainPlan:
    made = SendingDomainSpec.model_validate({"domain": DOMAIN, **spec})
    return plan(made, "mail", keys, public or {})


def rows(found: DomainPlan) -> list[tuple[str, str, str, str]]:
    return [(one.id, one.name, one.type.value, one.value) for one in found.records]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"spf": {"includes": ["a.net"], "ip4": ["192.0.2.1"], "ip6": ["2001:db8::/32"]}},
            [("spf", DOMAIN, "TXT", "v=spf1 include:a.net ip4:192.0.2.1 ip6:2001:db8::/32 ~all")],
        ),
        (
            {"spf": {"includes": ["a.net"], "all": "Fail"}},
            [("spf", DOMAIN, "TXT", "v=spf1 include:a.net -all")],
        ),
        (
            {"spf": {"includes": ["a.net"], "all": "Neutral"}},
            [("spf", DOMAIN, "TXT", "v=spf1 include:a.net ?all")],
        ),
        (
            {"dkim": [{"selector": "k1", "cname": "k1.a.net"}]},
            [("dkim-k1", f"k1._domainkey.{DOMAIN}", "CNAME", "k1.a.net")],
        ),
        (
            {"dkim": [{"selector": "s1", "publicKey": ed25519_base64()}]},
            [
                (
                    "dkim-s1",
                    f"s1._domainkey.{DOMAIN}",
                    "TXT",
                    f"v=DKIM1; k=ed25519; p={ed25519_base64()}",
                )
            ],
        ),
        (
            {"dmarc": {"policy": "reject", "rua": ["mailto:r@example.com"]}},
            [("dmarc", f"_dmarc.{DOMAIN}", "TXT", "v=DMARC1; p=reject; rua=mailto:r@example.com")],
        ),
        (
            {"mx": [{"host": "mx.a.net", "preference": 5}, {"host": "b.a.net"}]},
            [
                ("mx-mx.a.net", DOMAIN, "MX", "5 mx.a.net"),
                ("mx-b.a.net", DOMAIN, "MX", "10 b.a.net"),
            ],
        ),
        (
            {
                "returnPath": {
                    "name": "bounce",
                    "mx": [{"host": "mx.a.net"}],
                    "spf": {"includes": ["a.net"]},
                }
            },
            [
                ("return-path-mx-mx.a.net", f"bounce.{DOMAIN}", "MX", "10 mx.a.net"),
                ("return-path-spf", f"bounce.{DOMAIN}", "TXT", "v=spf1 include:a.net ~all"),
            ],
        ),
        (
            {"returnPath": {"name": "bounce", "cname": "a.net"}},
            [("return-path", f"bounce.{DOMAIN}", "CNAME", "a.net")],
        ),
        (
            {"tracking": {"name": "click", "cname": "t.a.net"}},
            [("tracking", f"click.{DOMAIN}", "CNAME", "t.a.net")],
        ),
        (
            {"tlsRPT": {"rua": ["mailto:r@example.com", "https://a.net/r"]}},
            [
                (
                    "tls-rpt",
                    f"_smtp._tls.{DOMAIN}",
                    "TXT",
                    "v=TLSRPTv1; rua=mailto:r@example.com,https://a.net/r",
                )
            ],
        ),
        (
            {"bimi": {"logo": "https://a.net/l.svg", "certificate": "https://a.net/c.pem"}},
            [
                (
                    "bimi",
                    f"default._bimi.{DOMAIN}",
                    "TXT",
                    "v=BIMI1; l=https://a.net/l.svg; a=https://a.net/c.pem",
                )
            ],
        ),
        (
            {"sendingIPs": ["192.0.2.1", "2001:db8::1"]},
            [
                ("reverse-192.0.2.1", "1.2.0.192.in-addr.arpa", "PTR", ""),
                (
                    "reverse-2001:db8::1",
                    f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa",
                    "PTR",
                    "",
                ),
            ],
        ),
        ({}, []),
    ],
)
def test_the_records_of_a_spec(
    spec: dict[str, Any], expected: list[tuple[str, str, str, str]]
) -> None:
    assert rows(planned(**spec)) == expected


def test_certificates_are_wanted_at_every_exchange() -> None:
    found = planned(mx=[{"host": "b.a.net"}, {"host": "a.a.net"}], dane={"port": 587})
    assert [(one.id, one.name, one.value) for one in found.of(Purpose.DANE)] == [
        ("dane-a.a.net", "_587._tcp.a.a.net", ""),
        ("dane-b.a.net", "_587._tcp.b.a.net", ""),
    ]
    assert [exchange.host for exchange in found.exchanges] == ["b.a.net", "a.a.net"]


def test_the_id_of_mta_sts_changes_with_the_policy_and_with_nothing_else() -> None:
    def value(mode: str, *hosts: str) -> str:
        found = planned(mtaSTS={"mode": mode}, mx=[{"host": host} for host in hosts])
        [record] = found.of(Purpose.MTA_STS)
        assert record.name == f"_mta-sts.{DOMAIN}"
        return record.value

    assert value("Enforce", "a.a.net", "b.a.net") == value("Enforce", "b.a.net", "a.a.net")
    made = {value("Enforce", "a.a.net"), value("Testing", "a.a.net"), value("Enforce", "b.a.net")}
    assert len(made) == 3


@pytest.mark.parametrize(
    ("given", "keys", "expected"),
    [
        ({}, b"", []),
        ({}, b"key", [TOKEN]),
        ({}, [b"key", b"old"], [TOKEN]),
        ({"value": "x=y"}, b"key", [(DOMAIN, "x=y")]),
        ({"value": "x=y", "name": f"_v.{DOMAIN}"}, b"", [(f"_v.{DOMAIN}", "x=y")]),
        ({"value": TOKEN[1]}, b"key", [(DOMAIN, TOKEN[1])]),
        # An older token counts still, but the new one is to be published.
        ({"value": OLD[1]}, [b"key", b"old"], [(DOMAIN, TOKEN[1])]),
    ],
)
def test_what_proves_control(
    given: dict[str, str], keys: list[bytes] | bytes, expected: list[tuple[str, str]]
) -> None:
    found = planned(keys=keys, ownership=given).of(Purpose.OWNERSHIP)
    assert [(one.name, one.value) for one in found] == expected


def test_another_one_s_token_is_refused() -> None:
    with pytest.raises(InvalidSpec) as caught:
        planned(keys=b"key", ownership={"value": OLD[1]})
    [problem] = caught.value.problems
    assert problem.path == ("spec", "ownership", "value")


def test_the_token_may_be_asked_for_beside_a_value() -> None:
    spec = SendingDomainSpec.model_validate({"domain": DOMAIN, "ownership": {"value": "x=y"}})
    found = plan(spec, "mail", b"key", {}, token=True)
    assert [(one.id, one.name, one.value) for one in found.records] == [
        ("ownership", DOMAIN, "x=y"),
        ("ownership-token", *TOKEN),
    ]


@pytest.mark.parametrize(
    ("role", "required"), [("Active", True), ("Next", False), ("Retired", False)]
)
def test_only_a_key_that_signs_keeps_a_domain_from_being_ready(role: str, required: bool) -> None:
    for key in ({"cname": "k1.a.net"}, {"publicKey": ed25519_base64()}):
        [record] = planned(dkim=[{"selector": "k1", "role": role, **key}]).records
        assert record.required is required


def test_what_is_required_may_be_narrowed() -> None:
    found = planned(spf={"includes": ["a.net"]}, mx=[{"host": "mx.a.net"}], require=["MX"])
    assert {one.purpose: one.required for one in found.records} == {
        Purpose.SPF: False,
        Purpose.MX: True,
    }


def test_a_key_that_is_referred_to_comes_from_beside_the_spec() -> None:
    reference = {"selector": "s1", "publicKeyRef": {"name": "keys", "key": "s1"}}
    [record] = planned(dkim=[reference], public={"s1": PEM}).records
    assert record.value == f"v=DKIM1; k=rsa; p={rsa_base64(rsa_numbers())}"
    with pytest.raises(InvalidSpec) as caught:
        planned(dkim=[reference])
    assert [one.path for one in caught.value.problems] == [("spec", "dkim", 0, "publicKeyRef")]


def test_an_id_is_bounded_and_still_its_own() -> None:
    hosts = [f"{'a' * 60}.{'b' * 60}.{letter}.example.net" for letter in "cd"]
    found = planned(mx=[{"host": host} for host in hosts])
    ids = [one.id for one in found.records]
    assert [len(id) for id in ids] == [100, 100]
    assert len(set(ids)) == 2


def test_what_does_not_fit_is_told_with_its_place() -> None:
    domain = ".".join(["a" * 60] * 4)
    spec = SendingDomainSpec.model_validate(
        {"domain": domain, "dkim": [{"selector": "x" * 30, "cname": "k1.a.net"}]}
    )
    with pytest.raises(InvalidSpec) as caught:
        plan(spec, "mail", b"", {})
    assert [(one.path, one.message) for one in caught.value.problems] == [
        (("spec", "dkim", 0), "asks for a record at a name of more than 253 characters")
    ]


@pytest.mark.parametrize(
    ("name", "names"),
    [
        (None, [TOKEN[0]]),
        (f"_v.{DOMAIN}", [f"_v.{DOMAIN}"]),
        # A host may be in other hands than the domain.
        (f"www.{DOMAIN}", [f"www.{DOMAIN}", TOKEN[0]]),
    ],
)
def test_a_token_that_speaks_for_the_domain_is_asked_for_once(
    name: str | None, names: list[str]
) -> None:
    given = {} if name is None else {"name": name}
    spec = SendingDomainSpec.model_validate({"domain": DOMAIN, "ownership": given})
    found = plan(spec, "mail", b"key", {}, token=True)
    assert [(one.name, one.value) for one in found.records] == [(at, TOKEN[1]) for at in names]


@pytest.mark.parametrize(
    ("spec", "clashing"),
    [
        (
            {"returnPath": {"name": "click", "mx": [{"host": "mx.a.net"}]}},
            [("returnPath", "mx", 0)],
        ),
        ({"returnPath": {"name": "click", "cname": "b.a.net"}}, [("returnPath",)]),
        ({"ownership": {"name": f"click.{DOMAIN}", "value": "a=1"}}, [("ownership",)]),
        # One and the same serves both.
        ({"returnPath": {"name": "click", "cname": "t.a.net"}}, []),
        ({"returnPath": {"name": "bounce", "mx": [{"host": "mx.a.net"}]}}, []),
    ],
)
def test_nothing_is_asked_for_beside_a_cname(
    spec: dict[str, Any], clashing: list[tuple[str | int, ...]]
) -> None:
    """Else the fix of the one takes the other away, and the other way round, without end."""
    tracked = {"tracking": {"name": "click", "cname": "t.a.net"}, **spec}
    if not clashing:
        assert len(planned(**tracked).records) == 2
        return
    with pytest.raises(InvalidSpec) as caught:
        planned(**tracked)
    assert [one.path for one in caught.value.problems] == [("spec", *path) for path in clashing]
    assert f"at click.{DOMAIN}, where Tracking asks for a CNAME" in caught.value.problems[0].message


FEEDBACK = "feedback-smtp.eu-west-1.amazonses.com"


@pytest.mark.parametrize(
    ("exchanges", "clashing"),
    [
        ([FEEDBACK, "mx.a.net"], [1]),
        (["mx.a.net", FEEDBACK], [0]),
        # Nor two of the same provider, each of which is to be the only one.
        ([FEEDBACK, FEEDBACK.replace("eu-west-1", "us-east-1")], [1]),
        (["mx.a.net", FEEDBACK, "mx.b.net"], [0, 2]),
        ([FEEDBACK], []),
        (["mx.a.net", "mx.b.net"], []),
    ],
)
@pytest.mark.parametrize("field", ["mx", "returnPath"])
def test_nothing_is_asked_for_beside_an_exchange_that_must_be_alone(
    field: str, exchanges: list[str], clashing: list[int]
) -> None:
    """Else all were Valid where all are published, though the provider then refuses the name."""
    given = [{"host": host, "preference": 10} for host in exchanges]
    spec: dict[str, Any] = {"mx": given}
    if field != "mx":
        spec = {field: {"name": "bounce", "mx": given}}
    if not clashing:
        assert len(planned(**spec).records) == len(exchanges)
        return
    path = ("spec", "mx") if field == "mx" else ("spec", field, "mx")
    with pytest.raises(InvalidSpec) as caught:
        planned(**spec)
    assert [one.path for one in caught.value.problems] == [(*path, place) for place in clashing]
    assert "which Amazon SES takes only where it is alone" in caught.value.problems[0].message


def test_an_exchange_that_must_be_alone_has_its_own_name() -> None:
    back = {"name": "bounce", "mx": [{"host": FEEDBACK, "preference": 10}]}
    assert len(planned(returnPath=back, mx=[{"host": "mx.a.net"}]).records) == 2


def test_what_is_required_twice_is_published_once() -> None:
    twice = {"includes": ["a.net", "b.net", "a.net"], "ip4": ["192.0.2.1", "192.0.2.1"]}
    [record] = planned(spf=twice).records
    assert record.value == "v=spf1 include:a.net include:b.net ip4:192.0.2.1 ~all"
