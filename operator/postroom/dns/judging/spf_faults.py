# SPDX-License-Identifier: Apache-2.0
"""What is wrong with SPF records: their text, who they authorise, and what evaluation runs into."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from postroom.api.reasons import Reason
from postroom.dns import spf
from postroom.dns.finding_codes import Code
from postroom.dns.judging import spf_chains
from postroom.dns.judging.spf_includes import Trial
from postroom.dns.names import canonical
from postroom.dns.spf.closing import is_required, open_terms
from postroom.dns.spf.repair import GAP
from postroom.dns.texts.pasted import placeholder
from postroom.dns.texts.quoting import quoted

#: Most terms that are named as those that cost most.
_DEAREST = 3
_JOINED = ("~all", "-all", "?all", "+all", "include:", "ip4:", "ip6:", "v=spf1")


@dataclass(frozen=True, slots=True)
class SPFFault:
    """What is wrong with the records of a name; `sentence` says what the record does or is."""

    code: Code
    reason: Reason
    sentence: str


def of_text(records: Sequence[str]) -> SPFFault | None:
    """Find what the texts alone show."""
    if len(records) > 1:
        sentence = f"holds {len(records)} SPF records, so receivers give permerror"
        return SPFFault(Code.SPF_MULTIPLE, Reason.MULTIPLE_RECORDS, sentence)
    record = spf.parse(records[0])
    if record.errors:
        return of_syntax(records[0], record.errors[0])
    if record.all_term is not None and record.all_term.qualifier == "+":
        return SPFFault(
            Code.SPF_PLUS_ALL, Reason.POLICY_TOO_PERMISSIVE, "lets everyone send (+all)"
        )
    return None


def of_openness(
    text: str, wanted: spf.Requirement, others: Mapping[str, spf.Fetched], domain: str
) -> SPFFault | None:
    """Find the terms by which everyone passes; those that are required themselves are meant."""
    terms = opening(text, wanted, others, domain)
    if all(is_required(term, wanted) for term in terms):
        return None
    named = " and ".join(quoted(term.text) for term in terms[:_DEAREST])
    return SPFFault(
        Code.SPF_PLUS_ALL, Reason.POLICY_TOO_PERMISSIVE, f"lets everyone send (by {named})"
    )


def opening(
    text: str, wanted: spf.Requirement, others: Mapping[str, spf.Fetched], domain: str
) -> tuple[spf.Term, ...]:
    """Return the terms by which everyone passes: by what stands behind a dead end of others nobody
    does (RFC 7208 section 5.2)."""
    required = {canonical(include) for include in wanted.includes}
    passable = spf_chains.up_to_dead_ends([text], others, domain, required)
    return open_terms(spf.parse(text, domain), passable, domain)


def of_syntax(text: str, problem: spf.SyntaxProblem) -> SPFFault:
    """Where the first error stands; some have a cause of their own."""
    sentence = (
        f"has a syntax error at character {problem.start + 1}: {quoted(problem.term)} "
        f"{problem.sentence}"
    )
    # A gap in brackets may hold spaces, such as ``<your provider>``.
    gap = GAP.match(text, problem.start)
    behind = problem.term.lstrip("+?~-")[1:].lower()
    code = Code.SPF_SYNTAX
    if not text.isascii():
        code = Code.SPF_NON_ASCII
    elif placeholder(gap[0] if gap is not None else problem.term) is not None:
        code = Code.VALUE_PLACEHOLDER
    elif not any(mark in problem.term for mark in ",;|") and any(
        mark in behind for mark in _JOINED
    ):
        code = Code.SPF_JOINED_TERMS
    return SPFFault(code, Reason.INVALID_RECORD, sentence)


def of_authorisation(text: str, lacking: Sequence[str], domain: str) -> SPFFault:
    """Why what is required is not authorised."""
    record = spf.parse(text, domain)
    if record.problems:
        return of_syntax(text, record.problems[0])
    joined = [term for term in record.effective if ":" in term.target and not term.varies]
    if joined:
        sentence = f"has terms without a space between them: {quoted(joined[0].text)}"
        return SPFFault(Code.SPF_JOINED_TERMS, Reason.INVALID_RECORD, sentence)
    sentence = f"does not authorise {', '.join(lacking)}"
    reason = Reason.REQUIRED_MECHANISM_MISSING
    end = record.all_term
    behind = text[end.start :].lower().split() if end is not None else []
    before = {term.text.lower().lstrip("+?~-") for term in record.effective}
    if any(term in behind for term in lacking):
        sentence += ", because what stands after all is ignored"
        return SPFFault(Code.SPF_INCLUDE_AFTER_ALL, reason, sentence)
    ignored = record.modifier("redirect") if record.redirect is None else None
    if ignored is not None and f"include:{ignored.target}" in lacking:
        sentence += ", because the redirect to it is ignored beside all"
        return SPFFault(Code.SPF_MISSING_INCLUDE, reason, sentence)
    if any(term in before for term in lacking):
        sentence += ", because the record names the same senders without letting them pass"
        return SPFFault(Code.SPF_SHADOWED, reason, sentence)
    return SPFFault(Code.SPF_MISSING_INCLUDE, reason, sentence)


def of_trial(trial: Trial) -> SPFFault | None:
    """Find who is required and yet refused, by a term that stands before the one that admits."""
    refused = [(address, verdict) for address, verdict in trial.failing if verdict.result in _SAYS]
    if not refused:
        return None
    address, result = refused[0]
    by = f", because {quoted(result.matched)} stands before" if result.matched else ""
    sentence = f"{_SAYS[result.result]} {address}, which is required to pass{by}"
    return SPFFault(Code.SPF_SHADOWED, Reason.REQUIRED_MECHANISM_MISSING, sentence)


def of_voids(trial: Trial) -> SPFFault | None:
    """Find who is required and yet gets permerror, as more than two lookups find nothing for the
    version of the address (RFC 7208 section 4.6.4)."""
    ended = [ip for ip, verdict in trial.failing if verdict.result is spf.ResultCode.PERM_ERROR]
    if not ended:
        return None
    version = 6 if ":" in ended[0] else 4
    sentence = (
        f"looks up more than two names that have no address for IPv{version} clients, so that "
        f"{ended[0]}, which is required to pass, gets permerror"
    )
    return SPFFault(Code.SPF_VOID, Reason.VOID_LOOKUP_LIMIT_EXCEEDED, sentence)


#: What a record does to a sender that it does not let pass (RFC 7208 section 2.6).
_SAYS = {
    spf.ResultCode.FAIL: "refuses",
    spf.ResultCode.SOFT_FAIL: "calls probably unauthorised (softfail)",
    spf.ResultCode.NEUTRAL: "takes no stand (neutral) on",
}


def may_refuse(text: str) -> bool:
    """Whether a record may refuse someone whom it admits as well."""
    record = spf.parse(text)
    refusing = any(not term.passes and term.name != "all" for term in record.effective)
    return refusing or record.redirect is not None


def of_reach(found: spf.Reach) -> SPFFault | None:
    """Find what evaluating the record with all its includes would run into."""
    if found.loops:
        sentence = f"leads in a circle through {quoted(min(found.loops))}, so receivers give up"
        return SPFFault(Code.SPF_LOOP, Reason.INVALID_RECORD, sentence)
    if found.broken:
        named = {cost.name for cost in found.costs if cost.leads_to_record}
        own = [name for name in found.broken if name in named]
        sentence = (
            f"includes {quoted(min(own or found.broken))}, which has no single valid SPF record, "
            "so receivers give permerror"
        )
        return SPFFault(Code.SPF_DEAD_INCLUDE, Reason.INVALID_RECORD, sentence)
    if found.overfull:
        sentence = (
            f"has an mx for {quoted(min(found.overfull))}, which has more than ten mail "
            "exchangers, so receivers give permerror"
        )
        return SPFFault(Code.SPF_TOO_MANY, Reason.LOOKUP_LIMIT_EXCEEDED, sentence)
    if found.lookups > spf.LOOKUP_LIMIT:
        sentence = (
            f"takes {found.lookups} DNS lookups, of which {spf.LOOKUP_LIMIT} are allowed, so "
            f"receivers give permerror{dearest(found)}"
        )
        return SPFFault(Code.SPF_TOO_MANY, Reason.LOOKUP_LIMIT_EXCEEDED, sentence)
    if found.void_lookups > spf.VOID_LOOKUP_LIMIT:
        sentence = "looks up more than two names that do not exist, so receivers give permerror"
        return SPFFault(Code.SPF_VOID, Reason.VOID_LOOKUP_LIMIT_EXCEEDED, sentence)
    return None


def dearest(found: spf.Reach) -> str:
    """Name the terms that cost most, to follow a sentence on the number of lookups."""
    costs = sorted(found.costs, key=lambda cost: (-cost.lookups, cost.start))[:_DEAREST]
    named = [f"{quoted(cost.term)} ({cost.lookups})" for cost in costs]
    return f"; the dearest are {', '.join(named)}" if named else ""


def in_a_circle(found: spf.Reach) -> Iterator[spf.Cost]:
    """Yield the terms of the record itself that lead into a circle."""
    loops = set(found.loops)
    for cost in found.costs:
        if _leads_to(cost, loops):
            yield cost


def first_varying(costs: Iterable[spf.Cost]) -> spf.Cost | None:
    """Return the first term of a record, or of one that it leads to, whose name depends on the
    message."""
    for cost in costs:
        found = cost if cost.name is None else first_varying(cost.children)
        if found is not None:
            return found
    return None


def _leads_to(cost: spf.Cost, names: set[str]) -> bool:
    return cost.name in names or any(_leads_to(child, names) for child in cost.children)
