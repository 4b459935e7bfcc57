# SPDX-License-Identifier: Apache-2.0
"""``spec.oauth`` of MailServer and EmailAccount through the engine.

Covers: the Secrets and where they may go, tokens shown as tokens, why there is none (an outage is
never a verdict), a refused token asked for anew once and then left alone, local reading of scopes,
and that no secret reaches status.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.masked import Masked
from postroom.api.reasons import CATALOGUE, Reason
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.reasons import CATALOGUE as OAUTH
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.replies.model import FailureClass
from unit.reconcile.mail_worlds import (
    ACCOUNT,
    REFUSED,
    SERVER,
    MailWorld,
    message,
    token,
    verdict,
)

ADDRESS = "support@gmail.com"
REFRESH = {"name": "oauth", "key": "refreshToken"}
GOOGLE = {"provider": "Google", "clientID": "gid", "refreshTokenRef": REFRESH}
IN = ConditionType.SMTP_AUTHENTICATED
GENERIC = {
    "provider": "Generic",
    "flow": "ClientCredentials",
    "clientID": "id",
    "tokenURL": "https://login.example.com/token",
    "clientSecretRef": {"name": "oauth", "key": "refreshToken"},
    "caBundleRef": {"kind": "Secret", "name": "ca", "key": "ca.crt"},
}


def world_of(oauth: dict[str, Any] | None = None, **spec: Any) -> MailWorld:
    """An account of Gmail that signs in with a token."""
    world = MailWorld()
    world.add_secret("oauth", refreshToken="canary-refresh")
    world.add(ACCOUNT, address=ADDRESS, provider="Gmail", oauth=oauth or GOOGLE, **spec)
    return world


def test_the_catalogues_agree() -> None:
    for one in OAuthReason:
        assert CATALOGUE[Reason(one.value)] == OAUTH[one]
        assert Reason(one.value).name == f"OAUTH_{one.name}"


async def test_an_account_signs_in_to_both_protocols_with_its_token() -> None:
    world = world_of(imap={})
    status = await world.look(ACCOUNT)
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    logins = [one.login for one in world.probes.dialled]
    assert [(login.username, login.token) for login in logins if login] == [(ADDRESS, True)] * 2
    (grant, other) = world.scripted.asked
    assert grant.key == other.key
    assert (grant.subject, grant.client_id, grant.namespace) == (ADDRESS, "gid", "mail")


async def test_a_server_signs_in_as_the_subject() -> None:
    world = MailWorld()
    world.add_secret("oauth", refreshToken="r")
    world.add(SERVER, provider="Gmail", oauth={**GOOGLE, "subject": "relay@gmail.com"})
    status = await world.look(SERVER)
    assert message(status) == "smtp.gmail.com:465 answers and accepts the credentials."
    assert [one.login.username for one in world.probes.dialled if one.login] == ["relay@gmail.com"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("other", {"refreshToken": "x"}, "SecretNotFound"),
        ("oauth", {"another": "x"}, "SecretKeyMissing"),
        ("oauth", {"refreshToken": " x"}, "SecretKeyMissing"),
    ],
)
async def test_a_secret_that_does_not_serve(name: str, data: dict[str, Any], reason: str) -> None:
    world = world_of()
    world.secrets.clear()
    world.add_secret(name, **data)
    status = await world.look(ACCOUNT)
    assert verdict(status, ConditionType.REFERENCES_RESOLVED) == ("False", reason)
    assert world.scripted.asked == []


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [
        (("oauth2.googleapis.com", "smtp.gmail.com"), None),
        (("*.googleapis.com", "*.gmail.com"), None),
        (("smtp.gmail.com",), "oauth2.googleapis.com"),
        (("oauth2.googleapis.com",), "smtp.gmail.com"),
    ],
)
async def test_a_secret_agrees_to_both_hosts(allowed: tuple[str, ...], missing: str | None) -> None:
    world = world_of()
    world.add_secret("oauth", allowed, refreshToken="r")
    status = await world.look(ACCOUNT)
    found = verdict(status, ConditionType.REFERENCES_RESOLVED)
    assert found == (("False", "ReferenceNotPermitted") if missing else ("True", "Resolved"))
    assert bool(world.scripted.asked) is (missing is None)
    if missing:
        assert f"may not be sent to {missing}: add the host" in message(status)


async def test_a_token_of_google_is_for_google_alone() -> None:
    world = MailWorld()
    world.add_secret("oauth", refreshToken="r")
    world.add(SERVER, host="mail.example.com", oauth={**GOOGLE, "subject": ADDRESS})
    status = await world.look(SERVER)
    expected = ("False", "ReferenceNotPermitted")
    assert verdict(status, ConditionType.REFERENCES_RESOLVED) == expected
    assert "may not be sent to mail.example.com, but only to imap.gmail.com," in message(status)
    assert world.scripted.asked == []
    assert world.probes.dialled == []


async def test_a_generic_endpoint_may_have_authorities_of_its_own() -> None:
    world = MailWorld()
    world.add_secret("oauth", refreshToken="s")
    world.add_secret("ca", ca_crt="PEM")
    world.add(SERVER, host="mail.example.com", oauth={**GENERIC, "subject": ADDRESS})
    await world.look(SERVER)
    (grant,) = world.scripted.asked
    assert (grant.ca_bundle, grant.token_url) == ("PEM", "https://login.example.com/token")


def failure(reason: OAuthReason, kind: FailureClass) -> TokenFailure:
    return TokenFailure(reason, kind, f"{OAUTH[reason].meaning} {OAUTH[reason].remedy}")


@pytest.mark.parametrize(
    ("reason", "kind", "expected"),
    [
        (OAuthReason.ENDPOINT_UNAVAILABLE, FailureClass.TRANSIENT, "Unknown"),
        (OAuthReason.THROTTLED, FailureClass.THROTTLED, "Unknown"),
        (OAuthReason.GRANT_REVOKED, FailureClass.PERMANENT, "False"),
        (OAuthReason.DELEGATION_MISSING, FailureClass.CONFIGURATION, "False"),
    ],
)
async def test_why_there_is_no_token_is_the_verdict(
    reason: OAuthReason, kind: FailureClass, expected: str
) -> None:
    world = world_of()
    world.scripted.script = [failure(reason, kind)]
    status = await world.look(ACCOUNT)
    assert verdict(status, IN) == (expected, reason.value)
    assert verdict(status, ConditionType.SMTP_AVAILABLE) == ("True", "ProbeSucceeded")
    assert [one.login for one in world.probes.dialled] == [None]


async def test_an_outage_turns_nothing_false() -> None:
    world = world_of()
    await world.look(ACCOUNT)
    world.scripted.script = [failure(OAuthReason.ENDPOINT_UNAVAILABLE, FailureClass.TRANSIENT)]
    status = await world.look(ACCOUNT)
    found = verdict(status, ConditionType.READY)
    assert found is not None and found[0] != "False"
    world.scripted.script = [token()]
    assert verdict(await world.look(ACCOUNT), IN) == ("True", "AuthenticationSucceeded")


async def test_a_revoked_grant_is_left_alone_until_it_changes() -> None:
    world = world_of()
    world.scripted.script = [failure(OAuthReason.GRANT_REVOKED, FailureClass.PERMANENT)]
    for _ in range(3):
        status = await world.look(ACCOUNT)
    assert len(world.scripted.asked) == 1
    assert verdict(status, IN) == ("False", "OAuthGrantRevoked")
    world.scripted.script = [token()]
    world.add_secret("oauth", version="2", refreshToken="new")
    assert verdict(await world.look(ACCOUNT), IN) == ("True", "AuthenticationSucceeded")


async def test_what_is_granted_elsewhere_is_asked_for_again() -> None:
    world = world_of()
    world.scripted.script = [failure(OAuthReason.CONSENT_REQUIRED, FailureClass.CONFIGURATION)]
    await world.look(ACCOUNT)
    world.scripted.script = [token()]
    assert verdict(await world.look(ACCOUNT), IN) == ("True", "AuthenticationSucceeded")


async def test_a_kept_token_that_is_refused_is_replaced_once() -> None:
    world = world_of()
    world.scripted.script = [token("old", fresh=False), token("new")]
    world.probes.refuses = {"old": REFUSED}
    status = await world.look(ACCOUNT)
    assert verdict(status, IN) == ("True", "AuthenticationSucceeded")
    assert world.scripted.dropped == 1


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_token_that_is_refused_is_not_shown_again(fresh: bool) -> None:
    world = world_of()
    world.scripted.script = [token(fresh=fresh)]
    world.probes.refuses = {"token-1": REFUSED}
    for _ in range(3):
        status = await world.look(ACCOUNT)
    shown = [one for one in world.probes.dialled if one.login]
    assert len(shown) == (1 if fresh else 2)
    assert verdict(status, IN) == ("False", "OAuthTokenRejected")
    assert message(status) == (
        "The mail server does not take a token that the provider has just handed out. "
        f"The mailbox is not open to it. {CATALOGUE[Reason.OAUTH_TOKEN_REJECTED].remedy}"
    )


async def test_a_token_without_the_scope_is_never_shown() -> None:
    world = world_of()
    world.scripted.script = [AccessToken(Masked("t"), 3600.0, scopes=("openid",))]
    status = await world.look(ACCOUNT)
    assert verdict(status, IN) == ("False", "OAuthScopeMissing")
    assert [one.login for one in world.probes.dialled] == [None]


async def test_status_is_the_same_at_every_look_and_holds_no_secret() -> None:
    world = world_of(imap={})
    world.scripted.script = [token("canary-token")]
    world.probes.refuses = {"canary-token": REFUSED}
    seen = []
    for _ in range(2):
        status = await world.look(ACCOUNT, timedelta(minutes=5))
        seen.append(json.dumps(status.model_dump(mode="json", exclude={"last_check_time"})))
    assert seen[0] == seen[1]
    assert "canary" not in seen[0]
