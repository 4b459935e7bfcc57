# SPDX-License-Identifier: Apache-2.0
"""What a zone must say, computed the plain way: by looking at all of its records each time."""

from __future__ import annotations

from collections.abc import Mapping

Labels = tuple[str, ...]
Records = Mapping[Labels, Mapping[str, list[str]]]


def suffixes(name: Labels) -> list[Labels]:
    """A name relative to the apex and all above it, the apex, (), last."""
    return [name[at:] for at in range(len(name) + 1)]


def expected(records: Records, name: Labels, kind: str) -> tuple[str, list[str]]:
    """What is found for a question, and the values: a verdict of `dnsworld.zone.Found`."""
    for above in reversed(suffixes(name)[:-1]):
        cut = records.get(above, {}).get("NS")
        if cut and not (above == name and kind == "DS"):
            return "REFERRAL", sorted(cut)
    existing = {above for owner in [*records, ()] for above in suffixes(owner)}
    source = name
    if name not in existing:
        encloser = max((suffix for suffix in suffixes(name) if suffix in existing), key=len)
        source = ("*", *encloser)
        if source not in existing:
            return "NX_DOMAIN", []
    there = records.get(source, {})
    if kind in there:
        return "ANSWER", sorted(there[kind])
    if "CNAME" in there:
        return "ALIAS", there["CNAME"]
    return "NO_DATA", []
