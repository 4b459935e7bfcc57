# SPDX-License-Identifier: Apache-2.0
"""The one mail address of a mailto: URI (RFC 6068), to which receivers and senders report."""

import re
from urllib.parse import unquote

from postroom.dns.names import can_be_asked

MAILTO = "mailto:"
_DOMAIN = r"[A-Za-z0-9._-]+"
#: An address as people write it where they fear robots: a(at)example(dot)com.
_DOT = r"[ \t]?[(\[{][ \t]?dot[ \t]?[)\]}][ \t]?"
_SPELT_OUT = (
    r"(?i)(?P<local>[^\s,;@()\[\]{}]{1,64})[ \t]?[(\[{][ \t]?at[ \t]?[)\]}][ \t]?"
    rf"(?P<domain>(?:[a-z0-9.-]|{_DOT}){{1,253}})(?![^\s,;]*@)"
)


def mail_address(uri: str) -> str | None:
    """Return the address of a mailto: URI, decoded and in lowercase; None if there is not one."""
    address = unquote(uri[len(MAILTO) :].partition("?")[0], errors="replace")
    local, at, domain = address.rpartition("@")
    # Two slashes are a web habit, though a local part may begin with them.
    plain = bool(local) and not local.startswith("//")
    sound = at and plain and "@" not in local and local.isprintable() and " " not in local
    if not sound or re.fullmatch(_DOMAIN, domain) is None or not can_be_asked(domain):
        return None
    return address.lower()


def with_at_signs(text: str) -> str:
    """Write the addresses of a text whose @ is spelt out, such as a(at)example.com, with one."""

    def written(match: re.Match[str]) -> str:
        return f"{match['local']}@{re.sub(_DOT, '.', match['domain'], flags=re.IGNORECASE)}"

    return re.sub(_SPELT_OUT, written, text)
