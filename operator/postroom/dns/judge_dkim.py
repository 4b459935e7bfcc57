# SPDX-License-Identifier: Apache-2.0
"""The judges for DKIM: a key record by its decoded key, a CNAME by its target."""

from __future__ import annotations

import re
from collections.abc import Sequence

from postroom.api.findings import Finding, Fix, FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import dkim
from postroom.dns.answers import Answer
from postroom.dns.expected import AliasWanted, Expected, KeyWanted
from postroom.dns.findings import finding
from postroom.dns.judgement import (
    LISTED,
    Judgement,
    Seen,
    blind,
    faulty,
    fix_for,
    missing,
    quoted,
    spoiled,
    valid,
    where,
)

_WRONG, _CONFLICTING = RecordState.WRONG, RecordState.CONFLICTING
#: Fewest base64 characters by which a cut-off copy of a key is known; shorter ones are alike in
#: all keys, because they encode only the algorithm and size.
_RECOGNISABLE = 48


def alias(expected: Expected, wanted: AliasWanted, seen: Seen) -> Judgement:
    """A CNAME: right by its target, or, where the host flattens it, by the key that it yields."""
    values, text = seen.answer.values, seen.text
    keys = _usable_keys(text)
    if wanted.target in values or (text is not None and wanted.target in text.aliases):
        if text is not None and text.conclusive and not keys:
            return _no_key_behind(expected, wanted, values)
        return valid(Reason.RECORDS_MATCHED, "The CNAME is published.", values)
    if values:
        message = (
            f"The CNAME at {expected.name} points to {quoted(min(values))} instead of "
            f"{wanted.target}. Change its target."
        )
        reason, fix = Reason.CNAME_TARGET_MISMATCH, fix_for(FixAction.REPLACE, expected)
        return faulty(_WRONG, reason, "CNAME_TARGET_WRONG", expected, message, values, fix)
    if text is not None and not text.conclusive:
        return blind(expected, f"TXT at {expected.name}")
    texts = [one for one in (text.values if text else ()) if dkim.looks_like_key(one)]
    if texts:
        return _text_for_alias(expected, wanted, seen, keys, texts)
    return missing(expected, seen, "DKIM_MISSING", Reason.SELECTOR_NOT_FOUND)


def _usable_keys(answer: Answer | None) -> list[dkim.PublicKey]:
    texts = answer.values if answer is not None else ()
    found = (dkim.parse(one).key for one in texts if dkim.looks_like_key(one))
    return [one for one in found if one is not None]


def _no_key_behind(expected: Expected, wanted: AliasWanted, values: Sequence[str]) -> Judgement:
    message = (
        f"The CNAME at {expected.name} is right, but its target {wanted.target} holds no key yet: "
        "that is up to the provider."
    )
    reason, code, wait = Reason.SELECTOR_NOT_FOUND, "DKIM_TARGET_WITHOUT_KEY", FixAction.WAIT
    return faulty(_WRONG, reason, code, expected, message, values, Fix(action=wait))


def _text_for_alias(
    expected: Expected,
    wanted: AliasWanted,
    seen: Seen,
    keys: Sequence[dkim.PublicKey],
    texts: Sequence[str],
) -> Judgement:
    """A key stands at the name itself: the DNS host flattened the CNAME, or the user pasted it."""
    if seen.target_text is not None and not seen.target_text.conclusive:
        return blind(expected, f"TXT at {wanted.target}")
    if len(texts) == 1 and keys and keys == _usable_keys(seen.target_text):
        message = (
            f"{expected.name} holds the key of {wanted.target} itself instead of a CNAME to it: "
            "it works now, but will not follow when the provider changes the key."
        )
        advice = finding("CNAME_FLATTENED", expected.id, message)
        sentence = "The key of the CNAME's target is published."
        return valid(Reason.RECORDS_MATCHED, sentence, texts, advice=(advice,))
    message = (
        f"There is a TXT at {expected.name} where a CNAME to {wanted.target} is needed. Delete "
        "the TXT, then add the CNAME."
    )
    reason, fix = Reason.CNAME_TARGET_MISMATCH, fix_for(FixAction.REPLACE, expected)
    return faulty(_CONFLICTING, reason, "TYPE_TXT_FOR_CNAME", expected, message, texts, fix)


def key(expected: Expected, wanted: KeyWanted, seen: Seen) -> Judgement:
    """A key record, at the name itself or where a CNAME leads: compared by decoded key."""
    values = seen.answer.values
    texts = [one for one in values if dkim.looks_like_key(one)]
    record = dkim.parse(texts[0]) if len(texts) == 1 else None
    if record is not None and record.key == wanted.key:
        advice = (_testing(expected),) if record.testing else ()
        return valid(Reason.RECORDS_MATCHED, "The DKIM key is published.", texts, advice=advice)
    mangled = spoiled(values, expected.value) or _mangled_key(values, expected.value)
    if not texts and mangled is None:
        return missing(expected, seen, "DKIM_MISSING", Reason.SELECTOR_NOT_FOUND)
    if mangled is not None:
        (code, sentence), reason = mangled, Reason.INVALID_RECORD
    elif record is None:
        code, reason = "DKIM_MULTIPLE", Reason.MULTIPLE_RECORDS
        sentence = f"holds {len(texts)} DKIM records, which leaves the key undefined"
    else:
        code, reason, sentence = _key_problem(record)
    message = f"The {where(expected)} {sentence}. Replace it by {LISTED}."
    state, fix = _CONFLICTING if len(texts) > 1 else _WRONG, fix_for(FixAction.REPLACE, expected)
    return faulty(state, reason, code, expected, message, texts or values, fix)


def _testing(expected: Expected) -> Finding:
    message = (
        f"The {where(expected)} has the flag t=y: receivers may treat the mail as unsigned. Take "
        "the flag out when the tests are over."
    )
    return finding("DKIM_TESTING", expected.id, message)


def _mangled_key(values: Sequence[str], wanted: str) -> tuple[str, str] | None:
    """Recognise a part of the wanted key, whatever tags stand around it."""
    whole = dkim.published_base64(wanted)
    parts = [part for part in map(dkim.published_base64, values) if part]
    bare = [one.strip() for one in values if re.fullmatch(r"\s*[A-Za-z0-9+/=]{8,}\s*", one)]
    cut = [part for part in parts if part != whole and whole.startswith(part)]
    if cut and bare and sorted(cut[0] + "".join(bare)) == sorted(whole):
        return "VALUE_SPLIT_RECORDS", "was split into several records: it must be one"
    if any(len(part) >= _RECOGNISABLE for part in cut):
        return "VALUE_TRUNCATED", "was cut off: enter the whole value"
    return None


def _key_problem(record: dkim.KeyRecord) -> tuple[str, Reason, str]:
    if record.revoked:
        return "DKIM_REVOKED", Reason.KEY_REVOKED, "has an empty p= tag: the key is revoked"
    if record.key is None:
        return "DKIM_SYNTAX", Reason.INVALID_RECORD, f"cannot be read: {record.problem}"
    if record.key.too_weak:
        bits = record.key.bits
        return "DKIM_WEAK", Reason.KEY_TOO_WEAK, f"holds an RSA key of only {bits} bits"
    return "DKIM_KEY_OTHER", Reason.KEY_MISMATCH, "holds another key than the required one"
