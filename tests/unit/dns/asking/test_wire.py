# SPDX-License-Identifier: Apache-2.0
"""DNS messages: queries and their replies, values as text, alias chains, odd names, what can be
asked at all.
"""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.asking.wire import (
    EDNS_PAYLOAD,
    Section,
    View,
    answer_of,
    is_reply,
    make_query,
    read_answer,
    read_reply,
)
from postroom.dns.names import and_ancestors, can_be_asked, canonical

ASKED = Question("a.example", RecordType.TXT)


def message(*records: tuple[str, str, str]) -> dns.message.Message:
    reply = dns.message.make_response(dns.message.make_query("a.example.", "TXT"))
    reply.answer += [
        dns.rrset.from_text(f"{owner}.", 60, "IN", kind, text) for owner, kind, text in records
    ]
    return dns.message.from_wire(reply.to_wire())


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("TXT", '"one" " two"', "one two"),
        ("TXT", '"caf\\233"', "caf\xe9"),
        ("MX", "5 MX.Example.", "5 mx.example"),
        ("MX", "0 .", "0 ."),
        ("NS", "NS.Example.", "ns.example"),
        ("AAAA", "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_values_are_texts(kind: str, text: str, value: str) -> None:
    found = read_answer(message(("a.example", kind, text)), Question("a.example", RecordType(kind)))
    assert isinstance(found, Section)
    assert (found.aliases, found.values, found.ttl) == ((), (value,), 60)


def test_a_chain_inside_one_message_is_followed() -> None:
    reply = message(("a.example", "CNAME", "B.example."), ("b.example", "TXT", '"end"'))
    assert read_answer(reply, ASKED) == Section(("b.example",), ("end",), 60, (("end",),))


@pytest.mark.parametrize("target", ["x\\.\\.example.", "x\\..", "\\000\\255.", "."])
def test_odd_targets_are_read(target: str) -> None:
    found = read_answer(message(("a.example", "CNAME", target)), ASKED)
    assert isinstance(found, Section)
    assert not can_be_asked(found.aliases[0])


def test_a_loop_is_malformed() -> None:
    reply = message(("a.example", "CNAME", "b.example."), ("b.example", "CNAME", "a.example."))
    assert read_answer(reply, ASKED) is Outcome.MALFORMED


def test_records_of_other_owners_do_not_answer() -> None:
    assert read_answer(message(("b.example", "TXT", '"x"')), ASKED) == Section((), (), None)


@given(st.text(max_size=300))
def test_whatever_can_be_asked_fits_into_a_query(text: str) -> None:
    name = canonical(text)
    if can_be_asked(name):
        assert dns.message.make_query(f"{name}.", "TXT").to_wire()


@pytest.mark.parametrize("name", ["_dmarc.example.com", "a", "xn--bcher-kva.example", "1.2.3.4"])
def test_ordinary_names_can_be_asked(name: str) -> None:
    assert can_be_asked(name)


def test_the_way_up_ends_at_the_top_level() -> None:
    assert list(and_ancestors("a.b.example")) == ["a.b.example", "b.example", "example"]


@pytest.mark.parametrize("edns", [True, False])
@pytest.mark.parametrize("view", View)
def test_queries_are_absolute_and_carry_the_flags_of_the_view(view: View, *, edns: bool) -> None:
    query = dns.message.from_wire(make_query(ASKED, view, edns=edns))
    assert query.question[0].name == dns.name.from_text("a.example.")
    assert (query.flags, query.edns) == (view.value, 0 if edns else -1)
    assert query.payload == (EDNS_PAYLOAD if edns else 0)
    assert bool(query.flags & dns.flags.RD) == view.recursive


def test_ids_are_random() -> None:
    queries = [make_query(ASKED, View.RESOLVER, edns=True) for _ in range(50)]
    assert len({query[:2] for query in queries}) > 40
    assert len({query[2:] for query in queries}) == 1


@given(st.binary(max_size=80), st.integers(0, 79), st.integers(0, 255))
def test_a_reply_belongs_to_its_query_alone(tail: bytes, at: int, byte: int) -> None:
    query = make_query(ASKED, View.NAMESERVER, edns=True)
    end = 12 + len(b"\x01a\x07example\x00") + 4
    reply = query[:2] + b"\x84\x00" + query[4:end] + tail
    assert is_reply(query, reply)
    altered = reply[:at] + bytes([byte]) + reply[at + 1 :]
    matters = at < 2 or at in (4, 5) or 12 <= at < end
    if matters and altered.lower() != reply.lower():
        assert not is_reply(query, altered)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (dns.rcode.NOERROR, "NoData"),
        (dns.rcode.NXDOMAIN, "NXDomain"),
        (dns.rcode.SERVFAIL, "ServerFailure"),
        (dns.rcode.REFUSED, "Refused"),
        (dns.rcode.NOTIMP, "ServerFailure"),
    ],
)
def test_codes_have_their_outcome(code: dns.rcode.Rcode, outcome: str) -> None:
    reply = message()
    reply.set_rcode(code)
    assert answer_of(reply, ASKED, "server").outcome == outcome


@pytest.mark.parametrize(("ttl", "minimum", "kept"), [(60, 3600, 60), (3600, 60, 60)])
def test_a_denial_is_kept_as_the_soa_says(ttl: int, minimum: int, kept: int) -> None:
    reply = message()
    soa = f"ns. host. 1 1 1 1 {minimum}"
    reply.authority.append(dns.rrset.from_text("example.", ttl, "IN", "SOA", soa))
    assert answer_of(reply, ASKED, "server").ttl == kept


def test_a_reply_that_is_read_once_answers_for_each_server_and_each_question() -> None:
    reply = message(("a.example", "TXT", '"x"'), ("a.example", "MX", "5 mx.example."))
    others = Question("a.example", RecordType.MX)
    questions = [ASKED, ASKED, others, ASKED]
    answers = [answer_of(reply, one, f"ns{at}.example") for at, one in enumerate(questions)]
    assert [one.values for one in answers] == [("x",), ("x",), ("5 mx.example",), ("x",)]
    assert [one.question for one in answers] == questions
    assert [one.server for one in answers] == [f"ns{at}.example" for at in range(4)]


def test_a_denial_without_soa_is_not_kept() -> None:
    assert answer_of(message(), ASKED, "server").ttl is None


def test_extended_errors_are_told_sorted_and_bounded() -> None:
    reply = message()
    options: list[dns.edns.Option] = [
        dns.edns.EDEOption(dns.edns.EDECode.make(code)) for code in (22, 9, 9, *range(10, 30))
    ]
    reply.use_edns(0, options=options)
    errors = answer_of(reply, ASKED, "server").errors
    assert errors == (9, 10, 11, 12, 13, 14, 15, 16)


def test_tlsa_records_are_one_line() -> None:
    data = "ab" * 64
    found = read_answer(
        message(("a.example", "TLSA", f"3 1 2 {data}")), Question("a.example", RecordType.TLSA)
    )
    assert isinstance(found, Section) and found.values == (f"3 1 2 {data}",)


def raw(*records: tuple[str, str, str], code: int = 0) -> bytes:
    """A reply with each record by itself, as dnspython would not write it."""
    query = dns.message.make_query("a.example.", "TXT")
    query.id = 1
    wire = bytearray(dns.message.make_response(query).to_wire())
    wire[3] |= code
    wire[6:8] = len(records).to_bytes(2)
    for owner, kind, text in records:
        name = dns.name.from_text(owner).to_wire()
        data = dns.rdata.from_text("IN", kind, text).to_wire()
        assert name is not None and data is not None
        number = int(dns.rdatatype.from_text(kind))
        wire += name + number.to_bytes(2) + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2) + data
    return bytes(wire)


ONE, OTHER = ("a.example", "CNAME", "b.example."), ("a.example", "CNAME", "c.example.")
END = ("b.example", "TXT", '"end"')


@pytest.mark.parametrize(
    "records", [(ONE, OTHER), (OTHER, ONE), (OTHER, ONE, END), (ONE, END, OTHER)]
)
def test_of_two_aliases_none_is_taken(records: tuple[tuple[str, str, str], ...]) -> None:
    """dnspython keeps the last of them; resolvers take another, or none."""
    assert read_reply(raw(*records)) is Outcome.MALFORMED


@pytest.mark.parametrize("records", [(ONE, ONE, END), (END, ONE, END), (ONE, END, END)])
def test_what_is_there_twice_is_there_once(records: tuple[tuple[str, str, str], ...]) -> None:
    reply = read_reply(raw(*records))
    assert isinstance(reply, dns.message.Message)
    assert read_answer(reply, ASKED) == Section(("b.example",), ("end",), 60, (("end",),))


@given(st.binary(min_size=2, max_size=2), st.binary(min_size=2, max_size=2))
def test_what_servers_say_alike_is_read_once(one: bytes, other: bytes) -> None:
    """They are asked by another id each time, which says nothing."""
    wire = raw(("a.example", "TXT", '"one"'))[2:]
    first, again = read_reply(one + wire), read_reply(other + wire)
    assert again is first
    assert read_answer(message(("a.example", "TXT", '"one"')), ASKED) == read_answer(first, ASKED)


def test_what_is_long_is_not_kept() -> None:
    wire = raw(*(("a.example", "TXT", f'"{number:0200}"') for number in range(3)))
    assert len(wire) > 512
    assert read_reply(wire) is not read_reply(wire)


def test_a_reply_that_denies_what_it_shows_says_nothing() -> None:
    nxdomain = int(dns.rcode.NXDOMAIN)
    for records in ([("a.example", "TXT", '"x"')], [ONE, END]):
        reply = read_reply(raw(*records, code=nxdomain))
        assert answer_of(reply, ASKED, "server").outcome is Outcome.MALFORMED
    reply = read_reply(raw(ONE, code=nxdomain))
    assert answer_of(reply, ASKED, "server").outcome is Outcome.NX_DOMAIN


DELEGATED = ("d.example", "DNAME", "e.example.")


@pytest.mark.parametrize(
    ("name", "aliases"),
    [
        ("x.y.d.example", ("x.y.e.example",)),
        ("d.example", ()),
        ("xd.example", ()),
    ],
)
def test_a_dname_leads_on_where_the_server_has_made_no_alias(
    name: str, aliases: tuple[str, ...]
) -> None:
    end = (aliases[0] if aliases else name, "TXT", '"end"')
    found = read_answer(message(DELEGATED, end), Question(name, RecordType.TXT))
    assert isinstance(found, Section) and (found.aliases, found.values) == (aliases, ("end",))


def test_what_a_dname_makes_that_is_no_name_is_malformed() -> None:
    long = ".".join(["x" * 63] * 3)
    record = ("d.example", "DNAME", f"{'y' * 63}.example.")
    asked = Question(f"{long}.d.example", RecordType.TXT)
    assert read_answer(message(record), asked) is Outcome.MALFORMED


SERVERS, ORIGIN = ("example", "NS", "ns.example."), ("example", "SOA", "ns. host. 1 2 3 4 5")


@pytest.mark.parametrize(
    ("above", "outcome"),
    [
        ((), Outcome.NO_DATA),
        ((ORIGIN,), Outcome.NO_DATA),
        ((SERVERS, ORIGIN), Outcome.NO_DATA),
        ((SERVERS,), Outcome.REFUSED),
    ],
)
def test_who_names_servers_and_denies_nothing_gives_no_answer(
    above: tuple[tuple[str, str, str], ...], outcome: Outcome
) -> None:
    reply = message()
    for owner, kind, text in above:
        reply.authority.append(dns.rrset.from_text(f"{owner}.", 60, "IN", kind, text))
    assert answer_of(reply, ASKED, "server").outcome is outcome
