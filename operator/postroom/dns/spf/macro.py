# SPDX-License-Identifier: Apache-2.0
"""Macros of SPF (RFC 7208 section 7): their syntax, and what they expand to."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

from postroom.dns.names import NAME_LIMIT

Address = IPv4Address | IPv6Address

#: Explanations are for people: what is longer has no reader, but could exhaust memory.
_EXPLANATION_LIMIT = 4096

_TOKEN = re.compile(
    r"%\{(?P<letter>[slodiphcrtv])(?P<digits>(?:0*[1-9][0-9]*)?)(?P<reverse>r?)"
    r"(?P<delimiters>[-.+,/_=]*)\}"
    r"|%(?P<escape>[%_-])"
    r"|(?P<literal>[\x20-\x24\x26-\x7e]+)",
    re.IGNORECASE,
)
_LITERAL = re.compile(r"[\x21-\x24\x26-\x7e]*")
#: All digits and no letter or dash is no top label (section 7.1).
_TOP_LABEL = re.compile(r"(?![0-9]+$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
#: Allowed in explanation texts only (section 7.2).
_EXPLANATION_LETTERS = frozenset("crt")
#: Stands for a client where none is asked for.
_NOBODY = IPv4Address(0)
#: No name has more parts than this, so a greater number means all of them.
_PARTS_LIMIT = 9999


@dataclass(frozen=True, slots=True)
class Variables:
    """What the macro letters stand for in one evaluation (section 7.2).

    `sender` is always ``local-part@domain``; `domain` is the domain that is evaluated, which
    includes and redirects change; `validated_name` is the name of the client found by way of PTR,
    ``unknown`` if there is none; `timestamp` is in seconds since 1970.
    """

    ip: Address
    sender: str
    domain: str
    helo: str
    validated_name: str = "unknown"
    receiver: str = "unknown"
    timestamp: int = 0

    def value(self, letter: str) -> str:
        """Return what a lowercase macro letter stands for, before any transformation."""
        match letter:
            case "s":
                return self.sender
            case "l":
                return self.sender.rpartition("@")[0]
            case "o":
                return self.sender.rpartition("@")[2]
            case "d":
                return self.domain
            case "i":
                return dotted(self.ip)
            case "p":
                return self.validated_name
            case "v":
                return "in-addr" if self.ip.version == 4 else "ip6"
            case "h":
                return self.helo
            case "c":
                return str(self.ip)
            case "r":
                return self.receiver
            case _:
                return str(self.timestamp)


def dotted(ip: Address) -> str:
    """Write an address as the macro ``i`` does: IPv6 as nibbles between dots (section 7.3)."""
    return str(ip) if ip.version == 4 else ".".join(f"{int(ip):032X}")


def reverse_name(ip: Address) -> str:
    """Return the name under which the PTR records of an address stand."""
    zone = "in-addr" if ip.version == 4 else "ip6"
    return f"{'.'.join(reversed(dotted(ip).lower().split('.')))}.{zone}.arpa"


def _tokens(text: str) -> list[re.Match[str]] | None:
    """Split into macros and literals, in one pass; None if something is neither."""
    found: list[re.Match[str]] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        found.append(token)
        position = token.end()
    return found


def is_macro_string(text: str) -> bool:
    """Whether a text is a macro-string: the value of an unknown modifier (section 7.1)."""
    if "%" not in text:
        return _LITERAL.fullmatch(text) is not None
    return " " not in text and _tokens(text) is not None


def is_domain_spec(text: str) -> bool:
    """Whether a text is macro text that ends in a top label or a macro (section 7.1).

    The letters that are for explanations only make it none.
    """
    last_is_macro = False
    if "%" in text:
        tokens = _tokens(text)
        if tokens is None or " " in text:
            return False
        letters = {(token["letter"] or "").lower() for token in tokens}
        if letters & _EXPLANATION_LETTERS:
            return False
        last_is_macro = tokens[-1]["literal"] is None
    elif not _LITERAL.fullmatch(text):
        return False
    _before, dot, top = text.removesuffix(".").rpartition(".")
    return last_is_macro or bool(dot and _TOP_LABEL.fullmatch(top))


def uses_validated_name(text: str) -> bool:
    """Whether expanding needs the macro ``p``, which costs lookups."""
    return "%{p" in text or "%{P" in text


def expand_name(domain_spec: str, variables: Variables) -> str:
    """Expand a text for which `is_domain_spec` holds into a name to look up.

    Lowercase, without a trailing dot, cut from the left to what fits into DNS (section 7.3). The
    name may still be one that cannot exist, such as with an empty label.
    """
    name = _expanded(domain_spec, variables) if "%" in domain_spec else domain_spec
    name = name.removesuffix(".").lower()
    if len(name) > NAME_LIMIT:
        cut = name.find(".", len(name) - NAME_LIMIT - 1)
        name = name[cut + 1 :] if cut >= 0 else name
    return name


def expand_beforehand(domain_spec: str, domain: str, sender_domain: str) -> str:
    """Expand what depends on no message: on the evaluated domain and the sender's, if on anything.

    "" where it depends on more, or on one of these that is "": not known.
    """
    values = {"d": domain, "o": sender_domain}
    letters = {token["letter"].lower() for token in _TOKEN.finditer(domain_spec) if token["letter"]}
    if not all(map(values.get, letters)):
        return ""
    return expand_name(domain_spec, Variables(_NOBODY, f"@{sender_domain}", domain, ""))


def fixed_end(domain_spec: str) -> str:
    """The labels, comparable, that end whatever a text with macros expands to; "" for none.

    Those that are written out behind the last macro: what is cut from long names is on the left.
    """
    last = [*_TOKEN.finditer(domain_spec)][-1:]
    literal = last[0]["literal"] if last else None
    # The first label may begin in the macro.
    return (literal or "").partition(".")[2].removesuffix(".").lower()


def expand_explanation(text: str, variables: Variables) -> str | None:
    """Expand the text that an ``exp`` leads to (section 6.2); None if it is no valid one.

    Cut off at 4,096 characters.
    """
    tokens = _tokens(text)
    return None if tokens is None else _expanded(text, variables)[:_EXPLANATION_LIMIT]


def _expanded(text: str, variables: Variables) -> str:
    parts: list[str] = []
    for token in _TOKEN.finditer(text):
        if token["literal"] is not None:
            parts.append(token["literal"])
        elif token["escape"] is not None:
            parts.append(_ESCAPES[token["escape"]])
        else:
            letter = token["letter"]
            value = _transformed(variables.value(letter.lower()), token)
            parts.append(quote(value, safe="") if letter.isupper() else value)
    return "".join(parts)


def _transformed(value: str, token: re.Match[str]) -> str:
    digits, delimiters = token["digits"].lstrip("0"), token["delimiters"] or "."
    if not digits and not token["reverse"] and delimiters == ".":
        return value
    parts = re.split(f"[{re.escape(delimiters)}]", value)
    if token["reverse"]:
        parts.reverse()
    kept = int(digits) if 0 < len(digits) <= len(str(_PARTS_LIMIT)) else _PARTS_LIMIT
    return ".".join(parts[-kept:])
