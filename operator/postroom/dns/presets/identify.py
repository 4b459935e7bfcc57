# SPDX-License-Identifier: Apache-2.0
"""Whose a name is: the provider behind a CNAME target, a mail exchange or an SPF include.

And what its preset says of an exchange: whether it must be alone, and which stands for another.
"""

import re
from functools import cache

from postroom.dns.names import and_ancestors, canonical
from postroom.dns.presets.load import preset, providers, targets
from postroom.dns.presets.model import Match, RecordRow, Target, fits


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


def must_be_alone(host: str) -> bool:
    """Whether the provider of an exchange takes no other one beside it.

    It is the host that counts, not the preset that asked for it: a spec may name it by itself.
    """
    return any(record.alone for record in _asking_for(host))


def is_other_form(host: str, wanted: str) -> bool:
    """Whether the provider of an exchange hands the other `host` out for the same domain."""
    label = wanted.partition(".")[0]
    forms = [form for record in _asking_for(wanted) for form in record.forms]
    return any(
        re.fullmatch(
            re.escape(form.replace("{label}", label)).replace(r"\*", "[a-z0-9-]{1,63}"), host
        )
        for form in forms
    )


def _asking_for(host: str) -> list[RecordRow]:
    """The records of presets that may ask for an exchange."""
    provider = identify(host)
    if provider is None or provider not in providers():
        return []
    return [
        record
        for record in preset(provider).records
        if record.match is Match.EXCHANGE and fits(record.value.partition(" ")[2], host)
    ]
