# SPDX-License-Identifier: Apache-2.0
"""Where records end up when their name is mistyped, or changed by the DNS host. Pure text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from postroom.dns.answers import RecordType
from postroom.dns.names import APEX, is_within

_KEYS = "_domainkey"
_POLICY = "_dmarc"
#: The misspellings that differ from the label by one slip of the hand, the frequent ones first.
_MISSPELT: dict[str, tuple[str, ...]] = {
    _KEYS: ("_domainkeys", "_domiankey"),
    _POLICY: ("_dmrac", "_damrc", "_demarc", "_dmark", "_dmarc1"),
}
_LOOK_ALIKE = str.maketrans({"1": "l", "l": "1", "0": "o", "o": "0"})


class Place(NamedTuple):
    """A name that a slip makes of the right one.

    `how` ends a sentence. `own`: what stands there may serve another domain, so that it stays.
    `telling`: whatever of the kind stands there was meant for the right name.
    """

    priority: int
    name: str
    code: str
    how: str
    own: bool = False
    telling: bool = False


def places(name: str, type: RecordType, domain: str, apex: str) -> tuple[Place, ...]:
    """Return the places of a record of a sending domain, each once, the right one not among them.

    `apex` is that of the zone, at or above the domain.
    """
    if not is_within(name, domain) or not is_within(domain, apex):
        return ()
    found = {one.name: one for one in sorted(_places(name, type, domain, apex), reverse=True)}
    found.pop(name, None)
    return tuple(sorted(found.values()))


def _places(name: str, type: RecordType, domain: str, apex: str) -> Iterator[Place]:
    label = "" if name == domain else name.removesuffix(f".{domain}")
    yield Place(
        1,
        f"{name}.{apex}",
        "NAME_ZONE_DOUBLED",
        "the DNS host has added the zone to a name that held it already",
        telling=True,
    )
    if domain != apex:
        yield from _of_subdomain(label, domain, apex)
    if not label:
        yield from _of_domain(type, domain)
        return
    if type is RecordType.TXT and "_" in label:
        how = f"the texts of the domain itself are not where {label} is looked for"
        for one in dict.fromkeys((domain, apex)):
            yield Place(2, one, "NAME_AT_APEX", how, own=one != domain)
    yield from _of_label(label, domain)


def _of_domain(type: RecordType, domain: str) -> Iterator[Place]:
    how = "the DNS host took @ for a name"
    yield Place(2, f"{APEX}.{domain}", "NAME_LITERAL_AT", how, telling=True)
    if type is RecordType.MX:
        yield Place(
            5, f"www.{domain}", "NAME_AT_WWW", "mail goes to the domain, not to its website"
        )


def _of_subdomain(label: str, domain: str, apex: str) -> Iterator[Place]:
    """What becomes of the part between the zone and the sending domain."""
    part = domain.removesuffix(f".{apex}")
    if not label:
        how = "the DNS host took @ for a name"
        yield Place(4, f"{APEX}.{domain}", "NAME_LITERAL_AT", how, telling=True)
        return
    how = f"the name lacks {part}, the part of the sending domain"
    # The zone itself may send mail too, with a policy of its own.
    if not label.startswith(_POLICY):
        yield Place(2, f"{label}.{apex}", "NAME_WRONG_ZONE_LEVEL", how, own=True)
    first, _, rest = label.partition(".")
    swapped = f"{first}.{part}.{rest}.{apex}" if rest else f"{part}.{label}.{apex}"
    how = f"{part} stands at the wrong place in the name"
    yield Place(3, swapped, "NAME_LABELS_SWAPPED", how, telling=True)


def _of_label(label: str, domain: str) -> Iterator[Place]:
    how = f"www has nothing to do with {label.rpartition('.')[2]}"
    yield Place(5, f"{label}.www.{domain}", "NAME_AT_WWW", how, telling=True)
    if "_" in label:
        how = "the underscore is missing"
        bare = label.replace("_", "")
        yield Place(3, f"{bare}.{domain}", "NAME_UNDERSCORE_LOST", how, telling=True)
    selector, dot, last = label.rpartition(".")
    if last == _KEYS and dot:
        yield from _of_key(selector, domain)
    for misspelt in _MISSPELT.get(last, ()):
        other = f"{selector}{dot}{misspelt}.{domain}"
        yield Place(7, other, "NAME_TYPO", f"{last} is misspelt", telling=True)
    alike = selector.translate(_LOOK_ALIKE)
    if alike != selector:
        other = f"{alike}.{last}.{domain}"
        yield Place(8, other, "NAME_TYPO", f"{alike} looks like {selector}, but is not")
    if not label.startswith("_") and not dot:
        other = label[:-1] if label.endswith("s") else f"{label}s"
        if other:
            yield Place(6, f"{other}.{domain}", "NAME_TYPO", f"{other} is not {label}")
    yield Place(8, f"https://{label}.{domain}", "NAME_URL_OR_SPACE", "a URL is no name")
    yield Place(9, f"{label}.{APEX}.{domain}", "NAME_LITERAL_AT", "the DNS host took @ for a name")


def _of_key(selector: str, domain: str) -> Iterator[Place]:
    how = f"the name must read {selector}.{_KEYS}"
    for number, swapped in enumerate(
        (f"{selector}", f"{_KEYS}.{selector}", f"{selector}{_KEYS}"), start=3
    ):
        priority = min(number, 4)
        yield Place(priority, f"{swapped}.{domain}", "NAME_LABELS_SWAPPED", how)
