# SPDX-License-Identifier: Apache-2.0
"""Mistakes in DKIM key records, the user's own and those behind a CNAME at the provider."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from closed_loop.loop import APEX, OTHER_KEY, OWN_KEY, Case, Mistake, Outsider, Stage
from dnsworld.keys import rsa_public_key
from postroom.api.findings import Fix

_PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PRIVATE_DER = _PRIVATE.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
PRIVATE_KEY = base64.b64encode(_PRIVATE_DER).decode()
_PUBLIC = _PRIVATE.public_key()
ED25519_KEY = base64.b64encode(_PUBLIC.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
ED25519_DER = base64.b64encode(
    _PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
SHORT_KEY, LONG_KEY = rsa_public_key(4713, 1024), rsa_public_key(4714, 4352)
WEAK_KEY = rsa_public_key(4715, 512)
THIRD_KEY = rsa_public_key(4716)


def typed(value: str, id: str = "dkim-s1") -> Mistake:
    """Another value is typed."""
    return lambda stage: stage.retype(id, value=value)


def several(*values: str) -> Mistake:
    """These values are there instead of the one."""

    def mistake(stage: Stage) -> None:
        stage.unpublish("dkim-s1")
        for value in values:
            stage.panel().add(stage.label("dkim-s1"), "TXT", value)

    return mistake


def in_place_of_alias(value: str) -> Mistake:
    """A text is typed where a CNAME belongs."""
    return lambda stage: stage.retype("dkim-k1", kind="TXT", value=value)


def provider_has(*values: str) -> Mistake:
    """The provider publishes this under the target of the CNAME."""

    def mistake(stage: Stage) -> None:
        target = stage.provider.dkim["k1"]
        zone = stage.world.zone_at(target)
        zone.remove(target, "TXT")
        for value in values:
            zone.add(target, "TXT", value)

    return mistake


def provider_mends(stage: Stage, fix: Fix) -> None:
    """The provider publishes its key again."""
    provider_has(stage.provider.key_record("k1"))(stage)


def keys(*rows: tuple[str, str, str]) -> tuple[tuple[str, object], ...]:
    """The part of a spec with own keys: (selector, key, role)."""
    made = [{"selector": name, "publicKey": key, "role": role} for name, key, role in rows]
    return (("dkim", made),)


def _own() -> list[Case]:
    """(name, state, code, what is typed)"""
    p = f"p={OWN_KEY}"
    pem = f"-----BEGIN PUBLIC KEY-----{OWN_KEY}-----END PUBLIC KEY-----"
    rows = [
        ("revoked", "Wrong", "DKIM_REVOKED", "v=DKIM1; p="),
        ("revoked, with its type", "Wrong", "DKIM_REVOKED", "v=DKIM1; k=rsa; p=;"),
        ("another key", "Wrong", "DKIM_KEY_OTHER", f"v=DKIM1; k=rsa; p={OTHER_KEY}"),
        ("another key, bare", "Wrong", "DKIM_KEY_OTHER", f"p={OTHER_KEY}"),
        ("lines of PEM", "Wrong", "DKIM_PEM_HEADERS", f"v=DKIM1; k=rsa; p={pem}"),
        ("nothing but PEM", "Missing", "DKIM_PEM_HEADERS", pem),
        ("no digit in v=", "Wrong", "DKIM_V_WRONG", f"v=DKIM; k=rsa; {p}"),
        ("v= in lowercase", "Wrong", "DKIM_V_WRONG", f"v=dkim1; k=rsa; {p}"),
        ("v= in second place", "Wrong", "DKIM_V_WRONG", f"k=rsa; v=DKIM1; {p}"),
        ("v= of another version", "Wrong", "DKIM_V_WRONG", f"v=DKIM2; k=rsa; {p}"),
        ("no p=", "Wrong", "DKIM_P_MISSING", "v=DKIM1; k=rsa"),
        ("p= twice", "Wrong", "DKIM_P_MISSING", f"v=DKIM1; k=rsa; p={p}"),
        ("the bare key", "Missing", "DKIM_P_MISSING", OWN_KEY),
        ("the key without p=", "Wrong", "DKIM_P_MISSING", f"v=DKIM1; k=rsa; {OWN_KEY}"),
        ("spaces for semicolons", "Wrong", "DKIM_SEMICOLON_LOST", f"v=DKIM1 k=rsa {p}"),
        ("commas for semicolons", "Wrong", "DKIM_SEMICOLON_LOST", f"v=DKIM1, k=rsa, {p}"),
        ("nothing for semicolons", "Wrong", "DKIM_SEMICOLON_LOST", f"v=DKIM1k=rsa{p}"),
        ("the wrong type", "Wrong", "DKIM_KTYPE", f"v=DKIM1; k=ed25519; {p}"),
        ("a type that is none", "Wrong", "DKIM_KTYPE", f"v=DKIM1; k=RSA-2048; {p}"),
        ("a weak key", "Wrong", "DKIM_WEAK", f"v=DKIM1; k=rsa; p={WEAK_KEY}"),
        ("sha1 only", "Wrong", "DKIM_HASH", f"v=DKIM1; h=sha1; k=rsa; {p}"),
        ("not for mail", "Wrong", "DKIM_SERVICE", f"v=DKIM1; k=rsa; s=tlsrpt; {p}"),
        ("sha1, strict", "Wrong", "DKIM_HASH", f"v=DKIM1; h=sha1; s=email; n=of 2024; t=s; {p}"),
        ("strict, not for mail", "Wrong", "DKIM_SERVICE", f"v=DKIM1; s=tlsrpt; t=s; {p}"),
    ]
    return [Case(name, "dkim-s1", state, code, typed(value)) for name, state, code, value in rows]


def _advised() -> list[Case]:
    """(name, code, the key of the spec, tags)"""
    rows = [
        ("test flag", "DKIM_TESTING", OWN_KEY, "t=y; "),
        ("test and strict flags", "DKIM_TESTING", OWN_KEY, "t=y:s; "),
        ("granularity", "DKIM_GRANULARITY", OWN_KEY, "g=news; "),
        ("1024 bits", "DKIM_SHORT", SHORT_KEY, "s=email; "),
        ("4352 bits", "DKIM_LONG", LONG_KEY, "s=email; "),
    ]
    return [
        Case(
            name,
            "dkim-s1",
            "Valid",
            code,
            typed(f"v=DKIM1; {tags}p={key}"),
            spec=keys(("s1", key, "Active")),
            advice=True,
        )
        for name, code, key, tags in rows
    ]


def _of_provider() -> list[Case]:
    """(name, code, what stands behind the CNAME)"""
    rows: list[tuple[str, str, tuple[str, ...]]] = [
        ("revoked by the provider", "DKIM_REVOKED", ("v=DKIM1; p=",)),
        ("a weak key at the provider", "DKIM_WEAK", (f"k=rsa; p={WEAK_KEY}",)),
        ("two keys at the provider", "DKIM_MULTIPLE", (f"p={OWN_KEY}", f"p={OTHER_KEY}")),
        ("a text at the provider", "DKIM_TARGET_WITHOUT_KEY", ("reserved",)),
        ("an unreadable key at the provider", "DKIM_SYNTAX", ("v=DKIM1; p=AAAA",)),
    ]
    mend: Outsider = provider_mends
    return [
        Case(name, "dkim-k1", "Wrong", code, provider_has(*values), outsider=mend)
        for name, code, values in rows
    ]


_TWO = keys(("s1", OWN_KEY, "Active"), ("s2", OTHER_KEY, "Active"))
_ROTATING = keys(("s1", OWN_KEY, "Active"), ("s2", OTHER_KEY, "Next"), ("s0", THIRD_KEY, "Retired"))

CASES: tuple[Case, ...] = (
    *_own(),
    *_advised(),
    *_of_provider(),
    Case(
        "two keys, none of them right",
        "dkim-s1",
        "Conflicting",
        "DKIM_MULTIPLE",
        several(f"v=DKIM1; p={OTHER_KEY}", f"v=DKIM1; p={THIRD_KEY}"),
    ),
    Case(
        "the private key in PEM",
        "dkim-s1",
        "Wrong",
        "DKIM_PRIVATE_KEY_PUBLISHED",
        typed(f"-----BEGIN PRIVATE KEY-----{PRIVATE_KEY}-----END PRIVATE KEY-----"),
    ),
    Case(
        "the private key in p=",
        "dkim-s1",
        "Wrong",
        "DKIM_PRIVATE_KEY_PUBLISHED",
        typed(f"v=DKIM1; k=ed25519; p={PRIVATE_KEY}"),
    ),
    Case(
        "the private key beside the right one",
        "dkim-s1",
        "Wrong",
        "DKIM_PRIVATE_KEY_PUBLISHED",
        several(f"v=DKIM1; p={OWN_KEY}", PRIVATE_KEY),
    ),
    Case(
        "the private key in the place of a CNAME",
        "dkim-k1",
        "Wrong",
        "DKIM_PRIVATE_KEY_PUBLISHED",
        in_place_of_alias(f"v=DKIM1; p={PRIVATE_KEY}"),
    ),
    Case(
        "a private key in a tag of DMARC",
        "dmarc",
        "Valid",
        "PRIVATE_KEY_IN_RECORD",
        lambda stage: stage.retype("dmarc", value=f"{stage.value('dmarc')}; x={PRIVATE_KEY}"),
        advice=True,
    ),
    Case(
        "a private key as a record of its own",
        "spf",
        "Valid",
        "PRIVATE_KEY_IN_RECORD",
        lambda stage: stage.panel().add(stage.label("spf"), "TXT", PRIVATE_KEY),
        advice=True,
    ),
    Case(
        "a private key in a policy of SPF",
        "spf",
        "Wrong",
        "SPF_SYNTAX",
        lambda stage: stage.retype("spf", value=f"{stage.value('spf')} {PRIVATE_KEY}"),
        also=("PRIVATE_KEY_IN_RECORD",),
    ),
    Case(
        "the key of another selector",
        "dkim-s1",
        "Wrong",
        "DKIM_KEY_OTHER",
        typed(f"v=DKIM1; k=rsa; p={OTHER_KEY}"),
        spec=_TWO,
    ),
    Case(
        "the retired key under the new selector",
        "dkim-s1",
        "Wrong",
        "DKIM_KEY_OTHER",
        typed(f"v=DKIM1; k=rsa; p={THIRD_KEY}"),
        spec=_ROTATING,
    ),
    Case(
        "the next key is not there yet",
        "dkim-s2",
        "Missing",
        "DKIM_NEXT_MISSING",
        lambda stage: stage.unpublish("dkim-s2"),
        spec=_ROTATING,
    ),
    Case(
        "the next key is the old one",
        "dkim-s2",
        "Wrong",
        "DKIM_KEY_OTHER",
        typed(f"v=DKIM1; k=rsa; p={OWN_KEY}", "dkim-s2"),
        spec=_ROTATING,
    ),
    Case(
        "the retired key is gone",
        "dkim-s0",
        "Valid",
        "DKIM_RETIRED_GONE",
        lambda stage: stage.unpublish("dkim-s0"),
        spec=_ROTATING,
        advice=True,
    ),
    Case(
        "the retired key is private",
        "dkim-s0",
        "Wrong",
        "DKIM_PRIVATE_KEY_PUBLISHED",
        typed(PRIVATE_KEY, "dkim-s0"),
        spec=_ROTATING,
    ),
    Case(
        "an Ed25519 key in DER",
        "dkim-e1",
        "Wrong",
        "DKIM_KTYPE",
        typed(f"v=DKIM1; k=ed25519; p={ED25519_DER}", "dkim-e1"),
        spec=keys(("e1", ED25519_KEY, "Active")),
    ),
    Case(
        "an Ed25519 key without its type",
        "dkim-e1",
        "Wrong",
        "DKIM_KTYPE",
        typed(f"v=DKIM1; p={ED25519_KEY}", "dkim-e1"),
        spec=keys(("e1", ED25519_KEY, "Active")),
    ),
    Case(
        "a CNAME to another domain's key",
        "dkim-s1",
        "Wrong",
        "CNAME_TARGET_WRONG",
        lambda stage: stage.retype("dkim-s1", kind="CNAME", value=stage.provider.dkim["k1"]),
        also=("DKIM_KEY_OTHER",),
        domain=APEX,
    ),
)
