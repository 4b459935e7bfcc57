# SPDX-License-Identifier: Apache-2.0
"""Where a private key begins and ends in a text: the mask hides nothing but the key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.dkim import concealing
from unit.dns.domains import SPF
from unit.dns.test_private_keys_in_dns import PUBLIC
from unit.dns.verifying.test_private_keys import LONG


@given(
    st.lists(st.sampled_from(["v=spf1", "include:a.example", "mx", "a", "-all", "x=y", "p=reject;",
        "google-site-verification=abcdefghijklmnop", "ip4:192.0.2.0/24", "k=rsa;"]), max_size=6),
    st.lists(st.sampled_from(["-all", "include:b.example", "mx", "exists:%{i}.example", "~all",
        "rua=mailto:a@example.com", "redirect=example.net", "ms=ms12345678"]), max_size=6),
    st.sampled_from(sorted(LONG.values())),
)  # fmt: skip
def test_only_the_key_is_masked(before: list[str], after: list[str], secret: str) -> None:
    text = " ".join([*before, secret, *after])
    expected = " ".join([*before, concealing.MASK, *after])
    assert concealing.concealed(text) == expected
    assert concealing.without_private(text) == " ".join([*before, *after])
    keys = concealing.PrivateKeys([text])
    assert keys
    assert keys.concealed(expected) == expected
    assert keys.concealed(f"{expected} {PUBLIC}") == f"{expected} {PUBLIC}"


#: Keys in forms that have no blank, and what may stand between them, nothing included.
_TIGHT = sorted(text for text in LONG.values() if not set(text) & set(" ;,\n"))
_BESIDE = st.sampled_from(
    ["", "; ", ";", " ", ",", ", ", "p=", "=", "mx", "v=DKIM1; ", "rua=", PUBLIC]
)


@given(st.lists(st.sampled_from(_TIGHT) | _BESIDE, min_size=1, max_size=9).map("".join))
def test_nothing_of_several_keys_is_left(text: str) -> None:
    shown, left = concealing.concealed(text), concealing.without_private(text)
    for each in (shown, left or ""):
        assert not concealing.spans(each)
        assert not any(secret[:40] in each for secret in _TIGHT)


@pytest.mark.parametrize("text", [SPF, PUBLIC, "", f"v=DKIM1; p={PUBLIC}", "MIIE" * 30, "M" * 200])
def test_what_is_no_private_key_stays(text: str) -> None:
    assert concealing.spans(text) == ()
    assert concealing.concealed(text) == text
    assert not concealing.PrivateKeys([text])
