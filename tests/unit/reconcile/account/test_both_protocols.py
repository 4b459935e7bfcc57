# SPDX-License-Identifier: Apache-2.0
"""The two protocols of an account judged together.

Covers: hosts that belong together; what SMTP refuses is not sent over IMAP, and when it is; a
blocked port and the way out; that a refusal decides before a timeout; and one finding per cause.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.mail.replies import Cause
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile.account import both_protocols
from postroom.reconcile.account.protocols import both_probed
from postroom.reconcile.signing_in import probing
from postroom.reconcile.signing_in.protocol_check import ProtocolCheck
from postroom.reconcile.signing_in.references import Credentials
from postroom.reconcile.status.assessment import failed, passed
from postroom.reconcile.status.outcome import Memory
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import REFUSED, WELL, MailWorld

SIGNED_IN = replace(WELL, authenticated=True)
SILENT = ProbeReport(ProbeStage.CONNECT, Reason.CONNECTION_TIMEOUT, "Silent.", conclusive=True)
BOTH = ("SMTP", "IMAP")
SMTP_HOST, IMAP_HOST = "smtp.example.com", "imap.example.com"


def attempt(
    protocol: probing.Protocol,
    host: str,
    port: int = 465,
    version: str = "1",
    username: str = "me",
    provider: str | None = None,
) -> probing.Attempt:
    login = Login(username, Masked("secret"))
    endpoint = Endpoint(host, port, TLSMode.IMPLICIT, host, None, "mail")
    credentials = Credentials(login, (), version)
    return probing.Attempt(protocol, endpoint, credentials, None, provider=provider)


def smtp(report: ProbeReport, host: str = SMTP_HOST, port: int = 465) -> ProtocolCheck:
    return ProtocolCheck(attempt(probing.SMTP, host, port), report=report)


def imap(report: ProbeReport, host: str = IMAP_HOST) -> ProtocolCheck:
    return ProtocolCheck(attempt(probing.IMAP, host, 993), report=report)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("mail.example.com", "MAIL.example.com.", True),
        ("smtp.example.com", "imap.example.com", True),
        ("smtp.gmail.com", "imap.gmail.com", True),
        ("smtp.office365.com", "outlook.office365.com", True),
        ("smtp.example.com", "imap.example.org", False),
        ("example.com", "example.org", False),
        ("smtp", "imap", False),
    ],
)
def test_hosts_that_belong_together(one: str, other: str, together: bool) -> None:
    endpoints = attempt(probing.SMTP, one).endpoint, attempt(probing.IMAP, other, 993).endpoint
    assert both_protocols.same_family(*endpoints) is together
    assert both_protocols.same_family(*reversed(endpoints)) is together


@pytest.mark.parametrize(
    ("report", "changes", "depends"),
    [
        (REFUSED, {}, True),
        (replace(REFUSED, reason=Reason.OAUTH_TOKEN_REJECTED), {}, True),
        (REFUSED, {"version": "2"}, False),
        (REFUSED, {"version": ""}, False),
        (REFUSED, {"username": "other"}, False),
        (REFUSED, {"host": "imap.example.org"}, False),
        (replace(REFUSED, reason=Reason.ACCOUNT_DISABLED), {}, False),
        (replace(REFUSED, cause=Cause.SMTP_AUTH_DISABLED_FOR_TENANT), {}, False),
        (SILENT, {}, False),
        (SIGNED_IN, {}, False),
    ],
)
def test_what_imap_need_not_try(
    report: ProbeReport, changes: dict[str, str], depends: bool
) -> None:
    other = attempt(probing.IMAP, **{"host": IMAP_HOST, **changes})  # type: ignore[arg-type]
    assert both_protocols.depends(smtp(report), other) is depends


def test_what_nobody_signs_in_to_depends_on_nothing() -> None:
    nobody = replace(attempt(probing.IMAP, IMAP_HOST), credentials=None)
    nobodys = replace(attempt(probing.SMTP, SMTP_HOST), credentials=None)
    refused = ProtocolCheck(nobodys, report=REFUSED)
    assert not both_protocols.depends(refused, nobody)


@pytest.mark.parametrize("port", [25, 465])
def test_a_blocked_port_is_told_with_the_way_out(port: int) -> None:
    report = both_protocols.smtp_report(smtp(SILENT, port=port), SIGNED_IN)
    assert report is not None
    assert (report.stage, report.reason) == (ProbeStage.CONNECT, Reason.PORT_BLOCKED)
    assert report.message == (
        f"smtp.example.com:{port} does not answer, but IMAP works: the network blocks port {port}, "
        "as many clouds do. Use port 587 or 2525 with tls.mode StartTLS if the server has one of "
        "them, or have the port opened."
    )


def test_the_way_out_is_the_providers_own_port() -> None:
    report = both_protocols.smtp_report(smtp(SILENT, "smtp.gmail.com"), SIGNED_IN)
    assert report is not None
    assert report.message.endswith("Use port 587 with tls.mode StartTLS, or have the port opened.")


@pytest.mark.parametrize(
    ("seen", "port", "other"),
    [
        (SILENT, 587, SIGNED_IN),
        (SILENT, 465, SILENT),
        (SILENT, 465, None),
        (replace(SILENT, stage=ProbeStage.GREETING), 465, SIGNED_IN),
        (replace(SILENT, reason=Reason.CONNECTION_REFUSED), 465, SIGNED_IN),
        (SIGNED_IN, 465, SIGNED_IN),
    ],
)
def test_what_is_no_blocked_port(seen: ProbeReport, port: int, other: ProbeReport | None) -> None:
    assert both_protocols.smtp_report(smtp(seen, port=port), other) is seen


def test_a_server_that_refuses_over_imap_proves_the_way_out_too() -> None:
    report = both_protocols.smtp_report(smtp(SILENT), REFUSED)
    assert report is not None and report.reason is Reason.PORT_BLOCKED


def test_a_refusal_decides_before_a_timeout() -> None:
    late = failed(ConditionType.SMTP_AVAILABLE, Reason.CONNECTION_TIMEOUT, "Silent.")
    wrong = failed(ConditionType.IMAP_AUTHENTICATED, Reason.AUTHENTICATION_REJECTED, "Refused.")
    fine = passed(ConditionType.TARGET_ALLOWED, Reason.ALLOWED, "Fine.")
    assert both_protocols.ranked([late, fine, wrong]) == (fine, wrong, late)
    assert both_protocols.ranked([fine, late]) == (fine, late)


def test_one_cause_is_one_finding() -> None:
    (found,) = both_protocols.findings_of(smtp(REFUSED), imap(REFUSED), NOW)
    assert (found.code, found.subject) == ("AUTHENTICATION_REJECTED", "SMTP, IMAP")


@pytest.mark.parametrize(
    ("one", "other", "subjects"),
    [
        (smtp(REFUSED), imap(SILENT), ["SMTP", "IMAP"]),
        (smtp(SILENT), imap(SILENT), ["SMTP", "IMAP"]),
        (smtp(SILENT, IMAP_HOST), imap(SILENT), ["SMTP, IMAP"]),
        # Two Secrets are two things to mend, be the refusals alike.
        (
            smtp(REFUSED),
            ProtocolCheck(attempt(probing.IMAP, IMAP_HOST, 993, version="2"), report=REFUSED),
            [*BOTH],
        ),
        (smtp(SIGNED_IN), imap(SIGNED_IN), []),
        (
            smtp(REFUSED),
            imap(both_protocols.without_signing_in(WELL, attempt(probing.IMAP, IMAP_HOST, 993))),
            ["SMTP"],
        ),
        (ProtocolCheck(), imap(REFUSED), ["IMAP"]),
    ],
)
def test_findings_of_both(one: ProtocolCheck, other: ProtocolCheck, subjects: list[str]) -> None:
    assert [each.subject for each in both_protocols.findings_of(one, other, NOW)] == subjects


@dataclass
class Probes:
    """Answers for each protocol; notes what went on at the same time."""

    smtp_says: ProbeReport
    imap_says: ProbeReport
    asked: list[tuple[str, bool]] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        if mailbox is None:
            return await self._answer("SMTP", login, self.smtp_says)
        return await self._answer("IMAP", login, self.imap_says)

    async def _answer(self, name: str, login: Login | None, says: ProbeReport) -> ProbeReport:
        self.asked.append((name, login is not None))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return says if login is not None or says.stage is not ProbeStage.AUTH else WELL


async def look(
    probes: Probes,
    memory: Memory | None = None,
    imap_host: str = IMAP_HOST,
    after: timedelta = timedelta(),
) -> tuple[ProbeReport | None, ProbeReport | None]:
    world = MailWorld()
    world.probes = probes  # type: ignore[assignment]
    world.time += after
    of_smtp = ProtocolCheck(attempt(probing.SMTP, SMTP_HOST))
    of_imap = ProtocolCheck(attempt(probing.IMAP, imap_host, 993))
    done = await both_probed(of_smtp, of_imap, world, memory or Memory())
    return done[0].report, done[1].report


async def test_what_smtp_refuses_is_sent_once() -> None:
    probes, memory = Probes(REFUSED, REFUSED), Memory()
    for minutes in (0, 5):
        one, other = await look(probes, memory, after=timedelta(minutes=minutes))
        assert one is not None and other is not None
        assert (one.reason, other.reason) == (Reason.AUTHENTICATION_REJECTED, Reason.NOT_ATTEMPTED)
        verdicts = probing.verdicts_of(other, probing.IMAP, tls=True, auth=True)
        states = {verdict.type: verdict.status.value for verdict in verdicts}
        assert states[ConditionType.IMAP_AVAILABLE] == "True"
        assert states[ConditionType.IMAP_AUTHENTICATED] == "Unknown"
    assert probes.asked == [("SMTP", True), ("IMAP", False), ("SMTP", False), ("IMAP", False)]


async def test_hosts_of_one_family_are_looked_at_one_after_the_other() -> None:
    probes = Probes(SIGNED_IN, SIGNED_IN)
    await look(probes)
    assert (probes.asked, probes.most) == ([("SMTP", True), ("IMAP", True)], 1)


async def test_strangers_are_looked_at_together() -> None:
    probes = Probes(REFUSED, SIGNED_IN)
    _, other = await look(probes, imap_host="imap.example.org")
    assert probes.most == 2
    assert other == SIGNED_IN


async def test_both_together_find_the_blocked_port() -> None:
    one, _ = await look(Probes(SILENT, SIGNED_IN))
    assert one is not None
    assert one.reason is Reason.PORT_BLOCKED


async def test_an_imap_server_that_is_away_says_so_itself() -> None:
    _, other = await look(Probes(REFUSED, SILENT))
    assert other == SILENT
