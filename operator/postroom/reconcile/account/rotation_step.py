# SPDX-License-Identifier: Apache-2.0
"""How the refresh token of an account is kept, told once for both protocols."""

from __future__ import annotations

from postroom.api.findings import Finding
from postroom.reconcile.account.steps import AccountView, Contribution
from postroom.reconcile.signing_in.refresh_tokens import findings_of


async def step(view: AccountView) -> Contribution:
    """Say what keeps new refresh tokens from being kept, if the account asks for that."""
    found: list[Finding] = []
    for leg in (view.smtp, view.imap):
        if leg.attempt is not None:
            told = findings_of(view.world.tokens, leg.attempt.credentials, view.world.now())
            found.extend(one for one in told if one not in found)
    return Contribution(findings=tuple(found))
