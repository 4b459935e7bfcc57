# SPDX-License-Identifier: Apache-2.0
"""Which mail exchanges must be the only one at their name, by what the presets say."""

from __future__ import annotations

from postroom.dns.presets.identify import identify
from postroom.dns.presets.load import preset, providers
from postroom.dns.presets.model import Match, fits


def must_be_alone(host: str) -> bool:
    """Tell whether the provider of an exchange takes no other one beside it.

    It is the host that counts, not the preset that asked for it: a spec may name it by itself.
    """
    provider = identify(host)
    if provider is None or provider not in providers():
        return False
    return any(
        record.alone and fits(record.value.partition(" ")[2], host)
        for record in preset(provider).records
        if record.match is Match.EXCHANGE
    )
