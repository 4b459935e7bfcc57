# SPDX-License-Identifier: Apache-2.0
"""Where records end up when their name is mistyped, or changed by the DNS host. Pure text."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice, zip_longest
from typing import NamedTuple

import idna

from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.names import APEX, is_within

_KEYS = "_domainkey"
_POLICY = "_dmarc"
#: From this priority on a place is one of many that are each unlikely.
FAR = 10
#: Most misspellings of one name that are looked for.
_MISSPELLINGS_LIMIT = 32
_IDN = "xn--"
WILDCARD = "*"
#: Hosts that mail is thought to go to, so that their MX is set in the place of the domain's.
_MAIL_HOSTS = ("mail", "mx")
#: A space in a label, as zone files write it.
_SPACE = r"\032"

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


class Place(NamedTuple):
    """A name that a slip makes of the right one.

    `how` ends a sentence. `own`: what stands there may serve another domain, so that it stays.
    `telling`: whatever of the kind stands there was meant for the right name.
    """

    priority: int
    name: str
    code: Code
    how: str
    own: bool = False
    telling: bool = False


@lru_cache(maxsize=32)  # of one record they are asked for several times on end
def places(name: str, type: RecordType, domain: str, apex: str) -> tuple[Place, ...]:
    """Return the places of a record of a sending domain, each once, the right one not among them.

    `apex` is that of the zone, at or above the domain.
    """
    if not is_within(name, domain) or not is_within(domain, apex):
        return ()
    found = {place.name: place for place in sorted(_places(name, type, domain, apex), reverse=True)}
    found.pop(name, None)
    return tuple(sorted(found.values()))


def _places(name: str, type: RecordType, domain: str, apex: str) -> Iterator[Place]:
    label = "" if name == domain else name.removesuffix(f".{domain}")
    yield from _of_whole_name(name, apex)
    if domain != apex:
        yield from _of_subdomain(label, domain, apex)
    if not label:
        yield from _of_domain(type, domain, apex)
        return
    if type is RecordType.TXT and "_" in label:
        how = f"the texts of the domain itself are not where {label} is looked for"
        for holder in dict.fromkeys((domain, apex)):
            yield Place(2, holder, Code.NAME_AT_APEX, how, own=holder != domain)
        www = f"www is not where {label} is looked for"
        yield Place(6, f"www.{domain}", Code.NAME_AT_WWW, www)
        how = f"a wildcard does not hold for {name}, because there are other names beside or above"
        # One directly above the name would hold for it, as long as nothing stands there.
        above = [
            holder
            for holder in dict.fromkeys((domain, apex))
            if name != f"{label}.{holder}" or "." in label
        ]
        for holder in above:
            yield Place(7, f"{WILDCARD}.{holder}", Code.NAME_AT_WILDCARD, how, own=True)
    yield from _of_label(label, domain)
    labels = tuple(label.split("."))
    yield from _of_labels(labels, domain)
    for number, (part, made) in enumerate(islice(_misspellings(labels), _MISSPELLINGS_LIMIT)):
        fixed = part.startswith("_")
        wrong = next(
            written for written, right in zip(made, labels, strict=True) if written != right
        )
        how = f"{part} is misspelt" if fixed else f"{wrong} is not {part}"
        # The first few are as frequent as other slips.
        priority = 7 if number < 3 else FAR + number
        yield Place(priority, f"{'.'.join(made)}.{domain}", Code.NAME_TYPO, how, telling=fixed)
    how = "a space stands in the name"
    for spaced in (f"{_SPACE}{label}.", f"{label}{_SPACE}.", f"{label}.{domain}{_SPACE}."):
        yield Place(FAR, f"{spaced}{domain}", Code.NAME_URL_OR_SPACE, how, telling="_" in label)
    if "_" in label:
        yield from _rare(label, domain, apex)


def _of_whole_name(name: str, apex: str) -> Iterator[Place]:
    """What the DNS host makes of a name that was entered with the zone, or beyond ASCII.

    It adds the zone to whatever does not end in it, or to everything; some store UTF-8.
    """
    how = "the DNS host has added the zone to a name that held it already"
    yield Place(1, f"{name}.{apex}", Code.NAME_ZONE_DOUBLED, how, telling=True)
    twice = f"{how}, and once more"
    yield Place(FAR, f"{name}.{apex}.{apex}", Code.NAME_ZONE_DOUBLED, twice, telling=True)
    above = name.removesuffix(apex)
    labels = apex.split(".")
    how = "the DNS host has added the zone to a name that held a part of it already"
    for count in range(1, len(labels)):
        part = ".".join(labels[:count])
        yield Place(5, f"{above}{part}.{apex}", Code.NAME_ZONE_DOUBLED, how)
    how = "the DNS host has stored its letters beyond ASCII as they are, where DNS has xn-- forms"
    written = _as_octets(name)
    if written == name:
        return
    if _as_octets(apex) == apex:
        yield Place(2, written, Code.IDN_ULABEL, how, telling=True)
    else:
        yield Place(2, f"{written}.{apex}", Code.IDN_ULABEL, how, telling=True)
        if _as_octets(above) != above:
            yield Place(2, f"{_as_octets(above)}{apex}", Code.IDN_ULABEL, how, telling=True)


def _as_octets(name: str) -> str:
    """Write the A-labels of a name as UTF-8, the octets beyond ASCII escaped as in zone files."""
    written = []
    for label in name.split("."):
        try:
            text = idna.decode(label) if label.startswith(_IDN) else label
        except idna.IDNAError:
            text = label
        octets = (chr(octet) if octet < 128 else f"\\{octet:03d}" for octet in text.encode())
        written.append("".join(octets))
    return ".".join(written)


def _of_domain(type: RecordType, domain: str, apex: str) -> Iterator[Place]:
    how = "the DNS host took @ for a name"
    yield Place(2, f"{APEX}.{domain}", Code.NAME_LITERAL_AT, how, telling=True)
    more = f"{how}, and has added the zone to a name that held it already"
    yield Place(FAR, f"{APEX}.{domain}.{apex}", Code.NAME_LITERAL_AT, more, telling=True)
    if type not in (RecordType.MX, RecordType.TXT):
        return
    is_mx = type is RecordType.MX
    how = "mail goes to the domain, not to its website" if is_mx else "www is another name"
    yield Place(5, f"www.{domain}", Code.NAME_AT_WWW, how)
    how = "a wildcard holds for names below the domain, not for the domain itself"
    yield Place(5, f"{WILDCARD}.{domain}", Code.NAME_AT_WILDCARD, how, own=True)
    if is_mx:
        how = f"mail to addresses at {domain} goes by the MX of {domain} itself"
        for host in _MAIL_HOSTS:
            yield Place(6, f"{host}.{domain}", Code.MX_WRONG_NAME, how, own=True)


def _of_subdomain(label: str, domain: str, apex: str) -> Iterator[Place]:
    """What becomes of the part between the zone and the sending domain."""
    part = domain.removesuffix(f".{apex}")
    for _, labels in islice(_misspellings(tuple(part.split("."))), _MISSPELLINGS_LIMIT // 4):
        wrong = ".".join(labels)
        other = f"{label}.{wrong}.{apex}" if label else f"{wrong}.{apex}"
        yield Place(
            FAR + _MISSPELLINGS_LIMIT, other, Code.NAME_TYPO, f"{wrong} is not {part}", own=True
        )
    if not label:
        how = "the DNS host took @ for a name"
        yield Place(4, f"{APEX}.{domain}", Code.NAME_LITERAL_AT, how, telling=True)
        how = f"that is not the sending domain, which has {part} before it"
        yield Place(4, apex, Code.NAME_WRONG_ZONE_LEVEL, how, own=True)
        how = f"a wildcard does not hold for {domain}, below or at which there are other records"
        yield Place(7, f"{WILDCARD}.{apex}", Code.NAME_AT_WILDCARD, how, own=True)
        return
    how = f"the name lacks {part}, the part of the sending domain"
    # The zone itself may send mail too, with a policy of its own.
    if not label.startswith(_POLICY):
        yield Place(2, f"{label}.{apex}", Code.NAME_WRONG_ZONE_LEVEL, how, own=True)
    first, _, rest = label.partition(".")
    swapped = f"{first}.{part}.{rest}.{apex}" if rest else f"{part}.{label}.{apex}"
    how = f"{part} stands at the wrong place in the name"
    yield Place(3, swapped, Code.NAME_LABELS_SWAPPED, how, telling=True)


def _of_label(label: str, domain: str) -> Iterator[Place]:
    """What becomes of all that stands before the domain, taken as one text."""
    last = label.rpartition(".")[2]
    how = f"www has nothing to do with {last}"
    # No host has an underscore in its name, so that nothing else stands at such places.
    fixed = "_" in label
    for made in (f"{label}.www", f"www.{label}"):
        yield Place(6, f"{made}.{domain}", Code.NAME_AT_WWW, how, telling=fixed)
    how = f"{label} stands in it twice"
    yield Place(4, f"{label}.{label}.{domain}", Code.NAME_LABELS_SWAPPED, how, telling=fixed)
    if fixed:
        how = "the underscore is missing"
        bare = label.replace("_", "")
        yield Place(3, f"{bare}.{domain}", Code.NAME_UNDERSCORE_LOST, how, telling=True)
        how = "the underscore has become a hyphen"
        hyphened = label.replace("_", "-")
        yield Place(4, f"{hyphened}.{domain}", Code.NAME_UNDERSCORE_LOST, how, telling=True)
    yield Place(8, f"https://{label}.{domain}", Code.NAME_URL_OR_SPACE, "a URL is no name")
    how = "the DNS host took @ for a name"
    yield Place(9, f"{label}.{APEX}.{domain}", Code.NAME_LITERAL_AT, how)


def _of_labels(labels: tuple[str, ...], domain: str) -> Iterator[Place]:
    """What becomes of several labels: their order, the dots between them, one too few or many."""
    label, keys = ".".join(labels), labels[-1:] == (_KEYS,)
    how = f"the name must read {label}"
    if len(labels) < 2:
        return
    code = Code.NAME_LABELS_SWAPPED

    def place(priority: int, made: str, *, telling: bool = not keys) -> Place:
        return Place(priority, f"{made}.{domain}", code, how, telling=telling)

    for at in range(len(labels) - 1):
        swapped = (*labels[:at], labels[at + 1], labels[at], *labels[at + 2 :])
        yield place(4, ".".join(swapped))
        doubled = (*labels[:at], labels[at], *labels[at:])
        yield place(7, ".".join(doubled), telling=True)
    yield place(7, ".".join((*labels, labels[-1])), telling=True)
    for at in range(len(labels)):
        kept = (*labels[:at], *labels[at + 1 :])
        # Two labels of one standard serve nothing else alone; a selector, or the keys, may.
        fixed = len(labels) == 2 and all(part.startswith("_") for part in labels)
        yield place(3 if at else 4, ".".join(kept), telling=fixed)
    for joint in ("", "-", "_"):
        yield place(4 if not joint else 5, joint.join(labels), telling=True)
    lean = [part.removeprefix("_") for part in labels]
    for at, part in enumerate(labels):
        # With two underscores only one of them may be lost.
        if part.startswith("_") and label.count("_") > 1:
            lost = ".".join((*labels[:at], lean[at], *labels[at + 1 :]))
            how_lost = f"the underscore of {part} is missing"
            yield Place(5, f"{lost}.{domain}", Code.NAME_UNDERSCORE_LOST, how_lost, telling=True)
        elif not part.startswith("_"):
            more = ".".join((*labels[:at], f"_{part}", *labels[at + 1 :]))
            how_more = f"{part} has no underscore"
            yield Place(6, f"{more}.{domain}", Code.NAME_TYPO, how_more)


def _rare(label: str, domain: str, apex: str) -> Iterator[Place]:
    """What is seen now and then: of an underscore and the dot beside it, and of two slips at once.

    Of the two, one is in the label, the other one in what stands behind it.
    """
    first, dot, rest = label.partition(".")
    slips = [(Code.NAME_UNDERSCORE_LOST, label.replace("_", ""), "the underscore is missing")]
    if dot:
        how = "the underscore and the dot beside it are missing"
        for joint in ("-", ""):
            name = f"{first}{joint}{rest.removeprefix('_')}.{domain}"
            yield Place(FAR + 1, name, Code.NAME_UNDERSCORE_LOST, how, telling=True)
        how = f"the name must read {label}"
        for joint in ("-", ""):
            name = f"{rest}{joint}{first}.{domain}"
            yield Place(FAR + 2, name, Code.NAME_LABELS_SWAPPED, how, telling=True)
        turned = f"{rest}.{first}".replace("_", "")
        yield Place(FAR + 2, f"{turned}.{domain}", Code.NAME_LABELS_SWAPPED, how)
        slips.append((Code.NAME_LABELS_SWAPPED, f"{rest}.{first}", how))
        slips.append((Code.NAME_LABELS_SWAPPED, first, f"the name lacks {rest}"))
    else:
        how = "the underscore stands there twice"
        yield Place(FAR + 2, f"_{label}.{domain}", Code.NAME_TYPO, how, telling=True)
        how = "the underscore stands at the end"
        yield Place(FAR + 2, f"{label.strip('_')}_.{domain}", Code.NAME_UNDERSCORE_LOST, how)
    ends = [(f"{domain}.{apex}", "the DNS host has added the zone to a name that held it already")]
    if domain != apex:
        how = f"{domain} stands in it twice"
        yield Place(FAR, f"{label}.{domain}.{domain}", Code.NAME_ZONE_DOUBLED, how, telling=True)
        part = domain.removesuffix(f".{apex}")
        ends.append((apex, f"{part}, the part of the sending domain, is missing too"))
    for code, made, how in slips:
        for end, also in ends:
            # A bare name in the zone itself may be somebody's host.
            telling = "_" in made or end != apex
            own = end == apex
            name = f"{made}.{end}"
            yield Place(FAR + 1, name, code, f"{how}, and {also}", own=own, telling=telling)


def _misspellings(labels: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield misspelt forms of some labels, each with the label that is misspelt in it.

    The likeliest come first: those of labels with an underscore, which everybody must spell alike,
    then of the others, in turns, so that a bound cuts all of them alike.
    """
    order = sorted(range(len(labels)), key=lambda at: not labels[at].startswith("_"))
    rows = ([(at, form) for form in slips_in(labels[at])] for at in order)
    for at, form in filter(None, chain.from_iterable(zip_longest(*rows))):
        yield labels[at], (*labels[:at], form, *labels[at + 1 :])


def slips_in(label: str) -> Iterator[str]:
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
