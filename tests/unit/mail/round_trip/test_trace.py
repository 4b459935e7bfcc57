# SPDX-License-Identifier: Apache-2.0
"""Hops from Received fields: names, protocols, times, delays that are never negative, bounds."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.round_trip.header import read_header
from postroom.mail.round_trip.trace import HOPS_LIMIT, Hop, trace


def hops(*bodies: str) -> tuple[Hop, ...]:
    return trace(read_header("".join(f"Received: {body}\r\n" for body in bodies).encode()))


def at(second: int) -> datetime:
    return datetime(2026, 3, 4, 5, 6, second, tzinfo=UTC)


def test_the_way_of_a_message() -> None:
    first, second, third = hops(
        "from mx.google.com by 2002:a05:7300::1 with SMTP id q; Wed, 4 Mar 2026 05:06:09 +0000",
        "from Out.Example.COM (out.example.com. [192.0.2.7])\r\n by mx.google.com with ESMTPS id a"
        "\r\n for <x@y.example> (version=TLS1_3; cipher=X);\r\n 03 Mar 2026 21:06:08 -0800 (PST)",
        "from [192.0.2.9] (helo=laptop) by out.example.com (Exim; 4.9) with esmtpsa\r\n"
        " (envelope-from <a@b>) id 1; Wed, 4 Mar 2026 05:06:01 +0000",
    )
    assert first == Hop("[192.0.2.9]", "out.example.com", "esmtpsa", at(1), None)
    assert second == Hop("out.example.com", "mx.google.com", "ESMTPS", at(8), 7)
    assert third == Hop("mx.google.com", "2002:a05:7300::1", "SMTP", at(9), 1)


def test_microsofts_protocol_has_three_words() -> None:
    (hop,) = hops(
        "from a.example by b.example with Microsoft SMTP Server (version=x) id 1; nothing"
    )
    assert hop == Hop("a.example", "b.example", "Microsoft SMTP Server", None, None)


def test_delays_are_not_negative() -> None:
    later, earlier = (f"by a.example; Wed, 4 Mar 2026 05:06:0{one} +0000" for one in (9, 2))
    assert [hop.delay for hop in hops(earlier, later)] == [None, 0]


def test_a_hop_without_time_is_passed_over() -> None:
    times = [f"by a.example; Wed, 4 Mar 2026 05:06:0{one} +0000" for one in (9, 2)]
    assert [hop.delay for hop in hops(times[0], "by b.example; soon", times[1])] == [None, None, 7]


@pytest.mark.parametrize(
    "time",
    [
        "Wed, 04 Mar 2026 05:06:07 -0000",
        "4 Mar 2026 05:06:07 GMT",
        "Wed,  4 Mar 2026 06:06:07 +0100 (CET)",
        "Wed, 4 Mar 26 05:06:07 +0000",
    ],
)
def test_times(time: str) -> None:
    assert hops(f"by a.example; {time}")[0].time == at(7)


@pytest.mark.parametrize(
    "time",
    [
        "",
        "yesterday",
        "Wed, 99 Mar 2026 05:06:07 +0000",
        "Wed, 4 Mar 2026 05:06:07 +999999",
        "Fri, 31 Dec 9999 23:59:59 -2300",
        "Wed, 4 Mar 2026 05:06:07 +0000" + "0" * 5000,
    ],
)
def test_no_times(time: str) -> None:
    assert hops(f"by a.example; {time}")[0].time is None


@pytest.mark.parametrize(
    "body", ["", ";", "by", "from by with", "by (a) ; x", "nonsense", "by a_b!"]
)
def test_what_says_nothing(body: str) -> None:
    assert hops(body) == (Hop(None, None, None, None, None),)


def test_odd_protocols_are_left_out() -> None:
    assert hops("by a.example with <script> id 1")[0].protocol is None
    assert hops(f"by a.example with {'X' * 60} id 1")[0].protocol is None


def test_the_last_hops_are_kept() -> None:
    second = [f"by h{one}.example; Wed, 4 Mar 2026 05:06:{59 - one:02} +0000" for one in range(40)]
    found = hops(*second)
    assert len(found) == HOPS_LIMIT
    assert [one.server for one in found][-1] == "h0.example"
    assert {one.delay for one in found} == {1}


def test_no_fields() -> None:
    assert hops() == ()


PIECES = st.sampled_from(
    [
        "from",
        "by",
        "with",
        "id",
        ";",
        " ",
        "(",
        ")",
        '"',
        "a.example",
        "ESMTPS",
        "[1.2.3.4]",
        "4 Mar",
    ]
)


@given(st.lists(st.lists(PIECES | st.text(max_size=5), max_size=20).map(" ".join), max_size=6))
def test_reading_never_fails(bodies: list[str]) -> None:
    found = hops(*bodies)
    assert len(found) <= HOPS_LIMIT
    assert all(one.delay is None or one.delay >= 0 for one in found)


@given(st.text(max_size=60))
def test_any_text_may_stand_for_a_time(text: str) -> None:
    (hop, *_) = hops(f"by a.example; {text}")
    assert hop.time is None or hop.time.tzinfo is UTC


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=HOPS_LIMIT))
def test_delays_add_up_where_clocks_agree(seconds: list[int]) -> None:
    seconds = sorted(seconds)
    times = [format_datetime(datetime.fromtimestamp(second, UTC)) for second in seconds]
    found = hops(*(f"by a.example; {time}" for time in reversed(times)))
    assert found[0].delay is None
    assert sum(one.delay or 0 for one in found) == seconds[-1] - seconds[0]
