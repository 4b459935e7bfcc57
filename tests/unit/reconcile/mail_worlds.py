# SPDX-License-Identifier: Apache-2.0
"""A world of mail without a network: objects, Secrets, scripted probes and scripted tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from postroom.api.conditions import ConditionType, find
from postroom.api.mailserver import ProbeStage, TLSFacts
from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource, InvalidSpec, parse
from postroom.api.status import CommonStatus
from postroom.dns.answers import Asker
from postroom.dns.ownership import OwnershipRules
from postroom.dns.tls.mta_sts_host import PolicyFetcher
from postroom.mail.identities.values import IdentitySource, NoIdentities
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant
from postroom.mail.operations import Operation, OperationReport, Report
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport
from postroom.reconcile import world
from postroom.reconcile.engine import Policy, reconcile
from postroom.reconcile.indexes import indexes_in, indexes_of, is_at_rest
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.tenancy.addresses import AddressBook
from postroom.reconcile.tenancy.claims import ClaimBook
from postroom.reconcile.world import ConfigMapContent, SecretContent
from unit.reconcile.assessments import NOW, Stored

NAMESPACE = "mail"
SERVER = Key(Kind.MAIL_SERVER, NAMESPACE, "smtp")
ACCOUNT = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "support")
AT_ONCE = Policy(regression_confirmation=timedelta(), dependency_patience=timedelta())
WELL = ProbeReport(
    ProbeStage.DONE,
    Reason.PROBE_SUCCEEDED,
    "Well.",
    conclusive=True,
    tls=TLSFacts(version="TLSv1.3"),
)
REFUSED = ProbeReport(
    ProbeStage.AUTH,
    Reason.AUTHENTICATION_REJECTED,
    "The mailbox is not open to it.",
    conclusive=True,
    authenticated=False,
)


class Dialled(NamedTuple):
    """One probe that was made."""

    protocol: str
    endpoint: Endpoint
    login: Login | None


@dataclass
class Probes:
    """Says that all is well, or what `refuses` says of a password or token; `away` is what every
    server says instead."""

    refuses: Mapping[str, ProbeReport] = field(default_factory=dict)
    away: ProbeReport | None = None
    dialled: list[Dialled] = field(default_factory=list)

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        if mailbox is None:
            return self._answer("SMTP", endpoint, login)
        return self._answer("IMAP", endpoint, login, Mailbox(mailbox, 3, 1, 4, 1))

    async def perform(
        self, endpoint: Endpoint, login: Login, operation: Operation[Report]
    ) -> Report:
        """What each operation comes to: `do` tells, as far as any is expected."""
        return cast("Report", await self.do(login, operation))

    async def do(self, login: Login, operation: Operation[Any]) -> OperationReport:
        raise AssertionError(f"nothing was to be done, but {operation.kind} was")

    def _answer(
        self, protocol: str, endpoint: Endpoint, login: Login | None, mailbox: Mailbox | None = None
    ) -> ProbeReport:
        self.dialled.append(Dialled(protocol, endpoint, login))
        if self.away is not None:
            return self.away
        if login is None:
            return WELL
        refusal = self.refuses.get(login.password.reveal())
        if refusal is not None:
            return refusal
        return ProbeReport(
            WELL.stage, WELL.reason, "", True, authenticated=True, tls=WELL.tls, mailbox=mailbox
        )


@dataclass
class Tokens:
    """Hands out what is scripted, one after the other, the last one for ever."""

    script: list[AccessToken | TokenFailure] = field(default_factory=list)
    asked: list[Grant] = field(default_factory=list)
    dropped: int = 0

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        self.asked.append(grant)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def drop(self, grant: Grant) -> None:
        self.dropped += 1


def token(value: str = "token-1", *, fresh: bool = True) -> AccessToken:
    """A token that tells nothing of itself."""
    return AccessToken(Masked(value), 3600.0, fresh=fresh)


class MailWorld:
    """Implements `postroom.reconcile.world.World`; `look` reconciles one object as the engine."""

    def __init__(self) -> None:
        self.probes, self.scripted = Probes(), Tokens([token()])
        self.source: world.Tokens | None = None
        self.identity_source: IdentitySource = NoIdentities()
        self.message_policy: world.MessagePolicy | None = None
        self.time = NOW
        self.objects: dict[Key, dict[str, Any]] = {}
        self.secrets: dict[str, SecretContent] = {}
        #: Namespace and name of every Secret that was asked for.
        self.read: list[tuple[str, str]] = []
        self._memories: dict[Key, Memory] = {}

    def add(self, key: Key, **spec: Any) -> None:
        """Create an object, or change its spec."""
        generation = self.objects.get(key, {}).get("metadata", {}).get("generation", 0) + 1
        metadata = {"namespace": key.namespace, "name": key.name, "uid": key.name}
        self.objects[key] = {
            "metadata": {**metadata, "generation": generation},
            "spec": Stored(spec),
            "status": self.objects.get(key, {}).get("status"),
        }

    def add_secret(
        self, name: str, allowed: tuple[str, ...] | None = None, version: str = "1", **data: str
    ) -> None:
        """Create a Secret, or change it; ``tls_crt`` stands for the key ``tls.crt``."""
        masked = {key.replace("_", "."): Masked(value) for key, value in data.items()}
        self.secrets[name] = SecretContent(name, f"uid-{name}", version, masked, allowed)

    async def look(self, key: Key, wait: timedelta = timedelta(minutes=5)) -> CommonStatus:
        """Let time pass and reconcile; the status is stored as the API server would."""
        self.time += wait
        memory = self._memories.setdefault(key, Memory())
        outcome = await reconcile(key.kind, self.objects[key], self, memory, AT_ONCE)
        assert outcome.status is not None
        stored = outcome.status.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.objects[key]["status"] = Stored(stored)
        return outcome.status

    def restart(self) -> None:
        """Forget what only a process knows."""
        self._memories.clear()

    @property
    def dns(self) -> Asker:
        return cast("Asker", None)

    @property
    def identities(self) -> IdentitySource:
        return self.identity_source

    @property
    def messages(self) -> world.MessagePolicy | None:
        return self.message_policy

    @property
    def policies(self) -> PolicyFetcher:
        return cast("PolicyFetcher", None)

    @property
    def mail(self) -> Probes:
        return self.probes

    @property
    def outbound(self) -> world.Outbound:
        return world.Outbound(
            self.dns,
            cast("world.MailProbes", self.mail),
            self.policies,
            self.tokens,
            self.identities,
            self.messages,
        )

    @property
    def tokens(self) -> world.Tokens:
        return self.source or self.scripted

    def now(self) -> datetime:
        return self.time

    @property
    def ownership(self) -> OwnershipRules:
        return OwnershipRules((b"key",))

    @property
    def addresses(self) -> AddressBook:
        book = AddressBook()
        for key, raw in self.objects.items():
            if key.kind is Kind.EMAIL_ACCOUNT:
                created = str(raw["metadata"].get("creationTimestamp", ""))
                account = parsed(key.kind, raw)
                if account is None:
                    continue
                marks = indexes_of(account.spec)
                address = str(raw["spec"].get("address"))
                book.note(key, address, created, at_rest=is_at_rest(marks))
        return book

    @property
    def claims(self) -> ClaimBook:
        return ClaimBook()

    async def get(self, kind: Kind, namespace: str, name: str) -> AnyResource | None:
        raw = self.objects.get(Key(kind, namespace, name))
        return parsed(kind, raw) if raw else None

    def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        return Key(kind, namespace, name) in self.objects

    def names_under(self, kind: Kind, namespace: str, index: str) -> Sequence[str]:
        keys = sorted(key for key in self.objects if key[:2] == (kind, namespace))
        return [
            key.name for key in keys if index in indexes_in(kind, self.objects[key].get("spec"))
        ]

    async def find(self, kind: Kind, namespace: str, index: str) -> Sequence[AnyResource]:
        place = (kind, namespace)
        found = [await self.get(*key) for key in sorted(self.objects) if key[:2] == place]
        return [each for each in found if each is not None and index in indexes_of(each.spec)]

    async def find_everywhere(self, kind: Kind, index: str) -> Sequence[AnyResource]:
        spaces = sorted({key.namespace for key in self.objects})
        return [each for place in spaces for each in await self.find(kind, place, index)]

    def watches(self, namespace: str) -> bool:
        return namespace != "unwatched"

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        self.read.append((namespace, name))
        return self.secrets.get(name)

    async def config_map(self, namespace: str, name: str) -> ConfigMapContent | None:
        return None


def parsed(kind: Kind, raw: dict[str, Any]) -> AnyResource | None:
    try:
        return parse(kind, raw)
    except InvalidSpec:
        return None


def verdict(status: CommonStatus, wanted: ConditionType) -> tuple[str, str] | None:
    """(status, reason) of a condition."""
    found = find(status.conditions, wanted)
    return (found.status.value, found.reason) if found else None


def message(status: CommonStatus, wanted: ConditionType = ConditionType.READY) -> str:
    """The message of a condition, which must be there."""
    found = find(status.conditions, wanted)
    assert found is not None
    return found.message
