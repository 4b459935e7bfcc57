# SPDX-License-Identifier: Apache-2.0
"""Reads header fields as they came (RFC 5322 sections 2.2 and 3.2): bounded, and never failing."""

import re
from dataclasses import dataclass, field

#: Octets of a header that are read; mail servers themselves bound headers to about as much.
HEADER_LIMIT = 128 * 1024
_FIELDS_LIMIT = 400
_VALUE_LIMIT = 8 * 1024
#: What the modules of this package read; a scan that fetches header fields by name needs these.
FIELD_NAMES = (
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "Content-Type",
    "Precedence",
    "X-Autoreply",
    "X-Autorespond",
    "X-Postroom-Probe",
    "Received",
    "Authentication-Results",
    "Delivered-To",
    "X-Delivered-To",
    "X-Original-To",
    "Envelope-To",
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FIELD = re.compile(r"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9.-]{1,253})")


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A field: its name in lowercase, and its body unfolded (RFC 5322 section 2.2.3)."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a message, topmost first."""

    fields: tuple[HeaderField, ...]

    def all(self, name: str) -> tuple[str, ...]:
        """Return the bodies of the fields of a name, topmost first."""
        wanted = name.lower()
        return tuple(each.value for each in self.fields if each.name == wanted)

    def first(self, name: str) -> str:
        """Return the body of the topmost field of a name; empty where there is none."""
        return next(iter(self.all(name)), "")


def read_header(octets: bytes) -> Header:
    """Read header fields, up to the empty line; what is no field is passed over."""
    text = octets[:HEADER_LIMIT].decode("utf-8", "replace")
    folded: list[list[str]] = []
    for line in re.split(r"\r\n|\r|\n", text):
        if not line:
            # A header that is cut out of a message may begin with an empty line.
            if folded:
                break
        elif line[0] in " \t" and folded:
            folded[-1].append(line)
        else:
            folded.append([line])
    fields: list[HeaderField] = []
    for lines in folded:
        if len(fields) == _FIELDS_LIMIT:
            break
        if found := _FIELD.fullmatch("".join(lines)):
            value = found[2]
            if not value.isprintable():  # as most are
                value = _CONTROL.sub(" ", value)
            value = value.strip()
            fields.append(HeaderField(found[1].lower(), value[:_VALUE_LIMIT]))
    return Header(tuple(fields))


@dataclass(slots=True)
class _Words:
    """Collects words, part by part."""

    parts: list[list[str]] = field(default_factory=lambda: [[]])
    word: list[str] = field(default_factory=list)

    def end_word(self) -> None:
        if self.word:
            self.parts[-1].append("".join(self.word))
            self.word = []

    def end_part(self) -> None:
        self.end_word()
        self.parts.append([])


def words(text: str, separator: str) -> list[list[str]]:
    """Split a structured body into parts and these into words (RFC 5322 section 3.2).

    Comments, which nest, stand for white space; quoted strings lose their quotes and are part of
    the word that they stand in. `separator` is the character between the parts. An unclosed
    comment or quoted string ends with the text.
    """
    found = _Words()
    depth, quoting, escaped = 0, False, False
    for character in text[:_VALUE_LIMIT]:
        if escaped:
            escaped = False
            if not depth:
                found.word.append(character)
        elif character == "\\" and (depth or quoting):
            escaped = True
        elif quoting:
            if character == '"':
                quoting = False
            else:
                found.word.append(character)
        elif depth or character == "(":
            found.end_word()
            depth += {"(": 1, ")": -1}.get(character, 0)
        elif character == '"':
            quoting = True
        elif character == separator:
            found.end_part()
        elif character.isspace():
            found.end_word()
        else:
            found.word.append(character)
    found.end_part()
    return found.parts[:-1]


def addresses(body: str) -> tuple[str, ...]:
    """Return the addresses of a From, To or similar field, in their order.

    Only dot-atom addresses, as accounts have them; the domains in lowercase.
    """
    found: list[str] = []
    for part in words(body, ","):
        text = " ".join(part)
        if "<" in text:
            text = text.rpartition("<")[2].partition(">")[0].strip()
        elif part:
            text = part[-1]
        if _ADDRESS.fullmatch(text):
            local, _, domain = text.rpartition("@")
            found.append(f"{local}@{domain.lower()}")
    return tuple(found)


def host_name(text: str) -> str | None:
    """Return a host name in lowercase and without trailing dot; None for what is none."""
    name = text.lower()
    if len(name) > 253 or not _HOST.fullmatch(name):
        return None
    return name.rstrip(".")
