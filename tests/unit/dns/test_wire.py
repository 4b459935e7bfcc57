# SPDX-License-Identifier: Apache-2.0
"""Reading DNS messages: values as text, alias chains, odd names, and what can be asked at all."""

from __future__ import annotations

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.names import and_ancestors, can_be_asked, canonical
from postroom.dns.wire import Section, read_answer

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
    assert found == Section((), (value,), 60)


def test_a_chain_inside_one_message_is_followed() -> None:
    reply = message(("a.example", "CNAME", "B.example."), ("b.example", "TXT", '"end"'))
    assert read_answer(reply, ASKED) == Section(("b.example",), ("end",), 60)


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
