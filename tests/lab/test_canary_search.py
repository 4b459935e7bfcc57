# SPDX-License-Identifier: Apache-2.0
"""The search for secrets finds them: in each encoding, alone, cut, and one within another.

Covers: every encoding by name and with hypothesis, three alignments of base64, SASL messages,
keys that are long, what was cut; and that nothing is found where nothing is.
"""

from __future__ import annotations

import base64
import binascii
import json
import quopri
import string
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from lab.canary import Secret, leaks
from lab.canary_secrets import SHAPES, Secrets, spellings

CORE = "Gs8kQ2vTz9bXw4"


def _of_imap(text: str) -> str:
    """Modified UTF-7 (RFC 3501 section 5.1.3) of text without what is printable ASCII."""
    encoded = base64.b64encode(text.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
    return f"&{encoded.decode()}-"


def _lower(encoded: str) -> str:
    return encoded.replace("%C", "%c").replace("%2F", "%2f")


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": repr,
    "ascii": ascii,
    "repr of octets": lambda text: repr(text.encode()),
    "repr of a repr": lambda text: repr(repr(text)),
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})),
    "YAML": lambda text: yaml.safe_dump([text]),
    "percent": lambda text: quote(text, safe=""),
    "percent in lower case": lambda text: _lower(quote(text, safe="")),
    "form": quote_plus,
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in upper case": lambda text: text.encode().hex().upper(),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "numbers": lambda text: repr(list(text.encode())),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 one on": lambda text: base64.b64encode(b"x" + text.encode()).decode(),
    "base64 two on": lambda text: base64.b64encode(b"xy" + text.encode()).decode(),
    "base64 in a word": lambda text: f"word{base64.b64encode(text.encode()).decode()}",
    "base64 in lines": lambda text: binascii.b2a_base64(text.encode() * 4).decode(),
    "base64 of base64": lambda text: base64.b64encode(
        base64.b64encode(text.encode("utf-8"))
    ).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "SASL PLAIN": lambda text: base64.b64encode(f"\0user\0{text}".encode()).decode(),
    "XOAUTH2": lambda text: base64.b64encode(
        f"user=u@example.com\1auth=Bearer {text}\1\1".encode()
    ).decode(),
    "OAUTHBEARER": lambda text: base64.b64encode(
        f"n,a=u@example.com,\1host=h\1port=143\1auth=Bearer {text}\1\1".encode()
    ).decode(),
    "JSON in base64": lambda text: base64.b64encode(json.dumps({"a": text}).encode()).decode(),
    "percent of base64": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "IMAP quoted": lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"',
    "UTF-7": lambda text: text.encode("utf-7").decode(),
    "UTF-7 of IMAP": _of_imap,
    "quoted-printable": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "HTML": escape,
    "read as Latin-1": lambda text: text.encode().decode("latin-1"),
    "escaped surrogates": lambda text: text.encode().decode("ascii", "surrogateescape"),
    "UTF-16": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "upper case": str.upper,
    "folded": lambda text: "\n  ".join(text[at : at + 5] for at in range(0, len(text), 5)),
}

SECRETS = {name: shape.format(CORE) for name, shape in SHAPES.items()} | {
    "long": Secrets(1).core(200),
    "all foreign": "äöüжшщλπφ漢字日本語🐤🔑é",
}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("kind", SECRETS)
def test_each_encoding_of_each_secret(name: str, kind: str) -> None:
    secret = Secret("it", SECRETS[kind])
    told = f"before {ENCODINGS[name](secret.text)} after"
    assert len(leaks(told, [secret])) == 1


#: As users and providers make them; what upper case would change beyond ASCII is left out.
TEXTS = st.text(string.printable[:94] + "äöüéжшλπ漢字🐤", min_size=8, max_size=48)
ROUNDABOUT = sorted(ENCODINGS.keys() - {"upper case"})


@example("000000+0", "UTF-7")
@example("000000&0", "UTF-7 of IMAP")
@given(TEXTS, st.sampled_from(ROUNDABOUT))
def test_any_secret_in_any_encoding(text: str, name: str) -> None:
    assert leaks(ENCODINGS[name](text), [Secret("it", text)]) != []


@given(TEXTS, st.binary(max_size=20), st.binary(max_size=20))
def test_base64_of_what_surrounds_it(text: str, before: bytes, after: bytes) -> None:
    told = base64.b64encode(before + text.encode() + after)
    assert leaks(b"a word " + told, [Secret("it", text)]) != []


@given(st.integers(0, 30), st.sampled_from(["as it is", "base64", "percent", "hexadecimal"]))
def test_a_part_is_a_leak(start: int, name: str) -> None:
    secret = Secrets(7).core(48)
    told = ENCODINGS[name](secret[start : start + 12])
    assert leaks(told, [Secret("it", secret)]) != []


def test_how_it_was_told_is_told() -> None:
    secret = Secret("password", CORE)
    assert leaks(CORE, [secret]) == ["password (as it is)"]
    assert leaks(base64.b64encode(CORE.encode()), [secret]) == ["password (base64)"]
    twice = CORE.encode().hex().encode().hex()
    assert leaks(twice, [secret]) == ["password (hexadecimal of hexadecimal)"]


@pytest.mark.parametrize("kind", SECRETS)
def test_what_hostile_servers_spell_is_found_each(kind: str) -> None:
    secret = Secret("it", SECRETS[kind])
    assert [spelling for spelling in spellings(secret.text) if not leaks(spelling, [secret])] == []


def test_only_those_that_show() -> None:
    made = Secrets(3)
    secrets = [Secret(str(number), made.password(number)) for number in range(22)]
    told = f"{secrets[4].text} and {secrets[9].text!r}"
    assert [leak.split()[0] for leak in leaks(told, secrets)] == ["4", "9"]


@given(st.text(), st.integers(0, 100))
def test_nothing_is_found_where_nothing_is(text: str, seed: int) -> None:
    made = Secrets(seed)
    secrets = [Secret(str(number), made.core()) for number in range(3)]
    assert leaks(text, secrets) == []
    assert leaks("***", secrets) == []


def test_a_short_secret_is_no_canary() -> None:
    with pytest.raises(ValueError, match="cannot be told from chance"):
        leaks("", [Secret("it", "short a")])
