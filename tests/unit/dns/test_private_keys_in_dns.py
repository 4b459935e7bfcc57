# SPDX-License-Identifier: Apache-2.0
"""A private key that stands in DNS: its public half is offered no more, and nothing is repeated."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from postroom.api.findings import FixAction
from postroom.dns import dkim
from postroom.dns.judging import judgement
from unit.dns.domains import APEX_TXT, HEALTHY, OWNED, RSA, SPF, look
from unit.dns.domains import S1 as HEALTHY_S1
from unit.dns.fake_zone import FakeZone
from unit.dns.judging_looks import DOMAIN, Key, Names, plan_of, verdict
from unit.rsa_keys import rsa_pair

PAIR = rsa_pair(2)
PUBLIC = base64.b64encode(
    PAIR.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
OTHER = ec.generate_private_key(ec.SECP256R1())
SMALL = Ed25519PrivateKey.generate()
S1: Key = (f"s1._domainkey.{DOMAIN}", "TXT")


def pem(form: PrivateFormat) -> str:
    return PAIR.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def der(form: PrivateFormat) -> str:
    return base64.b64encode(PAIR.private_bytes(Encoding.DER, form, NoEncryption())).decode()


FORMS = {
    "PKCS#1 in PEM": pem(PrivateFormat.TraditionalOpenSSL),
    "PKCS#8 in PEM": pem(PrivateFormat.PKCS8),
    "OpenSSH": pem(PrivateFormat.OpenSSH),
    "OpenSSH, the body": "".join(pem(PrivateFormat.OpenSSH).splitlines()[1:-1]),
    "PKCS#1": der(PrivateFormat.TraditionalOpenSSL),
    "PKCS#8": der(PrivateFormat.PKCS8),
    "PEM in lowercase": pem(PrivateFormat.PKCS8).lower(),
    "cut off": der(PrivateFormat.PKCS8)[:200],
    "EC": base64.b64encode(
        OTHER.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    ).decode(),
}


@pytest.mark.parametrize("beside", [[], [f"v=DKIM1; k=rsa; p={PUBLIC}"]])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", ["{}", "v=DKIM1; k=rsa; p={}"])
def test_the_public_half_is_offered_no_more(form: str, shape: str, beside: list[str]) -> None:
    secret = shape.format(FORMS[form])
    seen = Names({S1: [secret, *beside]})
    judged = seen.judged(plan_of(dkim=[{"selector": "s1", "publicKey": PUBLIC}]), "dkim-s1")
    assert verdict(judged) == ("Wrong", "DKIM_PRIVATE_KEY_PUBLISHED")
    assert judged.cause is not None
    fix = judged.cause.fix
    assert fix is not None
    assert (fix.action, fix.value) == (FixAction.DELETE, "")
    assert "new selector" in judged.message
    assert FORMS[form][-80:-50] not in repr(judged)


def test_another_pair_s_private_key_makes_way_for_the_right_key() -> None:
    seen = Names({S1: [FORMS["PKCS#8"]]})
    judged = seen.judged(plan_of(dkim=[{"selector": "s1", "publicKey": RSA}]), "dkim-s1")
    assert verdict(judged) == ("Wrong", "DKIM_PRIVATE_KEY_PUBLISHED")
    assert judged.cause is not None
    fix = judged.cause.fix
    assert fix is not None
    assert (fix.action, RSA in fix.value) == (FixAction.REPLACE, True)


@pytest.mark.parametrize("form", [one for one in FORMS if "lowercase" not in one])
def test_a_spec_with_a_private_key_is_refused_without_showing_it(form: str) -> None:
    said = dkim.read_expected(FORMS[form])
    assert isinstance(said, str)
    assert FORMS[form][30:50] not in said


def test_the_public_half_is_read() -> None:
    for private, public in ((PAIR, PAIR.public_key()), (SMALL, SMALL.public_key())):
        raw = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        form = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert dkim.public_half(raw) == dkim.read_expected(base64.b64encode(form).decode())
    assert dkim.public_half(b"") is None


def test_at_a_wrong_name_nothing_but_the_secret_goes() -> None:
    """The texts of the domain itself are its SPF policy, its tokens, and now a key."""
    there = [SPF, OWNED]
    zone = FakeZone({**HEALTHY, HEALTHY_S1: [], APEX_TXT: [*there, FORMS["PKCS#8 in PEM"]]})
    found = next(finding for finding in look(zone).findings if finding.subject == "dkim-s1")
    assert found.code == "DKIM_PRIVATE_KEY_PUBLISHED"
    assert found.fix is not None
    assert [(one.name, one.value) for one in found.fix.remove] == [(APEX_TXT[0], "(a private key)")]
    assert FORMS["PKCS#8 in PEM"][40:80] not in found.model_dump_json()


def test_what_else_stands_at_the_selector_is_said() -> None:
    seen = Names({S1: [FORMS["PKCS#8"], "token=abc"]})
    judged = seen.judged(plan_of(dkim=[{"selector": "s1", "publicKey": PUBLIC}]), "dkim-s1")
    assert "The other TXT records at the name go with it." in judged.message


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", ["{}", "v=spf1 {} -all", "v=DKIM1; k=rsa; p={}"])
def test_no_private_key_is_shown_of_whatever_record(form: str, shape: str) -> None:
    beside = "v=spf1 include:spf.provider.example.net -all"
    shown = judgement.displayed([shape.format(FORMS[form]), beside, PUBLIC])
    assert {*shown} >= {beside, *judgement.displayed([PUBLIC])}
    assert dkim.MASK not in judgement.displayed([PUBLIC])[0]
    (masked,) = [text for text in shown if dkim.MASK in text]
    assert not any(FORMS[form][at : at + 12] in masked for at in range(60, 160))
