# SPDX-License-Identifier: Apache-2.0
"""Whose a name is: the provider behind a CNAME target, a mail exchange or an SPF include."""

from __future__ import annotations

from functools import cache

from postroom.dns.names import and_ancestors, canonical
from postroom.dns.presets.load import targets
from postroom.dns.presets.model import Target


def identify(target: str) -> str | None:
    """Name the provider that a name belongs to, with or without a preset; None if unknown.

    The longest known suffix decides. A provider may ask for names of another one: Resend sends
    through Amazon SES. So compare with what is expected first.
    """
    row = _row(target)
    return row.provider if row else None


def title_of(target: str) -> str | None:
    """Name the provider behind a name the way people write it; None if unknown."""
    row = _row(target)
    return row.title if row else None


def _row(target: str) -> Target | None:
    by_suffix = _by_suffix()
    # A name in DNS has at most 127 labels: what is longer is none.
    name = canonical(target)[:256]
    return next(
        (by_suffix[ancestor] for ancestor in and_ancestors(name) if ancestor in by_suffix), None
    )


@cache
def _by_suffix() -> dict[str, Target]:
    return {row.suffix: row for row in targets().targets}
