# SPDX-License-Identifier: Apache-2.0
"""Whose a name is: the longest known suffix decides, in whole labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.presets.identify import identify, is_other_form, must_be_alone, title_of
from postroom.dns.presets.load import targets

SUFFIXES = {row.suffix: row for row in targets().targets}


@pytest.mark.parametrize(
    ("name", "provider", "title"),
    [
        ("amazonses.com", "AmazonSES", "Amazon SES"),
        ("Feedback-SMTP.eu-west-1.AmazonSES.com.", "AmazonSES", "Amazon SES"),
        ("notamazonses.com", None, None),
        ("amazonses.com.example.net", None, None),
        ("com", None, None),
        ("", None, None),
    ],
)
def test_whose_a_name_is(name: str, provider: str | None, title: str | None) -> None:
    assert (identify(name), title_of(name)) == (provider, title)


@given(st.sampled_from(sorted(SUFFIXES)), st.from_regex(r"([a-z0-9-]{1,9}\.){0,3}", fullmatch=True))
def test_the_longest_suffix_decides(suffix: str, before: str) -> None:
    name = f"{before}{suffix}"
    longest = max((one for one in SUFFIXES if f".{name}".endswith(f".{one}")), key=len)
    assert identify(name) == SUFFIXES[longest].provider
    assert title_of(name) == SUFFIXES[longest].title


@given(st.sampled_from(sorted(SUFFIXES)))
def test_a_label_that_only_ends_as_a_suffix_does_is_another(suffix: str) -> None:
    parent = suffix.partition(".")[2]
    assert identify(f"zz{suffix}") == (identify(parent) if parent else None)


def test_a_text_that_is_too_long_for_a_name_is_nobody_s() -> None:
    assert identify("a." * 300 + "amazonses.com") is None


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("feedback-smtp.eu-west-1.amazonses.com", True),
        ("inbound-smtp.eu-west-1.amazonaws.com", False),
        ("smtp.google.com", False),
        ("mx.example.org", False),
    ],
)
def test_whose_exchange_must_be_alone(host: str, alone: bool) -> None:
    assert must_be_alone(host) is alone


OUTLOOK = "example-com.mail.protection.outlook.com"


@pytest.mark.parametrize(
    ("host", "wanted", "other"),
    [
        ("example-com.a-v1.mx.microsoft", OUTLOOK, True),
        ("other-com.a-v1.mx.microsoft", OUTLOOK, False),
        ("example-com.a.b.mx.microsoft", OUTLOOK, False),
        ("example-com.mx.microsoft", OUTLOOK, False),
        ("example-com.a-v1.mx.microsoft.evil.net", OUTLOOK, False),
        ("exampleXcom.a-v1.mx.microsoft", OUTLOOK, False),
        (OUTLOOK, "smtp.google.com", False),
        (OUTLOOK, "mx.example.org", False),
    ],
)
def test_which_exchange_stands_for_another(host: str, wanted: str, other: bool) -> None:
    assert is_other_form(host, wanted) is other
