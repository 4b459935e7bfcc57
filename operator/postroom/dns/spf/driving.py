# SPDX-License-Identifier: Apache-2.0
"""Running `evaluate` of `postroom.dns.spf.evaluate`: on answers at hand, and on DNS."""

import asyncio
from collections.abc import Awaitable, Callable

from postroom.dns.answers import Answer, Asker, Outcome, Question, RecordType
from postroom.dns.names import can_be_asked
from postroom.dns.spf import evaluate
from postroom.dns.spf.macro import Address

Query = Callable[[str, RecordType], Awaitable[evaluate.Reply]]
Source = Callable[[str, RecordType], evaluate.Reply]

#: In seconds; RFC 7208 section 4.6.4 asks for at least 20.
TIME_LIMIT = 20.0


def check_host_with(
    ip: str | Address, mail_from: str, helo: str, source: Source
) -> evaluate.Result:
    """Evaluate on answers that are at hand, such as a dictionary of records."""
    steps = evaluate.evaluate(ip, mail_from, helo)
    return drive(steps, source)


def drive(steps: evaluate.Steps[evaluate.Value], source: Source) -> evaluate.Value:
    """Run an evaluation to its end on a source that answers at once."""
    try:
        lookup = next(steps)
        while True:
            lookup = steps.send(source(lookup.name, lookup.type))
    except StopIteration as done:
        value: evaluate.Value = done.value
        return value


async def check_host(
    ip: str | Address,
    mail_from: str,
    helo: str,
    query: Query,
    *,
    limits: evaluate.Limits = evaluate.STANDARD_LIMITS,
    receiver: str = "unknown",
    timestamp: int = 0,
    time_limit: float = TIME_LIMIT,
) -> evaluate.Result:
    """Evaluate on DNS: `query` looks up a name and a type. See `evaluate` for the rest.

    After `time_limit` seconds the result is temperror (section 4.6.4).
    """
    steps = evaluate.evaluate(
        ip, mail_from, helo, limits=limits, receiver=receiver, timestamp=timestamp
    )
    try:
        async with asyncio.timeout(time_limit):
            lookup = next(steps)
            while True:
                lookup = steps.send(await query(lookup.name, lookup.type))
    except StopIteration as done:
        result: evaluate.Result = done.value
        return result
    except TimeoutError:
        problem = "the evaluation took too long"
        return evaluate.Result(evaluate.ResultCode.TEMP_ERROR, problem=problem)


def asking(asker: Asker) -> Query:
    """Return the query function that sees what receivers see: the resolver's answers."""

    async def query(name: str, kind: RecordType) -> Answer:
        question = Question(name, kind)
        if not can_be_asked(name):
            return Answer(question, Outcome.NX_DOMAIN)
        return await asker.recursive(question)

    return query
