# SPDX-License-Identifier: Apache-2.0
"""Key records at a glance: what is wrong with each, and that no text breaks the parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import dkim

ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"v=DKIM1; k=ed25519; p={ED25519}", None),
        (f"k=ed25519; p={ED25519}", None),
        (f"k=ed25519;p= {ED25519[:20]} \t{ED25519[20:]} ;", None),
        (f"v=dkim1; k=ed25519; p={ED25519}", "v="),
        (f"k=ed25519; v=DKIM1; p={ED25519}", "v="),
        ("v=DKIM1; k=rsa", "no p="),
        (f"p={ED25519}; p={ED25519}", "twice"),
        (f"k=ed25519; h=sha1; p={ED25519}", "sha256"),
        (f"k=ed25519; s=tlsrpt; p={ED25519}", "email"),
        ("p=not*base64", "base64"),
        (f"k=rsa; p={ED25519}", "RSA"),
        (f"k=rot13; p={ED25519}", "k="),
        ("v=DKIM1 k=rsa p=AAAA", "v="),
    ],
)
def test_key_records(text: str, problem: str | None) -> None:
    found = dkim.parse(text)
    assert (found.key is not None) is (problem is None)
    assert (problem or "") in (found.problem or "")


def test_an_empty_p_is_revoked() -> None:
    assert dkim.parse("v=DKIM1; p=").revoked


@given(st.text())
def test_no_text_breaks_the_key_parser(text: str) -> None:
    dkim.parse(text)
    dkim.looks_like_key(text)
    dkim.read_expected(text)
