# SPDX-License-Identifier: Apache-2.0
"""Report addresses: the URIs of rua= and ruf= (RFC 9989 section 4.6, RFC 3986, RFC 6068)."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from postroom.dns.texts.mailto import MAILTO, mail_address

#: Most URIs of one list that are read: receivers bound it too, and nobody has that many.
URI_LIMIT = 64
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
#: Every character that RFC 3986 allows, without those that RFC 9989 wants encoded (``,`` ``!``).
_URI_CHARS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@$&'()*+=-]|%[0-9A-Fa-f]{2})+")
#: The size limit of RFC 7489; RFC 9989 took it away, and receivers ignore it.
_SIZE = re.compile(r"!([0-9]{1,20}[kmgtKMGT]?)")
_NOT_IN_URI = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~:/?#\[\]@$&'()*+=%-]")
#: Schemes that nobody registered, and that stand for mailto where an address follows.
MISSPELT = frozenset(
    {"mail", "email", "e-mail", "mailt", "malto", "mailo", "maito", "mialto", "mailot", "mailtto"}
)


@dataclass(frozen=True, slots=True)
class ReportURI:
    """One URI of a list as it is written, and what receivers make of it.

    `uri` is without the obsolete `size`. `address` is the mail address that gets the reports, its
    escapes decoded and in lowercase, and `destination` its domain; both are None for other schemes,
    which receivers may not support. `position` counts characters from the start of the record.
    `problem` says why receivers ignore it.
    """

    text: str
    position: int
    uri: str
    size: str | None = None
    address: str | None = None
    problem: str | None = None

    @property
    def valid(self) -> bool:
        """Whether it is a URI at all (RFC 3986): enough to make p= dispensable."""
        return self.problem is None

    @property
    def destination(self) -> str | None:
        return None if self.address is None else self.address.rpartition("@")[2]


def parse_list(value: str, position: int = 0) -> tuple[ReportURI, ...]:
    """Read a comma-separated list that begins at `position`; never raises, keeps the order.

    Empty items are left out, and what lies behind `URI_LIMIT` items.
    """
    found: list[ReportURI] = []
    for count, item in enumerate(value.split(",", URI_LIMIT)):
        text = item.strip(" \t")
        if text and count < URI_LIMIT:
            found.append(parse(text, position + len(item) - len(item.lstrip(" \t"))))
        position += len(item) + 1
    return tuple(found)


def parse(text: str, position: int = 0) -> ReportURI:
    """Read one URI; never raises."""
    uri, mark, suffix = text.partition("!")
    size = None
    if mark:
        match = _SIZE.fullmatch(mark + suffix)
        if match is None:
            return ReportURI(text, position, text, problem="holds a ! that is not encoded as %21")
        size = match[1]
    if _SCHEME.match(uri) is None:
        problem = "lacks mailto:" if "@" in uri else "is not a URI"
        return ReportURI(text, position, uri, size, problem=problem)
    if _URI_CHARS.fullmatch(uri) is None:
        return ReportURI(text, position, uri, size, problem="holds a character no URI may hold")
    scheme = uri.partition(":")[0].lower()
    if scheme in MISSPELT and "@" in uri:
        return ReportURI(text, position, uri, size, problem="does not begin with mailto:")
    if scheme != "mailto":
        return ReportURI(text, position, uri, size)
    address = mail_address(uri)
    missing = None if address else "has no mail address behind mailto:"
    return ReportURI(text, position, uri, size, address, missing)


def encoded(uri: str) -> str:
    """Write a URI so that it can stand in a record: what may not stand there is encoded."""
    return _NOT_IN_URI.sub(lambda match: quote(match[0], safe=""), uri)


def key_of(uri: str) -> str:
    """Return what is equal for two URIs that report to the same place."""
    found = parse(uri)
    return f"{MAILTO}{found.address}" if found.address else found.uri.lower()
