# SPDX-License-Identifier: Apache-2.0
"""What status says about refresh tokens that are kept, or are not.

Covers: each problem with its fix, the warning before Microsoft's tokens end, who is told nothing,
one finding for both protocols of an account, for whom a grant's tokens are kept, and how often a
new one is worth a write.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.findings import Finding, Severity
from postroom.api.names import Kind
from postroom.api.oauth import OAuth, OAuthProvider
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant, KeptFor
from postroom.mail.oauth.refresh_token_store import Keeping, KeepingProblem
from postroom.reconcile.account.steps import AccountView, refresh_token_step
from postroom.reconcile.signing_in.probing import SMTP, Attempt
from postroom.reconcile.signing_in.protocol_check import ProtocolCheck
from postroom.reconcile.signing_in.refresh_tokens import due, findings_of, secret_name
from postroom.reconcile.signing_in.token_credentials import Owner, TokenCredentials, grant_from
from postroom.reconcile.world import NoTokens
from unit.reconcile.mail_worlds import MailWorld

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OWNER = Owner(Kind.EMAIL_ACCOUNT, "support", "uid-support")
SPEC = {
    "provider": "Microsoft",
    "clientID": "mid",
    "refreshTokenRef": {"name": "oauth", "key": "refreshToken"},
    "rotation": "WriteBack",
}


@dataclass
class Keeps:
    """Tokens whose refresh tokens are kept as `keeping_of` says."""

    keeping_of: Keeping = field(default_factory=Keeping)

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        raise NotImplementedError

    def drop(self, grant: Grant) -> None:
        raise NotImplementedError

    def keeping(self, grant: Grant) -> Keeping:
        return self.keeping_of


async def credentials(owner: Owner | None = OWNER, **changes: Any) -> TokenCredentials:
    world: Any = MailWorld()
    world.add_secret("client", version="7", secret="s")
    world.add_secret("oauth", version="3", refreshToken="canary")
    oauth = OAuth.model_validate(SPEC | changes)
    got = await grant_from(
        world, "mail", oauth, "support@example.com", "outlook.office365.com", owner
    )
    assert isinstance(got, TokenCredentials), got
    return got


async def told(keeping: Keeping, **changes: Any) -> tuple[Finding, ...]:
    return findings_of(Keeps(keeping), await credentials(**changes), NOW)


async def test_the_source_is_the_version_of_the_refresh_tokens_secret() -> None:
    got = await credentials(clientSecretRef={"name": "client", "key": "secret"})
    assert got.grant.kept_for == KeptFor("EmailAccount", "support", "uid-support", "uid-oauth/3")


@pytest.mark.parametrize(
    ("owner", "changes"), [(None, {}), (OWNER, {"rotation": "None"}), (OWNER, {"rotation": None})]
)
async def test_who_does_not_ask_is_told_nothing(
    owner: Owner | None, changes: dict[str, Any]
) -> None:
    got = await credentials(owner, **changes)
    assert got.grant.kept_for is None
    assert findings_of(NoTokens(), got, NOW) == ()


async def test_another_owner_is_another_grant() -> None:
    one, other = await credentials(), await credentials(replace(OWNER, uid="another"))
    assert one.grant.key != other.grant.key


def test_who_uses_a_password_is_told_nothing() -> None:
    assert findings_of(NoTokens(), None, NOW) == ()


EXPECTED = {
    KeepingProblem.NOT_AVAILABLE: ("Info", "stays as it is"),
    KeepingProblem.NOT_ALLOWED: ("Warning", "--allow-token-rotation"),
    KeepingProblem.NAME_TAKEN: ("Warning", "Secret support-oauth exists and does not belong"),
    KeepingProblem.FORBIDDEN: ("Warning", "permission to create and patch Secrets"),
    KeepingProblem.UNGUARDED: ("Warning", "no admission policy is in force"),
    KeepingProblem.REFUSED: ("Warning", "does not accept Secret support-oauth"),
    KeepingProblem.UNAVAILABLE: ("Warning", "tried again"),
}


@pytest.mark.parametrize("problem", KeepingProblem)
async def test_each_problem_is_one_finding(problem: KeepingProblem) -> None:
    (found,) = await told(Keeping(problem, NOW))
    severity, words = EXPECTED[problem]
    assert (found.code, found.severity.value) == ("REFRESH_TOKEN_NOT_KEPT", severity)
    assert words in found.message
    assert "canary" not in found.message


async def test_without_a_cluster_it_is_not_available() -> None:
    (found,) = findings_of(NoTokens(), await credentials(), NOW)
    assert (found.severity, "not available" in found.message) == (Severity.INFO, True)


async def test_all_is_well_until_sixty_days() -> None:
    assert await told(Keeping(kept_at=NOW - 59 * DAY)) == ()
    (found,) = await told(Keeping(kept_at=NOW - 60 * DAY))
    assert (found.code, found.severity) == ("REFRESH_TOKEN_AGING", Severity.WARNING)
    assert "Secret support-oauth" in found.message
    assert (found,) == await told(Keeping(kept_at=NOW - 80 * DAY)), "the text does not change"


async def test_who_cannot_write_for_sixty_days_is_told_both() -> None:
    found = await told(Keeping(KeepingProblem.FORBIDDEN, NOW - 61 * DAY))
    assert [one.code for one in found] == ["REFRESH_TOKEN_NOT_KEPT", "REFRESH_TOKEN_AGING"]


async def test_only_microsofts_tokens_are_known_to_end() -> None:
    got = await credentials()
    google = replace(got, grant=replace(got.grant, provider=OAuthProvider.GOOGLE))
    assert findings_of(Keeps(Keeping(kept_at=NOW - 99 * DAY)), google, NOW) == ()


async def test_both_protocols_are_told_of_once() -> None:
    world: Any = MailWorld()
    world.time, world.source = NOW, Keeps(Keeping(KeepingProblem.FORBIDDEN))
    nothing = cast("Any", None)
    account: Any = SimpleNamespace(status=EmailAccountStatus())
    check = ProtocolCheck(Attempt(SMTP, nothing, await credentials(), None))
    view = AccountView(account, nothing, check, check, world, nothing)
    assert len((await refresh_token_step(view)).findings) == 1
    nobody = AccountView(account, nothing, ProtocolCheck(), ProtocolCheck(), world, nothing)
    assert (await refresh_token_step(nobody)).findings == ()


def test_names() -> None:
    of = KeptFor("EmailAccount", "support", "uid", "s")
    assert secret_name(of) == "support-oauth"
    assert secret_name(replace(of, kind="MailServer")) == "support-server-oauth"


@given(st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)))
def test_how_often(age: timedelta) -> None:
    expected = not timedelta() <= age < DAY
    assert due(OAuthProvider.MICROSOFT, NOW - age, NOW) is expected
    assert due(OAuthProvider.GENERIC, NOW - age, NOW) is True
