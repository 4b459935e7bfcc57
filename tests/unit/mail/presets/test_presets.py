# SPDX-License-Identifier: Apache-2.0
"""Mail presets: all of them load and resolve, hosts are identified, slips of the keyboard found,
parameters judged, and broken files refused by name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.data_files import InvalidData, validate
from postroom.api.mailserver import TLSMode
from postroom.api.presets import placeholders
from postroom.mail.presets import (
    LimitName,
    MailPreset,
    SignInWay,
    identify,
    nearly,
    preset,
    providers,
    resolve,
)
from postroom.mail.presets.model import Preset

ADDRESS = "someone@example.com"


def resolved(provider: str, address: str | None = ADDRESS, **parameters: str) -> MailPreset:
    found = resolve(provider, parameters, address)
    assert isinstance(found, MailPreset), found
    return found


def examples(provider: str) -> dict[str, str]:
    return {parameter.name: parameter.example for parameter in preset(provider).parameters}


def test_there_are_many() -> None:
    assert len(providers()) >= 25


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
def test_ports_and_modes_go_together(name: str) -> None:
    chosen = preset(name)
    for row in (*chosen.smtp, *chosen.imap):
        if row.port in (465, 993):
            assert row.tls is TLSMode.IMPLICIT
        if row.port in (25, 143, 587):
            assert row.tls is TLSMode.START_TLS


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


def good() -> str:
    return """name: Example
title: "Example"
documentation: "https://example.com/help"
source: "https://example.com/servers"
checked: 2026-11-21
parameters:
  - {name: site, description: "Site.", pattern: "a|b", example: "a", default: "a", enum: ["a", "b"]}
smtp:
  - {host: "smtp.{site}.example", port: 465, tls: Implicit, when: {site: a}}
smtpUsername: {form: Address, sentence: "be the address"}
ways: [Password]
"""


def test_a_good_file_is_read() -> None:
    assert validate("x.yaml", good(), Preset).known_hosts() == ("smtp.{site}.example",)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("ways:", "weys: []\nways:", "weys"),
        ("port: 465", "port: 70000", "smtp.0.port"),
        ("tls: Implicit", "tls: None", "always uses TLS"),
        ("{site: a}", "{site: c}", "is not in the enum"),
        ("smtp.{site}", "smtp.{place}", "there is no parameter place"),
        ("ways: [Password]", "ways: [OAuth]", "oauth names"),
        ("form: Address", "form: Fixed", "value is of the form Fixed"),
        ("form: Address", "form: LocalPart", "domains are of"),
        ("form: Address", 'form: Address, pattern: "("', "no regular expression"),
        ('pattern: "a|b"', 'pattern: "a"', "do not accept 'b'"),
        ("ways: [Password]", "ways: [Password]\nimapWays: [OAuth]", "imapWays names"),
        ("2026-11-21", "soon", "checked"),
        ("https://example.com/servers", "word of mouth", "source"),
        ("ways: [Password]", "ways: [Password]\nimap: [{host: i, port: 993, tls: Implicit}]",
         "imapUsername must be given"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_by_place(old: str, new: str, place: str) -> None:
    assert old in good()
    with pytest.raises(InvalidData, match=re.escape(place)):
        validate("x.yaml", good().replace(old, new), Preset)


def test_no_host_is_known_by_two_names() -> None:
    seen: dict[str, str] = {}
    for name in providers():
        for template in preset(name).known_hosts():
            assert seen.setdefault(template, name) == name
            assert placeholders(template) <= {
                parameter.name for parameter in preset(name).parameters
            }
