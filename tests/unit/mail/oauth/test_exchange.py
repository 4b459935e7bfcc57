# SPDX-License-Identifier: Apache-2.0
"""Where a form of secrets may go, by its URL alone: https to a host with a name; and the answer
is not shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.oauth.exchange import TokenAnswer, place_of


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://login.example.com/token", ("login.example.com", 443)),
        ("https://LOGIN.example.com:8443/token?a=b", ("login.example.com", 8443)),
        ("https://login.example.com:443", ("login.example.com", 443)),
        ("http://login.example.com/token", ("", 0)),
        ("https://user@login.example.com/token", ("", 0)),
        ("https://login.example.com@evil.example.net/", ("", 0)),
        ("https://192.0.2.1/token", ("", 0)),
        ("https://[2001:db8::1]/token", ("", 0)),
        ("https://[2001:db8::a]/token", ("2001:db8::a", 443)),
        ("https://login.example.com./token", ("", 0)),
        ("https://login.example.com:99999/token", ("", 0)),
        ("https:///token", ("", 0)),
        ("login.example.com", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_places(url: str, place: tuple[str, int]) -> None:
    assert place_of(url) == place


@given(st.text())
def test_any_text_leads_to_https_or_nowhere(text: str) -> None:
    host, port = place_of(text)
    assert (host == "") == (port == 0)
    assert not host or text.lstrip().lower().startswith("https:")


def test_an_answer_does_not_show_its_document() -> None:
    assert "secret" not in repr(TokenAnswer(200, json.loads('{"access_token": "secret"}')))
