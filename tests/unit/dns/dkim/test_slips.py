# SPDX-License-Identifier: Apache-2.0
"""Mistakes with DKIM keys: each is named by its code, and nothing is named without proof."""

from __future__ import annotations

import base64
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import dkim
from rows import over
from unit.dns.dkim_keys import (
    SEED,
    ed25519_base64,
    ed25519_der_base64,
    ed25519_raw,
    rsa_base64,
    rsa_key,
    rsa_numbers,
)

RSA = rsa_base64(rsa_numbers())


KEY = rsa_key(rsa_numbers())


TEXT = f"v=DKIM1; k=rsa; p={RSA}"


OTHER = rsa_base64(rsa_numbers(seed=2))


ED = ed25519_base64()


ED_KEY = dkim.PublicKey("ed25519", 256, ed25519_raw())


ED_TEXT = f"v=DKIM1; k=ed25519; p={ED}"


NAME = "s1._domainkey.example.com"


PEM = f"-----BEGIN PUBLIC KEY-----\n{RSA}\n-----END PUBLIC KEY-----"


def codes(*values: str, ed25519: bool = False) -> list[str]:
    wanted, text = (ED_KEY, ED_TEXT) if ed25519 else (KEY, TEXT)
    found = dkim.slips(values, [(value,) for value in values], wanted, text)
    return [one.code for one in found]


def utf8(text: str) -> str:
    """As an answer shows bytes above 0x7f."""
    return text.encode().decode("latin-1")


def changed(position: int, text: str = RSA) -> str:
    other = "A" if text[position] != "A" else "B"
    return text[:position] + other + text[position + 1 :]


SINGLE = {
    "quoted": (f'"{TEXT}"', "VALUE_QUOTED"),
    "quoted and escaped": (TEXT.replace("v=", '\\"v=') + '\\"', "VALUE_QUOTED"),
    "single quotes": (f"'{TEXT}'", "VALUE_QUOTED"),
    "two strings pasted": (f'"{TEXT[:255]}" "{TEXT[255:]}"', "VALUE_QUOTED"),
    "key quoted": (f'v=DKIM1; k=rsa; p="{RSA}"', "VALUE_QUOTED"),
    "leading quote": (f'"{TEXT}', "VALUE_QUOTED"),
    "smart quotes": (utf8(f"\u201c{TEXT}\u201d"), "VALUE_SMART_QUOTES"),
    "smart quotes as text": (f"\u201c{TEXT}\u201d", "VALUE_SMART_QUOTES"),
    "entities": (f"&quot;{TEXT}&quot;", "VALUE_SMART_QUOTES"),
    "escaped": (TEXT.replace(";", "\\;"), "VALUE_ESCAPED"),
    "escaped by number": (TEXT.replace(";", "\\059"), "VALUE_ESCAPED"),
    "percent": (TEXT.replace("+", "%2B").replace("=", "%3D"), "VALUE_ESCAPED"),
    "BOM": (utf8(f"\ufeff{TEXT}"), "VALUE_BOM_NBSP"),
    "no-break space": (utf8(TEXT.replace("; ", ";\u00a0")), "VALUE_BOM_NBSP"),
    "zero-width space": (utf8(f"{TEXT[:100]}\u200b{TEXT[100:]}"), "VALUE_BOM_NBSP"),
    "space in version": (TEXT.replace("DKIM1", "DK IM1"), "DKIM_V_WRONG"),
    "space in type": (TEXT.replace("rsa", "r sa"), "VALUE_WHITESPACE"),
    "vertical tab": (TEXT.replace("; k", ";\vk"), "VALUE_WHITESPACE"),
    "NUL": (f"{TEXT}\x00", "VALUE_WHITESPACE"),
    "name first": (f"{NAME} {TEXT}", "VALUE_INCLUDES_NAME"),
    "zone line": (f"{NAME}. 3600 IN TXT {TEXT}", "VALUE_INCLUDES_NAME"),
    "TXT first": (f"TXT {TEXT}", "VALUE_INCLUDES_NAME"),
    "IN TXT first": (f"IN TXT {TEXT}", "VALUE_INCLUDES_NAME"),
    "caption": (f"Value: {TEXT}", "VALUE_INCLUDES_NAME"),
    "cut at 255": (TEXT[:255], "VALUE_TRUNCATED"),
    "cut at 256": (TEXT[:256], "VALUE_TRUNCATED"),
    "cut early": (TEXT[:90], "VALUE_TRUNCATED"),
    "cut by one": (TEXT[:-1], "VALUE_TRUNCATED"),
    "cut behind other tags": (f"p={RSA[:200]}", "VALUE_TRUNCATED"),
    "only the end": (TEXT[255:], "VALUE_CHUNK_ORDER"),
    "lowercased": (TEXT.lower(), "VALUE_LOWERCASED"),
    "key lowercased": (f"v=DKIM1; p={RSA.lower()}", "VALUE_LOWERCASED"),
    "plus lost": (TEXT.replace("+", " "), "VALUE_PLUS_LOST"),
    "placeholder": ("v=DKIM1; k=rsa; p=<your public key>", "VALUE_PLACEHOLDER"),
    "placeholder in capitals": ("v=DKIM1; p=YOUR_PUBLIC_KEY", "VALUE_PLACEHOLDER"),
    "dots": (f"v=DKIM1; k=rsa; p={RSA[:20]}...", "VALUE_PLACEHOLDER"),
    "private PEM": ("-----BEGIN RSA PRIVATE KEY-----MIIE", "DKIM_PRIVATE_KEY_PUBLISHED"),
    "PEM": (f"v=DKIM1; k=rsa; p={PEM}", "DKIM_PEM_HEADERS"),
    "p twice": (TEXT.replace("p=", "p=p="), "DKIM_P_MISSING"),
    "bare key": (RSA, "DKIM_P_MISSING"),
    "key without p": (f"v=DKIM1; k=rsa; {RSA}", "DKIM_P_MISSING"),
    "no p": ("v=DKIM1; k=rsa", "DKIM_P_MISSING"),
    "no semicolons": (TEXT.replace(";", ""), "DKIM_SEMICOLON_LOST"),
    "commas": (TEXT.replace(";", ","), "DKIM_SEMICOLON_LOST"),
    "one semicolon lost": (TEXT.replace("rsa;", "rsa"), "DKIM_SEMICOLON_LOST"),
    "nothing between": (TEXT.replace("; ", ""), "DKIM_SEMICOLON_LOST"),
    "dkim1": (TEXT.replace("DKIM1", "dkim1"), "DKIM_V_WRONG"),
    "DKIM": (TEXT.replace("DKIM1", "DKIM"), "DKIM_V_WRONG"),
    "version last": (f"k=rsa; p={RSA}; v=DKIM1", "DKIM_V_WRONG"),
    "other version": (TEXT.replace("DKIM1", "DMARC1"), "DKIM_V_WRONG"),
    "no v=": (TEXT.replace("v=", ""), "DKIM_V_WRONG"),
    "revoked": ("v=DKIM1; p=", "DKIM_REVOKED"),
    "rsa as ed25519": (TEXT.replace("rsa", "ed25519"), "DKIM_KTYPE"),
    "RSA": (TEXT.replace("rsa", "RSA"), "DKIM_KTYPE"),
    "sha1 only": (TEXT.replace("k=rsa", "h=sha1"), "DKIM_HASH"),
    "other service": (TEXT.replace("k=rsa", "s=tlsrpt"), "DKIM_SERVICE"),
    "weak": (f"p={rsa_base64(rsa_numbers(512))}", "DKIM_WEAK"),
    "other key": (TEXT.replace(RSA, OTHER), "DKIM_KEY_OTHER"),
    "other key of a kind": (ED_TEXT, "DKIM_KEY_OTHER"),
    "a character changed": (TEXT.replace(RSA, changed(200)), "VALUE_NEAR"),
    "a character lost": (TEXT.replace(RSA, RSA[:200] + RSA[201:]), "VALUE_NEAR"),
    "a character added": (TEXT.replace(RSA, RSA[:200] + "x" + RSA[200:]), "VALUE_NEAR"),
    "three changed": (TEXT.replace(RSA, changed(100, changed(200, changed(300)))), "VALUE_NEAR"),
    "junk": ("v=DKIM1; k=rsa; p=abc", "DKIM_SYNTAX"),
}


ED25519 = {
    "in DER": (f"v=DKIM1; k=ed25519; p={ed25519_der_base64()}", "DKIM_KTYPE"),
    "in DER as rsa": (f"v=DKIM1; k=rsa; p={ed25519_der_base64()}", "DKIM_KTYPE"),
    "no type": (f"v=DKIM1; p={ED}", "DKIM_KTYPE"),
    "as rsa": (f"v=DKIM1; k=rsa; p={ED}", "DKIM_KTYPE"),
    "seed": (
        f"v=DKIM1; k=ed25519; p={base64.b64encode(SEED).decode()}",
        "DKIM_PRIVATE_KEY_PUBLISHED",
    ),
    "seed and key": (
        f"k=ed25519; p={base64.b64encode(SEED + ed25519_raw()).decode()}",
        "DKIM_PRIVATE_KEY_PUBLISHED",
    ),
    "no padding": (ED_TEXT.rstrip("="), "VALUE_TRUNCATED"),
    "lowercased": (ED_TEXT.lower(), "VALUE_LOWERCASED"),
    "quoted": (f'"{ED_TEXT}"', "VALUE_QUOTED"),
}


@over(SINGLE)
def test_the_first_slip(name: str) -> None:
    value, code = SINGLE[name]
    assert codes(value)[0] == code


@pytest.mark.parametrize(("value", "code"), ED25519.values(), ids=ED25519)
def test_the_first_slip_of_ed25519(value: str, code: str) -> None:
    assert codes(value, ed25519=True)[0] == code


def test_damage_upon_damage_is_told_in_full() -> None:
    assert codes(f'"{TEXT}"'.replace(";", "\\;")) == ["VALUE_QUOTED", "VALUE_ESCAPED"]


@pytest.mark.parametrize(
    "strings", [(TEXT[:255], TEXT[255:]), (TEXT[:100], TEXT[100:250], TEXT[250:])]
)
def test_strings_in_another_order(strings: tuple[str, ...]) -> None:
    swapped = tuple(reversed(strings))
    found = dkim.slips(["".join(swapped)], [swapped], KEY, TEXT)
    assert [one.code for one in found] == ["VALUE_CHUNK_ORDER"]


def test_a_string_that_is_there_twice() -> None:
    strings = (TEXT[:255], TEXT[255:], TEXT[255:])
    found = dkim.slips(["".join(strings)], [strings], KEY, TEXT)
    assert [one.code for one in found] == ["VALUE_CHUNK_ORDER"]


@pytest.mark.parametrize("cuts", [(255,), (14,), (100, 200), (15, 100, 255), (50, 150, 250, 350)])
def test_a_key_in_several_records(cuts: tuple[int, ...]) -> None:
    ends = [*cuts, len(TEXT)]
    parts = [TEXT[i:j] for i, j in zip([0, *cuts], ends, strict=True)]
    random.Random(len(cuts)).shuffle(parts)  # noqa: S311
    assert codes(*parts)[0] == "VALUE_SPLIT_RECORDS"
    assert codes(*(f'"{part}"' for part in parts))[0] == "VALUE_SPLIT_RECORDS"


def test_a_split_key_beside_something_else() -> None:
    assert codes(TEXT[:255], TEXT[255:], "v=spf1 -all")[0] == "VALUE_SPLIT_RECORDS"


def test_several_keys() -> None:
    assert codes(TEXT, TEXT.replace(RSA, OTHER)) == ["VALUE_DUPLICATE_RECORD"]
    third = TEXT.replace(RSA, rsa_base64(rsa_numbers(seed=3)))
    found = codes(TEXT.replace(RSA, OTHER), third)
    assert found == ["DKIM_MULTIPLE", "DKIM_KEY_OTHER", "DKIM_KEY_OTHER"]


@pytest.mark.parametrize(
    "values",
    [
        (),
        (TEXT,),
        (f"k=rsa;t=s;p={RSA};",),
        (TEXT, "v=spf1 -all"),
        ("v=spf1 -all",),
        ("google-site-verification=abc",),
    ],
)
def test_no_slip_where_there_is_none(values: tuple[str, ...]) -> None:
    assert codes(*values) == []


@given(st.text() | st.text(alphabet='vkphs=;: "\\+DKIM1rsaMIIB\x00'), st.text(max_size=20))
def test_no_text_breaks_it_and_none_is_proven_by_chance(text: str, other: str) -> None:
    unproven = {
        "DKIM_KEY_OTHER", "DKIM_SYNTAX", "DKIM_P_MISSING", "DKIM_V_WRONG", "DKIM_MULTIPLE",
        "DKIM_HASH", "DKIM_SERVICE", "DKIM_KTYPE", "DKIM_WEAK", "DKIM_REVOKED",
        "VALUE_PLACEHOLDER",
    }  # fmt: skip
    assert set(codes(text, other, f"v=DKIM1; p={text}")) <= unproven


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_a_wanted_key_with_one_character_changed(position: int, char: str) -> None:
    value = TEXT[:position] + char + TEXT[position + 1 :]
    right = dkim.parse(value).usable and dkim.parse(value).key == KEY
    assert bool(codes(value)) is not right or not dkim.looks_like_key(value)


@pytest.mark.parametrize(
    "unit", ["p=", '"', "\\;", " p", "MIIB", "+ ", "\xff", "v=DKIM1;", "<", "k=rsa"]
)
def test_a_megabyte_is_bounded(unit: str) -> None:
    value = unit * (1_000_000 // len(unit))
    begin = time.process_time()
    dkim.slips([value] * 3, [[value[:255]] * 4000] * 3, KEY, TEXT)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"v=DKIM1; k=rsa; p={RSA[:100]};{RSA[100:]}", "semicolon inside the key"),
        (f"v=DKIM1; k=rsa; p={RSA[:20]};{RSA[20:]}", "semicolon inside the key"),
        (f"v=DKIM1; k=rsa; p={RSA[:100]}; {RSA[100:]}; t=s", "semicolon inside the key"),
        (f"{TEXT}==", "too many ="),
        (f"{TEXT}=", "too many ="),
        (f"v=DKIM1; k=rsa; p={RSA[:100]}=={RSA[100:]}", "no base64"),
        (f"{TEXT}.", "no base64"),
        (f"v=DKIM1; k=rsa; p={RSA[:100]},{RSA[100:]}", "no base64"),
        (f"v=DKIM1; k=rsa; p={RSA[:100]}-{RSA[100:]}", "no base64"),
    ],
)
def test_a_key_that_is_whole_was_not_cut_off(text: str, said: str) -> None:
    found = dkim.slips([text], [(text,)], KEY, TEXT)
    assert [one.code for one in found] == ["DKIM_SYNTAX"]
    assert said in found[0].detail


@pytest.mark.parametrize("end", ["", ";", "=", "; t=s", '"'])
def test_a_key_that_was_cut_off_is_said_to_be(end: str) -> None:
    assert codes(f"{TEXT[:220]}{end}") == ["VALUE_TRUNCATED"]


@given(st.integers(1, len(RSA) - 9), st.sampled_from(";,.-_* \\'=:"))
def test_what_got_into_a_key_cuts_nothing_off(at: int, char: str) -> None:
    assert "VALUE_TRUNCATED" not in codes(f"v=DKIM1; k=rsa; p={RSA[:at]}{char}{RSA[at:]}")
