# SPDX-License-Identifier: Apache-2.0
"""Whether an API server, or a proxy on the way to it, has a URL by which it can be reached.

The HTTP client would tell only once it asks, by the name of an error, or not as one of its errors.
No clause has a word of the URL: it may hold a password.
"""

import re
from urllib.parse import urlsplit

#: What proxies speak that the HTTP client knows; servers have the same schemes.
_SCHEMES = ("https", "http")
#: What is in no name of a host; a percent sign is of an address' zone.
_NO_HOST = re.compile(r"[\s\x00-\x20{}<>\"\\^`|*]")


def fault_of(url: object) -> str | None:
    """Return what is wrong with a URL, as a clause that continues its name; None: nothing is."""
    if not isinstance(url, str):
        return "is no text"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "has a host in brackets that is no IPv6 address"
    if parts.scheme not in _SCHEMES or not parts.netloc:
        return "does not begin with https:// or http:// and a host"
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        return "has a port that is no number from 1 to 65535"
    if not host:
        return "names no host"
    try:
        host.encode("idna")
    except UnicodeError:
        return "has a host that is no name"
    return "has a host that is no name" if _NO_HOST.search(host) else None


def fault_of_server(url: object) -> str | None:
    """The same of an API server's, which says not who signs in: a header of ours does."""
    fault = fault_of(url)
    if fault is None and "@" in urlsplit(str(url)).netloc:
        return "holds a user, which users says"
    return fault


def fault_of_proxy(url: object) -> str | None:
    """The same of a proxy's."""
    if isinstance(url, str) and url.lower().startswith("socks"):
        return "names a proxy that speaks SOCKS, which postroom does not"
    return fault_of(url)
