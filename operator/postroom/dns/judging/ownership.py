# SPDX-License-Identifier: Apache-2.0
"""The judge for exact texts: the ownership token stands among the TXT records of its name."""

from __future__ import annotations

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import RecordType
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import create
from postroom.dns.judging.judgement import Cause, Context, Judgement, faulty, missing, valid, where
from postroom.dns.judging.seen import Needs, Seen, own
from postroom.dns.ownership import is_token
from postroom.dns.wanted import Expected, TextWanted


def needs(expected: Expected, wanted: TextWanted, seen: Seen, context: Context) -> Needs:
    """Ask for the texts of the name."""
    return own((expected.name, RecordType.TXT))


def judge(expected: Expected, wanted: TextWanted, seen: Seen, context: Context) -> Judgement:
    """Any TXT record of the name may be the one that is wanted; others do not disturb it."""
    values = seen.at(expected.name, RecordType.TXT).values
    message = "The ownership record is published."
    if wanted.text in values:
        return valid(Reason.RECORD_MATCHED, message, [wanted.text])
    accepted = sorted(set(values).intersection(wanted.also))
    if accepted:
        advice = (_of_an_earlier_key(expected),)
        return valid(Reason.RECORD_MATCHED, message, accepted[:1], advice=advice)
    prefix = wanted.text.partition("=")[0]
    similar = [one for one in values if one.strip('" ').partition("=")[0] == prefix]
    if not similar:
        return missing(expected, "OWNERSHIP_MISSING", Reason.RECORD_NOT_FOUND)
    # The other token may prove something to someone else: it stays.
    message = f"The {where(expected)} has another value than the required one."
    if is_token(wanted.text):
        message = (
            f"The {where(expected)} holds a token of postroom, but not this namespace's: it was "
            "made for another namespace, or with a key that the operator no longer has."
        )
    cause = Cause("OWNERSHIP_MISMATCH", message, create(expected))
    return faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, cause, similar)


def _of_an_earlier_key(expected: Expected) -> Finding:
    """Nothing is wrong yet: the domain's owner and the operator's can take their time."""
    message = (
        f"The {where(expected)} was made with an earlier ownership key of the operator; it is "
        "accepted until the operator drops that key. Publish the present token beside it before: "
        f"{expected.value}"
    )
    return finding("OWNERSHIP_TOKEN_EARLIER", expected.id, message, create(expected))
