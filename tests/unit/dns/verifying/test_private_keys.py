# SPDX-License-Identifier: Apache-2.0
"""A private key that stands in any record, as any part of it, is repeated in nothing that is told.

Covers: keys of all forms in SPF, DMARC, ownership and other records of a domain, in those that they
lead to, and at names where nothing of the kind belongs, with lines parted in every way, whole or
cut off; and that what is offered instead keeps all else.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.findings import FixAction
from postroom.api.sendingdomain import RecordState
from postroom.dns import dkim, spf
from postroom.dns.verifying import private_keys
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import (
    APEX_TXT,
    DMARC,
    DOMAIN,
    HEALTHY,
    OWNED,
    SPEC,
    SPF,
    look,
    record,
)
from unit.dns.fake_zone import FakeZone, Key
from unit.dns.test_private_keys_in_dns import FORMS, PAIR, PUBLIC, SMALL, der

_TELLING = 12
LONG = {
    **{name: FORMS[name] for name in ("PKCS#1", "PKCS#8", "EC")},
    "Ed25519": "".join(
        SMALL.private_bytes(
            Encoding.PEM,
            PrivateFormat.PKCS8,
            BestAvailableEncryption(b"x"),
        )
        .decode()
        .splitlines()[1:-1]
    ),
    "OpenSSH": FORMS["OpenSSH, the body"],
    "of another bit": der(PrivateFormat.PKCS8),
}
#: Where in a record a key can stand.
PLACES: list[tuple[Key, str]] = [
    *((APEX_TXT, f"v=spf1 {shape}") for shape in (
        "include:spf.provider.net {} ip4:192.0.2.7 ~all",
        "{} include:spf.provider.net ip4:192.0.2.7 ~all",
        "include:spf.provider.net ip4:192.0.2.7 ~all {}",
        "include:spf.provider.net ip4:192.0.2.7 key={} ~all",
        "include:spf.provider.net p={} -all",
        "include:{} ip4:192.0.2.7 ~all",
        "a:{} include:spf.provider.net ip4:192.0.2.7",
        "include:spf.provider.net ip4:{} ~all",
        "exists:{}.example.net ip4:192.0.2.7 ~all",
        "include:spf.provider.net ip4:192.0.2.7 redirect={}",
    )),
    (APEX_TXT, "v=spf1; {} include:spf.provider.net"),
    *((DMARC, shape) for shape in (
        "v=DMARC1; p=reject; rua=mailto:dmarc@example.com; x={}",
        "v=DMARC1; p={}; rua=mailto:dmarc@example.com",
        "v=DMARC1; p=none; rua=mailto:{}@example.com,mailto:dmarc@example.com",
        "v=DMARC1; p=reject; rua=mailto:dmarc@example.com,mailto:{}@example.net",
        "v=DMARC1; {}; p=reject",
        "v=DMARC2; p=reject; rua=mailto:dmarc@{}",
    )),
    *((("_smtp._tls." + DOMAIN, "TXT"), shape) for shape in (
        "v=TLSRPTv1; rua=mailto:tls@example.com; x={}", "v=TLSRPTv1; rua=https://{}/",
    )),
    *((("default._bimi." + DOMAIN, "TXT"), shape) for shape in (
        "v=BIMI1; l=https://logo.example.com/{}.svg", "v=BIMI1; l=; a={}",
    )),
    (("_mta-sts." + DOMAIN, "TXT"), "v=STSv1; id={}"),
    *((APEX_TXT, shape) for shape in (
        "{}", "provider-verify={}", "provider-verify=abc {}", "key {} key", '"{}"', "k: {},",
    )),
    ((f"k1._domainkey.{DOMAIN}", "CNAME"), "{}.provider.net"),
    (("k1.provider.net", "TXT"), "v=DKIM1; k=rsa; n={}; p=x"),
    ((f"s1._domainkey.{DOMAIN}", "TXT"), "v=DKIM1; h={}"),
    ((f"_domainkey.{DOMAIN}", "TXT"), "t=y; n={}"),
    ((DOMAIN, "MX"), "10 {}.example.net"),
    (("spf.provider.net", "TXT"), "v=spf1 {} -all"),
    (("_dmarc.example.com", "TXT"), "v=DMARC1; p=none; {}"),
    ((DOMAIN, "SPF"), "v=spf1 {} -all"),
    ((f"www.{DOMAIN}", "TXT"), "v=spf1 {} -all"),
]  # fmt: skip
#: What else the domain of these tests publishes.
BESIDE: dict[Key, list[str]] = {
    ("_smtp._tls." + DOMAIN, "TXT"): ["v=TLSRPTv1; rua=mailto:tls@example.com"],
    ("default._bimi." + DOMAIN, "TXT"): ["v=BIMI1; l=https://logo.example.com/logo.svg"],
}
MORE: dict[str, Any] = {
    "tlsRPT": {"rua": ["mailto:tls@example.com"]},
    "bimi": {"logo": "https://logo.example.com/logo.svg"},
}


def pieces(text: str) -> set[str]:
    plain = re.sub(r"[^A-Za-z0-9+/]", "", text.translate(str.maketrans("-_", "+/"))).lower()
    return {plain[at : at + _TELLING] for at in range(len(plain) - _TELLING + 1)}


#: What a private key shares with its public half is no secret.
_PUBLIC = pieces(PUBLIC) | pieces(
    "".join(f"{form} " for half in dkim.public_halves(FORMS["PKCS#1"]) if half is not None
            for form in (dkim.published_form(half), dkim.record_for(half)))
)  # fmt: skip


def told(report: DomainReport) -> str:
    """All of a report that anybody reads."""
    parts = [made.model_dump_json() for made in report.findings]
    for each in report.records:
        parts += [each.message, each.value, *each.observed, each.host_label]
    return "\n".join(parts)


def zone_with(place: Key, text: str, *, alone: bool = True) -> FakeZone:
    """The healthy domain, in which one record holds a text, in the place of that of its kind."""
    healthy = {**HEALTHY, **BESIDE}
    there = [] if alone else healthy.get(place, [])
    if place == APEX_TXT:
        there = [OWNED] if text.startswith("v=spf1") else [SPF]
    return FakeZone({**healthy, place: [*there, text]})


@st.composite
def written(draw: st.DrawFn) -> str:
    """A private key, as somebody pastes it: `LONG` in lines, in either alphabet, cut off or not."""
    body = draw(st.sampled_from(sorted(LONG.values())))
    body = body[: draw(st.just(len(body)) | st.integers(80, len(body)))]
    if draw(st.booleans()):
        body = body.translate(str.maketrans("+/", "-_"))
    if draw(st.booleans()):
        body = body.rstrip("=")
    width = draw(st.sampled_from((len(body), 76, 64, 40, 16)))
    apart = draw(st.sampled_from((" ", "\n", "\r\n", "\\n", '" "', "\\010", "  ", "\t")))
    lines = [body[at : at + width] for at in range(0, len(body), width)]
    kind = draw(st.sampled_from(("", "", " ", " RSA ", " EC ", " ENCRYPTED ", " OPENSSH ")))
    if kind:
        lines = [f"-----BEGIN{kind}PRIVATE KEY-----", *lines]
        if draw(st.booleans()):
            lines.append(f"-----END{kind}PRIVATE KEY-----")
    return apart.join(lines)


@given(st.sampled_from(PLACES), written(), st.booleans())
def test_nothing_repeats_it(place: tuple[Key, str], secret: str, alone: bool) -> None:
    (where, shape) = place
    report = look(zone_with(where, shape.format(secret), alone=alone), **MORE)
    bare = re.sub(r"-----[A-Z ]*-----|\\n|\\010", "", secret)
    # The last letter of the mask is no part of a key, and may be what stood before it in one.
    repeated = set[str]().union(*map(pieces, told(report).split(dkim.MASK)))
    assert not (pieces(bare) - _PUBLIC) & repeated, told(report)


@pytest.mark.parametrize("form", LONG)
@pytest.mark.parametrize(
    ("id", "place", "shape"),
    [
        (("spf" if where == APEX_TXT else "dmarc"), where, shape)
        for where, shape in PLACES
        if where in (APEX_TXT, DMARC) and shape.startswith(("v=spf1 ", "v=DMARC1"))
    ],
)
def test_the_fix_publishes_all_but_the_key(id: str, place: Key, shape: str, form: str) -> None:
    zone = zone_with(place, shape.format(LONG[form]))
    report = look(zone)
    found = [made for made in report.findings if made.subject == id]
    (made,) = [made for made in found if made.code == "PRIVATE_KEY_IN_RECORD"]
    fix = made.fix
    assert fix is not None
    assert fix.action is FixAction.REPLACE
    assert not [each for each in found if each.fix and dkim.MASK in each.fix.value]
    assert dkim.MASK in fix.remove[0].value
    zone.apply(fix)
    after = look(zone)
    assert record(after, id).state is RecordState.VALID
    assert not [each for each in after.findings if each.code == "PRIVATE_KEY_IN_RECORD"]
    kept = {
        term for term in ("include:spf.provider.net", "ip4:192.0.2.7", "dmarc@example.com")
        if term in shape
    }  # fmt: skip
    assert all(term in fix.value for term in kept)


@pytest.mark.parametrize("form", LONG)
@pytest.mark.parametrize("place", [APEX_TXT, DMARC])
def test_a_record_that_is_nothing_but_the_key_is_told_of_once_and_goes(
    place: Key, form: str
) -> None:
    zone = FakeZone({**HEALTHY, place: [*HEALTHY[place], LONG[form]]})
    report = look(zone)
    (made,) = [each for each in report.findings if each.code == "PRIVATE_KEY_IN_RECORD"]
    assert made.fix is not None
    assert (made.fix.action, made.fix.name) == (FixAction.DELETE, place[0])
    zone.apply(made.fix)
    assert zone.records[place] == HEALTHY[place]
    assert not [each for each in look(zone).findings if each.code == "PRIVATE_KEY_IN_RECORD"]


@pytest.mark.parametrize("shape", ["google-site-verification=abc {}", "key {} of mail"])
def test_of_a_record_that_holds_more_only_the_key_goes_by_hand(shape: str) -> None:
    zone = zone_with(APEX_TXT, shape.format(LONG["PKCS#8"]))
    (made,) = [each for each in look(zone).findings if each.code == "PRIVATE_KEY_IN_RECORD"]
    assert made.fix is not None
    assert made.fix.action is FixAction.EXTERNAL
    assert "leave all else" in made.fix.instruction


def test_what_works_is_valid_still() -> None:
    """A modifier and a tag that nobody knows are ignored: mail passes as before."""
    for id, place, shape in (
        ("spf", APEX_TXT, f"{SPF} key={{}}"),
        ("dmarc", DMARC, "v=DMARC1; p=reject; rua=mailto:dmarc@example.com; x={}"),
    ):
        judged = record(look(zone_with(place, shape.format(LONG["PKCS#8"]))), id)
        assert judged.state is RecordState.VALID
        assert judged.value in shape
        assert len(judged.value) >= len(shape) - len(" key={}")


def test_what_cannot_be_parted_from_the_rest_is_hidden_whole() -> None:
    text = "v=spf1 include:a.example Private-key-format:v1.2 PrivateExponent:abcdefghijklmnopq -all"
    assert dkim.concealed(text) == dkim.MASK
    assert dkim.without_private(text) is None
    report = look(zone_with(APEX_TXT, text))
    assert "abcdefghijklmnop" not in told(report)
    assert "PRIVATE_KEY_IN_RECORD" in {made.code for made in report.findings}


def test_what_a_policy_says_beside_a_web_key_is_told() -> None:
    text = 'v=spf1 include:a.example {"kty":"RSA","n":"abc","d":"abcdefghijklmnopqrstuvwxyz"} -all'
    assert dkim.concealed(text) == f"v=spf1 include:a.example {dkim.MASK} -all"
    assert dkim.without_private(text) == "v=spf1 include:a.example -all"
    shown = told(look(zone_with(APEX_TXT, text)))
    assert "abcdefghijklmnop" not in shown
    assert "include:a.example, which leads to no single valid SPF record" in shown


def test_without_private_keys_a_report_stays_what_it_is() -> None:
    report = look(FakeZone(HEALTHY))
    assert private_keys.concealed(report, dkim.PrivateKeys([PUBLIC])) is report


def test_the_samples_are_what_they_say() -> None:
    assert PAIR.key_size == 2048
    assert all(dkim.holds_private(text) for text in LONG.values())
    assert SPEC["spf"]["includes"] == ["spf.provider.net"]
    assert spf.is_spf(SPF)
