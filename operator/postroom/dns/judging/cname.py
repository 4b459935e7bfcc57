# SPDX-License-Identifier: Apache-2.0
"""The judge for CNAMEs: right by the target, or, where the host flattens, by what it yields."""

import re
from collections.abc import Sequence

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import DKIMRole, RecordState
from postroom.dns import dkim
from postroom.dns.answers import Answer, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.dkim import absent, leaked, masked, problem_of, retired
from postroom.dns.judging.fixes import delete, external, removal, replace, with_removed
from postroom.dns.judging.judgement import chain_advice
from postroom.dns.judging.seen import Needs, Seen, own, shared
from postroom.dns.requirements import Behind, CNAMEWanted, PlannedRecord
from postroom.dns.texts.quoting import quoted

_ADDRESSES = (RecordType.A, RecordType.AAAA)


def behind(wanted: CNAMEWanted) -> tuple[RecordType, ...]:
    """The types of record that show whether the target is what it must be."""
    return (RecordType.TXT,) if wanted.behind is Behind.KEY else _ADDRESSES


def needs(
    planned: PlannedRecord, wanted: CNAMEWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The CNAME and the target; where there is no CNAME, what is in its place."""
    needed = own((planned.name, RecordType.CNAME)) | shared(
        *((wanted.target, kind) for kind in behind(wanted))
    )
    answer = seen.get(planned.name, RecordType.CNAME)
    if answer is not None and answer.conclusive and wanted.target not in answer.values:
        needed |= own(*((planned.name, kind) for kind in behind(wanted)))
    return needed


def judge(
    planned: PlannedRecord, wanted: CNAMEWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """Judge by the target, and by what stands behind it."""
    values = seen.at(planned.name, RecordType.CNAME).values
    if wanted.behind is Behind.KEY and not (wanted.role is DKIMRole.RETIRED and not values):
        places = [seen.get(name, RecordType.TXT) for name in (planned.name, wanted.target)]
        keys = [key for place in places for key in usable_keys(place)]
        lost = [key for key in keys if dkim.fingerprint(key) in context.plan.compromised]
        if lost:
            return _burnt(planned, wanted, values, lost[0])
    if wanted.target in values:
        return _behind(planned, wanted, seen, context, values)
    there = [seen.get(planned.name, kind) for kind in behind(wanted)]
    if wanted.behind is Behind.KEY and not values:
        for answer in there:
            if answer is not None and any(map(dkim.holds_private, answer.values)):
                return leaked(planned, answer, None, wanted.role)
    if wanted.role is DKIMRole.RETIRED:
        return retired(values)
    if values:
        by_detour = _by_detour(planned, wanted, seen, context, values)
        if by_detour is not None:
            return by_detour
        message = f"The CNAME at {planned.name} points to {quoted(min(values))}."
        cause = judgement.Cause(
            Code.CNAME_TARGET_WRONG,
            message,
            replace(planned, values),
            evidence=judgement.Evidence.SHOWN,
        )
        return judgement.faulty(RecordState.WRONG, Reason.CNAME_TARGET_MISMATCH, cause, values)
    unseen = next(
        (answer for answer in there if answer is not None and not answer.conclusive), None
    )
    found = [answer for answer in there if answer is not None and answer.values]
    if not found and unseen is not None:
        return judgement.blind(
            planned, f"{unseen.question.type.value} at {planned.name}", answers=[unseen]
        )
    if found:
        return _instead(planned, wanted, seen, found)
    if wanted.behind is Behind.KEY:
        return absent(planned, wanted.role, seen.at(planned.name, RecordType.CNAME))
    return judgement.missing(planned, Code.CNAME_MISSING, Reason.RECORD_NOT_FOUND)


def _burnt(
    planned: PlannedRecord, wanted: CNAMEWanted, values: Sequence[str], key: dkim.PublicKey
) -> judgement.Judgement:
    """The key to which the name leads can be had by everyone: its provider must change it."""
    message = (
        f"The private half of the key at {planned.name} ({dkim.described(key)}) was seen in DNS: "
        "whoever read it signs mail in the name of the domain as long as the key is there. Have "
        f"who runs {wanted.target} make a new key pair under a new selector."
    )
    fix = external()
    if wanted.role is DKIMRole.RETIRED:
        fix = delete(removal(planned.name, RecordType.CNAME, values))
    cause = judgement.Cause(Code.DKIM_KEY_COMPROMISED, message, fix, judgement.Evidence.PROVEN)
    return judgement.faulty(RecordState.WRONG, Reason.KEY_COMPROMISED, cause, values, certain=True)


def _by_detour(
    planned: PlannedRecord,
    wanted: CNAMEWanted,
    seen: Seen,
    context: judgement.Context,
    values: Sequence[str],
) -> judgement.Judgement | None:
    """Another CNAME may lead to the target in the end, or to the same key; None if it does not."""
    answers = [seen.get(planned.name, kind) for kind in behind(wanted)]
    if any(answer is not None and wanted.target in answer.aliases for answer in answers):
        return _behind(planned, wanted, seen, context, values)
    keys = usable_keys(answers[0]) if wanted.behind is Behind.KEY else []
    if not keys or keys != usable_keys(seen.get(wanted.target, RecordType.TXT)):
        return None
    message = (
        f"The CNAME at {planned.name} leads to the key of {wanted.target} by another name, "
        f"{quoted(min(values))}: it works now, but may not follow when the provider changes it."
    )
    advice = finding(Code.CNAME_FLATTENED, planned.id, message)
    return judgement.valid(
        Reason.RECORDS_MATCHED, "The key is published.", values, advice=(advice,)
    )


def usable_keys(answer: Answer | None) -> list[dkim.PublicKey]:
    """Return the keys in an answer that verifiers accept."""
    texts = answer.values if answer is not None else ()
    found = (dkim.parse(text) for text in texts if dkim.looks_like_key(text))
    return [record.key for record in found if record.key is not None and record.usable]


def _behind(
    planned: PlannedRecord,
    wanted: CNAMEWanted,
    seen: Seen,
    context: judgement.Context,
    values: Sequence[str],
) -> judgement.Judgement:
    """The CNAME is right: what it leads to is up to the provider, but must be there."""
    if wanted.behind is Behind.HOST:
        hosts = [seen.at(wanted.target, kind) for kind in _ADDRESSES]
        there = any(host.values or judgement.is_crowded(host) for host in hosts)
        if not there and not all(host.conclusive for host in hosts):
            return judgement.blind(planned, f"an address at {wanted.target}", values)
        # Bounces may go to an MX behind the alias, so that no address is no fault.
        advice = chain_advice(planned, 1 + max(len(host.aliases) for host in hosts))
        message = "The CNAME is published."
        return judgement.valid(Reason.RECORD_MATCHED, message, values, advice=advice)
    answer = seen.at(wanted.target, RecordType.TXT)
    texts = dkim.select(answer.values)
    # A key that is only prepared need not be published by the provider yet.
    if wanted.role is not DKIMRole.ACTIVE:
        return judgement.valid(Reason.RECORDS_MATCHED, "The CNAME is published.", values)
    if len(texts) == 1 and usable_keys(answer):
        testing = dkim.parse(texts[0]).testing
        message = (
            f"The key behind {planned.name} has the flag t=y, so that receivers may treat the "
            f"mail as unsigned: who runs {wanted.target} has to take it out."
        )
        told = (finding(Code.DKIM_TESTING, planned.id, message),) if testing else ()
        advice = (*told, *chain_advice(planned, 1 + len(answer.aliases)))
        return judgement.valid(
            Reason.RECORDS_MATCHED, "The CNAME is published.", values, advice=advice
        )
    if not answer.conclusive:
        return judgement.blind(planned, f"TXT at {wanted.target}", values, [answer])
    if not texts and _prepared(planned, wanted, seen, context):
        message = (
            f"The CNAME at {planned.name} is right; its target {wanted.target} holds no key yet: "
            "the provider publishes it when it changes keys."
        )
        advice = (finding(Code.DKIM_TARGET_RESERVED, planned.id, message),)
        return judgement.valid(
            Reason.RECORDS_MATCHED, "The CNAME is published.", values, advice=advice
        )
    return _unusable(planned, wanted, texts, values)


def _unusable(
    planned: PlannedRecord, wanted: CNAMEWanted, texts: Sequence[str], values: Sequence[str]
) -> judgement.Judgement:
    """Why nobody can verify with what the provider has there; only the provider can mend it."""
    code, reason, sentence = Code.DKIM_TARGET_WITHOUT_KEY, Reason.SELECTOR_NOT_FOUND, "holds no key"
    if len(texts) > 1:
        code, reason = Code.DKIM_MULTIPLE, Reason.MULTIPLE_RECORDS
        sentence = f"holds {len(texts)} DKIM records, which leaves the key undefined"
    elif any(map(dkim.holds_private, texts)):
        code, reason = Code.DKIM_PRIVATE_KEY_PUBLISHED, Reason.INVALID_RECORD
        sentence = "holds a private key, with which everyone can sign: have it replaced at once"
    elif texts:
        code, reason, sentence = problem_of(dkim.parse(texts[0]))
    message = (
        f"The CNAME at {planned.name} is right, but its target {wanted.target} {sentence}. That "
        "is up to who runs it."
    )
    cause = judgement.Cause(
        code, message, external(), judgement.Evidence.SHOWN if texts else judgement.Evidence.PLAIN
    )
    return judgement.faulty(RecordState.WRONG, reason, cause, values)


def _prepared(
    planned: PlannedRecord, wanted: CNAMEWanted, seen: Seen, context: judgement.Context
) -> bool:
    """Whether the target is one of a numbered pair, of which the other one is in use.

    Providers that rotate keys ask for the CNAME of the next one long before there is a key.
    """
    return any(
        isinstance(record.wanted, CNAMEWanted)
        and record.id != planned.id
        and record.wanted.behind is Behind.KEY
        and record.wanted.target != wanted.target
        and _unnumbered(record.wanted.target) == _unnumbered(wanted.target)
        and bool(usable_keys(seen.get(record.wanted.target, RecordType.TXT)))
        for record in context.plan.records
    )


def _unnumbered(target: str) -> str:
    """The target without the digits of its first label, which tell one of a pair from the other."""
    label, dot, rest = target.partition(".")
    return f"{re.sub('[0-9]+', '#', label)}{dot}{rest}"


def _instead(
    planned: PlannedRecord, wanted: CNAMEWanted, seen: Seen, found: Sequence[Answer]
) -> judgement.Judgement:
    """No CNAME shows, but what should stand behind it: flattened by the host, or pasted."""
    targets = [seen.at(wanted.target, answer.question.type) for answer in found]
    values = masked([value for answer in found for value in answer.values])
    unseen = next((target for target in targets if not target.conclusive), None)
    if unseen is not None:
        return judgement.blind(
            planned, f"{unseen.question.type.value} at {wanted.target}", answers=[unseen]
        )
    yields_the_same = all(
        bool(target.values) and set(answer.values) <= set(target.values)
        for answer, target in zip(found, targets, strict=True)
    )
    if wanted.behind is Behind.KEY:
        keys = usable_keys(found[0])
        yields_the_same = (
            len(found[0].values) == 1 and bool(keys) and keys == usable_keys(targets[0])
        )
    if yields_the_same:
        message = (
            f"{planned.name} holds what {wanted.target} holds instead of a CNAME to it: it works "
            "now, but will not follow when the provider changes it."
        )
        advice = finding(Code.CNAME_FLATTENED, planned.id, message)
        sentence = "What the CNAME would lead to is published."
        return judgement.valid(Reason.RECORDS_MATCHED, sentence, values, advice=(advice,))
    first = found[0].question.type
    message = (
        f"There is a record of type {first.value} at {planned.name} where a CNAME to "
        f"{wanted.target} is needed."
    )
    code = Code.TYPE_TXT_FOR_CNAME if first is RecordType.TXT else Code.TYPE_ADDRESS_FOR_CNAME
    fix = replace(planned, found[0].values, type=first)
    if fix is not None:
        gone = [
            record
            for answer in found[1:]
            for record in (replace(planned, answer.values, type=answer.question.type) or fix).remove
        ]
        fix = with_removed(fix, [*fix.remove, *gone])
    cause = judgement.Cause(code, message, fix, evidence=judgement.Evidence.LIKELY)
    return judgement.faulty(RecordState.CONFLICTING, Reason.CNAME_TARGET_MISMATCH, cause, values)
