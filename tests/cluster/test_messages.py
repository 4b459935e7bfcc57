# SPDX-License-Identifier: Apache-2.0
"""Messages of postroom's own, with the real operator on a real API server and servers of the lab.

Covers: a test message from the annotation to Delivered, announced in status before the server has
it, and sent once though the operator is killed meanwhile; recipients; one in five minutes; sync and
backfill; identities, round trip and forwarding; that nothing but status and Events is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import apply, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of, writes_of
from cluster.forked import plugin
from cluster.objects import KINDS, eventually, is_ready, one
from cluster.post_office import BILLING, SUPPORT, PostOffice, account
from loopback import own_address
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

ACCOUNT = Kind.EMAIL_ACCOUNT


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(10), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.fixture
def start(
    installed: ControlPlane, office: PostOffice, tmp_path: Path
) -> Iterator[Callable[[], OperatorProcess]]:
    """Starts an operator for this lab, which allows one recipient; all have ended in the end."""
    kubeconfig = service_account_kubeconfig(installed, tmp_path)
    flags = (*office.lab.reach.flags, f"--allow-test-recipient={BILLING}", "--log-format=text")
    running: list[OperatorProcess] = []

    def started() -> OperatorProcess:
        running.append(OperatorProcess(kubeconfig, tmp_path, flags).start())
        return running[-1]

    yield started
    for process in running:
        process.stop()
    assert forbidden(requests_of(installed)) == []


def status(plane: ControlPlane, namespace: str, name: str = "support") -> dict[str, Any]:
    found: dict[str, Any] = one(plane, namespace, ACCOUNT, name).get("status", {})
    return found


def open_accounts(
    plane: ControlPlane, namespace: str, office: PostOffice, **accounts: dict[str, Any]
) -> None:
    """Apply accounts and what they need, and wait until they are Ready."""
    apply(plane, office.manifests(**accounts), namespace)

    def all_ready() -> bool:
        return all(is_ready(one(plane, namespace, ACCOUNT, name)) for name in accounts)

    eventually(all_ready, "all are Ready")


def only_status_and_events(writes: list[dict[str, Any]]) -> bool:
    for write in writes:
        target = write["objectRef"]
        ours = (write["verb"], target.get("subresource")) == ("update", "status")
        event = target["resource"] == "events" and write["verb"] in ("create", "patch")
        if not (event or (ours and target["resource"] in KINDS.split(","))):
            return False
    return bool(writes)


def test_a_test_message_is_announced_sent_found_and_removed(
    installed: ControlPlane,
    office: PostOffice,
    start: Callable[[], OperatorProcess],
    namespace: str,
) -> None:
    before, seen = datetime.now(UTC), []
    start()
    open_accounts(installed, namespace, office, support=account(SUPPORT))
    office.taken_over = lambda _: seen.append(status(installed, namespace)["lastTest"])
    answer = plugin(installed, "test", "support", "-n", namespace)
    assert (answer.returncode, seen[0]["inFlight"]["step"]) == (0, "Sending"), answer.stderr
    last = status(installed, namespace)["lastTest"]
    assert last["nonce"] == seen[0]["nonce"]
    assert (last["result"]["outcome"], "inFlight" in last) == ("Delivered", False)
    assert "Delivered in INBOX" in answer.stdout
    assert (office.delivered, office.inbox(SUPPORT)) == ([SUPPORT], 3)
    assert only_status_and_events(writes_of(installed, since=before))


def test_it_is_sent_once_though_the_operator_is_killed_while_it_is_taken_over(
    installed: ControlPlane,
    office: PostOffice,
    start: Callable[[], OperatorProcess],
    namespace: str,
) -> None:
    operator = start()
    open_accounts(installed, namespace, office, support=account(SUPPORT))
    office.taken_over = lambda _: operator.kill()
    installed.kubectl(
        "annotate", "emailaccount/support", "-n", namespace, "postroom.dev/send-test=one"
    )
    eventually(lambda: operator.exit_code() is not None, "the operator is gone")
    assert "result" not in status(installed, namespace)["lastTest"]
    start()
    eventually(lambda: "result" in status(installed, namespace)["lastTest"], "it is found")
    result = status(installed, namespace)["lastTest"]["result"]
    assert (result["outcome"], office.delivered) == ("Delivered", [SUPPORT])


def test_recipients_and_one_message_in_five_minutes(
    installed: ControlPlane,
    office: PostOffice,
    start: Callable[[], OperatorProcess],
    namespace: str,
) -> None:
    start()
    open_accounts(installed, namespace, office, support=account(SUPPORT, reads=False))
    denied = plugin(installed, "test", "support", "-n", namespace, "--to=x@example.net")
    assert (denied.returncode, office.delivered) == (1, [])
    assert "RecipientNotAllowed" in denied.stdout
    allowed = plugin(
        installed, "test", "support", "-n", namespace, f"--to={BILLING}", "--output=json"
    )
    result = json.loads(allowed.stdout)["items"][0]["status"]["lastTest"]["result"]
    assert (allowed.returncode, result["outcome"]) == (0, "Accepted")

    def waits() -> bool:
        again = plugin(installed, "test", "support", "-n", namespace, "--timeout=3")
        assert (again.returncode, office.delivered) == (3, [BILLING])
        return "ne message in five minutes: it is sent at" in again.stderr.splitlines()[-1]

    eventually(waits, "the plugin says for what it waits")


def test_sync_and_backfill_show_the_mailbox(
    installed: ControlPlane,
    office: PostOffice,
    start: Callable[[], OperatorProcess],
    namespace: str,
) -> None:
    start()
    open_accounts(installed, namespace, office, support=account(SUPPORT))
    office.lab.accounts.deliver(SUPPORT, b"Subject: new\r\n\r\n")
    shown = plugin(installed, "sync", "support", "-n", namespace)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Mailbox INBOX: 4 messages, 4 unseen, 1 new" in shown.stdout
    counted = plugin(installed, "backfill", "emailaccount/support", "-n", namespace)
    # All of today, or some of yesterday.
    days = status(installed, namespace)["lastBackfill"]["days"]
    assert (counted.returncode, sum(day["messages"] for day in days)) == (0, 4)
    for day in days:
        assert f"  {day['date']}  {day['messages']}\n" in counted.stdout
    wrong = plugin(installed, "backfill", "mailserver/smtp", "-n", namespace)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_a_backfill_that_cannot_be_done_says_why(
    installed: ControlPlane,
    office: PostOffice,
    start: Callable[[], OperatorProcess],
    namespace: str,
) -> None:
    start()
    open_accounts(installed, namespace, office, support=account(SUPPORT, reads=False))
    refused = plugin(installed, "backfill", "support", "-n", namespace)
    assert refused.returncode == 1
    assert "set spec.imap" in refused.stdout


def test_round_trip_forwarding_and_identities(
    installed: ControlPlane,
    office: PostOffice,
    start: Callable[[], OperatorProcess],
    namespace: str,
) -> None:
    before, technical = datetime.now(UTC), {"technicalAddress": BILLING}
    office.redirects = {SUPPORT: BILLING}
    start()
    identities = [{"address": "noreply@send.example.com", "displayName": "Nobody"}]
    verification = {"method": "Envelope"}
    accounts = {
        "support": account(SUPPORT, reads=False, forwarding=technical),
        "billing": account(
            BILLING,
            identities=identities,
            identityVerification=verification,
            roundTrip={"enabled": True},
        ),
    }
    text = office.manifests(**accounts)
    apply(installed, text, namespace)
    for name, kind in (
        ("billing", "RoundTripHealthy"),
        ("billing", "IdentitiesVerified"),
        ("support", "ForwardingVerified"),
    ):
        wait = ("wait", f"--for=condition={kind}", f"emailaccount/{name}", "-n", namespace)
        installed.kubectl(*wait, "--timeout=120s")
    shown = plugin(installed, "status", "emailaccount/billing", "-n", namespace).stdout
    assert "noreply@send.example.com  SendAs   Verified (Envelope)" in shown
    assert "Delivered in INBOX" in shown
    shown = plugin(installed, "status", "emailaccount/support", "-n", namespace).stdout
    assert f"Forwarding to {BILLING}: Redirected" in shown
    assert only_status_and_events(writes_of(installed, since=before))
