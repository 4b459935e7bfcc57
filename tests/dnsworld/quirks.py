# SPDX-License-Identifier: Apache-2.0
"""What DNS hosts make of what a user types: names, texts and targets.

Pure: values in, values out. `dnsworld.hosts` applies the outcome to a zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

import dns.name

from dnsworld.rdata import STRING_LIMIT, split

_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)


class HostRefusal(ValueError):
    """The host does not take what was typed."""


class Quotes(Enum):
    """What becomes of quotes around a text."""

    UNDERSTOOD = auto()  # they are not part of it, and ``"a" "b"`` are two strings
    KEPT = auto()  # what is typed is stored
    ADDED = auto()  # and two more around it


class LongText(Enum):
    """What becomes of a text beyond 255 octets that came as one string."""

    SPLIT = auto()  # into several strings of one record, as it should be
    TRUNCATED = auto()
    SPLIT_INTO_RECORDS = auto()
    REFUSED = auto()


@dataclass(frozen=True)
class Quirks:
    """How a DNS host departs from the plain meaning of what is typed; by default not at all."""

    appends_zone: bool = False  # to any name, even to a full one
    ignores_last_dot: bool = False  # a full name with its last dot is no exception
    literal_at: bool = False
    strips_underscores: bool = False
    quotes: Quotes = Quotes.UNDERSTOOD
    long_text: LongText = LongText.SPLIT
    joins_with_space: bool = False  # the strings of a text that was typed as several
    lowercases_values: bool = False
    plus_becomes_space: bool = False
    escapes_semicolons: bool = False
    appends_zone_to_targets: bool = False  # of CNAME, MX and NS, where the last dot is missing
    joins_preference: bool = False  # an MX value is taken for a host, with the number in it
    flattens_aliases: bool = False
    proxies_aliases: bool = False
    allows_alias_beside: bool = False  # a CNAME and other records at one name
    overwrites: bool = False  # a second record of one name and type replaces the first
    defaults: tuple[tuple[str, str, str], ...] = ()  # (name, type, value) in every new zone


NICE = Quirks()

#: Every quirk on its own, by name.
QUIRKS: dict[str, Quirks] = {
    "nice": NICE,
    "appends-zone": Quirks(appends_zone=True),
    "appends-zone-always": Quirks(appends_zone=True, ignores_last_dot=True),
    "literal-at": Quirks(literal_at=True),
    "strips-underscores": Quirks(strips_underscores=True),
    "keeps-quotes": Quirks(quotes=Quotes.KEPT),
    "adds-quotes": Quirks(quotes=Quotes.ADDED),
    "truncates": Quirks(long_text=LongText.TRUNCATED),
    "splits-into-records": Quirks(long_text=LongText.SPLIT_INTO_RECORDS),
    "refuses-long": Quirks(long_text=LongText.REFUSED),
    "joins-with-space": Quirks(joins_with_space=True),
    "lowercases": Quirks(lowercases_values=True),
    "plus-to-space": Quirks(plus_becomes_space=True),
    "escapes-semicolons": Quirks(escapes_semicolons=True),
    "appends-zone-to-targets": Quirks(appends_zone_to_targets=True),
    "joins-preference": Quirks(joins_preference=True),
    "flattens": Quirks(flattens_aliases=True),
    "proxies": Quirks(proxies_aliases=True),
    "alias-beside": Quirks(allows_alias_beside=True),
    "overwrites": Quirks(overwrites=True),
    "wildcard": Quirks(defaults=(("*", "TXT", "parked"), ("*", "A", "203.0.113.80"))),
}


def read_name(typed: str, apex: str, quirks: Quirks = NICE) -> str:
    """The name, absolute and in presentation form, that a host makes of what was typed.

    Without quirks, a name that ends in the zone's is taken as absolute, any other as relative.
    Raises `HostRefusal` for a label that is empty or too long.
    """
    text = typed.strip()
    if quirks.strips_underscores:
        text = text.replace("_", "")
    if text == "" or (text == "@" and not quirks.literal_at):
        return apex
    absolute = text.endswith(".") and not quirks.ignores_last_dot
    text = text.removesuffix(".")
    lowered = text.lower()
    ends_in_zone = lowered == apex or lowered.endswith("." + apex)
    if ends_in_zone and not quirks.appends_zone:
        absolute = True
    return escape(text) if absolute else f"{escape(text)}.{apex}"


def read_target(typed: str, apex: str, quirks: Quirks = NICE) -> str:
    """The name that a CNAME, MX or NS record gets as its target."""
    text = typed.strip()
    if text == ".":
        return text
    if quirks.appends_zone_to_targets and not text.endswith("."):
        return f"{escape(text)}.{apex}"
    return escape(text.removesuffix("."))


def escape(text: str) -> str:
    """Write what was typed as a name whose labels hold exactly the characters between the dots.

    Raises `HostRefusal`.
    """
    try:
        return dns.name.Name([label.encode() for label in text.split(".")]).to_text()
    except (dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong) as error:
        raise HostRefusal(f"{text[:80]!r} is not a name.") from error


def read_text(typed: str, quirks: Quirks = NICE) -> list[tuple[bytes, ...]]:
    """The TXT records, as their strings, that a host makes of what was typed.

    Raises `HostRefusal` where it takes no long text.
    """
    parts = [typed]
    if quirks.quotes is Quotes.UNDERSTOOD:
        parts = _unquoted(typed) or parts
    elif quirks.quotes is Quotes.ADDED:
        parts = [f'"{typed}"']
    if quirks.joins_with_space:
        parts = [" ".join(parts)]
    strings = [_mangled(part, quirks).encode() for part in parts]
    if all(len(string) <= STRING_LIMIT for string in strings):
        return [tuple(strings)]
    match quirks.long_text:
        case LongText.SPLIT:
            return [tuple(piece for string in strings for piece in split(string))]
        case LongText.TRUNCATED:
            return [(b"".join(strings)[:STRING_LIMIT],)]
        case LongText.SPLIT_INTO_RECORDS:
            return [(piece,) for string in strings for piece in split(string)]
        case LongText.REFUSED:
            raise HostRefusal("A TXT value may have at most 255 characters.")


def _unquoted(typed: str) -> list[str]:
    """The strings of a text that is nothing but quoted strings; else none."""
    text, found, at = typed.strip(), list[str](), 0
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match is None:
            return []
        found.append(re.sub(r"\\(.)", r"\1", match[1]))
        at = match.end()
    return found


def _mangled(text: str, quirks: Quirks) -> str:
    if quirks.lowercases_values:
        text = text.lower()
    if quirks.plus_becomes_space:
        text = text.replace("+", " ")
    if quirks.escapes_semicolons:
        text = text.replace(";", "\\;")
    return text
