# SPDX-License-Identifier: Apache-2.0
"""The peer: checkdmarc, where it is installed, at the same resolver; and what it says."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from dns.nameserver import Do53Nameserver

from bench.dns_server import ServedWorld
from bench.dns_world import RESOLVER, loopback

HOW_TO_INSTALL = (
    "checkdmarc is not installed, so that there is no comparison: pip install -e '.[bench]'"
)
_MODULES = ("checkdmarc.utils", "checkdmarc.dnssec", "checkdmarc.smtp")


class Peer:
    """checkdmarc, asked for everything that it checks in DNS. Raises `ImportError`."""

    def __init__(self) -> None:
        self._checkdmarc: Any = importlib.import_module("checkdmarc")
        self._caches = [
            var
            for name in _MODULES
            for var in vars(importlib.import_module(name)).values()
            if type(var).__name__ == "ExpiringDict"
        ]

    @property
    def version(self) -> str:
        """Its version."""
        return str(self._checkdmarc.__version__)

    def forget(self) -> None:
        """Empty its caches."""
        for cache in self._caches:
            cache.clear()

    def check(self, served: ServedWorld, domain: str) -> Any:
        """Check a domain; blocks."""
        resolver = Do53Nameserver(loopback(RESOLVER), served.port)
        return self._checkdmarc.check_domains([domain], nameservers=[resolver])


def complaints(result: Any) -> set[str]:
    """Collect every error and warning of a result, wherever it stands."""
    return set(_texts(result, told=False))


def _texts(value: Any, *, told: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, told=told or key in ("error", "warnings"))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, told=told)
    elif told and isinstance(value, str):
        yield value
