# SPDX-License-Identifier: Apache-2.0
"""How many messages one login may send: the least of what is documented for a day, for an hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.presets import LimitName, MailPreset, PresetLimit, resolve
from postroom.mail.presets.sending import SendingLimit, sending_limits

#: How often a limit of this name is reached in a day or in an hour.
DAILY = {LimitName.MESSAGES_PER_DAY: 1, LimitName.RECIPIENTS_PER_DAY: 1}
HOURLY = {
    LimitName.MESSAGES_PER_HOUR: 1,
    LimitName.MESSAGES_PER_MINUTE: 60,
    LimitName.MESSAGES_PER_SECOND: 60 * 60,
}


def limit(name: LimitName, value: int) -> PresetLimit:
    return PresetLimit(name, value, "a login", "https://example.com", date(2026, 11, 1))


def limited(*limits: PresetLimit) -> MailPreset:
    found = resolve("Gmail", {}, "a@gmail.com")
    assert isinstance(found, MailPreset)
    return replace(found, limits=limits)


@pytest.mark.parametrize(
    ("limits", "daily", "hourly"),
    [
        ([], None, None),
        ([(LimitName.MESSAGES_PER_DAY, 500)], 500, None),
        ([(LimitName.MESSAGES_PER_DAY, 500), (LimitName.RECIPIENTS_PER_DAY, 300)], 300, None),
        ([(LimitName.RECIPIENTS_PER_DAY, 500), (LimitName.MESSAGES_PER_DAY, 300)], 300, None),
        ([(LimitName.MESSAGES_PER_SECOND, 1)], None, 3600),
        ([(LimitName.MESSAGES_PER_MINUTE, 30)], None, 1800),
        ([(LimitName.MESSAGES_PER_MINUTE, 30), (LimitName.MESSAGES_PER_HOUR, 2000)], None, 1800),
        ([(LimitName.MESSAGES_PER_MINUTE, 30), (LimitName.MESSAGES_PER_HOUR, 100)], None, 100),
        ([(LimitName.RECIPIENTS_PER_MESSAGE, 1), (LimitName.MESSAGE_BYTES, 2),
          (LimitName.MESSAGES_PER_CONNECTION, 3), (LimitName.IMAP_CONNECTIONS, 4)], None, None),
    ],
)  # fmt: skip
def test_the_least_counts(
    limits: list[tuple[LimitName, int]], daily: int | None, hourly: int | None
) -> None:
    found = sending_limits(limited(*(limit(*each) for each in limits)))
    assert (found.daily.messages if found.daily else None) == daily
    assert (found.hourly.messages if found.hourly else None) == hourly


def test_the_limit_that_decides_is_told() -> None:
    day, people = limit(LimitName.MESSAGES_PER_DAY, 9), limit(LimitName.RECIPIENTS_PER_DAY, 8)
    found = sending_limits(limited(day, people, limit(LimitName.SMTP_CONNECTIONS, 7)))
    assert found.daily == SendingLimit(8, people)
    assert (found.title, found.connections) == (limited().title, 7)
    assert sending_limits(limited(day)).connections is None


@given(st.lists(st.builds(limit, st.sampled_from(LimitName), st.integers(1, 10**6))))
def test_no_documented_limit_is_exceeded(limits: list[PresetLimit]) -> None:
    found = sending_limits(limited(*limits))
    for factors, least in ((DAILY, found.daily), (HOURLY, found.hourly)):
        known = [factors[each.name] * each.value for each in limits if each.name in factors]
        assert (least.messages if least else None) == min(known, default=None)
