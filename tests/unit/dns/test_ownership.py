# SPDX-License-Identifier: Apache-2.0
"""Ownership: tokens that a key and a namespace make, where they count, and what they prove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.ownership import (
    OwnershipRules,
    challenge,
    derive_token,
    is_token,
    proves,
    speaks_for,
    tokens,
)

#: ``printf mail/example.com | openssl dgst -sha256 -hmac key -binary | base32``, the first 32.
KNOWN = "la7b3wjqxalaeq5pge2i5tquwisxayjm"


def test_the_token_is_the_same_in_every_version() -> None:
    """A record that was published once must prove control for ever."""
    assert derive_token(b"key", "mail", "example.com") == KNOWN
    assert challenge(b"key", "mail", "example.com") == (
        "_postroom-challenge.example.com",
        f"postroom-verification={KNOWN}",
    )


NAMES = st.text(alphabet="ab-", min_size=1, max_size=4)
# Of one length: HMAC fills short keys up with zeros.
ORIGINS = st.tuples(st.binary(min_size=4, max_size=4), NAMES, NAMES)


@given(ORIGINS, ORIGINS)
def test_another_key_namespace_or_domain_makes_another_token(
    one: tuple[bytes, str, str], other: tuple[bytes, str, str]
) -> None:
    assert (derive_token(*one) == derive_token(*other)) is (one == other)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (f"postroom-verification={KNOWN}", True),
        (' "Postroom-Verification=x" ', True),
        ("postroom-verification", False),
        ("x postroom-verification=y", False),
        ("google-site-verification=y", False),
    ],
)
def test_what_is_a_token_of_postroom(text: str, ours: bool) -> None:
    assert is_token(text) is ours


@pytest.mark.parametrize(
    ("name", "speaks"),
    [
        ("example.com", True),
        ("_postroom-challenge.example.com", True),
        ("_a._b.example.com", True),
        ("www.example.com", False),
        ("_a.www.example.com", False),
        ("www._a.example.com", False),
        ("com", False),
        ("_a.notexample.com", False),
        ("_a.example.net", False),
    ],
)
def test_which_names_speak_for_a_domain(name: str, speaks: bool) -> None:
    assert speaks_for(name, "example.com") is speaks


def test_every_key_proves_and_the_first_is_to_be_published() -> None:
    made = tokens([b"new", b"old"], "mail", "example.com")
    assert made == tuple(challenge(key, "mail", "example.com")[1] for key in (b"new", b"old"))
    for token in made:
        assert proves([("example.com", token)], [b"new", b"old"], "mail", "example.com")
        assert not proves([("example.com", token)], [b"new", b"old"], "other", "example.com")
        assert not proves([("www.example.com", token)], [b"new", b"old"], "mail", "example.com")
    assert not proves([("example.com", made[1])], [b"new"], "mail", "example.com")
    assert not proves([("example.com", f"{made[0]} ")], [b"new"], "mail", "example.com")
    assert not proves([], [b"new"], "mail", "example.com")
    assert not proves([("example.com", made[0])], [], "mail", "example.com")


def test_messages_are_marked_with_the_operators_key_or_with_one_of_this_process() -> None:
    assert OwnershipRules((b"new", b"old")).message_keys == (b"new", b"old")
    made = OwnershipRules().message_keys
    assert [len(key) for key in made] == [32]
    assert OwnershipRules().message_keys == made
    assert "secret" not in repr(OwnershipRules((b"secret",)))
