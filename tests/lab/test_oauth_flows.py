# SPDX-License-Identifier: Apache-2.0
"""Every flow against the token server: what is sent, what is checked, what comes back.

Covers: Google by refresh token and by service account, Microsoft delegated and app-only by secret
and by certificate, generic; the cache, single flight, renewal ahead of the end, rotation, and what
an outage changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from lab.mail_probing import nothing_leaks  # noqa: F401 - a fixture
from lab.oauth_lab import (
    MAILBOX,
    SERVICE_ACCOUNT,
    Clock,
    at,
    exchange,
    google_account,
    google_user,
    granted,
    identity,
    microsoft_application,
    microsoft_user,
    source,
)
from lab.token_server import (
    HOST,
    Client,
    Refresh,
    Scripted,
    TokenServer,
    google_error,
    microsoft_error,
)
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.diagnosis import fault_of
from postroom.mail.oauth.grant import Grant, OAuthSecrets
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.oauth.tokens import TokenSource
from postroom.mail.replies.model import FailureClass, Protocol

OUTLOOK = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send"


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    made = TokenServer()
    made.clients = {
        "gid": Client(secret="gs"),
        "mid": Client(),
        "aid": Client(secret="ms"),
        SERVICE_ACCOUNT: Client(key=identity().key.public_key()),
    }
    made.refreshes = {
        "gr": Refresh("gid", MAILBOX, "https://mail.google.com/"),
        "mr": Refresh("mid", MAILBOX, OUTLOOK),
    }
    made.mailboxes = made.delegated = {MAILBOX}
    async with made:
        yield made


async def asked(server: TokenServer, grant: Grant) -> AccessToken | TokenFailure:
    return await source(server.port).token(at(server, grant))


def token(got: AccessToken | TokenFailure) -> AccessToken:
    assert isinstance(got, AccessToken), got
    return got


def failure(got: AccessToken | TokenFailure) -> TokenFailure:
    assert isinstance(got, TokenFailure)
    return got


async def test_google_by_refresh_token(server: TokenServer) -> None:
    got = token(await asked(server, google_user()))
    assert got.value.reveal() == "ya29.token-1"
    assert got.scopes == ("https://mail.google.com/",)
    assert (got.expires_in, got.rotated, got.fresh) == (3599.0, None, True)
    assert server.forms == [
        {
            "grant_type": "refresh_token",
            "client_id": "gid",
            "client_secret": "gs",
            "refresh_token": "gr",
        }
    ]
    assert fault_of(got, Protocol.IMAP, OAuthProvider.GOOGLE, OAuthFlow.REFRESH_TOKEN) is None


async def test_nothing_else_is_sent_along(server: TokenServer) -> None:
    token(await asked(server, google_user()))
    sent = server.headers[0]
    assert not {"cookie", "authorization", "referer", "origin"} & set(sent)
    assert sent["content-type"] == "application/x-www-form-urlencoded"
    assert sent["host"] == f"{HOST}:{server.port}"


async def test_google_service_account(server: TokenServer) -> None:
    got = token(await asked(server, google_account()))
    assert got.value.reveal() == "ya29.token-1"
    assert set(server.forms[0]) == {"grant_type", "assertion"}


async def test_a_service_account_without_delegation(server: TokenServer) -> None:
    server.delegated = set()
    got = failure(await asked(server, google_account()))
    assert (got.reason, got.conclusive) == (OAuthReason.DELEGATION_MISSING, True)
    assert "domain-wide delegation" in got.message


async def test_a_service_account_for_a_mailbox_that_is_not_there(server: TokenServer) -> None:
    server.mailboxes = set()
    assert failure(await asked(server, google_account())).reason is OAuthReason.ACCOUNT_NOT_FOUND


async def test_a_service_account_with_the_key_of_another(server: TokenServer) -> None:
    got = failure(await asked(server, google_account(identity(2).key_pem)))
    assert got.reason is OAuthReason.ASSERTION_INVALID


async def test_a_clock_that_is_wrong_is_named(server: TokenServer) -> None:
    tokens = TokenSource(exchange(server.port), wall=lambda: 1_000_000.0)
    got = failure(await tokens.token(at(server, google_account())))
    assert got.reason is OAuthReason.ASSERTION_INVALID
    assert "clock" in got.message


async def test_microsoft_delegated(server: TokenServer) -> None:
    got = token(await asked(server, microsoft_user()))
    assert server.forms[0]["scope"] == f"{OUTLOOK} offline_access"
    assert "client_secret" not in server.forms[0]
    for protocol in Protocol:
        found = fault_of(got, protocol, OAuthProvider.MICROSOFT, OAuthFlow.REFRESH_TOKEN)
        assert found is None


async def test_microsoft_as_the_application_by_secret(server: TokenServer) -> None:
    got = token(await asked(server, microsoft_application()))
    assert server.forms[0] == {
        "grant_type": "client_credentials",
        "client_id": "aid",
        "client_secret": "ms",
        "scope": "https://outlook.office365.com/.default",
    }
    found = fault_of(got, Protocol.SMTP, OAuthProvider.MICROSOFT, OAuthFlow.CLIENT_CREDENTIALS)
    assert found is None


async def test_microsoft_as_the_application_by_certificate(server: TokenServer) -> None:
    made = identity()
    server.clients["aid"] = Client(key=made.key.public_key(), thumbprint=made.thumbprint)
    token(await asked(server, microsoft_application(client_secret=None)))
    assert "client_secret" not in server.forms[0]


async def test_microsoft_with_a_certificate_that_is_not_registered(server: TokenServer) -> None:
    made = identity()
    server.clients["aid"] = Client(key=made.key.public_key(), thumbprint=made.thumbprint)
    got = failure(await asked(server, microsoft_application(client_secret=None, number=2)))
    assert got.reason is OAuthReason.ASSERTION_INVALID
    assert "AADSTS700027" in got.message


@pytest.mark.parametrize(
    ("grant", "reason", "error"),
    [
        (google_user(client_secret="wrong"), OAuthReason.CLIENT_SECRET_INVALID, "invalid_client"),
        (google_user(refresh="wrong"), OAuthReason.GRANT_REVOKED, "invalid_grant"),
        (
            microsoft_application(client_secret="wrong"),
            OAuthReason.CLIENT_SECRET_INVALID,
            "invalid_client (AADSTS7000215)",
        ),
        (microsoft_user("wrong"), OAuthReason.GRANT_EXPIRED, "invalid_grant (AADSTS700082)"),
        (
            replace(microsoft_user(), client_id="other"),
            OAuthReason.CLIENT_UNKNOWN,
            "unauthorized_client (AADSTS700016)",
        ),
    ],
)
async def test_what_is_wrong_is_refused(
    server: TokenServer, grant: Grant, reason: OAuthReason, error: str
) -> None:
    got = failure(await asked(server, grant))
    assert (got.reason, got.error, got.conclusive) == (reason, error, True)


async def test_a_tenant_that_is_not_there(server: TokenServer) -> None:
    grant = at(server, microsoft_user(), "/nobody/oauth2/v2.0/token")
    got = failure(await source(server.port).token(grant))
    assert got.reason is OAuthReason.TENANT_UNKNOWN


async def test_a_generic_provider(server: TokenServer) -> None:
    reference = {"name": "oauth", "key": "value"}
    spec = {
        "provider": "Generic",
        "clientID": "gid",
        "clientSecretRef": reference,
        "refreshTokenRef": reference,
        "scopes": ["mail"],
        "tokenURL": server.url("/token"),
    }
    grant = granted(spec, OAuthSecrets(Masked("gs"), Masked("gr")))
    grant = replace(grant, ca_bundle=server.ca_bundle)
    token(await source(server.port).token(grant))
    assert server.forms[0]["scope"] == "mail"
    barred = TokenSource(exchange(server.port, generic_hosts=("*.example.net",)))
    got = failure(await barred.token(grant))
    assert (got.reason, got.conclusive) == (OAuthReason.ENDPOINT_DENIED, True)
    assert len(server.forms) == 1


async def test_a_token_is_kept_until_shortly_before_its_end(server: TokenServer) -> None:
    clock = Clock()
    tokens, grant = source(server.port, clock), at(server, google_user())
    first = token(await tokens.token(grant))
    clock.now += 3200
    again = token(await tokens.token(grant))
    assert (again.value, again.fresh) == (first.value, False)
    clock.now += 60  # 339 s before the end
    assert token(await tokens.token(grant)).value == first.value
    clock.now += 40  # within the last five minutes
    assert token(await tokens.token(grant)).value != first.value
    assert len(server.forms) == 2


async def test_a_short_token_is_renewed_in_the_last_tenth_of_its_life(server: TokenServer) -> None:
    clock = Clock()
    tokens, grant = source(server.port, clock), at(server, google_user())
    short = {"access_token": "short", "token_type": "bearer", "expires_in": "100"}
    server.script.append(Scripted(document=short))
    await tokens.token(grant)
    clock.now += 89
    assert token(await tokens.token(grant)).value.reveal() == "short"
    clock.now += 2
    assert token(await tokens.token(grant)).value.reveal() != "short"


async def test_who_asks_at_once_shares_one_request(server: TokenServer) -> None:
    tokens, grant = source(server.port), at(server, google_user())
    got = await asyncio.gather(*(tokens.token(grant) for _ in range(10)))
    assert len(server.forms) == 1
    assert len({token(one).value.reveal() for one in got}) == 1


async def test_who_gives_up_does_not_end_it_for_the_others(server: TokenServer) -> None:
    tokens, grant = source(server.port), at(server, google_user())
    first = asyncio.create_task(tokens.token(grant))
    second = asyncio.create_task(tokens.token(grant))
    await asyncio.sleep(0)
    first.cancel()
    token(await second)
    assert len(server.forms) == 1


async def test_another_version_of_the_secret_is_another_token(server: TokenServer) -> None:
    tokens = source(server.port)
    await tokens.token(at(server, google_user(version="1")))
    await tokens.token(at(server, google_user(version="2")))
    assert len(server.forms) == 2


async def test_a_refused_token_can_be_dropped(server: TokenServer) -> None:
    tokens, grant = source(server.port), at(server, google_user())
    first = token(await tokens.token(grant))
    tokens.drop(grant)
    second = token(await tokens.token(grant))
    assert second.fresh
    assert first.value != second.value


async def test_a_rotated_refresh_token_is_handed_out_and_used(server: TokenServer) -> None:
    server.rotates = True
    clock = Clock()
    tokens, grant = source(server.port, clock), at(server, microsoft_user())
    first = token(await tokens.token(grant))
    assert first.rotated is not None
    clock.now += 3600
    await tokens.token(grant)
    assert server.forms[1]["refresh_token"] == first.rotated.reveal()


async def test_where_the_rotated_one_is_lost_the_secret_still_serves(server: TokenServer) -> None:
    server.rotates = True
    clock = Clock()
    tokens, grant = source(server.port, clock), at(server, microsoft_user())
    first = token(await tokens.token(grant))
    assert first.rotated is not None
    del server.refreshes[first.rotated.reveal()]
    clock.now += 3600
    token(await tokens.token(grant))
    assert [form["refresh_token"] for form in server.forms] == ["mr", first.rotated.reveal(), "mr"]


async def test_an_outage_goes_unnoticed_while_the_token_lasts(server: TokenServer) -> None:
    clock = Clock()
    tokens, grant = source(server.port, clock), at(server, google_user())
    first = token(await tokens.token(grant))
    clock.now += 3400
    server.script.extend([Scripted(503, google_error("invalid_grant"))] * 2)
    assert token(await tokens.token(grant)).value == first.value
    assert token(await tokens.token(grant)).value == first.value
    assert len(server.forms) == 2, "and is not made worse"
    clock.now += 300
    got = failure(await tokens.token(grant))
    assert (got.reason, got.conclusive) == (OAuthReason.ENDPOINT_UNAVAILABLE, False)


async def test_a_refusal_counts_although_the_token_lasts(server: TokenServer) -> None:
    clock = Clock()
    tokens, grant = source(server.port, clock), at(server, google_user())
    await tokens.token(grant)
    clock.now += 3400
    server.refreshes.clear()
    assert failure(await tokens.token(grant)).reason is OAuthReason.GRANT_REVOKED


async def test_the_pause_that_is_asked_for_is_kept(server: TokenServer) -> None:
    clock = Clock()
    tokens, grant = source(server.port, clock), at(server, google_user())
    server.script.append(Scripted(429, {}, {"Retry-After": "120"}))
    got = failure(await tokens.token(grant))
    assert (got.reason, got.failure_class) == (OAuthReason.THROTTLED, FailureClass.THROTTLED)
    assert got.retry_after == 120
    clock.now += 100
    assert failure(await tokens.token(grant)).retry_after == pytest.approx(20)
    assert len(server.forms) == 1
    clock.now += 21
    token(await tokens.token(grant))


async def test_a_throttled_tenant_without_a_pause_has_one(server: TokenServer) -> None:
    clock = Clock()
    tokens, grant = source(server.port, clock), at(server, microsoft_user())
    server.script.append(Scripted(400, microsoft_error("invalid_request", 90055)))
    assert failure(await tokens.token(grant)).reason is OAuthReason.THROTTLED
    clock.now += 59
    failure(await tokens.token(grant))
    assert len(server.forms) == 1


async def test_a_refusal_is_asked_again_when_someone_asks(server: TokenServer) -> None:
    tokens, grant = source(server.port), at(server, google_user(refresh="late"))
    failure(await tokens.token(grant))
    server.refreshes["late"] = Refresh("gid", MAILBOX, "https://mail.google.com/")
    token(await tokens.token(grant))


async def test_what_is_kept_is_bounded(server: TokenServer) -> None:
    tokens = TokenSource(exchange(server.port), limit=2)
    for version in "123":
        await tokens.token(at(server, google_user(version=version)))
    await tokens.token(at(server, google_user(version="3")))
    assert len(server.forms) == 3
    await tokens.token(at(server, google_user(version="1")))
    assert len(server.forms) == 4


async def test_closing_ends_what_is_under_way(server: TokenServer) -> None:
    tokens = source(server.port)
    waiting = asyncio.create_task(tokens.token(at(server, google_user())))
    await asyncio.sleep(0)
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
