# SPDX-License-Identifier: Apache-2.0
"""Whose a host is: known names, names like known ones, and slips of the keyboard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.presets import (
    identify,
    nearly,
)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("smtp-relay.gmail.com", "GoogleWorkspace"),
        ("smtp-legacy.office365.com", "Microsoft365"),
        ("smtp.office365.us", "Microsoft365"),
        ("outlook.office365.us", "Microsoft365"),
        ("partner.outlook.cn", "Microsoft365"),
        ("smtp.partner.outlook.cn", "Microsoft365"),
        ("sandbox.smtp.mailtrap.io", "Mailtrap"),
        ("bulk.smtp.mailtrap.io", "Mailtrap"),
        ("smtp.secureserver.net", "GoDaddy"),
    ],
)
def test_more_hosts_of_a_provider_lead_to_it(host: str, provider: str) -> None:
    assert identify(host) == provider
    assert identify(f"{host.upper()}.") == provider
    assert nearly(host) is None


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("SMTP.Gmail.com.", "Gmail"),
        ("email-smtp.us-gov-west-1.amazonaws.com", "AmazonSES"),
        ("imappro.zoho.com.au", "Zoho"),
        ("smtp.gmail.com.evil.example", None),
        ("evil-smtp.gmail.com", None),
        ("", None),
    ],
)
def test_identify(host: str, provider: str | None) -> None:
    assert identify(host) == provider


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        ("smtp.gmial.com", "smtp.gmail.com"),
        ("smtp.gmal.com", "smtp.gmail.com"),
        ("smtp.gmaill.com", "smtp.gmail.com"),
        ("smpt.gmail.com", "smtp.gmail.com"),
        ("outlook.ofice365.com", "outlook.office365.com"),
        ("smtp.sendgird.net", "smtp.sendgrid.net"),
        ("smtp.gmail.com", None),
        ("smtp.mail.com", None),
        ("smtp.email.com", None),
        ("smtp.wep.de", None),
        ("mail.example.com", None),
        ("smtp.gmail.example.com", None),
        ("", None),
    ],
)
def test_slips_of_the_keyboard(host: str, meant: str | None) -> None:
    assert nearly(host) == meant


@given(st.text())
def test_any_text_may_be_asked_for(text: str) -> None:
    assert identify(text) is None
    assert nearly(text) is None or len(text) > 5


LABEL = st.from_regex(r"[a-z]{1,12}", fullmatch=True)


@given(LABEL, LABEL)
def test_own_domains_are_no_misspelled_ones(first: str, second: str) -> None:
    assert nearly(f"mail.{first}-{second}.example") is None
