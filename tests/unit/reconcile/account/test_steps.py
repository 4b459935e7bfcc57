# SPDX-License-Identifier: Apache-2.0
"""What the steps of an account are given: what it stands on, and what messages are sent with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from postroom.api.status import ResolvedReference
from postroom.reconcile.account import steps
from postroom.reconcile.account.steps import AccountView
from unit.reconcile.account.messages.test_correspondents import WORKS, view
from unit.reconcile.account.test_relations import Mail
from unit.reconcile.mail_worlds import ACCOUNT, SERVER


def secret(name: str, version: str = "1") -> ResolvedReference:
    return ResolvedReference(kind="Secret", name=name, resource_version=version)


def versions(seen: AccountView) -> list[tuple[str, str, str]]:
    return [(each.kind, each.name, each.version) for each in seen.basis.versions]


async def test_what_both_protocols_stand_on_is_told_once() -> None:
    smtp = replace(WORKS, resolved=(secret("login"), secret("ca")))
    imap = replace(WORKS, resolved=(secret("login"), secret("mailbox")))
    seen = await view(Mail(), smtp, imap)
    names = [each.name for each in seen.resolved if each.kind == "Secret"]
    assert names == ["login", "ca", "mailbox"]


async def test_a_message_is_sent_with_the_server_and_the_secrets_as_they_are_now() -> None:
    smtp = replace(WORKS, resolved=(secret("login", "7"),))
    mail = Mail()
    before = versions(await view(mail, smtp))
    assert ("MailServer", "smtp", "1") in before
    assert ("Secret", "login", "7") in before
    assert versions(await view(mail, replace(WORKS, resolved=(secret("login", "8"),)))) != before
    mail.add(SERVER, host="other.example.com", credentialsRef={"name": "mailbox"})
    assert ("MailServer", "smtp", "2") in versions(await view(mail, smtp))


async def test_an_account_without_credentials_sends_with_those_of_its_server() -> None:
    mail = Mail()
    mail.ready(SERVER, resolvedRefs=[{"kind": "Secret", "name": "relay", "resourceVersion": "3"}])
    assert ("Secret", "relay", "3") not in versions(await view(mail))
    spec = {name: value for name, value in mail.spec.items() if name in ("address", "serverRef")}
    mail.add(ACCOUNT, **spec)
    assert ("Secret", "relay", "3") in versions(await view(mail))


@pytest.mark.parametrize(
    ("requested", "handled", "asked"),
    [(None, None, False), ("1", None, True), ("1", "1", False), ("2", "1", True)],
)
async def test_somebody_asks_until_that_was_handled(
    requested: str | None, handled: str | None, asked: bool
) -> None:
    mail = Mail()
    raw: dict[str, Any] = mail.objects[ACCOUNT]
    raw["metadata"]["annotations"] = {"postroom.dev/requested-at": requested}
    raw["status"] = {"lastHandledReconcileAt": handled} if handled else {}
    assert (await view(mail)).asked is asked


async def test_a_password_leaves_no_token_to_keep() -> None:
    nothing = steps.Contribution(fields={"credentials": []})
    assert await steps.refresh_token_step(await view(Mail())) == nothing
