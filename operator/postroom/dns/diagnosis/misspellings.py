# SPDX-License-Identifier: Apache-2.0
"""The misspellings of a name that are one slip of the hand away. Pure text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest

#: Misspellings that are seen more often than others, beyond those that rules yield.
_FREQUENT: dict[str, tuple[str, ...]] = {
    "_domainkey": ("_domainkeys", "_domiankey"),
    "_dmarc": ("_dmrac", "_damrc", "_demarc", "_dmark", "_dmarc1"),
    "_smtp": ("_stmp", "_smpt"),
    "_tls": ("_tsl",),
    "_mta-sts": ("_mta_sts", "_mtasts"),
    "_bimi": ("_bimmi", "_bmi"),
}
_LOOK_ALIKE = str.maketrans({"1": "l", "l": "1", "0": "o", "o": "0"})


def misspellings(labels: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield misspelt forms of some labels, each with the label that is misspelt in it.

    The likeliest come first: those of labels with an underscore, which everybody must spell alike,
    then of the others, in turns, so that a bound cuts all of them alike.
    """
    order = sorted(range(len(labels)), key=lambda at: not labels[at].startswith("_"))
    rows = ([(at, form) for form in _of_label(labels[at])] for at in order)
    for at, form in filter(None, chain.from_iterable(zip_longest(*rows))):
        yield labels[at], (*labels[:at], form, *labels[at + 1 :])


def _of_label(label: str) -> Iterator[str]:
    """One label, with one character in the wrong place, left out, doubled, or looking alike."""
    alike = label.translate(_LOOK_ALIKE)
    plural = label[:-1] if label.endswith("s") else f"{label}s"
    swapped = (
        f"{label[:at]}{label[at + 1]}{label[at]}{label[at + 2 :]}" for at in range(len(label) - 1)
    )
    without = (label[:at] + label[at + 1 :] for at in range(len(label)))
    doubled = (label[:at] + label[at] + label[at:] for at in range(len(label)))
    found = dict.fromkeys((*_FREQUENT.get(label, ()), plural, alike, *swapped, *without, *doubled))
    yield from (slip for slip in found if slip and slip != label)
