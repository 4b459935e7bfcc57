# SPDX-License-Identifier: Apache-2.0
"""The one seam between the reconcilers and everything outside: objects, secrets, DNS, mail, clock.

The cluster (`postroom.controller.world`) and a directory of YAML (`postroom.cli.directory`)
implement it, so that both run the same reconcilers.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from postroom.api.masked import Masked
from postroom.api.names import ALLOW_ANNOTATION, ALLOWED_HOSTS_ANNOTATION, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource
from postroom.api.times import parse_timestamp
from postroom.dns.answers import Asker
from postroom.dns.ownership import OwnershipRules
from postroom.dns.publishing.dns_endpoint import HandedSet
from postroom.dns.tls.mta_sts_host import PolicyFetcher
from postroom.mail.identities.values import IdentitySource, NoIdentities
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.operations import Operation, Report
from postroom.mail.replies.model import FailureClass
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile.status.wanted import ChildState
from postroom.reconcile.tenancy.addresses import AddressBook
from postroom.reconcile.tenancy.budgets import Budgets
from postroom.reconcile.tenancy.claims import ClaimBook


@dataclass(frozen=True, slots=True)
class SecretContent:
    """A Secret's decoded data, masked, and what identifies its version.

    `allowed_hosts` is the parsed annotation ``postroom.dev/allowed-hosts``: None where it is
    absent, else host patterns, of which the first label may be ``*``. `allowed_uses` is the parsed
    annotation ``postroom.dev/allow``. With `silence_consents` the credentials may be used for what
    their owner did not speak of. `written` is when each key was written last at the latest, as
    far as the API server tells; the Secret's own age tells nothing of it.
    """

    name: str
    uid: str
    resource_version: str
    data: Mapping[str, Masked]
    allowed_hosts: tuple[str, ...] | None
    allowed_uses: frozenset[str] = frozenset()
    silence_consents: bool = True
    written: Mapping[str, datetime] = field(default_factory=dict)


def secret_content(raw: Mapping[str, Any]) -> SecretContent:
    """Decode a Secret as an API server or a manifest has it.

    Entries that are no UTF-8 text are left out, as no login can be binary; ``stringData`` goes
    before ``data``.
    """
    metadata = _mapping(raw.get("metadata"))
    data: dict[str, Masked] = {}
    for key, value in _mapping(raw.get("data")).items():
        try:
            data[str(key)] = Masked(base64.b64decode(str(value), validate=True).decode())
        except ValueError:  # neither base64 nor UTF-8
            continue
    for key, value in _mapping(raw.get("stringData")).items():
        if isinstance(value, str):
            data[str(key)] = Masked(value)
    annotations = _mapping(metadata.get("annotations"))
    uses = str(annotations.get(ALLOW_ANNOTATION) or "").split(",")
    return SecretContent(
        name=str(metadata.get("name") or ""),
        uid=str(metadata.get("uid") or ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        data=data,
        allowed_hosts=_allowed_hosts(annotations),
        allowed_uses=frozenset(use.strip() for use in uses if use.strip()),
        written=_written(metadata.get("managedFields")),
    )


def _written(managed: object) -> Mapping[str, datetime]:
    """When each key of a Secret's data was written last, at the latest.

    Whoever changes a field is its manager, with the time of that change or of a later one. Of a key
    with a manager whose time is not known nothing is.
    """
    latest: dict[str, datetime | None] = {}
    for entry in map(_mapping, managed if isinstance(managed, list) else ()):
        try:
            moment = parse_timestamp(str(entry.get("time")))
        except ValueError:
            moment = None
        owned = _mapping(entry.get("fieldsV1"))
        for name in (*_mapping(owned.get("f:data")), *_mapping(owned.get("f:stringData"))):
            key, known = (
                str(name).removeprefix("f:"),
                latest.get(str(name).removeprefix("f:"), moment),
            )
            latest[key] = max(known, moment) if known is not None and moment is not None else None
    return {key: moment for key, moment in latest.items() if moment is not None}


def _allowed_hosts(annotations: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Parse the annotation; one that is present but empty allows no host."""
    text = annotations.get(ALLOWED_HOSTS_ANNOTATION)
    if text is None:
        return None
    parts = (part.strip().lower().removesuffix(".") for part in str(text).split(","))
    return tuple(part for part in parts if part)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True)
class ConfigMapContent:
    """A ConfigMap's data and version."""

    name: str
    uid: str
    resource_version: str
    data: Mapping[str, str]


class LookupUnavailable(Exception):
    """The world could not be asked for an object now (API server away, throttled, forbidden).

    `sentence` is safe to show. Not the same as "does not exist", which is answered by None.
    """

    def __init__(self, sentence: str, reason: Reason = Reason.PROGRESSING) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        #: Why nothing is known; waiting is the remedy unless it says otherwise.
        self.reason = reason


@dataclass(frozen=True, slots=True)
class MessagePolicy:
    """Whom test messages may go to besides the account itself and its identities.

    `recipients` are addresses, or domains written ``@example.com``, lowercase. `budgets` are what
    all accounts together spend. `may_send` is asked immediately before a server is given a message:
    no longer, where another process has taken over.
    """

    recipients: tuple[str, ...] = ()
    budgets: Budgets = field(default_factory=Budgets)
    may_send: Callable[[], bool] = lambda: True

    def allows(self, address: str) -> bool:
        """Whether a test message may go to an address."""
        folded = address.lower()
        return folded in self.recipients or f"@{folded.rpartition('@')[2]}" in self.recipients


class MailProbes(Protocol):
    """Probes mail servers. Implementations never raise for what servers or networks do."""

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        """Check an SMTP server, or, where a mailbox is named, an IMAP server and that mailbox.

        Connects, secures, reads capabilities, and authenticates once if there is a login; a mailbox
        is then examined read-only. No mail is sent, and nothing is changed.
        """
        ...

    async def perform(
        self, endpoint: Endpoint, login: Login, operation: Operation[Report]
    ) -> Report:
        """Sign in and do what is asked, once."""
        ...


class Tokens(Protocol):
    """Hands out access tokens. Implementations never raise for what endpoints or networks do."""

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        """Return a token that lasts, or why there is none."""
        ...

    def drop(self, grant: Grant) -> None:
        """Forget a token that a mail server refused."""
        ...


class NoTokens:
    """Implements `Tokens` where nobody may be asked."""

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        """The failure that there is none."""
        return TokenFailure(
            OAuthReason.ENDPOINT_DENIED,
            FailureClass.CONFIGURATION,
            "This process asks no token endpoint:",
            fix="use credentialsRef.",
        )

    def drop(self, grant: Grant) -> None:
        """There is nothing to forget."""


class EndpointReader(Protocol):
    """Reads what was handed to external-dns. Never raises for what an API server answers."""

    async def read(self, namespace: str, name: str, uid: str) -> tuple[HandedSet, ...] | ChildState:
        """Return what the DNSEndpoint of a resource has, nothing where there is none of it, or why
        that cannot be told."""
        ...


@runtime_checkable
class _Closable(Protocol):
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Outbound:
    """What every world asks outside of where its objects are: DNS, mail servers, the hosts of
    MTA-STS policies, token endpoints and the APIs of mail providers.

    `messages` is the policy on messages of our own; None: none is sent, as no status keeps track.
    `endpoints` tells what was handed to external-dns; None: nothing ever is. Without `signs_in`
    servers are looked at, and no credentials are sent.
    """

    dns: Asker
    mail: MailProbes
    policies: PolicyFetcher
    tokens: Tokens = field(default_factory=NoTokens)
    identities: IdentitySource = field(default_factory=NoIdentities)
    messages: MessagePolicy | None = None
    endpoints: EndpointReader | None = None
    signs_in: bool = True

    async def close(self) -> None:
        """Give up connections that are kept for the next question."""
        for client in (self.dns, self.policies, self.tokens, self.identities):
            if isinstance(client, _Closable):
                await client.close()


class World(Protocol):
    """What a reconciler may ask. Every read names the namespace of the object it serves."""

    @property
    def outbound(self) -> Outbound:
        """The clients of everything outside."""
        ...

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        ...

    @property
    def ownership(self) -> OwnershipRules:
        """How control of domains is proven, and with which keys."""
        ...

    @property
    def addresses(self) -> AddressBook:
        """Who is for which address, in all namespaces."""
        ...

    @property
    def claims(self) -> ClaimBook:
        """Who claims which domain, in all namespaces."""
        ...

    async def get(self, kind: Kind, namespace: str, name: str) -> AnyResource | None:
        """Return one object, None if there is none (or its spec is invalid)."""
        ...

    def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        """Whether there is an object of a name, be its spec invalid."""
        ...

    def names_under(self, kind: Kind, namespace: str, index: str) -> Sequence[str]:
        """Return the names of the objects of a namespace that stand under an index, sorted; also
        of those with an invalid spec (`postroom.reconcile.indexes.unusable`)."""
        ...

    async def find(self, kind: Kind, namespace: str, index: str) -> Sequence[AnyResource]:
        """Return the objects of a namespace that stand under an index, sorted by name.

        `index` is one of the texts that `postroom.reconcile.indexes.indexes_of` gives for an
        object, such as ``default=true`` or ``address=support@example.com``.
        """
        ...

    async def find_everywhere(self, kind: Kind, index: str) -> Sequence[AnyResource]:
        """Return the objects of all namespaces that stand under an index that names a namespace
        itself (`postroom.reconcile.indexes.namespace_in`), sorted by key."""
        ...

    def watches(self, namespace: str) -> bool:
        """Whether objects of a namespace are seen at all."""
        ...

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        """Return a Secret, None if there is none; raises `LookupUnavailable`."""
        ...

    async def config_map(self, namespace: str, name: str) -> ConfigMapContent | None:
        """Return a ConfigMap, None if there is none; raises `LookupUnavailable`."""
        ...
