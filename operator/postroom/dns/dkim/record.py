# SPDX-License-Identifier: Apache-2.0
"""DKIM key records (RFC 6376 section 3.6.1, RFC 8301, RFC 8463): reading one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from postroom.dns.dkim.key import (
    RSA_BITS_ADVISED,
    RSA_BITS_LEAST,
    RSA_BITS_MOST,
    Algorithm,
    PublicKey,
    decode,
)
from postroom.dns.finding_codes import Code

#: Longest text that is read: the data of a DNS record holds no more.
TEXT_LIMIT = 65_535
_TAG_LIMIT = 100
VERSION = "DKIM1"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: Folding whitespace (RFC 6376 section 2.8); line ends reach DNS only by accident, but are legal.
_WHITESPACE = " \t\r\n"
_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e \t\r\n]*")
_MEANT = re.compile(r"(?:^|[;\s\",])(?:v[ \t]{0,8}[=:][ \t\"']{0,8}DKIM|[kp][ \t]{0,8}=)", re.I)
_PUBLISHED = re.compile(r"(?:^|[;\s\",])p[ \t]{0,8}=([A-Za-z0-9+/=\s]*)")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why verifiers do not use a record: the code of its finding, and a clause about the record."""

    code: Code
    clause: str


@dataclass(frozen=True, slots=True)
class Note:
    """What works but not as well as it could: the code of its finding, and a whole sentence."""

    code: Code
    sentence: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A parsed record. `key` is None where it is revoked or unreadable; `problem` says why.

    `fault` is the same with a code; it may also stand beside a key that verifiers must refuse.
    `testing` is t=y; `strict` is t=s: the domain of i= must equal d=. `hashes` and `services` are
    empty where the record allows all. `granularity` is the historic g= (RFC 4871).
    """

    key: PublicKey | None
    revoked: bool = False
    problem: str | None = None
    testing: bool = False
    strict: bool = False
    fault: Fault | None = None
    algorithm: str = Algorithm.RSA.value
    hashes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    granularity: str | None = None

    @property
    def usable(self) -> bool:
        """Whether verifiers accept signatures by it."""
        return self.key is not None and self.fault is None


def parse(text: str) -> KeyRecord:
    """Parse the joined strings of a TXT record; never raises."""
    tags = _tags(text)
    if isinstance(tags, Fault):
        return KeyRecord(None, problem=tags.clause, fault=tags)
    flags = _list(tags.get("t", ""))
    algorithm = tags.get("k", Algorithm.RSA.value)
    encoded = re.sub(r"[ \t\r\n]", "", tags["p"])
    key = decode(encoded, algorithm) if encoded else None
    fault = None
    if isinstance(key, str):
        fault = Fault(_key_code(encoded, algorithm), key)
    elif key is not None and key.too_weak:
        fault = Fault(Code.DKIM_WEAK, f"p= is an RSA key of only {key.bits} bits (RFC 8301)")
    return KeyRecord(
        key=key if isinstance(key, PublicKey) else None,
        revoked=not encoded,
        problem=key if isinstance(key, str) else None,
        testing="y" in flags,
        strict="s" in flags,
        fault=fault,
        algorithm=algorithm,
        hashes=_list(tags.get("h", "")),
        services=_list(tags.get("s", "")),
        granularity=tags.get("g"),
    )


def _key_code(encoded: str, algorithm: str) -> Code:
    """Tell a wrong k= from a damaged key."""
    if algorithm not in list(Algorithm):
        return Code.DKIM_KTYPE
    other = Algorithm.RSA if algorithm == Algorithm.ED25519 else Algorithm.ED25519
    return Code.DKIM_KTYPE if isinstance(decode(encoded, other), PublicKey) else Code.DKIM_SYNTAX


def _tags(text: str) -> Mapping[str, str] | Fault:
    """Split a tag-list (RFC 6376 section 3.2), or say why verifiers make nothing of it."""
    tags: dict[str, str] = {}
    parts = text[:TEXT_LIMIT].split(";", _TAG_LIMIT)
    if len(parts) > 1 and not parts[-1].strip(_WHITESPACE):
        parts.pop()
    for part in parts:
        written, equals, value = part.partition("=")
        name = written.strip(_WHITESPACE)
        if not equals or _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            clause = "it is not a list of tag=value pairs separated by semicolons"
            return Fault(Code.DKIM_SYNTAX, clause)
        if name in tags:
            return Fault(Code.DKIM_SYNTAX, f"it has the tag {name[:20]}= twice")
        tags[name] = value.strip(_WHITESPACE)
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != VERSION):
        return Fault(Code.DKIM_V_WRONG, f"v= must be first and {VERSION}")
    if "p" not in tags:
        return Fault(Code.DKIM_P_MISSING, "it has no p= tag")
    if "h" in tags and "sha256" not in _list(tags["h"]):
        return Fault(Code.DKIM_HASH, "h= does not allow sha256 (RFC 8301)")
    services = _list(tags.get("s", "*"))
    if "*" not in services and "email" not in services:
        return Fault(Code.DKIM_SERVICE, "s= does not allow email")
    return tags


def _list(value: str) -> tuple[str, ...]:
    """Split a colon-separated list; empty for an empty value."""
    return tuple(item.strip(_WHITESPACE) for item in value.split(":")) if value else ()


def notes(record: KeyRecord) -> tuple[Note, ...]:
    """What could be better about a record that works, what matters most first."""
    return tuple(_notes(record)) if record.usable else ()


def _notes(record: KeyRecord) -> Iterator[Note]:
    if record.testing:
        sentence = (
            "The flag t=y lets receivers treat the mail as unsigned: take it out when the tests "
            "are over."
        )
        yield Note(Code.DKIM_TESTING, sentence)
    bits = record.key.bits if record.key and record.key.algorithm == Algorithm.RSA else 0
    if RSA_BITS_LEAST <= bits < RSA_BITS_ADVISED:
        sentence = f"The RSA key has {bits} bits: use {RSA_BITS_ADVISED} at the next rotation."
        yield Note(Code.DKIM_SHORT, sentence)
    if bits > RSA_BITS_MOST:
        sentence = (
            f"The RSA key has {bits} bits; verifiers need not accept more than {RSA_BITS_MOST} "
            f"(RFC 8301): use {RSA_BITS_ADVISED}."
        )
        yield Note(Code.DKIM_LONG, sentence)
    if record.granularity not in (None, "*"):
        sentence = "The tag g= is historic and limits the key at old verifiers: take it out."
        yield Note(Code.DKIM_GRANULARITY, sentence)


def published_base64(text: str) -> str:
    """Return the base64 text of the p= tag as far as it goes, without whitespace; "" if none."""
    match = _PUBLISHED.search(text[:TEXT_LIMIT])
    return re.sub(r"\s+", "", match[1]) if match else ""


def looks_like_key(text: str) -> bool:
    """Whether a TXT text was meant as a DKIM key record."""
    return _MEANT.search(text[:TEXT_LIMIT]) is not None


def select(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts that were meant as key records, in a stable order."""
    return tuple(sorted(text for text in texts if looks_like_key(text)))
