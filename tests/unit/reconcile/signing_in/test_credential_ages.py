# SPDX-License-Identifier: Apache-2.0
"""How old passwords and refresh tokens are: as Secrets tell, each once, and without a guess."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.api.status import CredentialAge, CredentialUse
from postroom.mail.oauth.refresh_token_store import Keeping, KeepingProblem
from postroom.mail.report import Login
from postroom.reconcile.signing_in.credential_ages import ages_of
from postroom.reconcile.signing_in.references import Credentials, Written
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.world import NoTokens
from unit.reconcile.signing_in.test_refresh_tokens import Keeps, credentials

AT = datetime(2026, 1, 1, tzinfo=UTC)
PASSWORD = CredentialAge(
    use=CredentialUse.PASSWORD, secret="login", changed_at="2026-01-01T00:00:00Z"
)
TOKEN = CredentialAge(
    use=CredentialUse.REFRESH_TOKEN,
    secret="support-oauth",
    changed_at="2026-01-01T00:00:00Z",
    ends_at="2026-04-01T00:00:00Z",
)


def password(written: Written | None) -> Credentials:
    return Credentials(Login("support", Masked("canary")), (), "1", written)


async def granted(written: datetime | None, **changes: object) -> TokenCredentials:
    """A grant whose refresh token nobody replaces."""
    got = await credentials(rotation="None", **changes)
    at = Written("support-oauth", "refreshToken", written) if written is not None else None
    return TokenCredentials(got.grant, got.cloud, got.resolved, at)


async def test_what_nobody_tells_is_not_there() -> None:
    unknown = [None, password(None), await granted(None)]
    assert ages_of(NoTokens(), unknown, [PASSWORD, TOKEN]) == []


async def test_each_is_told_once_and_in_order() -> None:
    login, later = Written("login", "password", AT), Written("a", "password", AT)
    found = [await granted(AT), password(login), password(later), password(login)]
    first = PASSWORD.model_copy(update={"secret": "a"})
    assert ages_of(NoTokens(), found, []) == [first, PASSWORD, TOKEN]
    assert ages_of(NoTokens(), found[::-1], []) == [first, PASSWORD, TOKEN]


async def test_an_end_is_told_where_the_provider_names_one() -> None:
    microsoft = await granted(AT)
    google = replace(microsoft.grant, provider=OAuthProvider.GOOGLE)
    found = replace(microsoft, grant=google, cloud=None)
    (age,) = ages_of(NoTokens(), [found], [])
    assert age == TOKEN.model_copy(update={"ends_at": None})


@pytest.mark.parametrize("problem", [None, KeepingProblem.FORBIDDEN])
async def test_of_a_kept_token_it_counts_when_it_was_kept(problem: KeepingProblem | None) -> None:
    kept = Keeps(Keeping(problem=problem, kept_at=AT))
    grant = await credentials()
    assert ages_of(kept, [grant, grant], []) == [TOKEN]
    later = Keeps(Keeping(problem=problem, kept_at=AT + timedelta(days=1)))
    (age,) = ages_of(later, [grant], [TOKEN])
    assert (age.changed_at, age.ends_at) == ("2026-01-02T00:00:00Z", "2026-04-02T00:00:00Z")


async def test_after_a_start_what_was_told_of_a_kept_token_holds() -> None:
    other = TOKEN.model_copy(update={"secret": "other"})
    assert ages_of(Keeps(Keeping()), [await credentials()], [PASSWORD, TOKEN, other]) == [TOKEN]
