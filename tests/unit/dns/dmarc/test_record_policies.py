# SPDX-License-Identifier: Apache-2.0
"""Policy records at a glance: what applies, what is none, and that no text breaks the parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import dmarc


@pytest.mark.parametrize(
    ("text", "policy", "rua"),
    [
        ("v=DMARC1; p=reject; rua=mailto:A@x.org!10m,https://x", "reject", ("mailto:a@x.org",)),
        ("v = DMARC1 ;p=quarantine", "quarantine", ()),
        ("v=DMARC1; p=reject; t=y", "quarantine", ()),
        ("v=DMARC1; rua=mailto:a@x.org", "none", ("mailto:a@x.org",)),
    ],
)
def test_policy_records(text: str, policy: str, rua: tuple[str, ...]) -> None:
    assert dmarc.is_dmarc(text)
    found = dmarc.parse(text)
    assert (found.policy.value, found.rua, found.problem) == (policy, rua, None)


@pytest.mark.parametrize("text", ["v=DMARC", "v=dmarc1; p=none", "p=none; v=DMARC1", "v=DMARC11"])
def test_what_is_no_policy_record(text: str) -> None:
    assert not dmarc.is_dmarc(text)


@given(st.text())
def test_no_text_breaks_the_policy_parser(text: str) -> None:
    dmarc.parse(f"v=DMARC1; {text}")
    dmarc.looks_like_dmarc(text)
