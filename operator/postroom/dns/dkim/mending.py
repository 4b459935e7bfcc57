# SPDX-License-Identifier: Apache-2.0
"""Damage to a single key record, and how to undo it: each step is a text before and after."""

import re
from collections.abc import Callable
from urllib.parse import unquote

from postroom.dns.dkim.key import TO_STANDARD, Algorithm
from postroom.dns.finding_codes import Code
from postroom.dns.texts.pasted import DETAILS, UNDO, Undo

_TAGS = r"(?:[vkphstng])"
_VERSION = r"(?i)(?:^|(?<=;))[ \t]{0,8}v[ \t]{0,8}[=:][^;]{0,20}(?:;|\Z)"
_VERSION_BARE = r"(?i)\s{0,8}(?:v\s{0,4}[=:]\s{0,4})?dkim[ _-]?1?\s{0,4};"
_JOINED = (
    rf"[\s,;:|]{{1,8}}(?={_TAGS}[ \t]{{0,4}}=)|(?<=DKIM1)(?={_TAGS}=)|(?<=k=rsa)(?=p=)"
    r"|(?<=k=ed25519)(?=p=)"
)
_P_TWICE = r"\bp[ \t]{0,4}=[ \t]{0,4}p[ \t]{0,4}="
_P = r"(?:^|(?<=[;\s]))p[ \t]{0,8}=([^;]*)"
_PEM = r"-{2,6}[ \t]{0,4}(?:BEGIN|END)[A-Z0-9 ]{0,40}-{2,6}"
_BASE64 = r"[A-Za-z0-9+/\s]{40,}={0,2}\s{0,8}"
_URL_BASE64 = r"(?=[^-_]*[-_])[A-Za-z0-9_\s-]{40,}={0,2}\s{0,8}"
_INNER_SEMICOLON = (
    r"(?<=[A-Za-z0-9+/])[ \t]{0,8};[ \t]{0,8}(?=[A-Za-z0-9+/]{8,8192}={0,2}[ \t]{0,8}(?:;|\Z))"
)
_NO_BASE64 = r"[^A-Za-z0-9+/]"
_KEY_TYPE = r"(?:^|(?<=;))[ \t]{0,8}k[ \t]{0,8}=[^;]{0,40}(?:;|\Z)"
_HASHES = r"(?:^|(?<=;))[ \t]{0,8}h[ \t]{0,8}=[^;]{0,200}(?:;|\Z)"
_SERVICES = r"(?:^|(?<=;))[ \t]{0,8}s[ \t]{0,8}=[^;]{0,200}(?:;|\Z)"


def without_pem(text: str) -> str:
    """Take away the lines around a key in PEM."""
    return re.sub(_PEM, "", text)


def with_separators(text: str) -> str:
    """Put semicolons before the tags; only a text that reads as a list then was meant so."""
    return re.sub(_JOINED, "; ", text).removeprefix("; ")


def with_plus(text: str) -> str:
    """Turn the spaces inside p= back into the plus signs that form encoding made of them."""
    return re.sub(_P, lambda match: f"p={match[1].strip(' ').replace(' ', '+')}", text, count=1)


def without_percent(text: str) -> str:
    """Undo percent-encoding."""
    return unquote(text, errors="replace") if "%" in text else text


def without_version(text: str) -> str:
    """Take away a version that is not exactly ``v=DKIM1`` at the beginning: none is needed."""
    bare = re.sub(_VERSION_BARE, "", text, count=1) if re.match(_VERSION_BARE, text) else text
    return re.sub(_VERSION, "", bare)


def without_second_p(text: str) -> str:
    """Turn ``p=p=`` into ``p=``."""
    return re.sub(_P_TWICE, "p=", text)


def with_standard_base64(text: str) -> str:
    """Turn the alphabet of URLs (RFC 4648 section 5) in p=, or in a bare key, into the usual one.

    Padding, which goes without saying there, is put back.
    """
    if re.search(_P, text):
        return re.sub(_P, lambda match: f"p={_standard(match[1])}", text)
    head, separator, last = text.rpartition(";")
    made = _standard(last)
    return text if made == last else f"{head}{separator}{' ' if separator else ''}{made}"


def _standard(encoded: str) -> str:
    if re.fullmatch(_URL_BASE64, encoded.strip()) is None:
        return encoded
    made = re.sub(r"\s+", "", encoded).rstrip("=").translate(TO_STANDARD)
    return made + "=" * (-len(made) % 4)


def without_semicolons(text: str) -> str:
    """Take semicolons out of the key: what stands behind one is no tag, but goes on."""
    start = re.search(_P, text)
    if start is None:
        return text
    return text[: start.start()] + re.sub(_INNER_SEMICOLON, "", text[start.start() :])


def without_surplus(text: str) -> str:
    """Leave as many = at the end of p= as its length needs."""
    return re.sub(_P, lambda match: f"p={_within(match[1], _padded(match[1]))}", text, count=1)


def only_base64(text: str) -> str:
    """Take what is no base64 out of p=."""

    def undo(match: re.Match[str]) -> str:
        bare = re.sub(r"\s+", "", match[1]).rstrip("=")
        clean = re.sub(_NO_BASE64, "", bare)
        return match[0] if clean == bare else f"p={_padded(clean)}"

    return re.sub(_P, undo, text, count=1)


def _padded(encoded: str) -> str:
    bare = re.sub(r"\s+", "", encoded).rstrip("=")
    return bare + "=" * (-len(bare) % 4)


def _within(encoded: str, padded: str) -> str:
    """The padded form where the other one only has more at its end."""
    surplus = re.sub(r"\s+", "", encoded)
    return padded if surplus != padded and surplus.startswith(padded) else encoded


def with_p(text: str) -> str:
    """Put p= before a bare key, or before the part of a list that is one."""
    if re.search(_P, text):
        return text
    head, separator, last = text.strip(" ;").rpartition(";")
    if re.fullmatch(_BASE64, last.strip()) is None:
        return text
    return f"{head}{separator} p={last.strip()}"


def without_spaces(text: str) -> str:
    """Take away all whitespace: none is needed in a key record."""
    return re.sub(r"[\s\x00]+", "", text)


def without_hashes(text: str) -> str:
    return re.sub(_HASHES, "", text)


def without_services(text: str) -> str:
    return re.sub(_SERVICES, "", text)


def with_key_type(algorithm: str) -> Undo:
    """Make the step that says the right k=, and takes an Ed25519 key out of its DER."""

    def undo(text: str) -> str:
        bare = re.sub(_KEY_TYPE, "", text)
        if algorithm != Algorithm.ED25519:
            return bare
        raw = re.sub(_P, lambda match: f"p={_inner_ed25519(match[1])}", bare, count=1)
        return f"{raw.rstrip().rstrip(';')}; k={algorithm}"

    return undo


def _inner_ed25519(encoded: str) -> str:
    """The last 32 of the 44 bytes of an Ed25519 SubjectPublicKeyInfo (RFC 8410), in base64."""
    compact = re.sub(r"\s+", "", encoded)
    # 12 bytes of DER are 16 characters of base64.
    return compact[16:] if len(compact) == 60 else compact


#: The key is whole then, and only its letters are to be exchanged.
URL_ALPHABET = (
    "holds the whole key, but in the base64 alphabet of URLs, which verifiers do not read: - and _ "
    "stand in it where + and / belong"
)

#: A code, what to say, and how to undo it.
Step = tuple[Code, str, Callable[[str], str]]


def steps(algorithm: str) -> tuple[Step, ...]:
    """Return every kind of damage, the most telling first, for a key of an algorithm."""
    return (
        *((code, DETAILS[code], undo) for code, undo in UNDO),
        (Code.VALUE_ESCAPED, "is percent-encoded", without_percent),
        (Code.DKIM_SYNTAX, URL_ALPHABET, with_standard_base64),
        (Code.DKIM_SYNTAX, "has a semicolon inside the key", without_semicolons),
        (
            Code.DKIM_SYNTAX,
            "has too many = at the end of the key",
            without_surplus,
        ),
        (Code.VALUE_PLUS_LOST, "has spaces where the key has plus signs", with_plus),
        (Code.DKIM_PEM_HEADERS, "holds the PEM lines around the key", without_pem),
        (Code.DKIM_P_MISSING, "has p= twice in a row", without_second_p),
        (Code.DKIM_P_MISSING, "holds the key without p= before it", with_p),
        (Code.DKIM_SEMICOLON_LOST, "does not part its tags by one semicolon each", with_separators),
        (Code.DKIM_V_WRONG, "does not begin with exactly v=DKIM1", without_version),
        (Code.VALUE_WHITESPACE, DETAILS[Code.VALUE_WHITESPACE], without_spaces),
        (Code.DKIM_KTYPE, f"does not say k={algorithm} as the key needs", with_key_type(algorithm)),
        (Code.DKIM_SYNTAX, "has characters inside the key that are no base64", only_base64),
        (Code.DKIM_HASH, "has an h= that does not allow sha256", without_hashes),
        (Code.DKIM_SERVICE, "has an s= that does not allow email", without_services),
    )
