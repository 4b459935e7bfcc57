# SPDX-License-Identifier: Apache-2.0
"""Terms by which everyone passes, without an ``all`` that says so: found by who passes, and closed.

Who may send as anyone needs no ``+all`` for it: ``ip4:0.0.0.0/0``, ``a/0``, an include of a record
that ends in ``+all`` and an ``exists`` of a name that is always there come to the same.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_interface, ip_network

from postroom.dns.spf.budget import Fetched
from postroom.dns.spf.passing import matched_by
from postroom.dns.spf.record import Record, Term
from postroom.dns.spf.repair import Edit, leaving_out
from postroom.dns.spf.requirement import Requirement
from postroom.dns.spf.spans import Spans, span_of, united, without
from postroom.dns.texts.quoting import quoted

#: The addresses that mail comes from over the Internet: unicast, and neither loopback nor "this
#: network" nor private (RFC 6890; RFC 4291 section 2.4 with RFC 4193).
SENDERS: Mapping[int, Spans] = {
    4: without(
        (span_of(ip_network("0.0.0.0/0")),),
        united(
            span_of(ip_network(block))
            for block in ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")
        ),
    ),
    6: (span_of(ip_network("2000::/3")),),
}
#: Of terms that let everyone pass together, those are meant that let so large a part pass.
_LARGE = 256
#: The least prefix lengths of a host that may be meant.
_NARROW4, _NARROW6 = 8, 16
_OPENS = "lets everyone pass"


def open_terms(record: Record, others: Mapping[str, Fetched], domain: str) -> tuple[Term, ...]:
    """Return the terms by which every sender of an IP version passes, in their order.

    Those that admit a large part of all, where it takes several. An ``all`` is none of them, and
    whom another term refuses before does not count: nobody lists the rest of the world.
    """
    found: dict[int, Term] = {}
    for version, senders in SENDERS.items():
        matched = matched_by(record, version, others, domain, senders)
        left = sorted(matched, key=lambda pair: _size(pair[1]), reverse=True)
        while left and not without(senders, united(span for _, spans in left for span in spans)):
            large = [
                pair
                for at, pair in enumerate(left)
                if at == 0 or _size(pair[1]) * _LARGE > _size(senders)
            ]
            found |= {term.start: term for term, _ in large}
            left = left[len(large) :]
    return tuple(term for _, term in sorted(found.items()))


def is_required(term: Term, required: Requirement) -> bool:
    """Whether the spec asks for a term itself, however many pass by it."""
    if term.name in ("include", "redirect"):
        return term.target in {name.removesuffix(".").lower() for name in required.includes}
    return term.network is not None and term.network in required.networks


def closing(
    record: Record, required: Requirement, others: Mapping[str, Fetched], domain: str
) -> Iterator[Edit]:
    """Yield what closes a record: a host or address without its prefix, else the term left out.

    What the spec requires itself stays.
    """
    for term in open_terms(record, others, domain):
        if is_required(term, required):
            continue
        plain = _without_prefix(term)
        if plain is not None:
            change = f"writes {quoted(term.text)} as {quoted(plain)}"
            doubt = f"The fix reads {quoted(term.text)} as {quoted(plain)}: the former {_OPENS}."
            yield Edit(term.start, term.end, plain, change, doubts=(doubt,))
            continue
        edit = leaving_out(term.start, term.text, _OPENS)
        if term.name == "redirect":
            # What it leads to ended the record, too.
            edit = Edit(edit.start, edit.end, required.all_term, edit.change, edit.left_out)
        yield edit


def _without_prefix(term: Term) -> str | None:
    """A host, or a single address, whose prefix length makes all the world of it."""
    bare, slash, _ = term.text.partition("/")
    if not slash:
        return None
    if term.network is not None:
        address = ip_interface(f"{bare.partition(':')[2]}/{term.network.prefixlen}")
        return bare if address.ip != address.network.network_address else None
    if term.name not in ("a", "mx"):
        return None
    kept4 = f"/{term.prefix4}" if _NARROW4 <= term.prefix4 < 32 else ""
    kept6 = f"//{term.prefix6}" if _NARROW6 <= term.prefix6 < 128 else ""
    return f"{bare}{kept4}{kept6}"


def _size(spans: Spans) -> int:
    return sum(last - first + 1 for first, last in spans)
