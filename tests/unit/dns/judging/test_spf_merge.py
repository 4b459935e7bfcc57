# SPDX-License-Identifier: Apache-2.0
"""What SPF records are merged from: the records in one text, and the terms that can go."""

from __future__ import annotations

import pytest

from postroom.dns.judging.spf_merge import records_in, without_ballast
from postroom.dns.spf import Fetched

OTHERS = {
    "a.net": Fetched(("v=spf1 ip4:192.0.2.0/24 -all",)),
    "c.net": Fetched(("v=spf1 ip4:198.51.100.0/24 -all",)),
    "gone.net": Fetched(missing=True),
}


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("v=spf1 a -all", ["v=spf1 a -all"]),
        ("v=spf1 a -all v=spf1 mx ~all", ["v=spf1 a -all", "v=spf1 mx ~all"]),
        ("v=spf1 a  V=SPF1 include:a.net", ["v=spf1 a", "V=SPF1 include:a.net"]),
        ("v=spf1 a v=spf1 redirect=A.net.", ["v=spf1 a", "v=spf1 redirect=A.net."]),
        ("v=spf1 a v=spf1 mx v=spf1 -all", ["v=spf1 a", "v=spf1 mx", "v=spf1 -all"]),
        # A version that nothing follows is no record, unless there is no other.
        ("v=spf1 v=spf1 mx", ["v=spf1 mx"]),
        ("v=spf1", ["v=spf1"]),
        ("v=spf1 v=spf1", ["v=spf1 v=spf1"]),
        ("v=spf1 a v=spf10 mx", ["v=spf1 a v=spf10 mx"]),
        # Of what stands behind the first, every name must have been looked up.
        ("v=spf1 a v=spf1 include:x.net", ["v=spf1 a v=spf1 include:x.net"]),
        ("v=spf1 a v=spf1 redirect=x.net", ["v=spf1 a v=spf1 redirect=x.net"]),
        ("v=spf1 include:x.net v=spf1 a", ["v=spf1 include:x.net", "v=spf1 a"]),
        ("v=spf1 a v=spf1 include:%{i}.net", ["v=spf1 a", "v=spf1 include:%{i}.net"]),
        ("v=spf1 a v=spf1 include:%{d}.a", ["v=spf1 a v=spf1 include:%{d}.a"]),
    ],
)
def test_records_that_were_pasted_behind_one_another_are_told_apart(
    text: str, records: list[str]
) -> None:
    assert records_in(text, OTHERS, "x.net") == records


@pytest.mark.parametrize(
    ("text", "lean", "gone"),
    [
        ("v=spf1 include:a.net -all", "v=spf1 include:a.net -all", ()),
        (
            "v=spf1 include:gone.net include:a.net -all",
            "v=spf1 include:a.net -all",
            ("include:gone.net",),
        ),
        (
            "v=spf1 include:a.net include:a.net include:c.net include:gone.net ~all",
            "v=spf1 include:a.net include:c.net ~all",
            ("include:a.net", "include:gone.net"),
        ),
    ],
)
def test_only_terms_without_which_nobody_fails_are_taken_out(
    text: str, lean: str, gone: tuple[str, ...]
) -> None:
    assert without_ballast(text, OTHERS, "example.com") == (lean, gone)


def test_no_more_than_ten_terms_are_taken_out_of_one_record() -> None:
    lean, gone = without_ballast(f"v=spf1{' include:a.net' * 13} -all", OTHERS, "example.com")
    assert gone == ("include:a.net",) * 10
    assert lean == f"v=spf1{' include:a.net' * 3} -all"
