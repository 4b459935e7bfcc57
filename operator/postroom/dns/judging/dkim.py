# SPDX-License-Identifier: Apache-2.0
"""The judge for DKIM key records: compared by decoded key, wherever a CNAME leads."""

from collections.abc import Sequence
from dataclasses import replace as changed

from postroom.api.findings import RecordToRemove
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import DKIMRole, RecordState
from postroom.dns import dkim
from postroom.dns.answers import Answer, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import create, delete, external, removal, replace, replacing
from postroom.dns.judging.judgement import chain_advice
from postroom.dns.judging.seen import Needs, Seen, own
from postroom.dns.requirements import DKIMKeyWanted, PlannedRecord


def needs(
    planned: PlannedRecord, wanted: DKIMKeyWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The texts of the name."""
    return own((planned.name, RecordType.TXT))


def judge(
    planned: PlannedRecord, wanted: DKIMKeyWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """One record with the wanted key."""
    answer = seen.at(planned.name, RecordType.TXT)
    if any(dkim.holds_private(value, wanted.key) for value in answer.values):
        return leaked(planned, answer, wanted.key, wanted.role)
    if dkim.fingerprint(wanted.key) in context.plan.compromised:
        judged = burnt(planned, answer, wanted.key, wanted.role)
        return retired(()) if judged is None else judged
    texts = [value for value in answer.values if dkim.looks_like_key(value)]
    record = dkim.parse(texts[0]) if len(texts) == 1 else None
    if record is not None and record.usable and record.key == wanted.key:
        advice = tuple(
            finding(note.code, planned.id, f"In the {judgement.where(planned)}: {note.sentence}")
            for note in dkim.notes(record)
            if wanted.role is not DKIMRole.RETIRED
        )
        advice += chain_advice(planned, len(answer.aliases))
        return judgement.valid(
            Reason.RECORDS_MATCHED, "The DKIM key is published.", texts, texts[0], advice=advice
        )
    if wanted.role is DKIMRole.RETIRED:
        return retired(texts)
    if not texts:
        return absent(planned, wanted.role, answer)
    named = frozenset[dkim.PublicKey]()
    if record is None:
        code, reason = Code.DKIM_MULTIPLE, Reason.MULTIPLE_RECORDS
        sentence = f"holds {len(texts)} DKIM records, which leaves the key undefined"
    else:
        code, reason, sentence = problem_of(record)
        if code == Code.DKIM_KEY_OTHER and record.key is not None:
            named = frozenset((record.key, wanted.key))
            sentence = (
                f"{sentence}: {dkim.described(record.key)} is there, {dkim.described(wanted.key)} "
                "is required. The key may have been rotated, so that the spec is old, or the "
                "record is old; mail that is signed with a key that is not there fails DKIM"
            )
    fix = replacing(planned, answer, answer.values)
    message = f"The {judgement.where(planned)} {sentence}."
    cause = judgement.Cause(code, message, fix, judgement.Evidence.SHOWN, keys=named)
    state = RecordState.CONFLICTING if len(texts) > 1 else RecordState.WRONG
    certain = reason in (Reason.KEY_REVOKED, Reason.KEY_MISMATCH)
    stays = dkim.staying(texts, wanted.key)
    return judgement.faulty(state, reason, cause, texts, stays, certain=certain)


def retired(there: Sequence[str]) -> judgement.Judgement:
    """A retired key may stand there or be gone: neither is a fault."""
    return judgement.valid(
        Reason.RECORDS_MATCHED, "The selector is retired: no key is demanded.", there
    )


def absent(planned: PlannedRecord, role: DKIMRole, answer: Answer) -> judgement.Judgement:
    """Nothing there was meant as a key; a CNAME that leads nowhere must go first."""
    code, so = Code.DKIM_MISSING, ""
    if role is DKIMRole.NEXT:
        code, so = Code.DKIM_NEXT_MISSING, "It must be there before mail is signed with that key."
    judged = judgement.missing(planned, code, Reason.SELECTOR_NOT_FOUND, answer.values, so)
    if not answer.aliases or judged.cause is None:
        return judged
    return changed(judged, cause=changed(judged.cause, fix=replacing(planned, answer, ())))


def problem_of(record: dkim.KeyRecord) -> tuple[Code, Reason, str]:
    """Why a record does not serve: code, reason, and what the record does or is."""
    if record.revoked:
        return Code.DKIM_REVOKED, Reason.KEY_REVOKED, "has an empty p= tag: the key is revoked"
    if record.fault is not None:
        weak = record.fault.code == Code.DKIM_WEAK
        reason = Reason.KEY_TOO_WEAK if weak else Reason.INVALID_RECORD
        return record.fault.code, reason, f"cannot be used: {record.fault.clause}"
    return Code.DKIM_KEY_OTHER, Reason.KEY_MISMATCH, "holds another key than the required one"


def leaked(
    planned: PlannedRecord, answer: Answer, key: dkim.PublicKey | None, role: DKIMRole
) -> judgement.Judgement:
    """A private key stands in DNS: nothing is more urgent than to take it out of use."""
    message = (
        f"The {RecordType.TXT.value} at {planned.name} holds a private key: whoever reads it "
        "signs mail in the name of the domain. Take it out of DNS, make a new key pair under a new "
        "selector, and sign with that."
    )
    # Without the value, which names all of them: a selector has one TXT (RFC 6376 section 3.6.2.2).
    gone = removal(planned.name, RecordType.TXT, [""])
    if answer.aliases:
        gone = removal(planned.name, RecordType.CNAME, answer.aliases[:1])
    fix = replace(planned, (), more=gone) or create(planned)
    named = frozenset[dkim.PublicKey]()
    if key is not None and any(gives_away(value, key) for value in answer.values):
        message += (
            " The public half of this one must be published no more: name the new in spec.dkim."
        )
        fix = delete(gone)
    elif key is not None:
        halves = {half for value in answer.values for half in dkim.public_halves(value, key)}
        named = frozenset(half for half in halves if half is not None)
        others = sorted(map(dkim.described, named))
        which = f" ({', '.join(others)})" if others else ""
        message += (
            f" It is not that of the required key ({dkim.described(key)}), but of another pair"
            f"{which}: that pair must be used nowhere any more, and the "
            "required key may stand here."
        )
    if role is DKIMRole.RETIRED or not planned.value:
        fix = delete(gone)
    if not all(_is_of_keys(value, key) for value in answer.values):
        # Not named: it may be the rest of the secret.
        message += " The other TXT records at the name go with it."
    evidence = judgement.Evidence.PROVEN
    cause = judgement.Cause(Code.DKIM_PRIVATE_KEY_PUBLISHED, message, fix, evidence, keys=named)
    shown = masked(answer.values, key)
    return judgement.faulty(RecordState.WRONG, Reason.INVALID_RECORD, cause, shown, certain=True)


def _is_of_keys(text: str, key: dkim.PublicKey | None) -> bool:
    return dkim.holds_private(text, key) or dkim.looks_like_key(text)


def without_secrets(
    name: str, values: Sequence[str], key: dkim.PublicKey | None
) -> tuple[RecordToRemove, ...]:
    """Name the records of keys that have to go from a name: a secret is repeated nowhere.

    Where nothing but keys stands there, no value names all of them; else each goes by itself.
    """
    keys = [value for value in values if _is_of_keys(value, key)]
    if len(keys) == len(values):
        return removal(name, RecordType.TXT, [""])
    return removal(name, RecordType.TXT, dict.fromkeys(masked(keys, key)))


def burnt(
    planned: PlannedRecord, answer: Answer, key: dkim.PublicKey, role: DKIMRole
) -> judgement.Judgement | None:
    """A key whose private half stood in DNS: never valid again, wherever its public half stands.

    None where its selector is retired and nothing is left of it.
    """
    there = [value for value in answer.values if dkim.parse(value).key == key]
    if role is DKIMRole.RETIRED and not there:
        return None
    message = (
        f"The private half of the required key ({dkim.described(key)}) was seen in DNS, and "
        "whoever read it signs mail in the name of the domain as long as the "
        f"{judgement.where(planned)} holds the public half. Make a new key pair, publish it under "
        "a new selector, name that in spec.dkim in the place of this one, and sign with it."
    )
    fix = external()
    if there:
        fix = delete(
            removal(planned.name, RecordType.CNAME, answer.aliases[:1])
            if answer.aliases
            else removal(planned.name, RecordType.TXT, there)
        )
    cause = judgement.Cause(Code.DKIM_KEY_COMPROMISED, message, fix, judgement.Evidence.PROVEN)
    return judgement.faulty(
        RecordState.WRONG, Reason.KEY_COMPROMISED, cause, answer.values, certain=True
    )


def gives_away(text: str, key: dkim.PublicKey) -> bool:
    """Whether a text holds the private half of a key, or one of which that cannot be told."""
    halves = dkim.public_halves(text, key)
    return key in halves or halves == (None,)


def masked(values: Sequence[str], key: dkim.PublicKey | None = None) -> tuple[str, ...]:
    """Return the values to show where one of them is a private key: sound public keys alone."""
    if not any(dkim.holds_private(value, key) for value in values):
        return tuple(values)
    return tuple(
        dkim.MASK if dkim.holds_private(value, key) or dkim.parse(value).key is None else value
        for value in values
    )
