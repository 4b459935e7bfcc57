# SPDX-License-Identifier: Apache-2.0
"""Near misses: texts that were meant as a DMARC record, each mistake by its code, and mended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import dmarc

GOOD = "v=DMARC1; p=none; rua=mailto:a@x.org"


SLIPS = {
    "v=dmarc1; p=none": "DMARC_VERSION",
    "v=Dmarc1;p=none": "DMARC_VERSION",
    "v=DMARC; p=none": "DMARC_VERSION",
    "v=DMARCl; p=none": "DMARC_VERSION",
    "v=DMARC 1; p=none": "DMARC_VERSION",
    "v=DMARC-1; p=none": "DMARC_VERSION",
    "v=DMARC1.0; p=none": "DMARC_VERSION",
    "v:DMARC1; p=none": "DMARC_VERSION",
    "DMARC1; p=none": "DMARC_VERSION",
    "p=none; v=DMARC1": "DMARC_VERSION",
    "p=none; rua=mailto:a@x.org": "DMARC_VERSION",
    "v=DMARC1, p=none, rua=mailto:a@x.org": "DMARC_SEPARATOR",
    "v=DMARC1; p=none, rua=mailto:a@x.org": "DMARC_SEPARATOR",
    "v=DMARC1 p=none rua=mailto:a@x.org": "DMARC_SEPARATOR",
    "v=DMARC1; p=none rua=mailto:a@x.org": "DMARC_SEPARATOR",
    "v=DMARC1: p=none": "DMARC_SEPARATOR",
    "v=DMARC1p=none": "DMARC_SEPARATOR",
    "v=DMARC1|p=none": "DMARC_SEPARATOR",
    "v=DMARC1; p=none; rua=mailto:a@x.org; mailto:b@x.org": "DMARC_SEPARATOR",
    "v=DMARC1; p=none; rua=a@x.org": "DMARC_URI",
    "v=DMARC1; p=none; rua=mailto: a@x.org": "DMARC_URI",
    "v=DMARC1; p=none; rua=mailto:a@x.org mailto:b@x.org": "DMARC_URI",
    "v=DMARC1; p=none; rua=mailto://a@x.org": "DMARC_URI",
    "v=DMARC1; p=none; rua=<mailto:a@x.org>": "DMARC_URI",
    "v=DMARC1; p=none; ruf=mailto=f@x.org": "DMARC_URI",
    "v=DMARC1; p=none; rua=mailto:<a@x.org>": "DMARC_URI",
    "v=DMARC1; p=none; rua=mailto:a@x.org.": "DMARC_URI",
    "v=DMARC1; p:none; sp:reject": "DMARC_SYNTAX",
    "v=DMARC1; p=none \xe2\x80\x94 sp=reject": "DMARC_SEPARATOR",
    "v=DMARC1 \u2022 p=none": "DMARC_SEPARATOR",
    "v=DMARC1\xef\xbc\x9b p=none": "VALUE_FULLWIDTH",
    "v\uff1dDMARC1; p\uff1dnone": "VALUE_FULLWIDTH",
    '"v=DMARC1; p=none"': "VALUE_QUOTED",
    '\\"v=DMARC1; p=none\\"': "VALUE_QUOTED",
    'v=DMARC1; p="none"': "VALUE_QUOTED",
    "'v=DMARC1; p=none'": "VALUE_QUOTED",
    "\u201cv=DMARC1; p=none\u201d": "VALUE_SMART_QUOTES",
    "v=DMARC1\\; p=none": "VALUE_ESCAPED",
    "\xef\xbb\xbfv=DMARC1; p=none": "VALUE_BOM_NBSP",
    "v=DMARC1;\xc2\xa0p=none": "VALUE_BOM_NBSP",
    " v=DMARC1; p=none": "VALUE_WHITESPACE",
    "v=DMARC1;\np=none": "VALUE_WHITESPACE",
    "v=DMARC1; p=none\n": "VALUE_WHITESPACE",
    "_dmarc.example.com v=DMARC1; p=none": "VALUE_INCLUDES_NAME",
    "_dmarc IN TXT v=DMARC1; p=none": "VALUE_INCLUDES_NAME",
    "Value: v=DMARC1; p=none": "VALUE_INCLUDES_NAME",
    "v=DMARC1; p=rejected": "DMARC_P_INVALID",
    "v=DMARC1": "DMARC_P_INVALID",
    "v=DMARC1; p=none; rua=mailto:<your address>": "VALUE_PLACEHOLDER",
}


@pytest.mark.parametrize(("text", "code"), SLIPS.items())
def test_near_misses(text: str, code: str) -> None:
    found = dmarc.slip(text)
    assert found is not None
    assert found.code == code
    if code not in ("DMARC_P_INVALID", "VALUE_PLACEHOLDER"):
        mended = dmarc.parse(dmarc.mended(text))
        assert (mended.p, mended.problems) == ("none", ())
        assert set(mended.rua) <= {"mailto:a@x.org", "mailto:b@x.org"}
        assert ("rua" in text) is bool(mended.rua)


def test_mistakes_upon_mistakes_are_told_in_full() -> None:
    text = '"v=dmarc1, p=none, rua=a@x.org"'
    assert [slip.code for slip in dmarc.slips(text)] == [
        "VALUE_QUOTED",
        "DMARC_VERSION",
        "DMARC_SEPARATOR",
        "DMARC_URI",
    ]
    assert dmarc.mended(text) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        GOOD, "v=DMARC1;p=none", "v=DMARC1; p=none; x=\"1\"", "v=DMARC1; p=reject; pct=10;",
        "v=DMARC1; p=none; rua=mailto:a@x.org!10m", "v=DMARC1; p=none; rua=mailto:sp=x@x.org",
        "v=spf1 include:x.org -all", "v=DKIM1; p=", "",
    ],
)  # fmt: skip
def test_no_slip_where_there_is_none(text: str) -> None:
    assert dmarc.slips(text) == ()
    assert dmarc.mended(text) == text


ALPHABET = st.text(alphabet='vV=DMARC1; p,:nonerua@mailto\\".|x\t\n\x00\xa0\u201c')


@given(st.text() | ALPHABET)
def test_mending_ends_and_never_makes_it_worse(text: str) -> None:
    for one in (text, f"v=DMARC1; {text}"):
        mended = dmarc.mended(one)
        assert dmarc.is_dmarc(mended) or not dmarc.is_dmarc(one)
        assert dmarc.mended(mended) == mended
