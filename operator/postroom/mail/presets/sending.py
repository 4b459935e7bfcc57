# SPDX-License-Identifier: Apache-2.0
"""How many messages a provider takes from one login in a day and in an hour, as it documents."""

from collections.abc import Iterable
from dataclasses import dataclass

from postroom.mail.presets.model import LimitName
from postroom.mail.presets.resolve import MailPreset, PresetLimit

#: A message has one recipient or more, so that a limit of recipients is one of messages, too.
_PER_DAY = {LimitName.MESSAGES_PER_DAY: 1, LimitName.RECIPIENTS_PER_DAY: 1}
_PER_HOUR = {
    LimitName.MESSAGES_PER_HOUR: 1,
    LimitName.MESSAGES_PER_MINUTE: 60,
    LimitName.MESSAGES_PER_SECOND: 3600,
}


@dataclass(frozen=True, slots=True)
class SendingLimit:
    """How many messages go, and the documented limit that it follows from."""

    messages: int
    limit: PresetLimit


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """What one login may send; None where the provider documents nothing."""

    title: str
    daily: SendingLimit | None
    hourly: SendingLimit | None
    connections: int | None


def sending_limits(preset: MailPreset) -> SendingLimits:
    """The least of what the provider documents for a day and for an hour."""
    return SendingLimits(
        preset.title,
        _least(preset.limits, _PER_DAY),
        _least(preset.limits, _PER_HOUR),
        preset.limit(LimitName.SMTP_CONNECTIONS),
    )


def _least(limits: Iterable[PresetLimit], factors: dict[LimitName, int]) -> SendingLimit | None:
    found = [
        SendingLimit(limit.value * factors[limit.name], limit)
        for limit in limits
        if limit.name in factors
    ]
    return min(found, key=lambda each: each.messages, default=None)
