# SPDX-License-Identifier: Apache-2.0
"""``spec.provider``: which host, port, TLS mode and username follow from it, and what wins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.mail_provider import MailProvider
from postroom.api.mailserver import MailServerSpec, TLSMode
from postroom.api.resource import InvalidSpec
from postroom.mail.presets import preset, providers
from postroom.reconcile.signing_in.targets import Target, imap_target, own_smtp_target, smtp_target

ADDRESS = "support@example.com"


def server(**spec: Any) -> Target:
    return smtp_target(MailServerSpec.model_validate(spec))


def mailbox(**spec: Any) -> Target:
    account = EmailAccountSpec.model_validate(
        {"address": ADDRESS, "credentialsRef": {"name": "s"}, "imap": {}, **spec}
    )
    assert account.imap is not None
    return imap_target(account, account.imap)


def test_the_api_names_the_providers_that_there_are() -> None:
    assert tuple(sorted(one.value for one in MailProvider)) == providers()


def place(target: Target) -> tuple[str, int, str]:
    return target.host, target.port, target.tls.value


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"host": "smtp.example.com"}, ("smtp.example.com", 587, "StartTLS")),
        (
            {"host": "smtp.example.com", "tls": {"mode": "Implicit"}},
            ("smtp.example.com", 587, "Implicit"),
        ),
        ({"provider": "SendGrid"}, ("smtp.sendgrid.net", 465, "Implicit")),
        ({"provider": "SendGrid", "port": 587}, ("smtp.sendgrid.net", 587, "StartTLS")),
        (
            {"provider": "SendGrid", "tls": {"mode": "StartTLS"}},
            ("smtp.sendgrid.net", 587, "StartTLS"),
        ),
        ({"provider": "SendGrid", "host": "mx.example.com"}, ("mx.example.com", 465, "Implicit")),
        (
            {"provider": "Mailgun", "parameters": {"region": "EU"}},
            ("smtp.eu.mailgun.org", 465, "Implicit"),
        ),
        ({"provider": "Gmail", "port": 2525}, ("smtp.gmail.com", 2525, "StartTLS")),
    ],
)
def test_what_is_said_wins_over_what_is_known(
    spec: dict[str, Any], expected: tuple[str, int, str]
) -> None:
    assert place(server(**spec)) == expected


def test_the_certificate_is_judged_by_the_host_that_is_dialled() -> None:
    assert server(provider="SendGrid").server_name == "smtp.sendgrid.net"
    named = server(provider="SendGrid", tls={"serverName": "mail.example.com"})
    assert named.server_name == "mail.example.com"


def test_usernames_follow_from_the_provider() -> None:
    assert server(provider="SendGrid").username == "apikey"
    assert server(provider="Gmail").username is None
    assert mailbox(provider="Gmail").username == ADDRESS
    assert mailbox(imap={"host": "imap.example.com"}).username is None


def test_a_mailbox_is_read_with_tls_from_the_first_byte() -> None:
    assert place(mailbox(provider="Gmail")) == ("imap.gmail.com", 993, "Implicit")
    assert place(mailbox(imap={"host": "a.example.com"})) == ("a.example.com", 993, "Implicit")
    both = mailbox(provider="Gmail", imap={"host": "a.example.com", "port": 1993})
    assert place(both) == ("a.example.com", 1993, "Implicit")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"provider": "AmazonSES"}, "spec.parameters.region: is required"),
        ({"provider": "AmazonSES", "parameters": {"region": "Mars"}}, "must look like"),
        (
            {"provider": "Gmail", "parameters": {"region": "EU"}},
            "spec.parameters.region: is no parameter of Gmail",
        ),
    ],
)
def test_wrong_parameters_are_named(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec, match=sentence):
        server(**spec)


def test_a_provider_without_a_mailbox_is_told() -> None:
    with pytest.raises(InvalidSpec, match=r"spec\.imap\.host: must be set: .* has no IMAP server"):
        mailbox(provider="SendGrid")


@given(
    provider=st.sampled_from([one for one in MailProvider if not preset(one).parameters]),
    port=st.none() | st.sampled_from([25, 465, 587, 2525]),
    mode=st.none() | st.sampled_from([TLSMode.START_TLS, TLSMode.IMPLICIT]),
)
def test_every_provider_leads_somewhere(
    provider: MailProvider, port: int | None, mode: TLSMode | None
) -> None:
    found = server(provider=provider.value, port=port, tls={"mode": mode})
    assert found.host
    assert found.port == (port or found.port)
    assert found.tls is (mode or found.tls)
    account = EmailAccountSpec.model_validate(
        {"address": ADDRESS, "provider": provider.value, "credentialsRef": {"name": "s"}}
    )
    assert own_smtp_target(account).host == preset(provider.value).smtp[0].host
