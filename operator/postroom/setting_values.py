# SPDX-License-Identifier: Apache-2.0
"""What the texts of settings look like, and what they are read to.

Each form has a pattern, and the operator takes nothing that does not match it: whoever hands
settings on, such as the schema of the chart, refuses by the same pattern what would be refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from postroom.api.fields import format_duration

Network = IPv4Network | IPv6Network
Address = tuple[str, int]

_MEBI = 1024 * 1024
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_BYTE}(\.{_BYTE}){{3}}"
_GROUP = "[0-9A-Fa-f]{1,4}"
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


def ipv6_forms() -> Iterator[str]:
    """The ways to write an address (RFC 4291 section 2.2): whole, and for each number of groups
    before ``::`` those behind it, of which the last two may be written as IPv4."""
    last = f"({_GROUP}:{_GROUP}|{_IPV4})"
    yield f"({_GROUP}:){{6}}{last}"
    for before in range(8):
        left = f"{_GROUP}(:{_GROUP}){{{before - 1}}}" if before else ""
        right = [f"({_GROUP}:){{0,{5 - before}}}{last}"] * (before < 6) + [_GROUP] * (before < 7)
        yield f"{left}::" + (f"({'|'.join(right)})?" if right else "")


_IPV6 = f"({'|'.join(ipv6_forms())})"


@dataclass(frozen=True, slots=True)
class Form:
    """What a text must look like; `pattern` means the same to RE2, JavaScript and Python."""

    name: str
    pattern: str
    longest: int
    #: What it must be, for the sentence that refuses another.
    sentence: str

    def read(self, value: object) -> str:
        """Return a text of this form; raises `ValueError`."""
        fits = isinstance(value, str) and len(value) <= self.longest
        if not fits or re.fullmatch(self.pattern, str(value)) is None:
            raise ValueError(f"must be {self.sentence}")
        return str(value)


NAMESPACE = Form(
    "namespace",
    "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
    63,
    "names of namespaces, without patterns",
)
ADDRESS = Form(
    "address",
    rf"^(({_IPV4}|\[({_IPV4}|{_IPV6}(%[A-Za-z0-9_.-]+)?)\]):{_PORT})$",
    100,
    "an IP address and a port, such as 10.0.0.10:53 or [::1]:53",
)
ADDRESS_OR_OFF = Form(
    "addressOrOff",
    f"^(off|{ADDRESS.pattern[1:-1]})$",
    ADDRESS.longest,
    f"{ADDRESS.sentence}, or off",
)
_URL = rf"https://({_LABEL}(\.{_LABEL})*\.?|\[{_IPV6}\])(:{_PORT})?/[!-\"$->@-~][!-\"$-~]*"
RESOLVER = Form(
    "resolver",
    f"^({_URL}|{ADDRESS.pattern[1:-1]})$",
    2048,
    "a URL such as https://resolver.example/dns-query, or an address and a port",
)
NETWORK = Form(
    "network",
    rf"^({_IPV4}(/(3[0-2]|[12]?[0-9]))?|{_IPV6}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$",
    50,
    "networks such as 10.0.0.0/8 or fd00::/8",
)
#: Of the host of a token endpoint the first label may be a pattern.
TOKEN_HOST = Form(
    "tokenHost",
    rf"^[ \t]*(\*\.)?({_LABEL}\.)*[A-Za-z]([A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.?[ \t]*$",
    253,
    "hosts such as login.example.com or *.example.com",
)
TEST_RECIPIENT = Form(
    "testRecipient",
    r"^[ \t]*[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]*@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{1,63}[ \t]*$",
    254,
    "addresses such as ops@example.com, or @example.com",
)
#: Those that lists and single settings have, for whoever writes a schema of them.
FORMS = (NAMESPACE, ADDRESS, ADDRESS_OR_OFF, RESOLVER, NETWORK, TOKEN_HOST, TEST_RECIPIENT)


def parse_namespace(value: object) -> str:
    """Parse the name of a namespace; raises `ValueError`."""
    return NAMESPACE.read(value)


def parse_address(value: object) -> Address:
    """Parse ``address:port``, IPv6 as ``[address]:port``; raises `ValueError`."""
    if isinstance(value, tuple):
        value = f"[{value[0]}]:{value[1]}"
    host, _, port = ADDRESS.read(value).rpartition(":")
    return str(ip_address(host.removeprefix("[").removesuffix("]"))), int(port)


def parse_address_or_off(value: object) -> Address | None:
    """Parse ``address:port``, or ``off`` to None; raises `ValueError`."""
    return None if value in (None, "off") else parse_address(value)


def parse_resolver(value: object) -> Address:
    """Parse a resolver: ``address:port``, or the ``https://`` URL of one that speaks RFC 8484.

    The URL takes the place of the address, with its port. Raises `ValueError`.
    """
    text = value[0] if isinstance(value, tuple) else value
    if not isinstance(text, str) or "//" not in text:
        return parse_address(value)
    authority = RESOLVER.read(text).removeprefix("https://").partition("/")[0]
    port = re.search(r":([0-9]+)$", authority.rpartition("]")[2])
    return text, int(port[1]) if port is not None else 443


def parse_network(value: object) -> Network:
    """Parse a network; raises `ValueError`, also where bits beyond its length are set."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        return ip_network(NETWORK.read(value))
    except ValueError:
        raise ValueError(f"must be {NETWORK.sentence}") from None


def parse_port(value: object) -> int:
    """Parse a port; raises `ValueError`."""
    text = str(value) if isinstance(value, int | str) else ""
    if re.fullmatch(_PORT, text) is None:
        raise ValueError("must be ports from 1 to 65535")
    return int(text)


def parse_token_host(value: object) -> str:
    """Parse the host of a token endpoint, whose first label may be ``*``; raises `ValueError`."""
    return TOKEN_HOST.read(value).strip(" \t").lower().removesuffix(".")


def parse_test_recipient(value: object) -> str:
    """Parse an address, or ``@domain`` for all of a domain; raises `ValueError`."""
    return TEST_RECIPIENT.read(value).strip(" \t").lower()


def shown(value: object) -> str:
    """Write a value as it is given; empty where there is none."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int) and value and value % _MEBI == 0:
        return f"{value // _MEBI}Mi"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, tuple):
        return ":".join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value.value if isinstance(value, Enum) else value)
