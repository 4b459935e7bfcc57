# SPDX-License-Identifier: Apache-2.0
"""What the catalogues of codes say to do, where a finding does not say it itself."""

from postroom.api.findings import Fix, FixAction
from postroom.api.reasons import CATALOGUE, Reason
from postroom.mail import finding_meanings
from postroom.mail.replies import Cause, causes

#: Reasons of what passes by itself, so that to wait is the remedy.
WAITS = frozenset(
    {
        Reason.PROGRESSING,
        Reason.PROGRESSING_WITH_RETRY,
        Reason.RESOLVERS_DISAGREE,
        Reason.DEPENDENCY_UNKNOWN,
        Reason.PROBE_INCONCLUSIVE,
        Reason.SERVICE_UNAVAILABLE,
        Reason.TEMPORARY_FAILURE,
        Reason.SERVER_THROTTLED,
        Reason.SEND_LIMIT_EXCEEDED,
        Reason.AWAITING_MESSAGE,
        Reason.OAUTH_ENDPOINT_UNAVAILABLE,
        Reason.OAUTH_THROTTLED,
    }
)


def remedy_of(code: str) -> Fix | None:
    """Return what to do about a code; None where no catalogue has it."""
    if code in Reason.__members__:
        reason = Reason[code]
        return _fix(CATALOGUE[reason].remedy, waits=reason in WAITS)
    if code in Cause.__members__:
        entry = causes()[Cause[code]]
        return _fix(entry.remedy, waits=entry.waits)
    meaning = finding_meanings.catalogue().get(code)
    return _fix(meaning.remedy, waits=False) if meaning is not None else None


def _fix(instruction: str, *, waits: bool) -> Fix:
    return Fix(action=FixAction.WAIT if waits else FixAction.EXTERNAL, instruction=instruction)
