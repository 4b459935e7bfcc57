# SPDX-License-Identifier: Apache-2.0
"""Lists of tags as they were meant: the version first, the tags apart, all that was said kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.texts.pasted import DAMAGE_LIMIT
from postroom.dns.texts.tag_slips import meant

NAMES = ("rua", "a")


def _read(text: str) -> str:
    return meant(text, "v=TLSRPTv1", "tls-?rpt", NAMES)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("v=TLSRPTv1; rua=x", "v=TLSRPTv1; rua=x"),
        ("tlsrpt1 RUA:x,y", "v=TLSRPTv1; rua=x,y"),
        ("v=TLS-RPTv1, a = x, rua=y z;", "v=TLSRPTv1; a=x; rua=y z"),
        ("rua=x | v=TLSRPTv1", "v=TLSRPTv1; rua=x"),
        ('"v=TLSRPTv1\\; rua=x"', "v=TLSRPTv1; rua=x"),
        ("v=TLSRPTv1; rua=https://x/?a=1,b", "v=TLSRPTv1; rua=https://x/?a=1,b"),
        ("v=TLSRPTv1; more=1; word", "v=TLSRPTv1; more=1; word"),
        ("", "v=TLSRPTv1"),
    ],
)
def test_what_is_plain_is_read(text: str, read: str) -> None:
    assert _read(text) == read


def test_what_is_absurd_stays_as_it_is() -> None:
    text = "v=TLSRPTv1;" * DAMAGE_LIMIT
    assert _read(text) == text


@given(st.text(max_size=200))
def test_the_version_comes_first_whatever_the_text(text: str) -> None:
    assert _read(text).split("; ")[0] == "v=TLSRPTv1"


@given(st.dictionaries(st.sampled_from(NAMES), st.from_regex(r"[a-z0-9.@]{1,20}", fullmatch=True)))
def test_what_is_read_is_read_again_the_same(tags: dict[str, str]) -> None:
    text = "; ".join(["v=TLSRPTv1", *(f"{name}={value}" for name, value in tags.items())])
    assert _read(text) == text
