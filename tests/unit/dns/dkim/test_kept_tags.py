# SPDX-License-Identifier: Apache-2.0
"""What a key record says besides its key, in the record that is offered in its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.dkim import left_out, parse, record_for, staying, with_tags_of
from unit.dns.diagnosis_looks import KEY

WANTED = parse(f"p={KEY}").key
assert WANTED is not None
BARE = record_for(WANTED)


def kept(*texts: str) -> str:
    assert WANTED is not None
    value = with_tags_of(BARE, texts, WANTED)
    record = parse(value)
    assert record.usable
    assert record.key == WANTED
    head, separator, key = value.partition("; p=")
    assert BARE.endswith(separator + key)
    return head.removeprefix("v=DKIM1; k=rsa").removeprefix("; ")


@pytest.mark.parametrize(
    ("text", "stays", "said"),
    [
        (f"v=DKIM1; k=rsa; h=sha1; t=s; p={KEY}", "t=s", "h=sha1"),
        (f"v=DKIM1; h=sha1; s=email; n=of 2024; t=y:s; p={KEY}", "s=email; n=of 2024; t=y:s", "h="),
        (f"v=DKIM1; k=rsa; s=tlsrpt; t=s; h=sha256; p={KEY}", "t=s; h=sha256", "s=tlsrpt"),
        (f"v=DKIM1; k=rsa; t=s; h=sha1:sha256; p={KEY[:90]}", "t=s; h=sha1:sha256", ""),
        (f"v=DKIM1; k=rsa; t=s; p={KEY} ; {KEY[:40]}==", "t=s", ""),
        # Damage around the tags does not take them away.
        (f"v=DKIM1 k=rsa t=s p={KEY}", "t=s", ""),
        (f"k=rsa t=s; p={KEY}", "t=s", ""),
        (f'"v=DKIM1; k=rsa; t=s; p={KEY}"', "t=s", ""),
        (f"v%3DDKIM1%3B%20t%3Ds%3B%20p%3D{KEY.replace('+', '%2B')}", "t=s", ""),
        (f"v=dkim1; k=rsa; s=*; t=s; p={KEY}", "s=*; t=s", ""),
        # No tag of a key, or none that anybody should read any more.
        (f"v=DKIM1; h=sha1; x=1; g=info; p={KEY}", "", "h=sha1; x=1; g=info"),
        (f"v=DKIM1; h=sha1; t=; n=; p={KEY}", "", "h=sha1"),
        (KEY, "", ""),
        ("google-site-verification=abc", "", ""),
    ],
)
def test_sound_tags_stay_and_the_others_are_named(text: str, stays: str, said: str) -> None:
    assert kept(text) == stays
    sentence = left_out([text], f"{BARE}; {stays}" if stays else BARE)
    assert sentence.startswith(f"The fix leaves out {said}") if said else sentence == ""
    assert "t=s" not in sentence


def test_of_several_the_one_with_the_right_key_tells() -> None:
    right, wrong = f"v=DKIM1; t=s; p={KEY}", f"v=DKIM1; n=old; t=y; p={KEY[:50]}"
    assert kept(wrong, right) == "t=s"
    assert left_out([wrong, right], f"v=DKIM1; t=s; p={KEY}") == "The fix leaves out n=old; t=y."
    assert kept(wrong, f"t=s; p={KEY[:60]}") == "n=old; t=y"


def test_what_is_left_out_is_named_within_bounds() -> None:
    tags = "; ".join(f"x{number}={number}" for number in range(9))
    sentence = left_out([f"v=DKIM1; {tags}; p={KEY}"], BARE)
    assert sentence == "The fix leaves out x0=0; x1=1; x2=2; x3=3; x4=4; x5=5 and 3 more."


_TAG = st.sampled_from(
    [
        "h=sha1",
        "h=sha256",
        "s=email",
        "s=tlsrpt",
        "t=s",
        "t=y",
        "n=a b",
        "n=a;b",
        "g=*",
        "x=1",
        "h=",
    ]
)


@given(st.lists(st.one_of(_TAG, st.text(max_size=20)), max_size=8), st.sampled_from([KEY, ""]))
def test_nothing_goes_unsaid_and_the_key_stays(tags: list[str], key: str) -> None:
    text = "; ".join(["v=DKIM1", *tags, f"p={key}"])
    assert WANTED is not None
    value = with_tags_of(BARE, [text], WANTED)
    assert parse(value).key == WANTED
    assert parse(value).usable
    sentence = left_out([text], value)
    for tag in set(tags) & {"t=s", "t=y", "s=email", "h=sha256", "n=a b", "x=1"}:
        if parse(text).problem is None or parse(text).fault is None:
            assert tag in value or tag in sentence


@pytest.mark.parametrize(
    ("stays", "goes"),
    [
        # Mail with an identity below the domain passed at whoever took this one.
        ("", "t=s; "),
        ("", "t=s; n=a note; s=email; "),
        ("h=sha256; s=email; ", ""),
        ("n=of 2024; ", "k=rsa; "),
        ("", "t=y; n=of 2024; "),
        ("t=y; ", "t=s; "),
        # What no receiver takes is no right record, however much it permits.
        ("t=s; ", "h=sha1; "),
        ("t=y:s; ", "s=tlsrpt; "),
    ],
)
def test_of_several_records_of_a_key_that_stays_which_refuses_least(stays: str, goes: str) -> None:
    assert WANTED is not None
    kept, gone = (f"v=DKIM1; {tags}p={KEY}" for tags in (stays, goes))
    assert staying([kept, gone], WANTED) == staying([gone, kept], WANTED) == kept


@given(st.permutations([f"v=DKIM1; {tags}p={KEY}" for tags in ("", "t=s; ", "t=y; ", "n=a; ")]))
def test_which_record_stays_does_not_hang_on_the_order_of_the_answer(texts: list[str]) -> None:
    assert WANTED is not None
    assert staying(texts, WANTED) == f"v=DKIM1; n=a; p={KEY}"


def test_nothing_stays_of_records_that_no_receiver_takes() -> None:
    assert WANTED is not None
    assert staying([f"v=DKIM1; h=sha1; p={KEY}", "v=DKIM1; p="], WANTED) is None
