# SPDX-License-Identifier: Apache-2.0
"""Whose mail exchanges a domain has, and what that is taken for."""

from __future__ import annotations

from typing import cast

import pytest

from postroom.cli import guessing
from postroom.cli.guessing import Guess, guess, provider_of
from postroom.dns.answers import Answer, Asker, Outcome, Question, RecordType
from postroom.settings import load

FASTMAIL = ("10 in1-smtp.messagingengine.com", "20 in2-smtp.messagingengine.com")
GOOGLE = ("1 smtp.google.com",)


class Resolver:
    """Has these mail exchanges, or fails."""

    def __init__(self, *values: str, outcome: Outcome = Outcome.FOUND) -> None:
        self._values, self._outcome = values, outcome

    async def recursive(self, question: Question) -> Answer:
        assert question == Question("example.com", RecordType.MX)
        return Answer(question, self._outcome, self._values)


async def guessed(*values: str, outcome: Outcome = Outcome.FOUND) -> Guess | None:
    return await guess("Example.COM.", cast("Asker", Resolver(*values, outcome=outcome)))


@pytest.mark.parametrize(
    ("values", "provider"),
    [
        (FASTMAIL, "Fastmail"),
        (GOOGLE, "GoogleWorkspace"),
        (("5 mx.example.com", *FASTMAIL), "Fastmail"),
        ((*FASTMAIL, *GOOGLE), None),
        (("10 mx.example.com",), None),
        (("0 ",), None),
        ((), None),
    ],
)
async def test_one_provider_that_is_known_is_guessed(
    values: tuple[str, ...], provider: str | None
) -> None:
    found = await guessed(*values)
    assert (found.provider if found is not None else None) == provider


async def test_where_dns_does_not_answer_nothing_is_guessed() -> None:
    assert await guessed(outcome=Outcome.TIMEOUT) is None


async def test_the_exchange_that_speaks_for_it_is_named() -> None:
    found = await guessed("5 mx.example.com", *FASTMAIL)
    assert found is not None
    assert found.exchange == "in1-smtp.messagingengine.com"
    said = found.sentence("example.com")
    assert "checked as --provider Fastmail: name another one" in said
    assert "--provider none" in said


class Reached:
    """The network as far as a guess needs it."""

    def __init__(self, *values: str) -> None:
        self.dns, self.closed = Resolver(*values), False

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("named", "values", "provider", "says"),
    [
        (None, FASTMAIL, "Fastmail", "checked as --provider Fastmail"),
        (None, (), None, ""),
        ("Mailgun", FASTMAIL, "Mailgun", ""),
        ("none", FASTMAIL, None, ""),
        ("None", FASTMAIL, None, ""),
    ],
)
def test_what_is_named_is_not_guessed(
    named: str | None,
    values: tuple[str, ...],
    provider: str | None,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reached = Reached(*values)
    monkeypatch.setattr(guessing, "reach", lambda *_, **__: reached)
    settings = load({}, {})
    assert provider_of(["example.com"], named, settings, asks=True, says=True) == provider
    said = capsys.readouterr().err
    assert says in said and bool(said) is bool(says)
    assert reached.closed is (named is None)


@pytest.mark.parametrize(("target", "asks"), [("a.yaml", True), ("example.com", False)])
def test_nothing_is_asked_for_files_nor_offline(
    target: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(guessing, "reach")
    assert provider_of([target], None, load({}, {}), asks=asks, says=True) is None


def test_one_that_issues_values_is_told_and_not_assumed() -> None:
    said = Guess("Mailgun", "mxa.mailgun.org", complete=False).sentence("example.com")
    assert "probably Mailgun's: add --provider Mailgun and with --set" in said
