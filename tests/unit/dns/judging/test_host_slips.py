# SPDX-License-Identifier: Apache-2.0
"""What was typed where only a host can stand. Covers: what is told of it; which host was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.judging.host_slips import form_of, means


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://mx1.mailprovider.net/", "URL"),
        ("smtp:mx1.mailprovider.net", "scheme"),
        ("me@mx1.mailprovider.net", "mail address"),
        ("mx1.mailprovider.net:25", "port"),
        ('"mx1.mailprovider.net"', "quotation marks"),
        ("<mx1.mailprovider.net>", "brackets"),
        ("mx1,mailprovider,net", "comma"),
        ("mx1.mailprovider.net\\;", "semicolon"),
        ("mx1\\046mailprovider\\046net", "escaped dot"),
        ("mx1.mailprovider.net/", "slash"),
        ("mx1..mailprovider.net", "two dots"),
    ],
)
def test_what_was_typed_around_a_host_is_told(text: str, said: str) -> None:
    assert said in form_of(text)
    assert means(text, "mx1.mailprovider.net") or ".." in text
    assert not means(text, "mx2.mailprovider.net")


@given(st.text(max_size=40))
def test_a_host_that_is_right_was_not_mistyped(text: str) -> None:
    assert form_of(text)
    assert not means("mx1.mailprovider.net", "mx1.mailprovider.net")
    assert isinstance(means(text, "mx1.mailprovider.net"), bool)
