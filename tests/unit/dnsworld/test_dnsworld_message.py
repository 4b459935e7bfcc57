# SPDX-License-Identifier: Apache-2.0
"""The kit's own codec against dnspython's: queries, replies, compression, truncation, garbage."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsworld.message import NotAQuery, Query, Reply, read_query, write_reply
from dnsworld.names import name_of, text_of
from dnsworld.rdata import RRset, presentation, rdata_of, type_of, type_text

names = st.lists(st.sampled_from(["a", "bb", "_x", "mail", "example"]), min_size=1, max_size=4).map(
    ".".join
)
texts = st.text(max_size=300)
records = st.one_of(
    st.tuples(st.just("A"), st.just("192.0.2.1")),
    st.tuples(st.just("AAAA"), st.just("2001:db8::1")),
    st.tuples(st.sampled_from(["CNAME", "NS", "PTR", "DNAME"]), names),
    st.tuples(st.just("MX"), names.map(lambda name: f"10 {name}")),
    st.tuples(st.just("SOA"), names.map(lambda name: f"{name} {name} 1 2 3 4 5")),
    st.tuples(st.sampled_from(["TXT", "SPF"]), texts),
)
rrsets = st.tuples(names, records, st.integers(0, 86400)).map(
    lambda one: RRset(
        name_of(one[0]), type_of(one[1][0]), one[2], (rdata_of(type_of(one[1][0]), one[1][1]),)
    )
)


def query_for(name: str, *, edns: bool = True) -> tuple[dns.message.Message, Query]:
    theirs = dns.message.make_query(name, "TXT", use_edns=0 if edns else None)
    return theirs, read_query(theirs.to_wire())


@settings(max_examples=200, deadline=None)
@given(names, st.lists(rrsets, max_size=5), st.lists(rrsets, max_size=3))
def test_dnspython_reads_what_is_written(
    name: str, answer: list[RRset], authority: list[RRset]
) -> None:
    theirs, mine = query_for(name)
    reply = Reply(authoritative=True, answer=answer, authority=authority)
    read = dns.message.from_wire(write_reply(mine, reply), one_rr_per_rrset=True)
    assert theirs.is_response(read)
    assert read.flags & dns.flags.AA
    for section, wanted in ((read.answer, answer), (read.authority, authority)):
        assert [written(one) for one in section] == [
            (text_of(one.owner), type_text(one.type), one.ttl, presentation(one.type, one.data[0]))
            for one in wanted
        ]


def written(rrset: dns.rrset.RRset) -> tuple[str, str, int, str]:
    owner = rrset.name.to_text(omit_final_dot=True)
    return owner, dns.rdatatype.to_text(rrset.rdtype), rrset.ttl, rrset[0].to_text()


@given(names, st.booleans(), st.integers(0, 65535))
def test_queries_are_read_as_dnspython_wrote_them(name: str, edns: bool, payload: int) -> None:
    theirs = dns.message.make_query(
        name.upper(), "MX", use_edns=0 if edns else None, payload=payload if edns else None
    )
    theirs.flags |= dns.flags.CD
    mine = read_query(theirs.to_wire())
    assert (text_of(mine.name), mine.type, mine.id) == (name, type_of("MX"), theirs.id)
    assert mine.checking_disabled
    assert mine.recursion_desired
    assert mine.payload == (max(payload, 512) if edns else None)


@given(st.binary(max_size=80))
def test_garbage_is_no_query(wire: bytes) -> None:
    try:
        read = read_query(wire)
    except NotAQuery:
        return
    assert wire[12:].lower().startswith(read.name)


def test_a_reply_is_no_query() -> None:
    theirs, _ = query_for("example.com")
    with pytest.raises(NotAQuery, match="no query"):
        read_query(dns.message.make_response(theirs).to_wire())


def test_what_does_not_fit_is_truncated() -> None:
    theirs, mine = query_for("example.com")
    txt = rdata_of(type_of("TXT"), "x" * 600)
    reply = Reply(answer=[RRset(mine.name, type_of("TXT"), 300, (txt,))])
    read = dns.message.from_wire(write_reply(mine, reply, 512), continue_on_error=True)
    assert read.flags & dns.flags.TC
    assert read.answer == []
    assert theirs.is_response(read)


def test_additional_records_go_before_the_answer_does() -> None:
    _, mine = query_for("example.com")
    address = RRset(name_of("mx.example.com"), type_of("A"), 300, (rdata_of(1, "192.0.2.1"),))
    txt = RRset(mine.name, type_of("TXT"), 300, (rdata_of(type_of("TXT"), "x" * 400),))
    whole = Reply(answer=[txt], additional=[address] * 8)
    read = dns.message.from_wire(write_reply(mine, whole, 512))
    assert (len(read.answer), read.additional, read.flags & dns.flags.TC) == (1, [], 0)


def test_a_reply_to_a_query_without_opt_has_none() -> None:
    _, mine = query_for("example.com", edns=False)
    assert dns.message.from_wire(write_reply(mine, Reply())).edns == -1


def test_extended_rcode_and_errors_stand_in_the_opt() -> None:
    _, mine = query_for("example.com")
    read = dns.message.from_wire(write_reply(mine, Reply(16, errors=(6, 22))))
    assert read.rcode() == 16
    assert [int(error.code) for error in read.extended_errors()] == [6, 22]


def test_the_question_keeps_its_case() -> None:
    theirs = dns.message.make_query("eXamPle.com", "TXT")
    wire = write_reply(read_query(theirs.to_wire()), Reply())
    assert wire[12:25] == theirs.to_wire()[12:25]
