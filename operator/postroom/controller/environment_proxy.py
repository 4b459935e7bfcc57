# SPDX-License-Identifier: Apache-2.0
"""The proxy by which the environment has a server asked: HTTPS_PROXY and NO_PROXY as kubectl reads
them.

Python's own reading knows no networks in NO_PROXY, by which clusters name their services, and sends
what is asked at loopback addresses to the proxy.
"""

import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib import request
from urllib.parse import urlsplit

_PORTS = {"https": 443, "http": 80}


def proxy_of_environment(server: str) -> tuple[str, str] | None:
    """Return the URL of the proxy by which the environment has a server asked, and the variable."""
    parts = urlsplit(server)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    proxy = request.getproxies_environment().get(parts.scheme)
    host = (parts.hostname or "").rstrip(".")
    address = _address(host)
    if (
        not proxy
        or is_here(server)
        or any(
            each == "*" or (_has(each, address) if address is not None else _is_of(each, host))
            for each in _exceptions(port)
        )
    ):
        return None
    lower = f"{parts.scheme}_proxy"
    # Whoever names none means HTTP, to kubectl and curl as well.
    url = proxy if "://" in proxy else f"http://{proxy}"
    return url, lower if os.environ.get(lower) else lower.upper()


def is_here(server: str) -> bool:
    """Whether a URL is of this machine, by what it says alone."""
    host = (urlsplit(server).hostname or "").rstrip(".")
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _exceptions(port: int) -> Iterator[str]:
    """The entries of NO_PROXY that are for this port, without it."""
    told = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    for entry in (each.strip().lower() for each in told.split(",")):
        host, colon, of_port = entry.rpartition(":")
        if not colon or not of_port.isdecimal() or (":" in host and not host.endswith("]")):
            yield entry
        elif int(of_port) == port:
            yield host


def _has(entry: str, address: IPv4Address | IPv6Address) -> bool:
    """Whether an entry is an address or a network that has this one."""
    try:
        return address in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def _is_of(entry: str, host: str) -> bool:
    """Whether an entry is a name, of this host or of a domain above it; of one that begins with a
    dot only the names below."""
    name = entry.removeprefix("*").rstrip(".")
    if name.startswith("."):
        return len(name) > 1 and host.endswith(name)
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
