# SPDX-License-Identifier: Apache-2.0
"""`MailServer`: what contradicts itself in a spec, and whose mailboxes its grant opens."""

from __future__ import annotations

from typing import Any, cast

import pytest

from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec

HOST = {"host": "smtp.example.com"}
LOGIN = {"credentialsRef": {"name": "login"}}
CLEAR = {"tls": {"mode": "None"}}
GRANT = {
    "provider": "Microsoft",
    "flow": "ClientCredentials",
    "tenant": "example.com",
    "clientID": "id",
    "clientSecretRef": {"name": "oauth", "key": "secret"},
    "subject": "relay@example.com",
}
PERSONAL = {
    "provider": "Google",
    "clientID": "id",
    "refreshTokenRef": {"name": "oauth", "key": "refreshToken"},
    "subject": "relay@gmail.com",
}
SERVED = [{"domains": ["example.com"]}]


def spec(**fields: Any) -> MailServerSpec:
    return cast("MailServerSpec", parse_spec(Kind.MAIL_SERVER, fields))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "host must be set, unless provider is"),
        ({**HOST, "parameters": {"region": "x"}}, "parameters must come with provider"),
        ({**HOST, **LOGIN, **CLEAR}, "credentials are only sent over TLS"),
        ({**HOST, "oauth": GRANT, **CLEAR}, "tokens are only sent over TLS"),
        ({**HOST, "oauth": GRANT, **LOGIN}, "oauth may not be set beside credentialsRef"),
        (
            {**HOST, "oauth": {**GRANT, "subject": None}},
            "oauth.subject must be set: a MailServer has no address of its own",
        ),
        ({**HOST, "mailboxes": SERVED}, "mailboxes "),
        ({**HOST, "mailboxes": SERVED, "oauth": PERSONAL}, "mailboxes "),
    ],
)
def test_a_spec_that_contradicts_itself_is_one_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        spec(**fields)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "signs_in"),
    [({}, False), (CLEAR, False), (LOGIN, True), ({"oauth": GRANT}, True)],
)
def test_who_signs_in(fields: dict[str, Any], signs_in: bool) -> None:
    assert spec(**HOST, **fields).signs_in is signs_in


@pytest.mark.parametrize(
    ("mailboxes", "namespace", "opens"),
    [
        ([], "home", False),
        ([{"domains": ["example.com"]}], "home", True),
        ([{"domains": ["example.net"]}], "home", False),
        # Without namespaces an entry is for the server's own.
        ([{"domains": ["example.com"]}], "other", False),
        ([{"domains": ["example.com"], "namespaces": ["other"]}], "other", True),
        ([{"domains": ["example.com"], "namespaces": ["other"]}], "home", False),
        ([{"domains": ["example.net"]}, {"domains": ["example.com"]}], "home", True),
    ],
)
def test_the_grant_opens_mailboxes_of_who_is_named(
    mailboxes: list[dict[str, Any]], namespace: str, opens: bool
) -> None:
    server = spec(**HOST, oauth=GRANT, mailboxes=mailboxes)
    grant = server.grant_for("support@example.com", namespace, "home")
    assert (grant is not None) is opens
    # Who signs in with it does so as itself.
    assert grant is None or (grant.subject, grant.client_id) == (None, "id")
