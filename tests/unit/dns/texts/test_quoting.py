# SPDX-License-Identifier: Apache-2.0
"""Foreign texts in status: printable, bounded, and still told apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.texts.quoting import quoted


@given(st.text())
def test_quoted_texts_are_printable_and_bounded(text: str) -> None:
    shown = quoted(text)
    assert len(shown) <= 300
    assert all(" " <= char <= "~" or char == "…" for char in shown)
