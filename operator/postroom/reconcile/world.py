# SPDX-License-Identifier: Apache-2.0
"""The one seam between the reconcilers and everything outside: objects, secrets, DNS, mail, clock.

The cluster (`postroom.controller.world`) and a directory of YAML (`postroom.cli.directory`)
implement it, so that both run the same reconcilers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from postroom.api.masked import Masked
from postroom.api.names import Kind
from postroom.api.resource import AnyResource
from postroom.dns.answers import Asker
from postroom.dns.policy_host import PolicyFetcher
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant
from postroom.mail.report import Endpoint, Login, ProbeReport


@dataclass(frozen=True, slots=True)
class SecretContent:
    """A Secret's decoded data, masked, and what identifies its version.

    `allowed_hosts` is the parsed annotation ``postroom.dev/allowed-hosts``: None where it is
    absent, else host patterns, of which the first label may be ``*``.
    """

    name: str
    uid: str
    resource_version: str
    data: Mapping[str, Masked]
    allowed_hosts: tuple[str, ...] | None


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

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class MailProbes(Protocol):
    """Probes mail servers. Implementations never raise for what servers or networks do."""

    async def smtp(self, endpoint: Endpoint, login: Login | None) -> ProbeReport:
        """Connect, secure, greet, read capabilities, authenticate if asked, and quit."""
        ...

    async def imap(self, endpoint: Endpoint, login: Login | None, mailbox: str) -> ProbeReport:
        """Connect with TLS, log in, examine the mailbox read-only, and log out.

        Without a login, stop after the capabilities.
        """
        ...


class Tokens(Protocol):
    """Hands out access tokens. Implementations never raise for what endpoints or networks do."""

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        """Return a token that lasts, or why there is none."""
        ...

    def drop(self, grant: Grant) -> None:
        """Forget a token that a mail server refused."""
        ...


class World(Protocol):
    """What a reconciler may ask. Every read names the namespace of the object it serves."""

    @property
    def dns(self) -> Asker: ...

    @property
    def mail(self) -> MailProbes: ...

    @property
    def tokens(self) -> Tokens: ...

    @property
    def policies(self) -> PolicyFetcher: ...

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        ...

    def ownership_key(self) -> bytes:
        """The key that derived ownership tokens are made with."""
        ...

    async def get(self, kind: Kind, namespace: str, name: str) -> AnyResource | None:
        """Return one object, None if there is none (or its spec is invalid)."""
        ...

    async def find(self, kind: Kind, namespace: str, index: str) -> Sequence[AnyResource]:
        """Return the objects of a namespace that stand under an index, sorted by name.

        `index` is one of the texts that `postroom.reconcile.indexes.indexes_of` gives for an
        object, such as ``default=true`` or ``address=support@example.com``.
        """
        ...

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        """Return a Secret, None if there is none; raises `LookupUnavailable`."""
        ...

    async def config_map(self, namespace: str, name: str) -> ConfigMapContent | None:
        """Return a ConfigMap, None if there is none; raises `LookupUnavailable`."""
        ...
