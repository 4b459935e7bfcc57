# SPDX-License-Identifier: Apache-2.0
"""The servers of a zone vote on a record. Pure.

Who could not be asked, failed, or serves another zone has no vote: it says nothing of the record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer, Outcome, RecordType, ServerAnswer
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import wait
from postroom.dns.judging.judge import judge
from postroom.dns.judging.judgement import Cause, Context, Judgement, blind, unanswered, where
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import PlannedRecord


@dataclass(frozen=True, slots=True)
class Vote:
    """What one name server has of a record, and how that is judged."""

    nameserver: str
    #: Not in any text that is made of a report: it may hold a private key that somebody published.
    answer: Answer = field(repr=False)
    judgement: Judgement

    @property
    def valid(self) -> bool:
        return self.judgement.state is RecordState.VALID

    @property
    def counts(self) -> bool:
        return self.judgement.state is not RecordState.UNKNOWN

    @property
    def undecided(self) -> bool:
        """Whether the server has something, of which it could not be seen whether it is right."""
        return self.answer.conclusive and not self.counts


def votes(
    planned: PlannedRecord, servers: Sequence[ServerAnswer], seen: Seen, context: Context
) -> tuple[Vote, ...]:
    """Judge what each server answered; what is not its own to tell is taken from `seen`."""
    judged: dict[Answer, Judgement] = {}
    return tuple(_vote(planned, server, seen, context, judged) for server in servers)


def _vote(
    planned: PlannedRecord,
    voter: ServerAnswer,
    seen: Seen,
    context: Context,
    judged: dict[Answer, Judgement],
) -> Vote:
    answer = voter.answer
    if answer.conclusive and answer.aliases and not answer.values:
        # A server follows aliases only as far as its zones reach; the rest is the same for all.
        whole = seen.at(planned.name, planned.type)
        if whole.aliases[: len(answer.aliases)] != answer.aliases:
            return Vote(voter.nameserver, answer, blind(planned))
        answer = whole
    if not answer.conclusive:
        return Vote(voter.nameserver, answer, unanswered(planned, answer))
    # Servers mostly have the same.
    said = _said(answer)
    if said not in judged:
        whole_view = coherent(planned, seen.with_answers([answer]))
        judged[said] = judge(planned, whole_view, context)
    return Vote(voter.nameserver, answer, judged[said])


def _said(answer: Answer) -> Answer:
    """What an answer says; who says it, and for how long, is nothing to judges."""
    return replace(answer, ttl=None, server=None)


def judged_before(cast: Sequence[Vote], answer: Answer) -> Judgement | None:
    """How a server was judged that says the same as this answer; None: no server does."""
    said = _said(answer)
    return next((vote.judgement for vote in cast if _said(vote.answer) == said), None)


def coherent(planned: PlannedRecord, seen: Seen) -> Seen:
    """Take away what contradicts the answer to the record's own question.

    One server has no CNAME, or another one, than the server that followed it: what that one leads
    to says nothing of the first.
    """
    cname = seen.get(planned.name, RecordType.CNAME)
    if planned.type is not RecordType.CNAME or cname is None:
        return seen
    return seen.with_answers(
        Answer(question, Outcome.NO_DATA, authoritative=answer.authoritative)
        for question, answer in seen.answers.items()
        if question.name == planned.name
        and answer.aliases
        and answer.aliases[0] not in cname.values
    )


def elected(cast: Sequence[Vote]) -> Vote | None:
    """Return a vote of the majority, if more than half of those that count are for valid."""
    counting = [vote for vote in cast if vote.counts]
    good = [vote for vote in counting if vote.valid]
    return good[0] if 2 * len(good) > len(counting) else None


def by_quorum(planned: PlannedRecord, judged: Judgement, cast: Sequence[Vote]) -> Judgement:
    """Let the servers decide whether a record may be valid.

    `judged` is by one server and the resolver. What a minority has is on its way, and never valid;
    where the majority has it, it stays what it is, and who lacks it is told.
    """
    counting = [vote for vote in cast if vote.counts]
    lacking = sorted(vote.nameserver for vote in counting if not vote.valid)
    hopeful = judged.state in (RecordState.VALID, RecordState.PROPAGATING)
    undecided = [vote for vote in cast if vote.undecided]
    if not hopeful and undecided and 2 * len(lacking) < len(counting) + len(undecided):
        # Most may have it as it must be: what some lack is not the fault of the record.
        return undecided[0].judgement
    if not lacking or (len(lacking) == len(counting) and not hopeful):
        return judged
    message = (
        f"Not all name servers of the zone have the {where(planned)} as it must be: "
        f"{', '.join(lacking)} {'does' if len(lacking) == 1 else 'do'} not. Receivers that ask "
        "there do not see it: wait for the transfer of the zone; if that does not come, mend it "
        "at the DNS host."
    )
    if elected(cast) is None:
        return propagating(judged, Cause(Code.NS_INCONSISTENT, message, wait()))
    if judged.state is not RecordState.VALID:
        return judged
    told = finding(Code.NS_INCONSISTENT, planned.id, message, wait())
    return replace(judged, advice=(*judged.advice, told))


def propagating(judged: Judgement, cause: Cause) -> Judgement:
    """Published, but not everywhere yet."""
    return replace(
        judged,
        state=RecordState.PROPAGATING,
        reason=Reason.RESOLVERS_DISAGREE,
        message=cause.message,
        cause=cause,
        certain=False,
    )


def is_certain(judged: Judgement, cast: Sequence[Vote]) -> bool:
    """Whether every server that could be asked says what no second look sees otherwise."""
    counting = [vote for vote in cast if vote.counts]
    return judged.certain and bool(counting) and all(vote.judgement.certain for vote in counting)
