# SPDX-License-Identifier: Apache-2.0
"""What is told of an SPF record that is valid: what works, but not as well as it could."""

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.dns import spf
from postroom.dns.answers import Outcome
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import spf_faults
from postroom.dns.judging.judgement import Judgement, valid, where
from postroom.dns.judging.spf_look import SPFLook
from postroom.dns.spf.lint import Rule, lint
from postroom.dns.texts.quoting import quoted

#: What lint finds that is worth telling, and under which code.
_ADVICE = {
    Rule.NEUTRAL_ALL: Code.SPF_NEUTRAL_ALL,
    Rule.NO_DEFAULT: Code.SPF_NO_ALL,
    Rule.AFTER_ALL: Code.SPF_AFTER_ALL,
    Rule.REDIRECT_IGNORED: Code.SPF_REDIRECT_IGNORED,
    Rule.MECHANISM_AS_MODIFIER: Code.SPF_MECHANISM_IGNORED,
    Rule.PTR: Code.SPF_PTR,
    Rule.UNUSED_HOST: Code.SPF_UNUSED_HOST,
    Rule.DUPLICATE: Code.SPF_DUPLICATE_TERM,
    Rule.REACHED_TWICE: Code.SPF_DUPLICATE_TERM,
    Rule.WIDE_NETWORK: Code.SPF_WIDE_RANGE,
    Rule.TOO_LONG: Code.SPF_TOO_LONG,
    Rule.VOIDS_FOR_ONE_FAMILY: Code.SPF_VOID_FOR_ONE_FAMILY,
}


def valid_with_advice(look: SPFLook, first: Finding | None = None) -> Judgement:
    """The record is valid; told is what works, but not as well as it could, `first` before all."""
    text = look.records[0]
    strings = dict(zip(look.answer.values, look.answer.strings, strict=False)).get(text, ())
    # What works, but not as well as it could: the first of each kind.
    made: dict[Code, Finding] = {}
    for hint in lint(text, look.others, look.planned.name, strings):
        code = _ADVICE.get(hint.rule)
        asked_for = hint.rule is Rule.NEUTRAL_ALL and look.wanted.all_term == "?all"
        if code is not None and code not in made and not asked_for:
            subject = "It" if hint.term == text else quoted(hint.term)
            sentence = f"In the {where(look.planned)}: {subject} {hint.sentence}."
            made[code] = finding(code, look.planned.id, sentence)
    meant = spf_faults.opening(text, look.wanted, look.others, look.planned.name)
    if meant:
        sentence = f"{quoted(meant[0].text)}, which spec.spf requires, lets everyone pass."
        code = Code.SPF_WIDE_RANGE
        made[code] = finding(code, look.planned.id, f"In the {where(look.planned)}: {sentence}")
    advice = (*made.values(),) if first is None else (first, *made.values())
    message = "The SPF record authorises what is required." if first else "The SPF record is valid."
    return valid(Reason.RECORD_VALID, message, look.records, text, advice)


def may_find_nothing(look: SPFLook, found: spf.Reach) -> Finding:
    """Warn of terms that ask for another name with each message, and of whom they may meet."""
    varying = spf_faults.first_varying(found.costs)
    such = f", such as {quoted(varying.term)}" if varying is not None else ""
    trial = look.trial(look.records[0], Outcome.NX_DOMAIN)
    who = "What this spec requires passes before that, other senders may fail."
    if not trial.all_pass:
        first = next((f" such as {address}," for address, _ in trial.failing), "")
        who = f"That may meet what this spec requires,{first} where those names are not there."
    message = (
        f"The {where(look.planned)} has terms that look up another name for each message{such}. "
        f"Where more than {spf.VOID_LOOKUP_LIMIT} of its lookups find nothing, receivers give "
        f"permerror. {who}"
    )
    return finding(Code.SPF_BUDGET_WORST_CASE, look.planned.id, message)
