# SPDX-License-Identifier: Apache-2.0
"""Whatever lines a server sends: what is read from them fits into status."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.imap.examine import opened
from postroom.mail.imap.fetching import fetched, searched
from postroom.mail.imap.listing import (
    NAME_LIMIT,
    listed,
    personal_namespace,
    special_uses,
)
from postroom.mail.imap.quota import quotas
from postroom.mail.imap.scan import positions_in

LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b'LIST (\\Junk) "/" "Spam"',
                b"LIST (\\Junk) NIL {3}",
                b"abc",
                b'NAMESPACE (("" "/")) NIL NIL',
                b"NAMESPACE ((",
                b'QUOTA "" (STORAGE 1 2)',
                b'QUOTA "" (STORAGE 1',
                b"1 FETCH (UID 7 INTERNALDATE NIL)",
                b"SEARCH 1 2 x 99999999999",
                b"STATUS x (UIDNEXT 1 UIDVALIDITY 2)",
                b"3 EXISTS",
                b"OK [UIDNEXT 0] x",
            ]
        ),
        st.binary(max_size=30).map(lambda one: b"LIST (\\Junk) NIL " + one),
        st.binary(max_size=30).map(lambda one: b"QUOTA x (STORAGE " + one + b")"),
        st.binary(max_size=30).map(lambda one: b"1 FETCH (UID 1 INTERNALDATE " + one + b")"),
    ),
    max_size=12,
)


@given(LINES)
def test_any_lines_fit_into_status(lines: list[bytes]) -> None:
    uses = special_uses(listed(lines))
    assert all(0 < len(use) <= 32 and len(name) <= NAME_LIMIT for use, name in uses.items())
    assert all(name.isprintable() for name in uses.values())
    for quota in quotas(lines):
        assert quota is None or (0 <= quota.used < 2**63 and 0 < quota.limit < 2**63)
    own = personal_namespace(lines)
    assert own is None or own.prefix.isprintable()
    for one in fetched(lines):
        assert one.received_at is None or one.received_at.utcoffset() == timedelta()
    assert all(0 < uid < 2**32 for uid in searched(lines))
    assert all(
        position.uid_next > 0 and position.uid_validity > 0 for position in positions_in(lines)
    )
    found = opened(lines)
    assert found is None or found.messages >= 0
