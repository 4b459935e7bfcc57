# SPDX-License-Identifier: Apache-2.0
"""Sets of addresses of one family, as sorted spans that neither overlap nor touch."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from operator import itemgetter

from postroom.dns.spf.record import Network

#: The first and the last address, as numbers.
Span = tuple[int, int]
Spans = tuple[Span, ...]


def span_of(block: Network) -> Span:
    """Return the addresses of a network."""
    return int(block.network_address), int(block.broadcast_address)


def samples(blocks: Iterable[Network]) -> Iterator[IPv4Address | IPv6Address]:
    """Yield the first address of each network, and the first that no network before it holds:
    where several overlap, others decide on the rest of a wide one."""
    before: dict[int, Spans] = {4: (), 6: ()}
    for block in blocks:
        yield block.network_address
        for low, _ in without((span_of(block),), before[block.version])[:1]:
            yield block.network_address + (low - int(block.network_address))
        before[block.version] = united((*before[block.version], span_of(block)))


def united(spans: Iterable[Span]) -> Spans:
    """Bring spans into order, those that touch made one."""
    made: list[Span] = []
    for first, last in sorted(spans):
        if made and first <= made[-1][1] + 1:
            made[-1] = made[-1][0], max(made[-1][1], last)
        else:
            made.append((first, last))
    return tuple(made)


def without(spans: Spans, gone: Spans) -> Spans:
    """Return the addresses of the one set that the other does not hold."""
    left = list(spans)
    for span in gone:
        take(left, span)
    return tuple(left)


def take(spans: list[Span], wanted: Span) -> Spans:
    """Take what of a span is there out of sorted spans, in place, and return it."""
    first, last = wanted
    begin = bisect_left(spans, first, key=itemgetter(1))
    end, taken, kept = begin, list[Span](), list[Span]()
    while end < len(spans) and spans[end][0] <= last:
        low, high = spans[end]
        taken.append((max(low, first), min(high, last)))
        if low < first:
            kept.append((low, first - 1))
        if high > last:
            kept.append((last + 1, high))
        end += 1
    spans[begin:end] = kept
    return tuple(taken)


def take_all(spans: list[Span], wanted: Sequence[Span]) -> list[Span]:
    """Take what of several spans is there."""
    return [taken for span in wanted for taken in take(spans, span)]
