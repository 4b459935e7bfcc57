# SPDX-License-Identifier: Apache-2.0
"""The judge for ownership: the token stands among the TXT records of its name."""

from __future__ import annotations

from postroom.api.findings import FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.expected import Expected, TextWanted
from postroom.dns.judgement import (
    LISTED,
    Judgement,
    Seen,
    faulty,
    fix_for,
    missing,
    spoiled,
    valid,
    where,
)


def ownership(expected: Expected, wanted: TextWanted, seen: Seen) -> Judgement:
    """Any TXT record of the name may be the one that is wanted; others do not disturb it."""
    values = seen.answer.values
    if wanted.text in values:
        return valid(Reason.RECORD_MATCHED, "The ownership record is published.", [wanted.text])
    prefix = wanted.text.partition("=")[0]
    similar = [one for one in values if one.strip('" ').partition("=")[0] == prefix]
    mangled = spoiled(values, wanted.text)
    if mangled is not None:
        code, sentence = mangled
        fix = fix_for(FixAction.REPLACE, expected)
    elif similar:
        code, sentence = "OWNERSHIP_MISMATCH", "has another value than the required one"
        # The other token may prove something to someone else: it stays.
        fix = fix_for(FixAction.CREATE, expected)
    else:
        return missing(expected, seen, "OWNERSHIP_MISSING", Reason.RECORD_NOT_FOUND)
    message = f"The {where(expected)} {sentence}. Publish {LISTED}."
    reason, observed = Reason.RECORD_MISMATCH, similar or values
    return faulty(RecordState.WRONG, reason, code, expected, message, observed, fix)
