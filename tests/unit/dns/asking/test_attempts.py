# SPDX-License-Identifier: Apache-2.0
"""Whom a question is put to, in which order, how often, with and without EDNS."""

from postroom.dns.asking.attempts import ATTEMPTS_MOST, plan
from postroom.dns.asking.https import HttpsServer
from postroom.dns.asking.transport import ServerAddress

A, B, C = (ServerAddress(f"192.0.2.{n}") for n in (1, 2, 3))
URL = HttpsServer("https://resolver.example/dns-query")


def test_plans_are_bounded() -> None:
    for count in range(1, 12):
        servers = [ServerAddress(f"192.0.2.{n}") for n in range(count)]
        attempts = list(plan(servers, lambda _: True))
        assert 3 <= len(attempts) <= ATTEMPTS_MOST
        assert attempts[0].edns
    assert [one.edns for one in plan([A], lambda _: True)] == [True, True, False]
    assert not any(one.edns for one in plan([A], lambda _: False))


def test_a_resolver_is_asked_more_often() -> None:
    assert len(list(plan([A], lambda _: True, resolvers=True))) == 5
    assert len(list(plan([A, B, C], lambda _: True, resolvers=True))) == 6


def test_over_https_nothing_is_repeated() -> None:
    assert [one.server for one in plan([URL], lambda _: True)] == [URL]
    attempts = [one.server for one in plan([URL, A], lambda _: True)]
    assert attempts.count(URL) == 1


def test_the_doubtful_come_after_all_attempts_at_others_once_each() -> None:
    servers = [attempt.server for attempt in plan([A], lambda _: True, [B, C])]
    assert servers == [A, A, A, B, C]
    assert [attempt.server for attempt in plan([], lambda _: True, [B])] == [B]
