# SPDX-License-Identifier: Apache-2.0
"""The vote of the name servers on a record: who counts, who wins, and what is said of the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import Answer, Outcome, Question, RecordType, ServerAnswer
from postroom.dns.judging.judge import judge
from postroom.dns.judging.judgement import Context, Judgement, blind
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import CNAMEWanted, DomainPlan, PlannedRecord, TextWanted
from postroom.dns.verifying import quorum
from postroom.dns.verifying.quorum import (
    Vote,
    by_quorum,
    coherent,
    elected,
    is_certain,
    judged_before,
    votes,
)
from postroom.dns.verifying.reporting import across_views

DOMAIN = "example.com"
RIGHT, WRONG = "token=right", "token=wrong"
TEXT = PlannedRecord(
    "ownership",
    Purpose.OWNERSHIP,
    f"_challenge.{DOMAIN}",
    RecordType.TXT,
    RIGHT,
    required=True,
    wanted=TextWanted(RIGHT),
)
ALIAS = PlannedRecord(
    "dkim-k1",
    Purpose.DKIM,
    f"k1._domainkey.{DOMAIN}",
    RecordType.CNAME,
    "k1.provider.net",
    required=True,
    wanted=CNAMEWanted("k1.provider.net"),
)
CONTEXT = Context(DomainPlan(DOMAIN, (TEXT, ALIAS)))
_QUESTION = Question(TEXT.name, TEXT.type)
_KEY = "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ"


def _answer(value: str | None, *, ttl: int = 60, errors: tuple[int, ...] = ()) -> Answer:
    """What a server has: a value, nothing (""), or no answer at all (None)."""
    if value is None:
        return Answer(_QUESTION, Outcome.SERVER_FAILURE)
    values = (value,) if value else ()
    outcome = Outcome.FOUND if value else Outcome.NX_DOMAIN
    return Answer(_QUESTION, outcome, values, ttl=ttl, authoritative=not errors, errors=errors)


def _cast(*has: str | None) -> tuple[Vote, ...]:
    servers = [ServerAnswer(f"ns{at}.net", _answer(one)) for at, one in enumerate(has, 1)]
    return votes(TEXT, servers, Seen(), CONTEXT)


def _decided(seen: str | None, *has: str | None) -> RecordState:
    judged = across_views(TEXT, Seen({_QUESTION: _answer(seen)}), None, CONTEXT)
    return by_quorum(TEXT, judged, _cast(*has)).state


def test_the_majority_has_it() -> None:
    assert _decided(RIGHT, RIGHT, RIGHT, "") is RecordState.VALID
    chosen = elected(_cast(RIGHT, "", RIGHT))
    assert chosen is not None and chosen.answer.values == (RIGHT,)


def test_who_lacks_it_is_told() -> None:
    judged = across_views(TEXT, Seen({_QUESTION: _answer(RIGHT)}), None, CONTEXT)
    advice = by_quorum(TEXT, judged, _cast(RIGHT, RIGHT, "", None)).advice
    assert [one.code for one in advice] == ["NS_INCONSISTENT"]
    assert "as it must be: ns3.net does not. " in advice[0].message
    assert advice[0].message.endswith(
        "wait for the transfer of the zone; if that does not come, mend it at the DNS host."
    )


def test_a_minority_or_half_of_them_is_on_its_way() -> None:
    assert _decided(RIGHT, RIGHT, "") is RecordState.PROPAGATING
    assert _decided("", RIGHT, "", WRONG) is RecordState.PROPAGATING


def test_one_server_alone_is_not_believed_against_all_others() -> None:
    assert _decided(RIGHT, "", WRONG) is RecordState.PROPAGATING


@given(st.sampled_from([RIGHT, WRONG, ""]), st.lists(st.sampled_from([RIGHT, WRONG, "", None])))
def test_what_a_server_was_judged_by_is_not_judged_again(own: str, has: list[str | None]) -> None:
    known = judged_before(_cast(*has), _answer(own, ttl=7))
    assert (known is not None) is (own in has)
    seen = Seen({_QUESTION: _answer(own, ttl=7)})
    anew = across_views(TEXT, seen, None, CONTEXT)
    assert known in (None, anew)
    assert across_views(TEXT, seen, seen, CONTEXT, known) == anew


def test_without_a_vote_for_it_the_fault_stays() -> None:
    assert _decided("", "", WRONG, None) is RecordState.MISSING


def test_a_fault_of_few_does_not_stand_against_those_that_may_have_it() -> None:
    alias = Question(ALIAS.name, ALIAS.type)
    good = Answer(alias, Outcome.FOUND, (ALIAS.value,), authoritative=True)
    gone = Answer(alias, Outcome.NX_DOMAIN, authoritative=True)
    seen = Seen({alias: gone, Question(ALIAS.name, RecordType.TXT): gone})
    judged = across_views(ALIAS, seen, None, CONTEXT)
    assert judged.state is RecordState.MISSING
    servers = [ServerAnswer(f"ns{at}.net", one) for at, one in enumerate((gone, good, good))]
    decided = by_quorum(ALIAS, judged, votes(ALIAS, servers, seen, CONTEXT))
    assert decided.state is RecordState.UNKNOWN


def test_failures_have_no_vote() -> None:
    assert _decided(RIGHT, RIGHT, None, None, None) is RecordState.VALID
    assert _decided(None, None, None) is RecordState.UNKNOWN


@given(st.lists(st.sampled_from((RIGHT, WRONG, "", None)), max_size=8))
def test_never_valid_against_the_majority(has: list[str | None]) -> None:
    counting = [one for one in has if one is not None]
    right = counting.count(RIGHT)
    for seen in {*has, RIGHT}:
        state = _decided(seen, *has)
        if 2 * right < len(counting):
            assert state is not RecordState.VALID
        if seen is None:
            assert state not in (RecordState.MISSING, RecordState.WRONG, RecordState.VALID)


@given(st.permutations((RIGHT, RIGHT, WRONG, "", None)))
def test_the_order_of_servers_decides_nothing(has: list[str | None]) -> None:
    assert _decided(RIGHT, *has) is RecordState.PROPAGATING


def test_all_must_agree_on_what_is_certain() -> None:
    sure = replace(blind(TEXT), state=RecordState.WRONG, certain=True)
    unsure, silent = replace(sure, certain=False), blind(TEXT)

    def cast(*judged: Judgement) -> tuple[Vote, ...]:
        return tuple(Vote("ns.net", _answer(WRONG), one) for one in judged)

    assert is_certain(sure, cast(sure, sure, silent))
    assert not is_certain(sure, cast(sure, unsure))
    assert not is_certain(unsure, cast(sure))
    assert not is_certain(sure, cast(silent))
    assert not is_certain(sure, ())


def test_what_another_server_followed_does_not_count_for_one_without_the_alias() -> None:
    key = Question(ALIAS.name, RecordType.TXT)
    target = Question("k1.provider.net", RecordType.TXT)
    elsewhere = Answer(key, Outcome.FOUND, (_KEY,), ("k1.provider.net",), authoritative=True)
    seen = Seen({key: elsewhere, target: Answer(target, Outcome.FOUND, (_KEY,))})
    denied = Answer(Question(ALIAS.name, ALIAS.type), Outcome.NX_DOMAIN, authoritative=True)
    (vote,) = votes(ALIAS, [ServerAnswer("ns1.net", denied)], seen, CONTEXT)
    assert not vote.valid


def test_aliases_into_other_zones_are_the_same_for_all_servers() -> None:
    behind = Answer(_QUESTION, Outcome.FOUND, (RIGHT,), ("text.elsewhere.net",))
    seen = Seen({_QUESTION: behind})
    same = Answer(_QUESTION, Outcome.NO_DATA, (), ("text.elsewhere.net",), authoritative=True)
    other = Answer(_QUESTION, Outcome.NO_DATA, (), ("text.other.net",), authoritative=True)
    cast = votes(TEXT, [ServerAnswer("a", same), ServerAnswer("b", other)], seen, CONTEXT)
    assert [(one.valid, one.counts) for one in cast] == [(True, True), (False, False)]


# -- what one server says of a name, put together --------------------------------------------------

_OTHER = "other.provider.net"


def _said(
    kind: RecordType, *aliases: str, name: str = ALIAS.name, values: tuple[str, ...] = ()
) -> Answer:
    question = Question(name, kind)
    return Answer(question, Outcome.FOUND, values, aliases=aliases, authoritative=True)


def _cname(target: str, name: str = ALIAS.name) -> Answer:
    return _said(RecordType.CNAME, name=name, values=(target,))


def _seen(*answers: Answer) -> Seen:
    return Seen().with_answers(answers)


@pytest.mark.parametrize(
    ("planned", "answers", "dropped"),
    [
        # it has another CNAME than the server that was followed: what that leads to goes
        (ALIAS, (_cname(_OTHER), _said(RecordType.TXT, "k1.provider.net")), True),
        # the same one, whatever it leads to in the end
        (
            ALIAS,
            (_cname("k1.provider.net"), _said(RecordType.TXT, "k1.provider.net", _OTHER)),
            False,
        ),
        # the first of the chain counts, not its end
        (ALIAS, (_cname(_OTHER), _said(RecordType.TXT, "k1.provider.net", _OTHER)), True),
        # a record of its own contradicts nothing
        (ALIAS, (_cname(_OTHER), _said(RecordType.TXT, values=("p=1",))), False),
        # nobody asked for the CNAME
        (ALIAS, (_said(RecordType.TXT, "k1.provider.net"),), False),
        # no alias is required
        (
            replace(TEXT, name=ALIAS.name),
            (_cname(_OTHER), _said(RecordType.TXT, "k1.provider.net")),
            False,
        ),
    ],
)
def test_what_another_alias_leads_to_says_nothing(
    planned: PlannedRecord, answers: tuple[Answer, ...], dropped: bool
) -> None:
    made = coherent(planned, _seen(*answers))
    text = Question(ALIAS.name, RecordType.TXT)
    nothing = Answer(text, Outcome.NO_DATA, authoritative=True)
    assert made.answers[text] == (nothing if dropped else answers[-1])


def test_the_same_name_from_elsewhere_is_the_same() -> None:
    """Names of answers are read from the wire: equal, and another object."""
    name = "".join(list(ALIAS.name))
    text = Question(name, RecordType.TXT)
    there = replace(_said(RecordType.TXT, "k9.provider.net", name=name), question=text)
    made = coherent(ALIAS, _seen(_cname(_OTHER), there))
    assert made.answers[text].outcome is Outcome.NO_DATA


@pytest.mark.parametrize("name", [f"a.{DOMAIN}", f"z.{DOMAIN}"])
def test_what_other_names_have_is_left_alone(name: str) -> None:
    there = _said(RecordType.TXT, "k1.provider.net", name=name)
    seen = _seen(_cname(_OTHER), there)
    assert coherent(ALIAS, seen).answers == seen.answers


@pytest.mark.parametrize(
    ("followed", "has", "state"),
    [
        # the server follows as far as its zones reach; the rest is the same for all
        (("a.net", "b.net"), ("a.net",), RecordState.VALID),
        (("a.net", "b.net"), ("a.net", "b.net"), RecordState.VALID),
        # another way than the one that was followed: where it leads is not known
        (("b.net", "c.net"), ("a.net",), RecordState.UNKNOWN),
        (("a.net", "c.net"), ("b.net",), RecordState.UNKNOWN),
    ],
)
def test_a_servers_alias_is_followed_where_it_is_the_one_that_was(
    followed: tuple[str, ...], has: tuple[str, ...], state: RecordState
) -> None:
    whole = replace(_answer(RIGHT), aliases=followed)
    own = replace(_answer(""), outcome=Outcome.NO_DATA, aliases=has)
    (vote,) = votes(TEXT, [ServerAnswer("ns1.net", own)], _seen(whole), CONTEXT)
    assert vote.judgement.state is state
    assert vote.undecided is (state is RecordState.UNKNOWN)


# -- who decides -----------------------------------------------------------------------------------

_LACKS = replace(blind(TEXT), state=RecordState.MISSING, certain=True)
_HAS = replace(_LACKS, state=RecordState.VALID)


def test_what_several_servers_have_is_judged_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = list[Seen]()

    def noted(planned: PlannedRecord, seen: Seen, context: Context) -> Judgement:
        judged.append(seen)
        return judge(planned, seen, context)

    monkeypatch.setattr(quorum, "judge", noted)
    same = replace(_answer(RIGHT, ttl=5), server="192.0.2.2")
    said = [_answer(RIGHT), same, _answer(WRONG), _answer(""), _answer(RIGHT), _answer(WRONG)]
    cast = votes(
        TEXT, [ServerAnswer(f"ns{at}.net", one) for at, one in enumerate(said)], Seen(), CONTEXT
    )
    assert len(judged) == 3
    assert [vote.answer for vote in cast] == said
    alone = [votes(TEXT, [ServerAnswer("ns.net", one)], Seen(), CONTEXT)[0] for one in said]
    assert [vote.judgement for vote in cast] == [vote.judgement for vote in alone]


def _votes(*judged: Judgement) -> tuple[Vote, ...]:
    """One vote each; what is blind is answered all the same, and so undecided."""
    return tuple(Vote(f"ns{at}.net", _answer(WRONG), one) for at, one in enumerate(judged, 1))


@pytest.mark.parametrize(
    ("lacking", "undecided", "is_open"),
    [(1, 1, False), (1, 2, True), (2, 2, False), (2, 3, True), (3, 1, False), (3, 4, True)],
)
def test_a_fault_stands_unless_most_may_have_the_record(
    lacking: int, undecided: int, is_open: bool
) -> None:
    unclear = [replace(blind(TEXT), message=f"unclear {at}") for at in range(undecided)]
    decided = by_quorum(TEXT, _LACKS, _votes(*unclear, *[_LACKS] * lacking))
    assert decided == (unclear[0] if is_open else _LACKS)


def test_the_first_of_the_majority_is_elected() -> None:
    cast = _votes(_LACKS, _HAS, _HAS, _HAS)
    chosen = elected(cast)
    assert chosen is cast[1]
    assert elected(_votes(_LACKS, _HAS)) is None


def test_several_that_lack_it_are_told_in_the_plural_and_nothing_is_certain() -> None:
    decided = by_quorum(TEXT, _HAS, _votes(_HAS, _LACKS, _LACKS))
    assert "ns2.net, ns3.net do not. " in decided.message
    assert (decided.state, decided.certain) == (RecordState.PROPAGATING, False)
