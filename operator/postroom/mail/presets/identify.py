# SPDX-License-Identifier: Apache-2.0
"""Whose a host is: the provider behind the name, and the known name that a misspelled one means."""

import re
from functools import cache, lru_cache

from postroom.api.hosts import is_one_slip_from
from postroom.api.presets import placeholders
from postroom.mail.presets.load import preset, providers
from postroom.mail.presets.model import expression

_HOST_LIMIT = 253
#: Hosts that are remembered: each is compared with all that are known, and that at every look.
_REMEMBERED = 4096
#: Shorter labels are too often right as they are.
_SHORTEST_LABEL = 4


@lru_cache(_REMEMBERED)
def identify(host: str) -> str | None:
    """Name the provider that serves a host; None if unknown.

    Providers that share their servers are known by the name of one: Google Workspace as Gmail.
    """
    name = _canonical(host)
    found = _exact().get(name)
    if found is not None or len(name) > _HOST_LIMIT:
        return found
    return next((provider for known, provider in _patterns() if known.fullmatch(name)), None)


def by_whole_name(host: str) -> str | None:
    """Name the provider of a host that is known letter by letter; None where a part is free."""
    return _exact().get(_canonical(host))


@lru_cache(_REMEMBERED)
def nearly(host: str) -> str | None:
    """Return the known host that differs from this one by a single slip of the keyboard.

    The slip is one character too many, missing, wrong or swapped with its neighbour, within a
    label of at least four, and not its first. None where the host is known, or like none.
    """
    name = _canonical(host)
    if len(name) > _HOST_LIMIT or identify(name) is not None:
        return None
    ours = name.split(".")
    for known in sorted(_exact()):
        theirs = known.split(".")
        differing = [pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]]
        if len(ours) != len(theirs) or len(differing) != 1:
            continue
        label, meant = differing[0]
        alike = len(meant) >= _SHORTEST_LABEL and label[:1] == meant[:1]
        if alike and is_one_slip_from(label, meant):
            return known
    return None


def _canonical(host: str) -> str:
    return host[: _HOST_LIMIT + 2].lower().removesuffix(".")


@cache
def _exact() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in providers():
        for template in preset(name).known_hosts():
            for host in _spelled_out(name, template):
                found.setdefault(host, name)
    return found


def _spelled_out(name: str, template: str) -> list[str]:
    """Fill in the values of parameters that have few; none where one has many."""
    hosts = [template]
    for parameter in preset(name).parameters:
        if parameter.name in placeholders(template):
            slot = "{" + parameter.name + "}"
            hosts = [host.replace(slot, value) for host in hosts for value in parameter.enum]
    return hosts


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The templates whose parameters can have many values."""
    return tuple(
        (expression(template, preset(name).parameters), name)
        for name in providers()
        for template in preset(name).known_hosts()
        if placeholders(template) and not _spelled_out(name, template)
    )
