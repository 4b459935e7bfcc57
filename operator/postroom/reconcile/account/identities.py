# SPDX-License-Identifier: Apache-2.0
"""The identities of an account: those declared and those discovered, and which may be sent as."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from postroom.api import identities
from postroom.api.conditions import ConditionType, Verdict, shorten
from postroom.api.findings import Finding, Severity
from postroom.api.profile import profile_for
from postroom.api.reasons import Reason
from postroom.api.times import no_later, timestamp
from postroom.mail.identities.judging import Judgement, Knowledge, judge
from postroom.mail.identities.values import DiscoveryFailure, ListedIdentity, same
from postroom.reconcile.account import consumers, coverage
from postroom.reconcile.account.dependencies import domain_of
from postroom.reconcile.account.identity_sources import HELD, WHILE_OPEN, find_out, knowledge_of
from postroom.reconcile.account.messages.correspondents import sender_of
from postroom.reconcile.account.steps import AccountView, Contribution
from postroom.reconcile.signing_in.probing import Attempt, code_of
from postroom.reconcile.status.assessment import failed, passed, unknown

_CONDITION = ConditionType.IDENTITIES_VERIFIED
#: Nobody is asked about an address that is turned off.
_DISABLED = Judgement(
    identities.IdentityState.DISABLED,
    None,
    Reason.IDENTITY_DISABLED,
    "spec.identities has it with enabled false: nobody is to send as it.",
)
_OPEN = {
    identities.IdentityState.REJECTED: Reason.IDENTITY_REJECTED,
    identities.IdentityState.PENDING: Reason.IDENTITY_PENDING,
    identities.IdentityState.UNVERIFIABLE: Reason.IDENTITY_UNVERIFIABLE,
}
#: Of the spec's identities those for which somebody has to do something.
_SEVERITIES = {
    identities.IdentityState.REJECTED: Severity.ERROR,
    identities.IdentityState.PENDING: Severity.WARNING,
}


async def step(view: AccountView) -> Contribution:
    """Find out which identities the account has, and judge them.

    A rejected one gates Ready, because the spec asks for what does not work; one that is pending,
    or of which nobody tells, does not.
    """
    known = await _known(view)
    others = [identity.address for identity in view.resource.spec.enabled_identities]
    others += [entry.address for entry in view.resource.status.identities if not entry.declared]
    if known.discovered is not None:
        others += [listed.address for listed in known.discovered.listed]
    taken = await consumers.taken(view.resource, others, view.world)
    held = await coverage.withheld(view.resource, others, view.world)
    entries = [
        _unless_taken(_unless_held(entry, held, view), taken) for entry in _entries(view, known)
    ]
    verdicts = _verdicts(view, entries)
    rejected = any(verdict.failed for verdict in verdicts)
    awaited = [entry for entry in entries if entry.state is identities.IdentityState.PENDING]
    domains = {domain_of(other) for other in others if view.resource.spec.requires_domains}
    return Contribution(
        verdicts=verdicts,
        fields={"identities": entries},
        findings=tuple(
            _told(entry, view)
            for entry in entries
            if entry.declared
            and entry.state in _SEVERITIES
            and entry.reason != Reason.DEPENDENCY_UNKNOWN.value
        ),
        advisory=frozenset() if rejected else frozenset({_CONDITION}),
        references=consumers.references_to(others).union(*map(coverage.references_to, domains)),
        # A domain brings the account back by itself.
        look_again=WHILE_OPEN if any(entry.reason not in HELD for entry in awaited) else None,
    )


def _told(entry: identities.IdentityStatus, view: AccountView) -> Finding:
    """What is wrong with an identity that the spec names."""
    reason, fix = _OPEN[entry.state], None
    if entry.reason in HELD:
        reason = Reason(entry.reason)
    if reason is Reason.SENDING_DOMAIN_NOT_FOUND:
        fix = coverage.declaring(domain_of(entry.address), view.resource.metadata.namespace)
    return Finding(
        code=code_of(reason),
        severity=_SEVERITIES[entry.state],
        subject=entry.address[:253],
        message=entry.message,
        fix=fix,
    )


def _unless_held(
    entry: identities.IdentityStatus, held: Mapping[str, Judgement], view: AccountView
) -> identities.IdentityStatus:
    """What is said of an address that could be sent as, where its domain is not verified."""
    hindrance = held.get(entry.address.lower())
    sendable = (identities.IdentityState.VERIFIED, identities.IdentityState.UNVERIFIABLE)
    if hindrance is None or entry.state not in sendable:
        return entry
    earlier = _earlier(entry.address, view.resource.status.identities)
    if hindrance.passing and earlier is not None and earlier.state is entry.state:
        # Its domain is being looked at anew: what stood is not taken for a moment.
        return entry
    return _judged(entry, hindrance)


def _unless_taken(
    entry: identities.IdentityStatus, taken: Mapping[str, Judgement]
) -> identities.IdentityStatus:
    """What is said of an address, whatever was found out of it, where another's it is."""
    refusal = taken.get(entry.address.lower())
    if refusal is None or entry.state is identities.IdentityState.DISABLED:
        return entry
    return _judged(entry, refusal)


def _judged(entry: identities.IdentityStatus, judgement: Judgement) -> identities.IdentityStatus:
    """An entry of which something else counts than what was found out about it."""
    changes = {
        "state": judgement.state,
        "method": None,
        "verified_at": None,
        "reason": judgement.reason.value,
        "message": shorten(judgement.message),
    }
    return entry.model_copy(update=changes)


async def _known(view: AccountView) -> Knowledge:
    spec = view.resource.spec
    trips = view.resource.status.round_trip.senders if view.resource.status.round_trip else []
    known = Knowledge(
        spec.address,
        spec.identity_verification.method,
        trips={trip.address: trip for trip in trips},
    )
    sender = await sender_of(view)
    if isinstance(sender, Attempt):
        return knowledge_of(known, sender, await find_out(view, sender))
    # A server that cannot be signed in to now says nothing against what was found earlier.
    passing = sender.passing or view.smtp.report is not None
    failure = DiscoveryFailure(Reason.NOT_ATTEMPTED, sender.message, passing)
    return replace(known, failure=failure)


def _entries(view: AccountView, known: Knowledge) -> list[identities.IdentityStatus]:
    """The primary identity, the declared ones in the order of the spec, then the others."""
    spec, status = view.resource.spec, view.resource.status
    now = timestamp(view.world.now())
    declared = {identity.address: identity for identity in spec.identities}
    own = declared.pop(spec.address, None)
    primary = identities.Identity(
        address=spec.address,
        type=identities.IdentityType.PRIMARY,
        display_name=(own.display_name if own is not None else None) or spec.display_name,
        sender_profile=own.sender_profile if own is not None else None,
    )
    wanted = [primary, *declared.values()]
    found = [
        _declared(identity, known, _earlier(identity.address, status.identities), now)
        for identity in wanted
    ]
    found += _discovered(wanted, known, status.identities, now)
    named = {identity.address: identity.sender_profile for identity in wanted}
    entries = []
    for entry in found[: identities.IDENTITIES_LIMIT]:
        # Of an address that was discovered earlier, too: the rules may be others now.
        profile = named.get(entry.address) or profile_for(entry.address, spec.sender_profiles)
        same_profile = entry.sender_profile == profile
        changes = {"sender_profile": profile}
        entries.append(entry if same_profile else entry.model_copy(update=changes))
    return entries


def _earlier(
    address: str, before: Sequence[identities.IdentityStatus]
) -> identities.IdentityStatus | None:
    return next((entry for entry in before if same(entry.address, address)), None)


def _declared(
    wanted: identities.Identity,
    known: Knowledge,
    earlier: identities.IdentityStatus | None,
    now: str,
) -> identities.IdentityStatus:
    judgement = judge(wanted.address, wanted.type, known) if wanted.enabled else _DISABLED
    # The provider's name for an address; as long as it cannot be asked, the last one.
    listed: identities.IdentityStatus | ListedIdentity | None = None
    if known.discovered is not None:
        listed = known.discovered.find(wanted.address)
    elif known.failure is not None and known.failure.passing:
        listed = earlier
    facts = {
        "address": wanted.address,
        "type": wanted.type,
        "display_name": wanted.display_name or (listed.display_name if listed else None),
        "declared": True,
    }
    if wanted.enabled and earlier is not None and _stands(earlier, judgement, known):
        return earlier.model_copy(update=facts)
    return _status(facts, judgement, earlier, now)


def _discovered(
    wanted: Sequence[identities.Identity],
    known: Knowledge,
    before: Sequence[identities.IdentityStatus],
    now: str,
) -> list[identities.IdentityStatus]:
    """What the provider lists beyond the spec; as long as it cannot be asked, what it listed."""
    if known.discovered is None:
        away = known.failure is not None and known.failure.passing
        if not away or known.method is not identities.VerificationMethod.PROVIDER:
            return []
        kept = [entry for entry in before if not entry.declared]
        return [entry for entry in kept if not any(same(entry.address, w.address) for w in wanted)]
    found = []
    for listed in known.discovered.listed:
        if any(same(listed.address, identity.address) for identity in wanted):
            continue
        facts = {
            "address": listed.address,
            "type": listed.type,
            "display_name": listed.display_name,
            "declared": False,
        }
        judgement = judge(listed.address, listed.type, known)
        found.append(_status(facts, judgement, _earlier(listed.address, before), now))
    return found


def _status(
    facts: Mapping[str, object],
    judgement: Judgement,
    earlier: identities.IdentityStatus | None,
    now: str,
) -> identities.IdentityStatus:
    since = None
    if judgement.state is identities.IdentityState.VERIFIED:
        same_way = earlier is not None and earlier.method is judgement.method
        since = (earlier.verified_at if earlier and same_way else None) or now
        since = no_later(since, now)
    return identities.IdentityStatus.model_validate(
        {
            **facts,
            "state": judgement.state,
            "method": judgement.method,
            "verified_at": since,
            "reason": judgement.reason.value,
            "message": shorten(judgement.message),
        },
        by_name=True,
    )


def _stands(earlier: identities.IdentityStatus, judgement: Judgement, known: Knowledge) -> bool:
    """Whether what was found earlier still counts, where nothing was found now.

    A message that arrived is proof until something says the contrary.
    """
    if judgement.method is not None or earlier.method is None:
        return False
    match earlier.method:
        case identities.IdentityMethod.ROUND_TRIP:
            return True
        case identities.IdentityMethod.SIGN_IN:
            return judgement.passing and same(earlier.address, known.own)
        case identities.IdentityMethod.PROVIDER:
            return judgement.passing and known.method is identities.VerificationMethod.PROVIDER
        case identities.IdentityMethod.ENVELOPE:
            return judgement.passing and known.method is identities.VerificationMethod.ENVELOPE


def _verdicts(
    view: AccountView, entries: Sequence[identities.IdentityStatus]
) -> tuple[Verdict, ...]:
    """One verdict on all that the spec names; none where it names only the account's address."""
    off = identities.IdentityState.DISABLED
    wanted = [entry for entry in entries if entry.declared and entry.state is not off]
    by_state = {
        state: [entry for entry in wanted if entry.state is state]
        for state in identities.IdentityState
    }
    rejected = by_state[identities.IdentityState.REJECTED]
    if not (view.resource.spec.enabled_identities or rejected):
        return ()
    if rejected:
        return (failed(_CONDITION, Reason.IDENTITY_REJECTED, _sentence(rejected)),)
    for state in (identities.IdentityState.PENDING, identities.IdentityState.UNVERIFIABLE):
        if by_state[state]:
            return (unknown(_CONDITION, _OPEN[state], _sentence(by_state[state])),)
    message = "The account may send as its address and all of spec.identities."
    return (passed(_CONDITION, Reason.IDENTITIES_VERIFIED, message),)


def _sentence(entries: Sequence[identities.IdentityStatus]) -> str:
    """What is said of the first, and how many there are more."""
    first, *others = entries
    more = f" So it is with {len(others)} more: read status.identities." if others else ""
    return f"{first.address}: {first.message}{more}"
