# SPDX-License-Identifier: Apache-2.0
"""What is asked of an EmailAccount by annotation: when it is answered, and what it waits for."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from postroom.api import names
from postroom.api.account_messages import MessageStep
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.resource import parse_status
from postroom.api.times import parse_timestamp, timestamp
from postroom.cli.cluster import NOBODY, Cluster, PluginError
from postroom.reconcile.account.messages.spacing import too_early
from postroom.reconcile.tenancy.budgets import SPACING

Raw = Mapping[str, Any]


def for_test(nonce: str, recipient: str | None) -> dict[str, str | None]:
    """The annotations that ask for a test message; a recipient of an earlier one goes."""
    return {names.SEND_TEST_ANNOTATION: nonce, names.SEND_TEST_TO_ANNOTATION: recipient}


def for_backfill(nonce: str) -> dict[str, str | None]:
    """The annotation that asks for a look back."""
    return {names.BACKFILL_ANNOTATION: nonce}


def status_of(raw: Raw) -> EmailAccountStatus:
    """The status of an account; an empty one where it has none yet."""
    status = parse_status(names.Kind.EMAIL_ACCOUNT, raw.get("status"))
    return status if isinstance(status, EmailAccountStatus) else EmailAccountStatus()


def tested_now(raw: Raw, nonce: str) -> bool:
    """Whether the test of this nonce came to an end.

    Raises `PluginError` where another one was asked for before it began.
    """
    last = status_of(raw).last_test
    if last is not None and last.nonce == nonce:
        return last.result is not None
    if _asked(raw, names.SEND_TEST_ANNOTATION) != nonce:
        raise PluginError("somebody asked for another test message meanwhile: ask again.")
    return False


def waits_for(raw: Raw, nonce: str, now: datetime) -> str:
    """What the test of this nonce waits for, in one sentence; empty: for the operator."""
    status = status_of(raw)
    last = status.last_test
    if last is not None and last.in_flight is not None:
        if last.nonce != nonce:
            return "An earlier test message is still looked for, for ten minutes at most."
        if last.in_flight.step is MessageStep.SENDING:
            return "The message is announced in status, and being sent."
        return "The server took the message over; it is looked for, for ten minutes at most."
    if last is not None and last.nonce == nonce:
        return ""
    left = too_early(status.last_message_time, now)
    if left is None or status.last_message_time is None:
        return ""
    moment = timestamp(parse_timestamp(status.last_message_time) + SPACING)
    return f"One message in five minutes: it is sent at {moment}."


async def tested(
    cluster: Cluster, account: Raw, nonce: str, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Wait for the end of a test, telling what it waits for; return the account as it is then.

    Raises `PluginError` where it does not end in time.
    """
    said = ""

    def answer(now: dict[str, Any]) -> dict[str, Any] | None:
        nonlocal said
        if tested_now(now, nonce):
            return now
        sentence = waits_for(now, nonce, datetime.now(UTC))
        if sentence and sentence != said:
            say(sentence)
        said = sentence
        return None

    return await cluster.until(account, answer, seconds, lambda: _late(account, seconds, said))


def _late(account: Raw, seconds: float, said: str) -> str:
    name = f"EmailAccount {account['metadata']['name']}"
    if not said:
        return f"{name} sent no message within {seconds:.0f} s: {NOBODY}"
    rest = f"{said[0].lower()}{said[1:].rstrip('.')}"
    return f"{name}: {rest}; status.lastTest will say what becomes of it."


async def looked_back(cluster: Cluster, account: Raw, nonce: str, seconds: float) -> dict[str, Any]:
    """Wait for the end of a look back; return the account as it is then. Raises `PluginError`."""

    def answer(now: dict[str, Any]) -> dict[str, Any] | None:
        last = status_of(now).last_backfill
        if last is not None and last.nonce == nonce:
            return now
        if _asked(now, names.BACKFILL_ANNOTATION) != nonce:
            raise PluginError("somebody asked for another backfill meanwhile: ask again.")
        return None

    name = account["metadata"]["name"]
    late = f"the mailbox of EmailAccount {name} was not read within {seconds:.0f} s: {NOBODY}"
    return await cluster.until(account, answer, seconds, lambda: late)


def _asked(raw: Raw, annotation: str) -> str | None:
    found = (raw["metadata"].get("annotations") or {}).get(annotation)
    return str(found) if found is not None else None
