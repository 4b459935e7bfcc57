# SPDX-License-Identifier: Apache-2.0
"""A key whose private half was seen in DNS: never valid again, under no selector, in no later look.

Covers: every form of private key that people paste, its public half, memory from look to look.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Collection
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.findings import FixAction
from postroom.api.sendingdomain import RecordState
from postroom.dns import dkim
from postroom.dns.judging.judgement import Context, Judgement
from postroom.dns.requirements import PlannedRecord
from postroom.dns.verifying.observation import Observation
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import Scope, verify
from unit.dns.domains import RSA
from unit.dns.fake_zone import FakeZone
from unit.dns.judging_looks import DOMAIN, plan_of
from unit.rsa_keys import rsa_pair

PAIR = rsa_pair(2)
SMALL = Ed25519PrivateKey.generate()
PUBLIC = base64.b64encode(
    PAIR.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
SMALL_PUBLIC = base64.b64encode(
    SMALL.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode()


def key(text: str) -> dkim.PublicKey:
    read = dkim.read_expected(text)
    assert isinstance(read, dkim.PublicKey)
    return read


KEY, SMALL_KEY, OTHER = key(PUBLIC), key(SMALL_PUBLIC), key(RSA)
PLAIN, SEALED = NoEncryption(), BestAvailableEncryption(b"hunter2")
Private = rsa.RSAPrivateKey | Ed25519PrivateKey


def url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8)


def der(private: Private, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return private.private_bytes(Encoding.DER, form, PLAIN)


def pem(private: Private, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return private.private_bytes(Encoding.PEM, form, PLAIN).decode()


_NUMBERS = PAIR.private_numbers()
_N, _E, _D = map(number, (_NUMBERS.public_numbers.n, _NUMBERS.public_numbers.e, _NUMBERS.d))
WEB_KEY = {"kty": "RSA", "n": url(_N), "e": url(_E), "d": url(_D), "use": "sig"}
_SEED = SMALL.private_bytes(Encoding.Raw, PrivateFormat.Raw, PLAIN)
SMALL_WEB_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "unused", "d": url(_SEED)}
_B64 = {name: base64.b64encode(raw).decode() for name, raw in (("n", _N), ("e", _E), ("d", _D))}

#: Forms that tell whose private half they are.
TELLING = {
    "PKCS#8": base64.b64encode(der(PAIR)).decode(),
    "PKCS#1": base64.b64encode(der(PAIR, PrivateFormat.TraditionalOpenSSL)).decode(),
    "PEM": pem(PAIR),
    "PEM in one line": pem(PAIR).replace("\n", " "),
    "PEM with escaped line ends": pem(PAIR).replace("\n", "\\n"),
    "base64url": url(der(PAIR)),
    "base64url of PKCS#1": url(der(PAIR, PrivateFormat.TraditionalOpenSSL)),
    "OpenSSH": pem(PAIR, PrivateFormat.OpenSSH),
    "a PEM of a Secret": base64.b64encode(pem(PAIR).encode()).decode(),
    "hexadecimal digits": der(PAIR).hex(),
    "hexadecimal digits with colons": der(PAIR).hex(":"),
    "JWK": json.dumps(WEB_KEY),
    "JWK in a set": json.dumps({"keys": [WEB_KEY]}),
    "JWK, escaped": json.dumps(WEB_KEY).replace('"', '\\"'),
    "JWK without quotation marks": json.dumps(WEB_KEY).replace('"', ""),
    "XML": f"<RSAKeyValue><Modulus>{_B64['n']}</Modulus><Exponent>{_B64['e']}</Exponent>"
    f"<D>{_B64['d']}</D></RSAKeyValue>",
    "BIND": f"Private-key-format: v1.3 Algorithm: 8 (RSASHA256) Modulus: {_B64['n']} "
    f"PublicExponent: {_B64['e']} PrivateExponent: {_B64['d']}",
}
TELLING_SMALL = {
    "PKCS#8": base64.b64encode(der(SMALL)).decode(),
    "base64url": url(der(SMALL)),
    "PEM": pem(SMALL),
    "OpenSSH": pem(SMALL, PrivateFormat.OpenSSH),
    "JWK": json.dumps(SMALL_WEB_KEY),
    "the secret": base64.b64encode(_SEED).decode(),
    "the secret in base64url": url(_SEED),
    "the secret in hexadecimal digits": _SEED.hex(),
}
#: Forms that keep it to themselves: encrypted ones, and ends that are missing.
SILENT = {
    "encrypted PKCS#8 in PEM": PAIR.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, SEALED
    ).decode(),
    "encrypted PKCS#8": base64.b64encode(
        PAIR.private_bytes(Encoding.DER, PrivateFormat.PKCS8, SEALED)
    ).decode(),
    "encrypted PKCS#8 in base64url": url(
        PAIR.private_bytes(Encoding.DER, PrivateFormat.PKCS8, SEALED)
    ),
    "encrypted PKCS#1": PAIR.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, SEALED
    ).decode(),
    "PuTTY": "PuTTY-User-Key-File-3: ssh-rsa Encryption: none Private-Lines: 14 AAABAQCw",
    "cut off": base64.b64encode(der(PAIR)).decode()[:255],
}
S1, S2 = f"s1._domainkey.{DOMAIN}", f"s2._domainkey.{DOMAIN}"


@pytest.mark.parametrize("shape", ["{}", "v=DKIM1; k=rsa; p={}", '"{}"'])
@pytest.mark.parametrize("form", TELLING)
def test_every_form_tells_its_public_half(form: str, shape: str) -> None:
    text = shape.format(TELLING[form])
    assert dkim.holds_private(text)
    assert dkim.public_halves(text) == (KEY,)


@pytest.mark.parametrize("form", TELLING_SMALL)
def test_every_form_of_a_small_key_tells_its_public_half(form: str) -> None:
    assert dkim.public_halves(TELLING_SMALL[form], SMALL_KEY) == (SMALL_KEY,)


@pytest.mark.parametrize("form", SILENT)
def test_what_keeps_its_public_half_to_itself_is_known_for_private(form: str) -> None:
    assert dkim.public_halves(SILENT[form]) == (None,)
    assert dkim.public_halves(SILENT[form], KEY) == (None,)


@pytest.mark.parametrize("form", [*TELLING, *SILENT])
def test_a_spec_with_any_form_is_refused_without_showing_it(form: str) -> None:
    text = {**TELLING, **SILENT}[form]
    said = dkim.read_expected(text)
    assert said == "must be the public key, but a private key was given: replace both"


@pytest.mark.parametrize(
    "text",
    [
        f"v=DKIM1; k=rsa; p={PUBLIC}",
        PUBLIC,
        url(base64.b64decode(PUBLIC)),
        f"v=DKIM1; k=ed25519; p={SMALL_PUBLIC}",
        json.dumps({one: WEB_KEY[one] for one in ("kty", "n", "e")}),
        "v=spf1 include:spf.example.net d:x -all",
        "google-site-verification=dBw5CvburAxi537Rp9qi5uG2174Vb6JwHwIRwPSLIK8",
        "MS=ms12345678",
        "a" * 64,
        "<RSAKeyValue><Modulus>AA</Modulus></RSAKeyValue>",
        "",
    ],
    # Keys are made anew by each process, and processes that share the tests must agree on names.
    ids=[f"text{number}" for number in range(11)],
)
def test_what_is_public_is_no_private_key(text: str) -> None:
    assert dkim.public_halves(text) == ()
    assert not dkim.holds_private(text, KEY)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda one: one.decode("latin-1")))
def test_any_text_can_be_looked_at(text: str) -> None:
    for wanted in (None, KEY, SMALL_KEY):
        assert bool(dkim.public_halves(text, wanted)) is dkim.holds_private(text, wanted)


def look(
    zone: FakeZone, compromised: Collection[str] = (), role: str = "Active", **keys: str
) -> DomainReport:
    """Look at a domain with these keys by selector."""
    made = [{"selector": name, "publicKey": one, "role": role} for name, one in keys.items()]
    return run(verify(plan_of(dkim=made), zone, Scope(compromised=compromised)))


def state(report: DomainReport, selector: str) -> tuple[RecordState, str | None, str]:
    """The state of a selector, the code of its finding, and what it is told to publish."""
    id = f"dkim-{selector}"
    record = next(one for one in report.records if one.id == id)
    code = next((finding.code for finding in report.findings if finding.subject == id), None)
    return record.state, code, record.value


def offered(report: DomainReport) -> str:
    """Everything that a report offers for publishing."""
    fixes = [
        finding.fix.value + finding.fix.presentation for finding in report.findings if finding.fix
    ]
    return " ".join([*fixes, *(record.value for record in report.records)])


@pytest.mark.parametrize("form", [*TELLING, *SILENT])
def test_a_key_that_was_seen_stays_compromised(form: str) -> None:
    """From the look that sees it, over its removal and a move to another selector, for ever."""
    zone = FakeZone({(S1, "TXT"): [{**TELLING, **SILENT}[form]]})
    first = look(zone, s1=PUBLIC)
    assert first.compromised == (dkim.fingerprint(KEY),)
    assert state(first, "s1") == (RecordState.WRONG, "DKIM_PRIVATE_KEY_PUBLISHED", "")
    fix = next(finding.fix for finding in first.findings if finding.subject == "dkim-s1")
    assert fix is not None
    assert fix.action is FixAction.DELETE
    zone.apply(fix)
    later = look(zone, first.compromised, s1=PUBLIC, s2=RSA)
    assert state(later, "s1") == (RecordState.WRONG, "DKIM_KEY_COMPROMISED", "")
    assert state(later, "s2")[1] == "DKIM_MISSING"
    assert PUBLIC not in offered(later)
    assert PUBLIC not in offered(first)
    moved = look(zone, later.compromised, s3=PUBLIC)
    assert state(moved, "s3") == (RecordState.WRONG, "DKIM_KEY_COMPROMISED", "")
    zone.records[S2, "TXT"] = [f"v=DKIM1; k=rsa; p={PUBLIC}"]
    public = look(zone, moved.compromised, s2=PUBLIC)
    assert state(public, "s2") == (RecordState.WRONG, "DKIM_KEY_COMPROMISED", "")
    fix = next(finding.fix for finding in public.findings if finding.subject == "dkim-s2")
    assert fix is not None
    assert (fix.action, fix.value) == (FixAction.DELETE, "")
    assert public.compromised == first.compromised
    new = look(FakeZone({(S2, "TXT"): [f"v=DKIM1; p={RSA}"]}), public.compromised, s2=RSA)
    assert state(new, "s2")[0] is RecordState.VALID
    assert new.compromised == first.compromised


def test_the_sentence_names_the_key_and_what_to_do() -> None:
    report = look(FakeZone({}), [dkim.fingerprint(KEY)], s1=PUBLIC)
    message = next(finding.message for finding in report.findings if finding.subject == "dkim-s1")
    assert dkim.described(KEY) in message
    for said in (
        "new key pair",
        "new selector",
        "spec.dkim",
        "signs mail in the name of the domain",
    ):
        assert said in message


def test_the_public_half_under_another_selector_is_not_valid_in_the_same_look() -> None:
    zone = FakeZone({(S1, "TXT"): [TELLING["JWK"]], (S2, "TXT"): [f"v=DKIM1; p={PUBLIC}"]})
    report = look(zone, s1=RSA, s2=PUBLIC)
    assert state(report, "s2") == (RecordState.WRONG, "DKIM_KEY_COMPROMISED", "")
    assert report.compromised == (dkim.fingerprint(KEY),)


def test_another_pair_is_named_where_the_required_key_takes_its_place() -> None:
    zone = FakeZone({(S1, "TXT"): [TELLING["PKCS#8"]]})
    report = look(zone, s1=RSA)
    assert report.compromised == (dkim.fingerprint(KEY),)
    told = next(finding for finding in report.findings if finding.subject == "dkim-s1")
    assert told.code == "DKIM_PRIVATE_KEY_PUBLISHED"
    for said in (dkim.described(KEY), dkim.described(OTHER), "another pair", "used nowhere"):
        assert said in told.message
    assert told.fix is not None
    zone.apply(told.fix)
    assert state(look(zone, report.compromised, s1=RSA), "s1")[0] is RecordState.VALID


def test_another_pair_makes_no_way_for_a_key_that_is_compromised_too() -> None:
    zone = FakeZone({(S1, "TXT"): [TELLING["PKCS#8"]]})
    report = look(zone, [dkim.fingerprint(OTHER)], s1=RSA)
    assert state(report, "s1") == (RecordState.WRONG, "DKIM_PRIVATE_KEY_PUBLISHED", "")
    assert RSA not in offered(report)


@pytest.mark.parametrize(
    ("leaks", "known", "times"),
    [(True, [], 2), (True, [KEY], 1), (True, [KEY, OTHER], 1), (False, [], 1), (False, [KEY], 1)],
)
def test_only_a_new_leak_has_all_judged_anew(
    monkeypatch: pytest.MonkeyPatch, leaks: bool, known: list[dkim.PublicKey], times: int
) -> None:
    judged = Counter[str]()
    original = Observation.judged

    def counted(self: Observation, planned: PlannedRecord, context: Context) -> Judgement:
        judged[planned.id] += 1
        return original(self, planned, context)

    monkeypatch.setattr(Observation, "judged", counted)
    zone = FakeZone({(S1, "TXT"): [TELLING["PKCS#8"]] if leaks else []})
    look(zone, list(map(dkim.fingerprint, known)), s1=RSA, s2=RSA)
    assert (judged["dkim-s1"], judged["dkim-s2"]) == (times, times)


@pytest.mark.parametrize(("there", "valid"), [([], True), ([f"v=DKIM1; p={PUBLIC}"], False)])
def test_a_retired_selector_needs_it_gone(there: list[str], valid: bool) -> None:
    zone = FakeZone({(S1, "TXT"): there} if there else {})
    report = look(zone, [dkim.fingerprint(KEY)], role="Retired", s1=PUBLIC)
    assert (state(report, "s1")[0] is RecordState.VALID) is valid


def test_a_provider_s_key_is_judged_behind_its_alias() -> None:
    target = "k1.mail.example.net"
    zone = FakeZone({(S1, "CNAME"): [target], (target, "TXT"): [f"v=DKIM1; p={PUBLIC}"]})
    plan = plan_of(dkim=[{"selector": "s1", "cname": target}])
    sound = run(verify(plan, zone))
    assert state(sound, "s1")[0] is RecordState.VALID
    report = run(verify(plan, zone, Scope(compromised=[dkim.fingerprint(KEY)])))
    assert state(report, "s1")[:2] == (RecordState.WRONG, "DKIM_KEY_COMPROMISED")


CONTENTS = st.lists(
    st.sampled_from(
        [
            f"v=DKIM1; p={PUBLIC}",
            f"v=DKIM1; k=rsa; p={RSA}",
            PUBLIC,
            url(base64.b64decode(PUBLIC)),
            f"v=DKIM1; p={PUBLIC[:200]}",
            f"v=DKIM1 k=rsa p={PUBLIC}",
            "v=DKIM1; p=",
            *TELLING.values(),
            *SILENT.values(),
        ]
    ),
    max_size=2,
    unique=True,
)


@cache
def compromised_by(leak: str) -> tuple[str, ...]:
    """The keys that a look at this text finds compromised; there are few such texts."""
    return look(FakeZone({(S1, "TXT"): [leak]}), s1=PUBLIC).compromised


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*TELLING.values()]), st.lists(CONTENTS, min_size=1, max_size=3))
def test_a_leaked_key_is_never_valid_nor_offered_again(
    leak: str, contents: list[list[str]]
) -> None:
    known = compromised_by(leak)
    for texts in contents:
        report = look(FakeZone({(S2, "TXT"): texts}), known, s2=PUBLIC, s1=RSA)
        assert state(report, "s2")[0] is RecordState.WRONG
        assert PUBLIC not in offered(report)
        assert set(known) <= set(report.compromised)
        known = report.compromised
