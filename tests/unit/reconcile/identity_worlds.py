# SPDX-License-Identifier: Apache-2.0
"""A world with one account, whose provider or server is asked about identities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from postroom.api.conditions import ConditionType
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.identities import IdentityState, IdentityStatus, IdentityType
from postroom.api.oauth import MicrosoftCloud, OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.identities.values import Discovered, DiscoveryFailure, ListedIdentity
from postroom.mail.oauth.grant import Grant
from postroom.mail.operations import (
    Acceptance,
    Answer,
    AskSenders,
    EnvelopeReport,
    Operation,
    OperationReport,
)
from postroom.mail.report import Login
from unit.reconcile.mail_worlds import (
    ACCOUNT,
    SERVER,
    WELL,
    MailWorld,
    Probes,
)

OWN, BILLING, SALES = "support@example.com", "billing@example.com", "sales@example.com"
IDENTITIES = ConditionType.IDENTITIES_VERIFIED
REFERENCE = {"name": "oauth", "key": "value"}
OAUTH = {"provider": "Google", "clientID": "gid", "refreshTokenRef": REFERENCE}
ENVELOPE = {"method": "Envelope"}
VERIFIED = ("True", "IdentitiesVerified")
ALL = frozenset(IdentityType)


def gmail(*others: str, state: IdentityState = IdentityState.VERIFIED) -> Discovered:
    listed = [ListedIdentity(OWN, IdentityType.PRIMARY, IdentityState.VERIFIED, "Support")]
    listed += [ListedIdentity(other, IdentityType.ALIAS, state, "From Gmail") for other in others]
    return Discovered(OAuthProvider.GOOGLE, OWN, tuple(listed), ALL)


@dataclass
class Source:
    """Lists what is scripted, one after the other, the last one for ever."""

    script: list[Discovered | DiscoveryFailure]
    asked: list[tuple[Grant, MicrosoftCloud | None]] = field(default_factory=list)

    async def identities(
        self, grant: Grant, cloud: MicrosoftCloud | None
    ) -> Discovered | DiscoveryFailure:
        self.asked.append((grant, cloud))
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


YES = Answer(Acceptance.ACCEPTED, Reason.PROBE_SUCCEEDED, "Accepted.", 250)
NO = Answer(Acceptance.REFUSED, Reason.SENDER_NOT_AUTHORIZED, "Refused.", 553, "5.7.1")
LATER = Answer(Acceptance.DEFERRED, Reason.TEMPORARY_FAILURE, "Later.", 450)
UNASKED = Answer(Acceptance.UNKNOWN, Reason.PROBE_INCONCLUSIVE, "Broken off.")


@dataclass
class EnvelopeProbes(Probes):
    """Says yes to every sender, or what `says` has for it."""

    says: Mapping[str, Answer] = field(default_factory=dict)
    envelopes: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)

    async def do(self, login: Login, operation: Operation[Any]) -> OperationReport:
        if not isinstance(operation, AskSenders):
            return await super().do(login, operation)
        senders = tuple(operation.senders)
        self.envelopes.append((login.password.reveal(), senders, operation.recipient))
        return EnvelopeReport(WELL, {sender: self.says.get(sender, YES) for sender in senders})


class Post(MailWorld):
    """A world with one account, at Gmail with a token, or at a server of its own."""

    def __init__(self, *script: Discovered | DiscoveryFailure) -> None:
        super().__init__()
        self.lister = Source(list(script) or [gmail()])
        self.identity_source = self.lister
        self.asker = EnvelopeProbes()
        self.probes = self.asker
        self.spec: dict[str, Any] = {"address": OWN}
        self.add_secret("oauth", value="refresh")

    def at_gmail(self, *declared: Any, **spec: Any) -> Post:
        self.spec |= {"provider": "Gmail", "oauth": OAUTH}
        return self.declaring(*declared, **spec)

    def at_a_server(self, *declared: Any, username: str = OWN, **spec: Any) -> Post:
        self.add_secret("login", username=username, password="password")
        self.add(SERVER, host="smtp.example.com")
        self.spec |= {"serverRef": {"name": "smtp"}, "credentialsRef": {"name": "login"}}
        return self.declaring(*declared, **spec)

    def declaring(self, *declared: Any, **spec: Any) -> Post:
        entries = [one if isinstance(one, dict) else {"address": one} for one in declared]
        self.spec |= {"identities": entries, **spec}
        self.add(ACCOUNT, **self.spec)
        return self

    async def seen(self, wait: timedelta = timedelta(minutes=5)) -> EmailAccountStatus:
        if SERVER in self.objects:
            await self.look(SERVER, timedelta())
        status = await self.look(ACCOUNT, wait)
        assert isinstance(status, EmailAccountStatus)
        return status


def states(status: EmailAccountStatus) -> dict[str, tuple[str, str | None]]:
    """By address: its state and the method."""
    return {
        identity.address: (identity.state.value, identity.method.value if identity.method else None)
        for identity in status.identities
    }


def one(status: EmailAccountStatus, address: str) -> IdentityStatus:
    (found,) = [entry for entry in status.identities if entry.address == address]
    return found
