# SPDX-License-Identifier: Apache-2.0
"""Causes in names, where no world is needed to see them.

Covers: how many probes there are; what must not be suspected (wildcards, records that serve another
domain, keys of others); what has to be removed; what is wrong at a wrong place besides.
"""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from postroom.api.findings import FixAction
from postroom.dns.diagnosis.diagnose import PROBES_LIMIT, causes, probes
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.judging.judgement import Evidence
from postroom.dns.names import fits_into_query
from unit.dns.diagnosis_looks import KEY, OTHER_KEY, TOKEN, case_of, codes, root

S1, DMARC = ("s1._domainkey.example.com", "TXT"), ("_dmarc.example.com", "TXT")
POLICY = "v=DMARC1; p=quarantine"
IDS = (
    "ownership",
    "dkim-k1",
    "dkim-s1",
    "spf",
    "dmarc",
    "mx-mx.provider.net",
    "tracking",
)


@pytest.mark.parametrize("id", IDS)
def test_there_are_no_more_probes_than_allowed(id: str) -> None:
    asked = probes(case_of(id, {}), 100)
    assert asked == () or len(probes(case_of(id, {}), PROBES_LIMIT)) <= PROBES_LIMIT
    assert probes(case_of(id, {}), 0) == ()


@pytest.mark.parametrize("id", IDS)
def test_nothing_is_suspected_where_nothing_is(id: str) -> None:
    plain = codes(id, {})
    assert len(plain) == 1
    assert plain[0].endswith("_MISSING")


def test_a_valid_record_is_not_looked_into() -> None:
    assert probes(case_of("dkim-s1", {S1: [f"p={KEY}"]})) == ()


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("dkim-s1", f"p={KEY}"),
        ("dkim-s1", f"p={OTHER_KEY}"),
        ("spf", "v=spf1 include:spf.provider.net -all"),
        ("dmarc", POLICY),
        ("ownership", TOKEN),
    ],
)
def test_a_wildcard_is_no_place(id: str, value: str) -> None:
    """The test DNS has no wildcards: so it has the names that one would answer for."""
    case = case_of(id, {})
    wild = {
        (answer.name, answer.type.value): [value]
        for answer in case.seen.answers
        if "TXT" in answer.type
    }
    wild = {key: values for key, values in wild.items() if key[0] != case.planned.name}
    wild = {key: values for key, values in wild.items() if key[0].endswith(".example.com")}
    found = codes(id, wild)
    assert not [one for one in found if one in ("NAME_ZONE_DOUBLED", "NAME_TYPO", "NAME_AT_WWW")]


@pytest.mark.parametrize(
    ("id", "place"),
    [
        ("dkim-s1", "s1._domainkey.s1._domainkey.example.com"),
        ("dkim-s1", "www.s1._domainkey.example.com"),
        ("dmarc", "_dmarc._dmarc.example.com"),
        ("dmarc", "_dmarc.example.com.example.com"),
    ],
)
def test_a_wildcard_right_above_a_place_is_no_place(id: str, place: str) -> None:
    """Nothing stands there, so that a fix must not take it away."""
    beside = invented_name(place.partition(".")[2])
    wild = {(name, "TXT"): [VALUES[id]] for name in (place, beside)}
    cause = root(id, wild)
    assert cause.code.endswith("_MISSING")
    assert cause.fix is not None
    assert (cause.fix.action, cause.fix.remove) == (FixAction.CREATE, [])


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("s1.domainkey", "NAME_UNDERSCORE_LOST"),
        ("_domainkey.s1", "NAME_LABELS_SWAPPED"),
        ("s1", "NAME_LABELS_SWAPPED"),
    ],
)
def test_what_is_at_the_zone_for_a_subdomain_may_be_found_mistyped(label: str, code: str) -> None:
    there = {(f"{label}.example.com", "TXT"): [f"p={KEY}"]}
    cause = root("dkim-s1", there, domain="mail.example.com")
    assert (cause.code, cause.evidence) == (code, Evidence.PROVEN)
    assert "mail, the part of the sending domain" in cause.message


def test_a_text_of_the_zone_is_no_misplaced_policy_of_a_subdomain() -> None:
    there = {("dmarc.example.com", "TXT"): ["v=DMARC1; p=none"]}
    found = codes("dmarc", there, domain="mail.example.com")
    assert found == ["DMARC_MISSING"]


def test_what_may_serve_another_domain_stays() -> None:
    there = {("s1._domainkey.example.com", "TXT"): [f"p={KEY}"]}
    cause = root("dkim-s1", there, domain="mail.example.com")
    assert (cause.code, cause.evidence) == ("NAME_WRONG_ZONE_LEVEL", Evidence.PROVEN)
    assert cause.fix is not None
    assert (cause.fix.action, cause.fix.remove) == (FixAction.CREATE, [])


def test_the_policy_of_the_zone_is_not_taken_for_that_of_a_subdomain() -> None:
    found = codes("dmarc", {DMARC: ["v=DMARC1; p=none"]}, domain="mail.example.com")
    assert found
    assert not [one for one in found if one.startswith("NAME_")]


def test_an_alias_to_the_domain_is_not_the_record() -> None:
    www = {
        ("_check.www.example.com", "CNAME"): ["elsewhere.net"],
        ("elsewhere.net", "TXT"): [TOKEN],
    }
    assert codes("ownership", www) == ["OWNERSHIP_MISSING"]


def test_a_moved_record_takes_what_is_wrong_at_its_place_along() -> None:
    there = {
        S1: [f"p={OTHER_KEY}"],
        ("s1._domainkey.example.com.example.com", "TXT"): [f"p={KEY}"],
    }
    cause = root("dkim-s1", there)
    assert cause.code == "NAME_ZONE_DOUBLED"
    assert cause.fix is not None
    assert {one.name for one in cause.fix.remove} == {
        "s1._domainkey.example.com",
        "s1._domainkey.example.com.example.com",
    }


def test_a_policy_is_moved_with_all_that_it_says() -> None:
    there = {("_dmrac.example.com", "TXT"): ["v=DMARC1; p=none; fo=1; sp=reject"]}
    cause = root("dmarc", there)
    assert (cause.code, cause.evidence) == ("NAME_TYPO", Evidence.SHOWN)
    assert cause.fix is not None
    assert cause.fix.value == "v=DMARC1; p=quarantine; fo=1; sp=reject"


def test_keys_of_others_are_told_last() -> None:
    """Another provider's key is no mistake: the record of the plan is just missing."""
    there = {("google._domainkey.example.com", "TXT"): ["v=DKIM1; p=abc"]}
    found = causes(case_of("dkim-s1", there))
    assert [one.code for one in found] == ["NAME_OTHER_SELECTOR", "DKIM_MISSING"]
    assert {one.evidence for one in found} == {Evidence.PLAIN}


def test_a_key_of_the_plan_explains_what_is_below_the_keys() -> None:
    there = {("k1._domainkey.example.com", "CNAME"): ["k1.provider.net"]}
    assert codes("dkim-s1", there) == ["DKIM_MISSING"]


# Places of slips, and damage on top ---------------------------------------------------------------

TLS_RPT, BIMI = "v=TLSRPTv1; rua=mailto:tls@example.com", "v=BIMI1; l=https://example.com/l.svg"
MORE: dict[str, object] = {
    "tlsRPT": {"rua": ["mailto:tls@example.com"]},
    "bimi": {"logo": "https://example.com/l.svg"},
}
VALUES = {"dkim-s1": f"v=DKIM1; k=rsa; p={KEY}", "dmarc": POLICY, "ownership": TOKEN}
VALUES |= {"tls-rpt": TLS_RPT, "bimi": BIMI}
LABELS = {
    "dkim-s1": "s1._domainkey",
    "dmarc": "_dmarc",
    "ownership": "_check",
    "tls-rpt": "_smtp._tls",
    "bimi": "default._bimi",
}


@pytest.mark.parametrize(
    ("id", "label", "code"),
    [
        ("dmarc", "-dmarc", "NAME_UNDERSCORE_LOST"),
        ("dmarc", "dmarc", "NAME_UNDERSCORE_LOST"),
        ("dmarc", "www._dmarc", "NAME_AT_WWW"),
        ("dmarc", "_dmarc.www", "NAME_AT_WWW"),
        ("dmarc", "_dmarc._dmarc", "NAME_LABELS_SWAPPED"),
        ("dmarc", "_dmarc.example", "NAME_ZONE_DOUBLED"),
        ("dmarc", "_dmarc.example.com", "NAME_ZONE_DOUBLED"),
        *(
            ("dmarc", label, "NAME_TYPO")
            for label in ("_dmrac", "_damrc", "_mdarc", "d_marc", "_dmacr", "_dmar", "_darc")
        ),
        *(
            ("dmarc", label, "NAME_TYPO")
            for label in ("_marc", "_ddmarc", "__dmarc", "_dmarcc", "_dmarcs", "_demarc", "_dmark")
        ),
        ("tls-rpt", "_tls._smtp", "NAME_LABELS_SWAPPED"),
        ("tls-rpt", "_tls", "NAME_LABELS_SWAPPED"),
        ("tls-rpt", "_smtp", "NAME_LABELS_SWAPPED"),
        ("tls-rpt", "_smtp_tls", "NAME_LABELS_SWAPPED"),
        ("tls-rpt", "_smtp-_tls", "NAME_LABELS_SWAPPED"),
        ("tls-rpt", "_smtp.tls", "NAME_UNDERSCORE_LOST"),
        ("tls-rpt", "smtp._tls", "NAME_UNDERSCORE_LOST"),
        ("tls-rpt", "smtp.tls", "NAME_UNDERSCORE_LOST"),
        ("tls-rpt", "-smtp.-tls", "NAME_UNDERSCORE_LOST"),
        ("tls-rpt", "_stmp._tls", "NAME_TYPO"),
        ("tls-rpt", "_smtp._tsl", "NAME_TYPO"),
        ("bimi", "_bimi.default", "NAME_LABELS_SWAPPED"),
        ("bimi", "_bimi", "NAME_LABELS_SWAPPED"),
        ("bimi", "default.bimi", "NAME_UNDERSCORE_LOST"),
        ("bimi", "default_bimi", "NAME_LABELS_SWAPPED"),
        ("bimi", "defualt._bimi", "NAME_TYPO"),
        ("bimi", "_default._bimi", "NAME_TYPO"),
        ("dkim-s1", "_s1._domainkey", "NAME_TYPO"),
        ("dkim-s1", "s1-_domainkey", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "s1_domainkey", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "s1.domainkey", "NAME_UNDERSCORE_LOST"),
        ("dkim-s1", "s1.-domainkey", "NAME_UNDERSCORE_LOST"),
        ("dkim-s1", "_domainkey", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "s1", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "_domainkey.s1", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "s1._domainkey._domainkey", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "s1.s1._domainkey", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "s1._domainkey.s1._domainkey", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "s1._domainkey.example", "NAME_ZONE_DOUBLED"),
        ("dkim-s1", "s1._domiankey", "NAME_TYPO"),
        ("dkim-s1", "s1._domankey", "NAME_TYPO"),
        ("dkim-s1", "1s._domainkey", "NAME_TYPO"),
        ("ownership", "check", "NAME_UNDERSCORE_LOST"),
        ("ownership", "_chekc", "NAME_TYPO"),
        ("ownership", "_check.example", "NAME_ZONE_DOUBLED"),
        # Blanks that were copied along, and other joints between the labels.
        *((id, rf"\032{label}", "NAME_URL_OR_SPACE") for id, label in LABELS.items()),
        *((id, rf"{label}\032", "NAME_URL_OR_SPACE") for id, label in LABELS.items()),
        *((id, rf"{label}.example.com\032", "NAME_URL_OR_SPACE") for id, label in LABELS.items()),
        ("dkim-s1", "s1-domainkey", "NAME_UNDERSCORE_LOST"),
        ("dkim-s1", "s1domainkey", "NAME_UNDERSCORE_LOST"),
        ("dkim-s1", "_domainkey-s1", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "_domainkeys1", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "domainkey.s1", "NAME_LABELS_SWAPPED"),
        ("bimi", "bimi.default", "NAME_LABELS_SWAPPED"),
        ("tls-rpt", "tls.smtp", "NAME_LABELS_SWAPPED"),
        ("dmarc", "dmarc_", "NAME_UNDERSCORE_LOST"),
        ("ownership", "__check", "NAME_TYPO"),
        # One slip in the label, one behind it.
        *(
            (id, f"{label}.example.com.example.com", "NAME_ZONE_DOUBLED")
            for id, label in LABELS.items()
        ),
        *(
            (id, f"{label.replace('_', '')}.example.com", "NAME_UNDERSCORE_LOST")
            for id, label in LABELS.items()
        ),
        ("dkim-s1", "_domainkey.s1.example.com", "NAME_LABELS_SWAPPED"),
        ("dkim-s1", "s1.example.com", "NAME_LABELS_SWAPPED"),
    ],
)
def test_a_record_at_a_place_of_a_slip_is_found(id: str, label: str, code: str) -> None:
    cause = root(id, {(f"{label}.example.com", "TXT"): [VALUES[id]]}, **MORE)
    assert (cause.code, cause.evidence) == (code, Evidence.PROVEN)
    assert f"{label}.example.com instead of" in cause.message
    assert cause.fix is not None
    assert cause.fix.action is FixAction.MOVE
    assert [one.name for one in cause.fix.remove] == [f"{label}.example.com"]


@pytest.mark.parametrize("name", [r"b\127cher.example", r"b\256cher.example", r"b\\cher", "ü.de"])
def test_other_escapes_are_not_asked_for(name: str) -> None:
    assert not fits_into_query(name)


@pytest.mark.parametrize(
    ("id", "label", "value", "also"),
    [
        ("dkim-s1", "s1", f'"p={KEY}"', "VALUE_QUOTED"),
        ("dkim-s1", "s1.domainkey", f"v=DKIM1, k=rsa, p={KEY}", "DKIM_SEMICOLON_LOST"),
        ("dkim-s1", "s1._domainkey.example.com", f"p={KEY[:200]}", "VALUE_TRUNCATED"),
        ("dkim-s1", "_domainkey.s1", f"v=DKIM1\\; k=rsa\\; p={KEY}", "VALUE_ESCAPED"),
        ("dkim-s1", "s1", f"p={KEY.replace('+', '-').replace('/', '_')}", "DKIM_SYNTAX"),
        ("dkim-s1", "s1", f"v=DKIM1.0; p={KEY}", "DKIM_V_WRONG"),
        ("dkim-s1", "s1", KEY, "DKIM_P_MISSING"),
        ("dkim-s1", "s1", f"v=DKIM1; k=rsa; p={KEY.replace('+', '%2B')}", "VALUE_ESCAPED"),
        ("dkim-s1", "s1.example.com", f'"p={KEY}"', "VALUE_QUOTED"),
        ("dmarc", "_dmarc.example.com", "v=DMARC1, p=quarantine", "DMARC_SEPARATOR"),
        ("dmarc", "dmarc", f'"{POLICY}"', "VALUE_QUOTED"),
        ("dmarc", "-dmarc", "v=DMARC1; p=none", "DMARC_POLICY_WEAK"),
        ("dmarc", "_dmarc.example", f'"{POLICY}"', "VALUE_QUOTED"),
        ("ownership", "_check.example.com", f'"{TOKEN}"', "VALUE_QUOTED"),
        ("ownership", "check", TOKEN[:-4], "VALUE_TRUNCATED"),
        ("tls-rpt", "_tls._smtp", f'"{TLS_RPT}"', "VALUE_QUOTED"),
        ("bimi", "_bimi.default", f'"{BIMI}"', "VALUE_QUOTED"),
    ],
)
def test_two_slips_at_once_are_both_told(id: str, label: str, value: str, also: str) -> None:
    there = {(f"{label}.example.com", "TXT"): [value]}
    case = case_of(id, there, **MORE)
    cause, *others = causes(case)
    assert cause.code.startswith("NAME_")
    assert also in [other.code for other in others]
    assert f"{label}.example.com" in cause.message
    assert "wrong in itself too" in cause.message
    assert cause.fix is not None
    assert cause.fix.value == case.planned.value
    assert [one.name for one in cause.fix.remove] == [f"{label}.example.com"]


def test_the_doubled_target_of_a_misplaced_alias_is_told_too() -> None:
    there = {("click.example.com.example.com", "CNAME"): ["click.provider.net.example.com"]}
    cause, *others = causes(case_of("tracking", there))
    assert cause.code == "NAME_ZONE_DOUBLED"
    assert "CNAME_TARGET_DOUBLED" in [other.code for other in others]
    assert cause.fix is not None
    assert cause.fix.value == "click.provider.net"


def test_the_doubled_host_of_a_misplaced_exchange_is_told_too() -> None:
    there = {("@.example.com", "MX"): ["10 mx.provider.net.example.com"]}
    cause, *others = causes(case_of("mx-mx.provider.net", there))
    assert (cause.code, cause.evidence) == ("NAME_LITERAL_AT", Evidence.PROVEN)
    assert "MX_TARGET_DOUBLED" in [other.code for other in others]


@pytest.mark.parametrize(
    ("id", "label", "value"),
    [
        # Each may be for somebody else, or is none of the kind.
        ("dkim-s1", "_domainkey", f"p={OTHER_KEY}"),
        ("dkim-s1", "_domainkey", "o=~"),
        ("dkim-s1", "s1", "hello"),
        ("dkim-s1", "s2", f"p={OTHER_KEY}"),
        ("dmarc", "_dmarc.example", "v=DMARC1; p=none"),
        ("ownership", "check", "another=token"),
        ("tls-rpt", "_tls", "some text"),
        ("bimi", "_bimi", "v=BIMI1; l=https://example.com/other.svg"),
    ],
)
def test_what_may_be_meant_for_something_else_is_no_cause(id: str, label: str, value: str) -> None:
    cause = root(id, {(f"{label}.example.com", "TXT"): [value]}, **MORE)
    assert not cause.code.startswith("NAME_")


def test_a_private_key_at_a_wrong_name_is_repeated_nowhere() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    secret = base64.b64encode(private).decode()
    cause = root("dkim-s1", {("s1.domainkey.example.com", "TXT"): [f"v=DKIM1; p={secret}"]})
    assert cause.code == "DKIM_PRIVATE_KEY_PUBLISHED"
    assert "s1.domainkey.example.com" in cause.message
    assert secret[:16] not in repr(cause)
