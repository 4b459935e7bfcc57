# SPDX-License-Identifier: Apache-2.0
"""check_host on DNS: an asynchronous query function, an Asker, and the limit on time."""

from __future__ import annotations

import asyncio

from postroom.dns import spf
from postroom.dns.answers import Answer, Question, RecordType
from postroom.dns.spf import ResultCode
from unit.dns.spf.spf_zones import answer

ZONE = {
    "example.com TXT": ["v=spf1 a:%{h} include:pass.example.com -all exp=why.example.com"],
    "pass.example.com TXT": ["v=spf1 ip4:192.0.2.1 -all"],
    "why.example.com TXT": ["not %{i}, says %{r} at %{t}"],
}


class Resolver:
    """The part of an Asker that evaluation uses."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    async def recursive(self, question: Question) -> Answer:
        self.asked.append(question)
        return answer(ZONE, question.name, question.type)


async def query(name: str, kind: RecordType) -> Answer:
    return answer(ZONE, name, kind)


async def test_a_client_passes() -> None:
    result = await spf.check_host("192.0.2.1", "u@example.com", "mx.example.org", query)
    assert (result.result, result.lookups, result.void_lookups) == (ResultCode.PASS, 2, 1)


async def test_a_client_fails_with_an_explanation() -> None:
    result = await spf.check_host(
        "192.0.2.2", "u@example.com", "x.net", query, receiver="mx.example.net", timestamp=17
    )
    assert result.result is ResultCode.FAIL
    assert result.explanation == "not 192.0.2.2, says mx.example.net at 17"


async def test_an_asker_is_asked_only_what_can_be_asked() -> None:
    resolver = Resolver()
    asking = spf.asking(resolver)  # type: ignore[arg-type]
    result = await spf.check_host("192.0.2.1", "u@example.com", "no host\\name.net", asking)
    assert result.result is ResultCode.PASS
    assert [one.name for one in resolver.asked] == ["example.com", "pass.example.com"]


async def test_what_takes_too_long_is_a_temporary_error() -> None:
    async def never(name: str, kind: RecordType) -> Answer:
        await asyncio.Event().wait()
        return answer(ZONE, name, kind)

    result = await spf.check_host("192.0.2.1", "u@example.com", "x", never, time_limit=0.01)
    assert (result.result, result.problem) == (
        ResultCode.TEMP_ERROR,
        "the evaluation took too long",
    )


def test_answers_at_hand_give_the_same_result() -> None:
    def source(name: str, kind: RecordType) -> Answer:
        return answer(ZONE, name, kind)

    result = spf.check_host_with("192.0.2.1", "u@example.com", "mx.example.org", source)
    assert result.result is ResultCode.PASS
