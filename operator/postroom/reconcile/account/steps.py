# SPDX-License-Identifier: Apache-2.0
"""What the steps of an account's reconciliation are given, and what each contributes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from postroom.api.account_messages import MessageBasis, SeenVersion
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding
from postroom.api.resource import EmailAccount
from postroom.api.status import ResolvedReference
from postroom.reconcile.account.dependencies import Dependencies
from postroom.reconcile.signing_in import credential_ages, refresh_tokens
from postroom.reconcile.signing_in.protocol_check import ProtocolCheck
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account, what it depends on, and its two protocols after they were checked.

    `message_announced` tells that an earlier step of this run has announced a message.
    """

    resource: EmailAccount
    dependencies: Dependencies
    smtp: ProtocolCheck
    imap: ProtocolCheck
    world: World
    memory: Memory
    message_announced: bool = False

    @property
    def resolved(self) -> tuple[ResolvedReference, ...]:
        """What the account's references led to, each once."""
        return _each_once(self.dependencies.resolved, self.smtp.resolved, self.imap.resolved)

    @property
    def told(self) -> tuple[ResolvedReference, ...]:
        """The same, as status is to have it beside the verdicts that count."""
        checks = (self.smtp.told(self.resource), self.imap.told(self.resource))
        return _each_once(self.dependencies.resolved, *checks)

    @property
    def basis(self) -> MessageBasis:
        """What a message would be sent with now; without credentials of its own, the server's."""
        server, found = self.dependencies.server, list(self.resolved)
        versions: set[tuple[str, str, str]] = set()
        if server is not None:
            metadata = server.metadata
            versions.add((server.kind.value, metadata.name, str(metadata.generation)))
            # What a server of another namespace signs in with is not for this status to tell.
            own = not self.resource.spec.signs_in and self.dependencies.server_namespace is None
            found += server.status.resolved_refs if own else []
        versions |= {
            (each.kind, each.name, each.resource_version) for each in found if each.resource_version
        }
        seen = [
            SeenVersion(kind=kind, name=name, version=at) for kind, name, at in sorted(versions)
        ]
        return MessageBasis(generation=self.resource.metadata.generation, versions=seen)

    @property
    def asked(self) -> bool:
        """Whether somebody asks for a look that was not made yet."""
        asked = self.resource.metadata.requested_at
        return asked not in (None, self.resource.status.last_handled_reconcile_at)


def _each_once(*parts: tuple[ResolvedReference, ...]) -> tuple[ResolvedReference, ...]:
    """Of what changed between two reads the first counts: what was said to the earlier content must
    not be told of the later one, which is tried next."""
    found: dict[object, ResolvedReference] = {}
    for each in (each for part in parts for each in part):
        found.setdefault(each.place, each)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one step adds to an assessment.

    `fields` are status fields by their Python names; a field that no step gives keeps nothing.
    `advisory` are the condition types that do not gate Ready. `look_again` is when the step wants
    the account looked at anew, if that is before its interval. `announces_message` tells the steps
    after it that a message is about to be sent.
    """

    verdicts: tuple[Verdict, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    references: frozenset[str] = frozenset()
    advisory: frozenset[ConditionType] = frozenset()
    look_again: timedelta | None = None
    announces_message: bool = False


async def refresh_token_step(view: AccountView) -> Contribution:
    """What keeps new refresh tokens from being kept, told once for both protocols; how old they
    and passwords are."""
    found: list[Finding] = []
    for check in (view.smtp, view.imap):
        kept = refresh_tokens.findings_of(
            view.world.outbound.tokens, check.credentials, view.world.now()
        )
        found += [finding for finding in kept if finding not in found]
    signing_in = [view.smtp.credentials, view.imap.credentials]
    tokens, before = view.world.outbound.tokens, view.resource.status.credentials
    ages = credential_ages.ages_of(tokens, signing_in, before)
    return Contribution(fields={"credentials": ages}, findings=tuple(found))
