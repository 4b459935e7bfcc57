# SPDX-License-Identifier: Apache-2.0
"""What the address of a page asks for: read strictly, and written so that it is read the same."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Kind
from postroom.report.query import LONGEST, NOT_READY, STATES, Query, QueryUnusable, query_of
from postroom.report.shape import Turn


@pytest.mark.parametrize(
    ("given_", "asked"),
    [
        ([], Query()),
        # As a form sends it in which nothing was chosen.
        ([("q", ""), ("state", ""), ("kind", " "), ("namespace", ""), ("page", "")], Query()),
        ([("q", " Example  COM ")], Query(q="Example  COM")),
        ([("state", "notready")], Query(state=NOT_READY)),
        ([("state", "Yours")], Query(state="Yours")),
        ([("kind", "emailaccounts")], Query(kind="EmailAccount")),
        ([("kind", "MAILSERVER")], Query(kind="MailServer")),
        ([("namespace", "a"), ("page", "12")], Query(namespace="a", page=12)),
        # What is not ours is somebody else's, such as a proxy's.
        ([("utm_source", "x"), ("Q", "x")], Query()),
    ],
)
def test_what_is_given_is_read(given_: list[tuple[str, str]], asked: Query) -> None:
    assert query_of(given_) == asked


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ([("state", "Broken")], "state is one of NotReady, Yours, Behind, Retried, "),
        ([("kind", "Secret")], "kind is one of SendingDomain, MailServer, EmailAccount"),
        ([("page", "0")], "page is the number of a page, from 1 on"),
        ([("page", "-1")], "page is the number of a page, from 1 on"),
        ([("page", "1e3")], "page is the number of a page, from 1 on"),
        ([("page", "٣")], "page is the number of a page, from 1 on"),
        ([("page", "9" * 5000)], "page is the number of a page, from 1 on"),
        ([("q", "x" * (LONGEST + 1))], f"q has more than {LONGEST} characters"),
        ([("namespace", "x" * 5000)], f"namespace has more than {LONGEST} characters"),
        ([("state", "Yours"), ("state", "Behind")], "state is given more than once"),
    ],
)
def test_what_cannot_be_meant_is_refused(given_: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(QueryUnusable) as caught:
        query_of(given_)
    assert str(caught.value).startswith(sentence)


@given(st.lists(st.tuples(st.sampled_from([*Query._fields, "x"]), st.text(max_size=300))))
def test_whatever_is_given_is_read_or_refused_and_repeats_nothing(
    pairs: list[tuple[str, str]],
) -> None:
    try:
        asked = query_of(pairs)
    except QueryUnusable as error:
        assert str(error).isascii() and str(error).isprintable()
        return
    asked.link.encode("ascii")
    assert all(len(value) <= LONGEST for value in asked if isinstance(value, str))


@given(
    st.builds(
        Query,
        q=st.text(max_size=20),
        state=st.sampled_from(["", *STATES]),
        kind=st.sampled_from(["", *(kind.value for kind in Kind)]),
        namespace=st.text(max_size=20),
        page=st.integers(1, 10**7 - 1),
    )
)
def test_an_address_is_read_as_it_was_written(asked: Query) -> None:
    asked = query_of((name, str(value)) for name, value in asked._asdict().items())
    assert asked.link.startswith("?")
    assert query_of(parse_qsl(asked.link[1:], strict_parsing=False)) == asked


def test_not_ready_is_all_that_neither_works_nor_rests() -> None:
    inside = {turn for turn in Turn if Query(state=NOT_READY).in_state(turn)}
    assert inside == set(Turn) - {Turn.NOBODY, Turn.ADVISED, Turn.RESTING}
    assert all(Query().in_state(turn) for turn in Turn)
    assert [turn for turn in Turn if Query(state="Behind").in_state(turn)] == [Turn.BEHIND]


def test_a_page_alone_leaves_nothing_out() -> None:
    assert not Query(page=3).filters
    assert Query(q="x").filters
