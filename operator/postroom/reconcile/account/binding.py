# SPDX-License-Identifier: Apache-2.0
"""Which Secrets an account is to have for applications, and what its status says of them.

They come when the account may send, and go when it surely may not: refused, disconnected,
suspended, without what it stood on, or its domain given up after its grace period. Trouble that
passes takes nothing away. A Secret's name stands in status before it comes and until it is gone, so
that whatever happens in between none is forgotten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from postroom.api import binding as api
from postroom.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    Verdict,
    find,
    place,
)
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EffectiveSender, EmailAccountStatus
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, MailServer
from postroom.api.send_limits import SendPlan
from postroom.api.status import CommonStatus
from postroom.api.times import timestamp
from postroom.reconcile import defaults, indexes
from postroom.reconcile.account import sender
from postroom.reconcile.account.binding_content import (
    SECRET_TYPE,
    Access,
    access_of,
    content_of,
    fits,
    sources_in,
)
from postroom.reconcile.account.binding_problems import GOING, PROBLEMS, not_withdrawn
from postroom.reconcile.account.protocols import account_references
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in.protocol_check import server_references
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.status.assessment import Followed, failed, passed, unknown, worst_first
from postroom.reconcile.status.outcome import Memory, Outcome
from postroom.reconcile.status.wanted import (
    Child,
    ChildState,
    ChildStates,
    SecretBody,
    Wanted,
    Yielded,
)
from postroom.reconcile.world import World

_CONDITION = ConditionType.BINDING_READY
_RETRY = timedelta(seconds=30)
#: What a server fails of that waiting does not mend.
_SURE = (
    ConditionType.REFERENCES_RESOLVED,
    ConditionType.TARGET_ALLOWED,
    ConditionType.SMTP_AUTHENTICATED,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides about an account's bindings but whether it may send.

    `keeper` is the account that is to have `default-mail`; None: this one does not take part.
    """

    resource: EmailAccount
    server: MailServer | None
    sender: EffectiveSender
    access: Access | None
    send_plan: SendPlan | None
    states: ChildStates
    keeper: str | None

    def follow(self, found: Sequence[Verdict], before: CommonStatus) -> Followed:
        """What follows for bindings from the verdicts that count."""
        hindered_by = sender.hindrance(found)
        decided = sender.decide(self.sender, hindered_by, before)
        if decided.address is not None:
            if self.access is not None and not self.access.is_proven:
                # What an application has works, or did; the new login may not.
                return self._held()
            if self.access is not None:
                return self._published(decided, self.access)
        elif hindered_by is not None and self._passes(hindered_by):
            return self._held()
        return self._withdrawn(decided)

    def _passes(self, hindered_by: Condition | Verdict) -> bool:
        """Whether what hinders everybody from sending is trouble that passes by itself."""
        if hindered_by.status is ConditionStatus.UNKNOWN:
            return True
        if hindered_by.type is ConditionType.SMTP_AVAILABLE:
            return True
        if hindered_by.reason != Reason.MAIL_SERVER_NOT_READY or self.server is None:
            return False
        of_server = (find(self.server.status.conditions, each) for each in _SURE)
        return not any(each and each.status is ConditionStatus.FALSE for each in of_server)

    @property
    def look_again(self) -> timedelta | None:
        """How soon to try again what could not be written, or look whether the server has taken
        its new login, which is no other verdict."""
        access, spec = self.access, self.resource.spec
        awaits = access is not None and not access.is_proven and not spec.signs_in
        return _RETRY if awaits or ChildState.UNAVAILABLE in self.states.values() else None

    # -- the three ways -----------------------------------------------------------------------

    def _published(self, decided: EffectiveSender, access: Access) -> Followed:
        spec, asked = self.resource.spec, self.resource.spec.binding
        content = content_of(spec, access, decided, self.send_plan)
        referenced = fits(spec, access, decided, content)
        source = access.secret.name if referenced and access.secret else None
        wanted: dict[str, object] = {}
        may_copy = access.refusal is None
        if asked is not None and asked.secret_name is not None and may_copy and source is None:
            wanted[asked.secret_name] = SecretBody(SECRET_TYPE, content)
        has_default = self.keeper == self.resource.metadata.name and may_copy
        if has_default:
            # Who has it does not take it back: whoever took it may have been marked since.
            takes = self._before.default_name is None
            wanted[api.DEFAULT_MAIL] = SecretBody(
                SECRET_TYPE, content, handed_round=True, takes_over=takes
            )
        elif self.keeper not in (None, self.resource.metadata.name) and (
            api.DEFAULT_MAIL in self._before.secrets
        ):
            wanted[api.DEFAULT_MAIL] = Yielded()
        verdicts = (self._verdict(access, source, wanted),) if asked is not None else ()
        own = self._there(asked.secret_name if asked else None, wanted)
        default = self._there(api.DEFAULT_MAIL if has_default else None, wanted)
        name = source or own or default
        written = any(isinstance(body, SecretBody) for body in wanted.values())
        keys = tuple(sorted(content)) if written else ()
        return self._followed(name, default, keys, wanted, verdicts)

    def _held(self) -> Followed:
        """Leave what was published as it is, as far as it is still asked for."""
        asked, before = self.resource.spec.binding, self._before
        kept = {asked.secret_name, api.DEFAULT_MAIL if asked.default else None} if asked else set()
        still = [name for name in before.secrets if name in kept]
        # What is not the operator's own is the account's Secret, which stays.
        stays = before.name in still or before.name not in before.secrets
        name = before.name if stays else None
        default = before.default_name if before.default_name in still else None
        verdicts: tuple[Verdict, ...] = ()
        if asked is not None:
            stood = find(self.resource.status.conditions, _CONDITION)
            is_good = stood is not None and stood.status is ConditionStatus.TRUE
            verdicts = (Verdict.of(stood) if stood is not None and is_good else _pending(),)
        keys = before.keys if still else ()
        return self._followed(name, default, keys, {}, verdicts, still)

    def _withdrawn(self, decided: EffectiveSender) -> Followed:
        verdicts: tuple[Verdict, ...] = ()
        if self.resource.spec.binding is not None:
            verdicts = (_withdrawal(decided.reason),)
        return self._followed(None, None, (), {}, verdicts)

    # -- parts --------------------------------------------------------------------------------

    @property
    def _before(self) -> api.BindingStatus:
        return self.resource.status.binding or api.NOTHING

    def _followed(
        self,
        name: str | None,
        default: str | None,
        keys: tuple[str, ...],
        wanted: Mapping[str, object],
        verdicts: tuple[Verdict, ...],
        held: Sequence[str] = (),
    ) -> Followed:
        own = account_references(self.resource.spec)
        # Whoever signs in with a Secret of ours would have nothing left to sign in with.
        needed = [name for name in self._before.secrets if reference_to("Secret", name) in own]
        children, secrets = children_of(self._before, self.states, wanted, [*held, *needed])
        status = None
        if name or default or keys or secrets:
            status = api.BindingStatus(name=name, default_name=default, keys=keys, secrets=secrets)
        found = not_withdrawn(children, self.states)
        return Followed(verdicts, {"binding": status}, children, found)

    def _there(self, name: str | None, wanted: Mapping[str, object]) -> str | None:
        """Return the name of a Secret that is wanted and, for all that is known, is there."""
        if name is None or not isinstance(wanted.get(name), SecretBody):
            return None
        state = self.states.get(_secret(name))
        if state is ChildState.APPLIED:
            return name
        lost = state in (ChildState.CONFLICT, ChildState.LEFT, *GOING)
        was = name in (self._before.name, self._before.default_name)
        return name if was and not lost else None

    def _verdict(self, access: Access, source: str | None, wanted: Mapping[str, object]) -> Verdict:
        names = sorted(name for name, body in wanted.items() if isinstance(body, SecretBody))
        if access.refusal is not None and source is None:
            return failed(_CONDITION, Reason.REFERENCE_NOT_PERMITTED, access.refusal)
        for name in names:
            problem = PROBLEMS.get(self.states.get(_secret(name), ChildState.APPLIED))
            if problem is not None:
                reason, sentence = problem
                return failed(_CONDITION, reason, sentence.format(name=name))
        if any(self._there(name, wanted) is None for name in names):
            return _pending()
        if names:
            text = f"Secret {' and Secret '.join(names)} has what an application needs to send."
            return passed(_CONDITION, Reason.SECRET_PROJECTED, text)
        if source is not None:
            text = f"Secret {source} has what an application needs to send; nothing is written."
            return passed(_CONDITION, Reason.SECRET_REFERENCED, text)
        if self.keeper is not None:
            text = f"Secret {api.DEFAULT_MAIL} is that of EmailAccount {self.keeper}."
            return passed(_CONDITION, Reason.SUPERSEDED, text)
        text = f"Secret {api.DEFAULT_MAIL} is this account's once spec.default is true."
        return passed(_CONDITION, Reason.NO_DEFAULT, text)


def _secret(name: str) -> Child:
    return Child("Secret", name)


def _pending() -> Verdict:
    return unknown(_CONDITION, Reason.PROGRESSING, "The Secret is about to be written.")


def _withdrawal(reason: str) -> Verdict:
    text = f"The account may not send ({reason}), so nothing of it is published."
    return failed(_CONDITION, Reason.BINDING_WITHDRAWN, text)


def children_of(
    before: api.BindingStatus,
    states: ChildStates,
    wanted: Mapping[str, object],
    held: Sequence[str] = (),
) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    """Return the children to make come true, and the Secrets that status names for that.

    What the stored status names and nobody wants any more goes; it is named until it is gone.
    """
    ends = {name for name in before.secrets if name not in wanted and name not in held}
    going = ends | {name for name, body in wanted.items() if isinstance(body, Yielded)}
    gone = {name for name in going if states.get(_secret(name)) is ChildState.GONE}
    children = [Wanted(_secret(name), body) for name, body in wanted.items() if name not in gone]
    children += [Wanted(_secret(name), None) for name in ends - gone]
    named = ({*wanted, *ends} - gone) | set(held)
    return tuple(sorted(children, key=lambda each: each.child)), tuple(sorted(named))


async def planned(view: AccountView, sends: EffectiveSender, fields: Mapping[str, object]) -> Plan:
    """Gather what decides about an account's bindings, given the fields of its next status.

    Raises `LookupUnavailable`.
    """
    dependencies = view.dependencies
    return Plan(
        view.resource,
        dependencies.server,
        sends,
        await access_of(view),
        cast("SendPlan | None", fields["send_plan"]),
        view.memory.children,
        await _keeper(view.resource, view.world),
    )


def references_of(view: AccountView) -> frozenset[str]:
    """Return what an account's bindings stand on besides what the account does: the Secrets that
    were written, which somebody may edit, and those of a server that it signs in with."""
    spec, dependencies = view.resource.spec, view.dependencies
    server = dependencies.server
    if spec.binding is None:
        return frozenset()
    refs = written_references(spec)
    if server is not None:
        refs |= server_references(server.spec, dependencies.server_namespace)
    return refs


def written_references(spec: EmailAccountSpec) -> frozenset[str]:
    """Return the Secrets that are written for a spec, which somebody may edit or delete."""
    if (asked := spec.binding) is None:
        return frozenset()
    named = {asked.secret_name, api.DEFAULT_MAIL if asked.default else None} - {None}
    return frozenset(reference_to("Secret", str(name)) for name in named)


def at_rest(outcome: Outcome, stored: object, memory: Memory, now: datetime) -> Outcome:
    """Return an outcome that withdraws what an account published that nothing is done with: it is
    suspended, disconnected or, by its `stored` spec, cannot be understood."""
    status = outcome.status
    if not isinstance(status, EmailAccountStatus) or outcome.children is not None:
        return outcome
    silent = status.effective_sender is not None and status.effective_sender.address is None
    stalled = find(status.conditions, ConditionType.STALLED)
    invalid = stalled is not None and stalled.reason == Reason.INVALID_SPEC.value
    if not silent or not (invalid or find(status.conditions, ConditionType.SUSPENDED)):
        return outcome
    before = status.binding or api.NOTHING
    needed = sources_in(stored).intersection(before.secrets)
    children, secrets = children_of(before, memory.children, {}, sorted(needed))
    kept = [Verdict.of(each) for each in status.conditions if each.type is not _CONDITION]
    if len(kept) < len(status.conditions) and status.effective_sender is not None:
        kept.append(_withdrawal(status.effective_sender.reason))
    generation = status.observed_generation
    fields: dict[str, object] = {
        "binding": api.BindingStatus(secrets=secrets) if secrets else None,
        "conditions": place(kept, status.conditions, generation, timestamp(now)),
    }
    earlier = [each for each in status.findings if each.code != "BINDING_NOT_WITHDRAWN"]
    fields["findings"] = worst_first((*earlier, *not_withdrawn(children, memory.children)))
    # Nothing else brings an object at rest back.
    again = _RETRY if children else outcome.next_check
    told = status.model_copy(update=fields)
    return replace(outcome, status=told, next_check=again, children=children)


async def _keeper(resource: EmailAccount, world: World) -> str | None:
    """Return which account is to have the Secret of the namespace's default.

    Of those that ask for it, are marked and may send, the one that was marked last. Whoever asks
    is taken for one that may.
    """
    metadata, asked = resource.metadata, resource.spec.binding
    takes_part = asked is not None and asked.default and resource.spec.default
    had = resource.status.binding is not None and (
        api.DEFAULT_MAIL in resource.status.binding.secrets
    )
    if not takes_part and not had:
        return None
    marked = await world.find(Kind.EMAIL_ACCOUNT, metadata.namespace, indexes.DEFAULT)
    others = [other for other in marked if other.metadata.name != metadata.name]
    able = [other for other in others if _may_have(cast("EmailAccount", other))]
    if takes_part:
        able.append(defaults.as_marked(resource, others, world.now()))
    winner = defaults.newest(able)
    return winner.metadata.name if winner is not None else None


def _may_have(other: EmailAccount) -> bool:
    """Whether another account could have the default's Secret, as far as its status tells."""
    spec, status = other.spec, other.status
    if spec.at_rest or spec.binding is None or not spec.binding.default:
        return False
    ready = find(status.conditions, _CONDITION)
    if ready is not None and ready.reason == Reason.REFERENCE_NOT_PERMITTED.value:
        return False
    sends = status.effective_sender is not None and status.effective_sender.address is not None
    return sends or (status.binding is not None and status.binding.default_name is not None)
