# SPDX-License-Identifier: Apache-2.0
"""What judges need, joined by kind, and what was seen: silence for what was never asked."""

from __future__ import annotations

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.seen import Needs, Seen, own, shared
from postroom.dns.tls.mta_sts_host import FetchedPolicy, PolicyFetchOutcome

NAME = "send.example.com"
MX, TXT = Question(NAME, RecordType.MX), Question(NAME, RecordType.TXT)


def test_needs_are_joined_each_kind_by_itself() -> None:
    policies = Needs(policies=frozenset({"example.net"}))
    joined = own((NAME, RecordType.MX)) | shared((NAME, RecordType.TXT)) | policies
    assert joined == Needs(frozenset({MX}), frozenset({TXT}), frozenset({"example.net"}))
    both = own((NAME, RecordType.MX), (NAME, RecordType.TXT))
    assert own((NAME, RecordType.MX)) | own((NAME, RecordType.TXT)) == both


def test_what_was_not_asked_is_as_good_as_silence() -> None:
    seen = Seen({TXT: Answer(TXT, Outcome.NX_DOMAIN)})
    assert seen.get(NAME, RecordType.MX) is None
    assert seen.at(NAME, RecordType.MX) == Answer(MX, Outcome.TIMEOUT)
    assert not seen.at(NAME, RecordType.MX).conclusive
    assert seen.at(NAME, RecordType.TXT) is seen.get(NAME, RecordType.TXT)
    assert seen.at(NAME, RecordType.TXT).outcome is Outcome.NX_DOMAIN


def test_the_later_answer_counts_and_the_earlier_view_stays_as_it_was() -> None:
    fetched = {"example.com": FetchedPolicy(PolicyFetchOutcome.UNREACHABLE)}
    before = Seen({TXT: Answer(TXT, Outcome.NX_DOMAIN)}, fetched)
    later = [Answer(TXT, Outcome.FOUND, ("text",)), Answer(MX, Outcome.NO_DATA)]
    after = before.with_answers(later)
    assert after.answers == {TXT: later[0], MX: later[1]}
    assert after.policies == fetched
    assert before.answers == {TXT: Answer(TXT, Outcome.NX_DOMAIN)}
