# SPDX-License-Identifier: Apache-2.0
"""What presets say of mail exchanges: which must be alone, and which stand for another."""

from __future__ import annotations

import re

from postroom.dns.presets.identify import identify
from postroom.dns.presets.load import preset, providers
from postroom.dns.presets.model import Match, RecordRow, fits


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
