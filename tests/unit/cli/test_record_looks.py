# SPDX-License-Identifier: Apache-2.0
"""What stands beside our records in DNS is kept; what cannot be seen is not guessed at."""

from __future__ import annotations

from typing import cast

import pytest

from postroom.api.findings import Finding, Fix, FixAction, Severity
from postroom.api.names import Key, Kind
from postroom.api.sendingdomain import RecordStatus, SendingDomainStatus
from postroom.cli.directory import DirectoryWorld
from postroom.cli.record_looks import look, with_others
from postroom.dns.answers import Answer, Asker, Outcome, Question, RecordType
from postroom.dns.publishing.records import PublishedRecord
from postroom.dns.texts.presentation import CannotPublish

NAME = "example.com"
SPF = PublishedRecord(NAME, RecordType.TXT, "v=spf1 -all")
PROOF = "google-site-verification=abc"


class Zone:
    """Answers each question with the same, and keeps what was asked."""

    def __init__(self, outcome: Outcome, *values: str, aliases: tuple[str, ...] = ()) -> None:
        self.outcome, self.values, self.aliases = outcome, values, aliases
        self.asked: list[Question] = []

    async def authoritative(self, question: Question) -> Answer:
        self.asked.append(question)
        return Answer(question, self.outcome, self.values, self.aliases)


async def beside(zone: Zone, *records: PublishedRecord) -> list[str]:
    """The values that are added behind the records themselves."""
    found = await with_others(records, cast("Asker", zone))
    assert found[: len(records)] == records
    return [record.value for record in found[len(records) :]]


async def test_what_others_need_is_kept_and_what_ours_replaces_is_not() -> None:
    zone = Zone(Outcome.FOUND, PROOF, "v=spf1 include:old.example ~all", SPF.value)
    assert await beside(zone, SPF) == [PROOF]
    assert zone.asked == [Question(NAME, RecordType.TXT)]


async def test_behind_an_alias_nothing_is_ours_to_keep() -> None:
    assert await beside(Zone(Outcome.FOUND, PROOF, aliases=("other.example",)), SPF) == []


async def test_kinds_of_which_a_name_has_one_are_not_asked_for() -> None:
    zone = Zone(Outcome.FOUND, "other.example")
    alias = PublishedRecord("k1._domainkey.example.com", RecordType.CNAME, "k1.example.net")
    assert await beside(zone, alias) == []
    assert zone.asked == []


async def test_what_cannot_be_seen_would_be_lost() -> None:
    with pytest.raises(CannotPublish, match=r"what else is in TXT at example\.com"):
        await beside(Zone(Outcome.TIMEOUT), SPF)


async def test_what_publishing_ends_besides_is_told_once() -> None:
    told = [
        Finding(
            code=code,
            severity=Severity.WARNING,
            subject=subject,
            message=f"{code} of a wildcard.",
            fix=Fix(action=FixAction.EXTERNAL, instruction="Publish it."),
        )
        for code, subject in (("FIX_ENDS_WILDCARD", "dmarc"), ("DMARC_WEAK", "spf"))
    ]
    record = {"id": "dmarc", "purpose": "DMARC", "name": NAME, "hostLabel": "@", "type": "TXT"}
    status = SendingDomainStatus(
        zone=NAME,
        records=[
            RecordStatus.model_validate(
                {**record, "value": "x", "state": "Missing", "required": True}
            )
        ],
        findings=told,
    )

    class World:
        async def check(self, policy: object) -> None: ...

        def statuses(self) -> list[tuple[Key, SendingDomainStatus]]:
            return [(Key(Kind.SENDING_DOMAIN, "mail", name), status) for name in ("one", "two")]

    seen = await look(cast("DirectoryWorld", World()), {}, 3600)
    assert seen.endings == ("FIX_ENDS_WILDCARD of a wildcard. Publish it.",)
