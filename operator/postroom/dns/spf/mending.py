# SPDX-License-Identifier: Apache-2.0
"""Reading one unsound term as what it was plainly meant to be; None where that is not clear."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import idna

from postroom.dns.spf.record import VERSION, Network, Term, mechanism_for, network, parse
from postroom.dns.texts.pasted import decoded

#: Quotation marks and brackets that people put around terms and names. Those of IPv6 are apart, and
#: angle brackets are a gap in instructions: whoever may be called as it says is nobody's sender.
_AROUND = r"[\"'`()]"
_GAP = r"[<>{}]"
_LABEL = r"[a-z0-9_*-]{1,63}"
#: The end of a record with its qualifier at a wrong place or twice, with marks around it, or with
#: what only an address can have behind it.
_ALL = (
    r"(?i)(?P<before>[^A-Za-z0-9]*)(?P<name>all|al|alll|aall|any)"
    r"(?P<behind>[^A-Za-z0-9]*)(?:(?<=[/:])[0-9]{1,5})?"
)
#: What begins the lines of a list, as UTF-8 or as it was typed.
_BULLET = "(?:[*\xb7\u2022]|\xe2\x80\xa2|\xc2\xb7)+(?=[+?~-]?[A-Za-z])"
#: What no name of a domain ends in: a port, or a prefix length.
_BEHIND_NAME = r"(?::[0-9]{1,5}|/{1,2}[0-9]{1,3})+\Z"
#: What was typed before a name although it stands there already.
_NAMED_AGAIN = r"(?i)(?:include|exists|redirect|spf|txt)[:=]+(?=[^:=])"
_JOINED_ALL = r"(?is)(?P<term>.+?)(?P<all>[+?~-]all)"
_NAMED = r"(?P<name>[A-Za-z][A-Za-z0-9_-]{0,15})(?P<mark>[:=;,]{1,3}|(?=/)|\Z)(?P<value>.*)"
_SCHEME = r"(?i)[a-z]{3,6}:/{1,2}"
_PREFIXES = r"(?P<host>[^/\\]*)[/\\]+0*(?P<v4>[0-9]{1,3})(?:[/\\]+0*(?P<v6>[0-9]{1,3}))?[/\\]*"
_IPV4 = (
    r"\[?(?P<octets>[0-9]{1,5}(?:\.(?:[0-9]{1,5}|\*)){1,3})\.?\]?(?::[0-9]{1,5})?"
    r"(?P<slash>[/\\]+)?(?P<prefix>[0-9.]*)[/\\]*"
)
_IPV6 = (
    r"(?:\[(?P<inside>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|(?P<bare>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*))"
    r"(?P<slash>[/\\]+)?(?P<prefix>[0-9]*)[/\\]*"
)
_RANGE = r"(?P<first>[0-9A-Fa-f.:]+)-(?P<last>[0-9A-Fa-f.:]+)"
#: Names that are long enough for one wrong letter to leave no doubt.
_LONG_NAMES = ("include", "exists", "redirect")
#: What holds an address whatever it is called.
_ADDRESSED = r"(?i)(?:ip[_-]?v?[_-]?[0-9]?v?|a|mx|include|host|addr(?:ess)?)"
#: Most networks that one range is written as.
_RANGE_LIMIT = 16
#: From the laxest; ``+all`` is nobody's intention where another qualifier stands beside it.
_LAXEST_FIRST = "?~-+"


@dataclass(frozen=True, slots=True)
class Reading:
    """The sound terms that one was meant as; `doubt` is what is to be said of it, if anything."""

    text: str
    doubt: str = ""


def read(piece: str) -> Reading | None:
    """Read one term."""
    if is_sound(piece):
        return Reading(piece)
    bare = re.sub(_BULLET, "", re.sub(_AROUND, "", piece))
    if is_sound(bare):
        return Reading(bare)
    end = _as_all(bare)
    if end is not None:
        return end
    if re.search(_GAP, bare.replace("%{", "")):
        return None
    joined = re.fullmatch(_JOINED_ALL, bare)
    term = read(joined["term"]) if joined is not None else None
    if joined is not None and term is not None:
        return Reading(f"{term.text} {joined['all']}", term.doubt)
    return _as_term(bare)


def read_modifier(text: str) -> Reading | None:
    """Read what stands as a modifier that SPF does not know, if it was meant as a term of SPF."""
    if not text.isascii() or re.search(_GAP, text.replace("%{", "")):
        return None
    made = _as_named(text)
    changed = made is not None and made.text != text
    return made if changed and made and all(map(is_sound, made.text.split())) else None


def is_sound(term: str) -> bool:
    """Whether a text is one term without any fault, which names what there can be."""
    record = parse(f"{VERSION} {term}")
    return len(record.terms) == 1 and not record.problems and not names_nothing(record.terms[0])


def names_nothing(term: Term) -> bool:
    """Whether a lawful term names what no host or domain can be called, such as a URL."""
    if "%" in term.domain or not term.target:
        return False
    known = not term.is_modifier or term.name in ("redirect", "exp")
    return known and not all(re.fullmatch(_LABEL, label) for label in term.target.split("."))


def _as_all(piece: str) -> Reading | None:
    """Read what was meant as the end of the record."""
    match = re.fullmatch(_ALL, piece)
    if match is None:
        return None
    marks = [mark for mark in match["before"] + match["behind"] if mark in _LAXEST_FIRST]
    if not marks and (match["name"].lower() == "any" or re.search(_GAP, piece)):
        return None
    made = f"{min(marks, key=_LAXEST_FIRST.index)}all" if marks else "all"
    several = len(set(marks)) > 1
    return Reading(made, "has several qualifiers, of which the laxest counts" if several else "")


def _as_term(piece: str) -> Reading | None:
    rest = piece.lstrip("+?~-")
    qualifiers = set(piece[: len(piece) - len(rest)])
    if len(qualifiers) > 1:
        return None
    qualifier = "".join(qualifiers)
    made = _addresses(rest) or _as_named(rest)
    if made is None:
        return None
    if qualifier and not (qualifier == "+" and made.text.startswith(("redirect=", "exp="))):
        made = Reading(" ".join(f"{qualifier}{term}" for term in made.text.split()), made.doubt)
    return made if all(map(is_sound, made.text.split())) else None


def _as_named(text: str) -> Reading | None:
    """Read a name, known or misspelt, and what follows it."""
    match = re.fullmatch(_NAMED, text)
    if match is None:
        return None
    written, value = match["name"].lower(), match["value"]
    if re.fullmatch(_ADDRESSED, written) or any(
        _one_slip_apart(written, mechanism) for mechanism in ("ip4", "ip6")
    ):
        made = _addresses(value)
        if made is not None:
            return made
    name = next((known for known in _LONG_NAMES if _one_slip_apart(written, known)), written)
    if name in ("redirect", "exp"):
        return Reading(f"{name}={_host(value)}")
    if name == "exists" and re.search(_BEHIND_NAME, value):
        return None  # a prefix length is not what exists looks at, and may be why it stands there
    if name in ("include", "exists"):
        return Reading(f"{name}:{_host(value)}")
    if name in ("ip4", "ip6"):
        host = _host(value)
        made_of = Reading(f"a:{host}", "names a host instead of an address")
        return made_of if "." in host and is_sound(made_of.text) else None
    if name not in ("a", "mx"):
        return None
    return _with_prefixes(name, value)


def _one_slip_apart(left: str, right: str) -> bool:
    """Whether one letter is missing, too many or another, or two have changed places."""
    if left == right or abs(len(left) - len(right)) > 1:
        return left == right
    at = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    if at is None:
        return True
    tails = {left[at:], left[at + 1 :]}, {right[at:], right[at + 1 :]}
    swapped = left[at : at + 2] == right[at : at + 2][::-1] and left[at + 2 :] == right[at + 2 :]
    same = left[at + 1 :] in tails[1] or right[at + 1 :] in tails[0]
    return swapped or same


def _host(value: str) -> str:
    """A name without what a browser, a mail address or a careless hand puts around it."""
    bare = re.sub(_SCHEME, "", re.sub(_NAMED_AGAIN, "", value, count=1), count=1)
    bare = bare.removeprefix("@").rstrip("/\\:;,").lstrip(":=")
    bare = re.sub(_BEHIND_NAME, "", bare)
    typed = decoded(bare)
    if bare.isascii() or typed == bare:
        return bare
    try:
        labels = idna.uts46_remap(typed, std3_rules=False).split(".")
        # Labels such as _spf are none of any script.
        named = [label if label.isascii() else idna.alabel(label).decode() for label in labels]
    except idna.IDNAError:
        return bare
    return ".".join(named)


def _with_prefixes(name: str, value: str) -> Reading | None:
    """Read what follows an a or mx: a name, prefix lengths, or both."""
    bare = re.sub(_SCHEME, "", value, count=1)
    match = re.fullmatch(_PREFIXES, bare)
    host = _host(bare if match is None else match["host"])
    made = f"{name}:{host}" if host else name
    if match is None:
        # A slash with nothing behind it may have lost its prefix length.
        cut = bare.rstrip(":;,") != bare.rstrip("/\\:;,")
        doubt = "lacks its prefix length, if it had one" if cut else ""
        return Reading(made, doubt) if host or cut else None
    six = "" if match["v6"] is None else f"//{int(match['v6'])}"
    return Reading(f"{made}/{int(match['v4'])}{six}")


def _addresses(value: str) -> Reading | None:
    """Read an address, a network, or a range of addresses, as ip4 or ip6."""
    value = value.rstrip(".")
    if value.startswith("[") and value.endswith("]") and "/" in value:
        value = value[1:-1]
    four, six = re.fullmatch(_IPV4, value), re.fullmatch(_IPV6, value)
    if four is not None:
        return _ipv4(four)
    if six is not None:
        return _network("ip6", six["inside"] or six["bare"], six["slash"], six["prefix"])
    span = re.fullmatch(_RANGE, value)
    return None if span is None else _range(span["first"], span["last"])


def _ipv4(match: re.Match[str]) -> Reading | None:
    octets = match["octets"].split(".")
    known = [octet for octet in octets if octet != "*"]
    if octets != known + ["*"] * (len(octets) - len(known)):
        return None
    prefix, slash = match["prefix"], match["slash"]
    if len(known) < len(octets) and not slash:
        slash, prefix = "/", str(8 * len(known))
    elif len(octets) < 4 and not prefix:
        return None
    # Some read leading zeros as octal numbers; who writes them here aligns columns.
    address = ".".join([*(str(int(octet)) for octet in known), *["0"] * (4 - len(known))])
    if "." in prefix:
        try:
            prefix = str(ipaddress.IPv4Network(f"0.0.0.0/{prefix}", strict=False).prefixlen)
        except ValueError:
            return None  # no netmask
    return _network("ip4", address, slash, prefix)


def _network(kind: str, address: str, slash: str | None, prefix: str) -> Reading | None:
    if not slash and prefix:
        return None
    text = f"{address}/{int(prefix)}" if prefix else address
    if network(kind, text) is None:
        return None
    doubt = "lacks its prefix length, if it had one" if slash and not prefix else ""
    return Reading(f"{kind}:{text}", doubt)


def _range(first: str, last: str) -> Reading | None:
    try:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        made = [mechanism_for(subnet) for subnet in _summarized(low, high)]
    except (TypeError, ValueError):
        return None
    return Reading(" ".join(made)) if 0 < len(made) <= _RANGE_LIMIT else None


def _summarized(
    low: IPv4Address | IPv6Address, high: IPv4Address | IPv6Address
) -> Iterable[Network]:
    if isinstance(low, IPv4Address) and isinstance(high, IPv4Address):
        return ipaddress.summarize_address_range(low, high)
    if isinstance(low, IPv6Address) and isinstance(high, IPv6Address):
        return ipaddress.summarize_address_range(low, high)
    return ()
