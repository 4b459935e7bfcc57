# SPDX-License-Identifier: Apache-2.0
"""Presets of mail resolve to endpoints and usernames; wrong parameters are named."""

from __future__ import annotations

import pytest

from postroom.api.mailserver import TLSMode
from postroom.mail.presets import (
    LimitName,
    MailPreset,
    SignInWay,
    identify,
    preset,
    providers,
    resolve,
)

ADDRESS = "someone@example.com"


def resolved(provider: str, address: str | None = ADDRESS, **parameters: str) -> MailPreset:
    found = resolve(provider, parameters, address)
    assert isinstance(found, MailPreset), found
    return found


def examples(provider: str) -> dict[str, str]:
    return {parameter.name: parameter.example for parameter in preset(provider).parameters}


@pytest.mark.parametrize("name", providers())
def test_each_resolves(name: str) -> None:
    found = resolved(name, **examples(name))
    assert found.provider == name
    assert found.smtp
    assert all(one.tls is not TLSMode.NONE for one in (*found.smtp, *found.imap))
    assert all("{" not in one.host for one in (*found.smtp, *found.imap))
    assert (found.oauth is not None) == (SignInWay.OAUTH in found.ways)


@pytest.mark.parametrize("name", providers())
def test_hosts_lead_back(name: str) -> None:
    if preset(name).hosts is None:
        found = resolved(name, **examples(name))
        assert {identify(one.host) for one in (*found.smtp, *found.imap)} == {name}
    for template in preset(name).hosts or ():
        assert identify(template) == name


@pytest.mark.parametrize("name", providers())
def test_each_value_of_a_parameter_has_endpoints(name: str) -> None:
    for parameter in preset(name).parameters:
        for value in parameter.enum:
            given_values = examples(name) | {parameter.name: value}
            assert resolved(name, **given_values).smtp


@pytest.mark.parametrize(
    ("provider", "parameters", "host", "port", "tls"),
    [
        ("Gmail", {}, "smtp.gmail.com", 465, TLSMode.IMPLICIT),
        ("Microsoft365", {}, "smtp.office365.com", 587, TLSMode.START_TLS),
        ("Zoho", {"dataCenter": "eu", "plan": "Organization"}, "smtppro.zoho.eu", 465,
         TLSMode.IMPLICIT),
        ("SES", {"region": "eu-west-1"}, "email-smtp.eu-west-1.amazonaws.com", 465,
         TLSMode.IMPLICIT),
        ("Mailgun", {"region": "EU"}, "smtp.eu.mailgun.org", 465, TLSMode.IMPLICIT),
        ("Postmark", {}, "smtp.postmarkapp.com", 587, TLSMode.START_TLS),
        ("NetEase", {"domain": "126.com"}, "smtp.126.com", 465, TLSMode.IMPLICIT),
    ],
)  # fmt: skip
def test_the_first_endpoint(
    provider: str, parameters: dict[str, str], host: str, port: int, tls: TLSMode
) -> None:
    first = resolved(provider, **parameters).smtp[0]
    assert (first.host, first.port, first.tls) == (host, port, tls)


def test_the_clouds_of_microsoft_have_hosts_of_their_own() -> None:
    hosts = {
        cloud: (resolved("Microsoft365", cloud=cloud).smtp[0].host,
                resolved("Microsoft365", cloud=cloud).imap[0].host)
        for cloud in ("Public", "USGovernment", "China")
    }  # fmt: skip
    assert hosts == {
        "Public": ("smtp.office365.com", "outlook.office365.com"),
        "USGovernment": ("smtp.office365.us", "outlook.office365.us"),
        "China": ("smtp.partner.outlook.cn", "partner.outlook.cn"),
    }


@pytest.mark.parametrize(
    ("provider", "address", "smtp", "imap"),
    [
        ("Gmail", "a@gmail.com", "a@gmail.com", "a@gmail.com"),
        ("Gmail", None, None, None),
        ("ICloud", "a@icloud.com", "a@icloud.com", "a"),
        ("ICloud", "a@example.com", "a@example.com", None),
        ("WebDe", "a@web.de", "a", "a"),
        ("SendGrid", "a@example.com", "apikey", None),
        ("Resend", None, "resend", None),
        ("Mailgun", "a@example.com", None, None),
    ],
)
def test_usernames(provider: str, address: str | None, smtp: str | None, imap: str | None) -> None:
    found = resolved(provider, address)
    assert (found.smtp_username, found.imap_username) == (smtp, imap)


def test_limits_name_their_source() -> None:
    found = resolved("GoogleWorkspace")
    assert found.limit(LimitName.MESSAGES_PER_DAY) == 2000
    assert found.limit(LimitName.MESSAGES_PER_SECOND) is None
    assert all(limit.source.startswith("https://") for limit in found.limits)


def test_shared_servers_are_understood_as_one_provider() -> None:
    assert resolved("GoogleWorkspace").replies_as == "Gmail"
    assert resolved("OutlookCom").replies_as == "Microsoft365"
    assert identify("outlook.office365.com") == "Microsoft365"


@pytest.mark.parametrize(
    ("provider", "parameters", "parameter", "words"),
    [
        ("Nowhere", {}, None, "there is no preset 'Nowhere': choose one of AOL, "),
        ("AmazonSES", {}, "region", "is required: AWS region"),
        ("AmazonSES", {"region": "Ireland"}, "region", "must look like eu-west-1"),
        ("AmazonSES", {"region": "a" * 9999}, "region", "must look like eu-west-1"),
        ("Mailgun", {"region": "eu"}, "region", "must be one of US, EU"),
        ("Mailgun", {"zone": "eu"}, "zone", "is no parameter of Mailgun: it has region"),
        ("Gmail", {"zone": "eu"}, "zone", "is no parameter of Gmail: it has none"),
    ],
)
def test_problems(
    provider: str, parameters: dict[str, str], parameter: str | None, words: str
) -> None:
    found = resolve(provider, parameters, ADDRESS)
    assert isinstance(found, tuple)
    assert found[0].parameter == parameter
    assert found[0].sentence.startswith(words)
