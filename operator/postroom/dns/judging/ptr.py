# SPDX-License-Identifier: Apache-2.0
"""The judge for sending addresses: forward-confirmed reverse DNS (RFC 8601 section 2.7.3)."""

import ipaddress

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import external
from postroom.dns.judging.judgement import Cause, Context, Evidence, Judgement, blind, faulty, valid
from postroom.dns.judging.reverse_names import addresses_in, is_generic
from postroom.dns.judging.seen import Needs, Seen, own, shared
from postroom.dns.names import can_be_asked
from postroom.dns.requirements import PlannedRecord, PTRWanted
from postroom.dns.texts.quoting import quoted

#: Most names of one address that are followed, as receivers bound it (RFC 7208 section 4.6.4).
_NAMES_LIMIT = 10


def _forward(address: str) -> RecordType:
    version = ipaddress.ip_address(address).version
    return RecordType.A if version == 4 else RecordType.AAAA


def _names(planned: PlannedRecord, seen: Seen) -> list[str]:
    return sorted(seen.at(planned.name, RecordType.PTR).values)[:_NAMES_LIMIT]


def needs(planned: PlannedRecord, wanted: PTRWanted, seen: Seen, context: Context) -> Needs:
    """The names of the address, then their addresses."""
    kind = _forward(wanted.address)
    names = filter(can_be_asked, _names(planned, seen))
    return own((planned.name, RecordType.PTR)) | shared(*((name, kind) for name in names))


def judge(planned: PlannedRecord, wanted: PTRWanted, seen: Seen, context: Context) -> Judgement:
    """One of the address's names must lead back to it."""
    names = _names(planned, seen)
    if not names:
        message = (
            f"The address {wanted.address} has no name: have whoever provides it publish a PTR at "
            f"{planned.name}."
        )
        cause = Cause(Code.REVERSE_MISSING, message, external())
        return faulty(RecordState.MISSING, Reason.RECORD_NOT_FOUND, cause, ())
    kind, address = _forward(wanted.address), ipaddress.ip_address(wanted.address)
    # A name that no query can hold leads nowhere.
    answers = [
        seen.at(name, kind)
        if can_be_asked(name)
        else Answer(Question(name, kind), Outcome.NX_DOMAIN)
        for name in names
    ]
    back = [answer.question.name for answer in answers if address in addresses_in(answer.values)]
    if back:
        message = "The address has a name that leads back to it."
        advice: list[Finding] = []
        astray = [name for name in names if name not in back]
        if astray:
            also = (
                f"The address {wanted.address} also has the name {quoted(astray[0])}, which does "
                "not lead back to it: some receivers look at one name alone. Have that PTR removed."
            )
            advice.append(finding(Code.REVERSE_OTHER_NAME, planned.id, also))
        if all(is_generic(name, wanted.address) for name in back):
            made = (
                f"The address {wanted.address} has the name {quoted(back[0])}, which is made from "
                "the address: some receivers take it for a dial-up line."
            )
            advice.append(finding(Code.REVERSE_GENERIC, planned.id, made))
        return valid(Reason.RECORD_VALID, message, names, advice=tuple(advice))
    unseen = next((answer for answer in answers if not answer.conclusive), None)
    if unseen is not None:
        return blind(planned, f"{kind.value} at {unseen.question.name}", names, [unseen])
    code, what = Code.REVERSE_NOT_CONFIRMED, "which does not lead back to it"
    if not any(answer.values for answer in answers):
        code, what = Code.REVERSE_NAME_UNRESOLVABLE, "which has no address"
    message = (
        f"The address {wanted.address} has the name {quoted(names[0])}, {what}: publish "
        f"{kind.value} {wanted.address} at that name, or have the PTR changed."
    )
    cause = Cause(code, message, external(), Evidence.SHOWN)
    return faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, cause, names)
