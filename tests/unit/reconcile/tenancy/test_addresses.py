# SPDX-License-Identifier: Apache-2.0
"""One address in several namespaces: who keeps it, whatever happened in which order.

Covers: age and its ties; who holds the domain; who is at rest; accounts of one namespace, which are
no matter of the book; random histories against a scan of what there is; that news of a domain
concerns whoever contends for an address in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.reconcile.tenancy.addresses import AddressBook, Contention
from postroom.reconcile.tenancy.claims import Claim, ClaimBook

ADDRESS, DOMAIN = "support@send.example.com", "send.example.com"
NOBODY = ClaimBook()


def key(namespace: str, name: str = "support") -> Key:
    return Key(Kind.EMAIL_ACCOUNT, namespace, name)


def held(*claims: Claim) -> ClaimBook:
    book = ClaimBook()
    for claim in claims:
        book.note(claim)
    return book


def verified(namespace: str, domain: str = DOMAIN, **facts: bool) -> Claim:
    return Claim(namespace, "d", domain, verified_at="2026-11-01T00:00:00Z", **facts)


def two(claims: ClaimBook = NOBODY, *, rests: bool = False) -> tuple[Contention, Contention]:
    """An older account in ``a``, and a younger one in ``b``."""
    book = AddressBook()
    book.note(key("b"), ADDRESS.upper(), "2026-11-02T00:00:00Z")
    book.note(key("a"), ADDRESS, "2026-11-01T00:00:00Z", at_rest=rests)
    return book.contention(key("a"), claims), book.contention(key("b"), claims)


def test_the_older_one_keeps_it() -> None:
    assert two() == (Contention.KEPT, Contention.LOST)


def test_among_equally_old_ones_the_name_decides() -> None:
    book = AddressBook()
    for namespace in ("b", "a"):
        book.note(key(namespace), ADDRESS, "2026-11-01T00:00:00Z")
    assert book.contention(key("a"), NOBODY) is Contention.KEPT
    assert book.contention(key("b"), NOBODY) is Contention.LOST


@pytest.mark.parametrize(
    ("claim", "has_it"),
    [
        (verified("b"), True),
        (verified("b", "example.com", proven=True), True),
        # A value that everybody can read proves nothing of what lies below.
        (verified("b", "example.com"), False),
        (verified("b", "other.example.com"), False),
        (replace(verified("b"), verified_at=""), False),
        (verified("b", lapsed=True), False),
        (verified("b", suspended=True), False),
        (verified("c"), False),
    ],
)
def test_who_has_the_domain_verified_is_kept_out_by_nobody(claim: Claim, has_it: bool) -> None:
    lost, kept = Contention.LOST, Contention.KEPT
    assert two(held(claim)) == ((lost, kept) if has_it else (kept, lost))


def test_a_domain_that_is_another_namespaces_vouches_for_nothing() -> None:
    proven = verified("a", proven=True)
    later = replace(verified("b"), verified_at="2026-11-09T00:00:00Z")
    assert two(held(proven, later)) == (Contention.KEPT, Contention.LOST)


def test_who_is_at_rest_keeps_nobody_out() -> None:
    assert two(rests=True)[1] is Contention.NONE


def test_accounts_of_one_namespace_do_not_contend_here() -> None:
    book = AddressBook()
    book.note(key("a", "one"), ADDRESS, "2")
    book.note(key("a", "two"), ADDRESS, "1")
    assert book.contention(key("a", "one"), NOBODY) is Contention.NONE
    book.note(key("b"), ADDRESS, "3")
    assert book.contention(key("a", "one"), NOBODY) is Contention.KEPT


def test_news_of_a_domain_concerns_who_contends_for_its_addresses() -> None:
    book = AddressBook()
    for namespace in ("a", "b"):
        book.note(key(namespace), ADDRESS)
    book.note(key("a", "alone"), f"alone@{DOMAIN}")
    assert book.contended_in(DOMAIN) == book.contended_in("example.com") == [key("a"), key("b")]
    assert book.contended_in("d.example.com") == book.contended_in(f"x.{DOMAIN}") == []
    book.forget(key("b"))
    assert book.contended_in(DOMAIN) == []


@dataclass(frozen=True)
class Account:
    """What a scan would see."""

    address: str
    created: str
    rests: bool


HISTORY = st.lists(
    st.tuples(
        st.builds(key, st.sampled_from("abc"), st.sampled_from("xy")),
        st.none()
        | st.builds(
            Account,
            st.sampled_from(["s@send.example.com", "S@send.example.com", "t@send.example.com"]),
            st.sampled_from("123"),
            st.booleans(),
        ),
    ),
    max_size=30,
)


@given(HISTORY, st.sets(st.sampled_from("abc")))
def test_the_book_says_what_a_scan_would(
    history: list[tuple[Key, Account | None]], holders: set[str]
) -> None:
    book, known = AddressBook(), dict[Key, Account]()
    claims = held(*(verified(namespace, proven=True) for namespace in holders))
    for each, account in history:
        if account is None:
            book.forget(each)
            known.pop(each, None)
        else:
            book.note(each, account.address, account.created, at_rest=account.rests)
            known[each] = account
    for address in ("s@send.example.com", "t@send.example.com"):
        active = [
            each
            for each, account in known.items()
            if account.address.lower() == address and not account.rests
        ]
        ranks = {
            each: (each.namespace not in holders, known[each].created, each) for each in active
        }
        verdicts = {each: book.contention(each, claims) for each in active}
        if len({each.namespace for each in active}) < 2:
            assert set(verdicts.values()) <= {Contention.NONE}
            continue
        first = min(active, key=lambda each: ranks[each]).namespace
        for each, verdict in verdicts.items():
            assert verdict is (Contention.KEPT if each.namespace == first else Contention.LOST)
    for each in known:
        others = {other for other in known if other.namespace != each.namespace}
        rivals = {o for o in others if known[o].address.lower() == known[each].address.lower()}
        assert set(book.elsewhere(each.namespace, known[each].address.upper())) == rivals
