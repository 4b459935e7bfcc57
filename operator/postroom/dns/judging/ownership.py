# SPDX-License-Identifier: Apache-2.0
"""The judge for exact texts: the ownership token stands among the TXT records of its name."""

from __future__ import annotations

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import RecordType
from postroom.dns.judging.fixes import create
from postroom.dns.judging.judgement import Cause, Context, Judgement, faulty, missing, valid, where
from postroom.dns.judging.seen import Needs, Seen, own
from postroom.dns.wanted import Expected, TextWanted


def needs(expected: Expected, wanted: TextWanted, seen: Seen, context: Context) -> Needs:
    """Ask for the texts of the name."""
    return own((expected.name, RecordType.TXT))


def judge(expected: Expected, wanted: TextWanted, seen: Seen, context: Context) -> Judgement:
    """Any TXT record of the name may be the one that is wanted; others do not disturb it."""
    values = seen.at(expected.name, RecordType.TXT).values
    if wanted.text in values:
        return valid(Reason.RECORD_MATCHED, "The ownership record is published.", [wanted.text])
    prefix = wanted.text.partition("=")[0]
    similar = [one for one in values if one.strip('" ').partition("=")[0] == prefix]
    if not similar:
        return missing(expected, "OWNERSHIP_MISSING", Reason.RECORD_NOT_FOUND)
    # The other token may prove something to someone else: it stays.
    message = f"The {where(expected)} has another value than the required one."
    cause = Cause("OWNERSHIP_MISMATCH", message, create(expected))
    return faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, cause, similar)
