# SPDX-License-Identifier: Apache-2.0
"""The judge for exact texts: the ownership token stands among the TXT records of its name."""

import re

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import create, replacing
from postroom.dns.judging.seen import Needs, Seen, own
from postroom.dns.ownership import is_token
from postroom.dns.requirements import PlannedRecord, TextWanted

#: The part of a token that names who asks for it, and what parts the two.
_PREFIX = re.compile(
    r"([A-Za-z0-9_.-]{0,80}?[A-Za-z_-])"
    r"[ \t]{0,4}(?:=|:|\.(?=[A-Za-z0-9_-]{16,80}$)|[ ](?=\S{1,80}$))[ \t]{0,4}"
)
#: A shorter token may be found in any text.
_TELLING = 8
#: A single word of this length was made by a machine.
_LONG = 16


def needs(
    planned: PlannedRecord, wanted: TextWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The texts of the name."""
    return own((planned.name, RecordType.TXT))


def judge(
    planned: PlannedRecord, wanted: TextWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """Any TXT record of the name may be the one that is wanted; others do not disturb it."""
    answer = seen.at(planned.name, RecordType.TXT)
    values = answer.values
    message = "The ownership record is published."
    if wanted.text in values:
        return judgement.valid(Reason.RECORD_MATCHED, message, [wanted.text])
    accepted = sorted(set(values).intersection(wanted.also))
    if accepted:
        # Nothing is wrong yet: the domain's owner and the operator's can take their time.
        due = (
            f"The {judgement.where(planned)} was made with an earlier ownership key of the "
            "operator; it is accepted until the operator drops that key. Publish the present "
            f"token beside it before: {planned.value}"
        )
        advice = finding(Code.OWNERSHIP_TOKEN_EARLIER, planned.id, due, create(planned))
        return judgement.valid(Reason.RECORD_MATCHED, message, accepted[:1], advice=(advice,))
    begin = _PREFIX.match(wanted.text)
    token = wanted.text[begin.end() :] if begin else wanted.text
    # The very token: alone, in other case, or behind something else.
    bare = sorted(value for value in values if _holds(value, token.strip()) and _is_free(value))
    if bare:
        # What holds this very token proves nothing to anybody else.
        how = "more stands there, or it is written in another way"
        before = wanted.text.removesuffix(token)
        if before and token in bare[0] and before.lower() not in bare[0].lower():
            how = f"{before} must stand before it"
        message = (
            f"The {judgement.where(planned)} holds the token, but not as it is required: {how}."
        )
        fix = replacing(planned, answer, bare)
        cause = judgement.Cause(Code.OWNERSHIP_MISMATCH, message, fix, judgement.Evidence.SHOWN)
        return judgement.faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, cause, bare)
    prefix, dedicated = _prefix(wanted.text), planned.name != context.plan.domain
    similar = [
        value
        for value in values
        if (prefix and _prefix(value) == prefix) or (dedicated and _is_token(value))
    ]
    if not similar:
        return judgement.missing(
            planned, Code.OWNERSHIP_MISSING, Reason.RECORD_NOT_FOUND, there=values
        )
    # The other token may prove something to someone else: it stays.
    message = f"The {judgement.where(planned)} has another value than the required one."
    if is_token(wanted.text) and any(map(is_token, similar)):
        message = (
            f"The {judgement.where(planned)} holds a token of postroom, but not this namespace's: "
            "it was made for another namespace, or with a key that the operator no longer has."
        )
    cause = judgement.Cause(Code.OWNERSHIP_MISMATCH, message, create(planned))
    return judgement.faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, cause, similar)


def _holds(text: str, token: str) -> bool:
    """Whether a text holds the very token, in any case: a number is no part of a longer one."""
    before = "(?<![0-9])" if token[:1].isdigit() else ""
    after = "(?![0-9])" if token[-1:].isdigit() else ""
    sought = f"{before}{re.escape(token)}{after}"
    return len(token) >= _TELLING and re.search(sought, text, re.IGNORECASE) is not None


def _prefix(text: str) -> str:
    """What a provider's token begins with, as far as it is its own: ``name=`` and the like."""
    match = _PREFIX.match(text.strip("\"' "))
    return match[1].lower() if match else ""


def _is_token(text: str) -> bool:
    """Whether a text looks like somebody's token, rather than like words of a wildcard."""
    bare = text.strip("\"' ")
    return _is_free(bare) and (bool(_prefix(bare)) or (len(bare) >= _LONG and " " not in bare))


def _is_free(text: str) -> bool:
    """Whether a text is none of the records that have a version, which are no tokens."""
    return re.match(r"[\"' ]{0,4}v[ \t]{0,4}=", text, re.IGNORECASE) is None
