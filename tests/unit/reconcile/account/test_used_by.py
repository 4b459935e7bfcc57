# SPDX-License-Identifier: Apache-2.0
"""Who uses a server, a domain or an account, in its own status.

Covers: each use; order and bounds; objects at rest; what is counted and not named; a restart;
random histories, after which every status tells what the specs say.
"""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.api.resource import Metadata, parse
from postroom.api.status import CommonStatus
from postroom.controller.dependants import declared
from postroom.reconcile.account.used_by import references_of
from unit.reconcile.account.test_relations import ADDRESS, DOMAIN, Mail
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, SERVER

THEIRS = Key(Kind.EMAIL_ACCOUNT, "team-a", "theirs")


def peer(name: str, namespace: str = NAMESPACE) -> Key:
    return Key(Kind.EMAIL_ACCOUNT, namespace, name)


def users(status: CommonStatus) -> list[tuple[str, str, str]]:
    return [(user.kind, user.name, user.use.value) for user in status.used_by]


async def test_a_server_shows_its_accounts_and_a_domain_those_that_send_under_it() -> None:
    mail = Mail(fallbackSender="noreply@relay.example.net")
    relay = Key(Kind.SENDING_DOMAIN, NAMESPACE, "relay")
    mail.add(relay, domain="relay.example.net")
    mail.domain()
    mail.add(peer("other"), address="other@example.net", serverRef={"name": "another"})
    server = await mail.look(SERVER)
    assert users(server) == [("EmailAccount", "support", "Server")]
    assert server.used_by_count == 1
    for key, use in ((DOMAIN, "Domain"), (relay, "FallbackSender")):
        mail.objects[key]["spec"]["suspend"] = True
        assert users(await mail.look(key)) == [("EmailAccount", "support", use)]


async def test_an_account_shows_who_uses_it() -> None:
    mail = Mail(consumer={"name": "support-bot"})
    mail.add(peer("b"), address="b@example.net", roundTrip={"receiverRef": {"name": "support"}})
    mail.add(peer("a"), address="a@example.net", fallbackSender=ADDRESS.upper())
    passed_on = {"source": "Other", "receiverRef": {"name": "support"}}
    mail.add(peer("c"), address="c@example.net", forwarding=passed_on)
    expected = [
        ("Application", "support-bot", "Consumer"),
        ("EmailAccount", "a", "FallbackSender"),
        ("EmailAccount", "b", "Receiver"),
        ("EmailAccount", "c", "Forwarding"),
    ]
    mail.objects[peer("a")]["spec"]["fallbackSender"] = ADDRESS
    assert users(await mail.account()) == expected
    mail.add(ACCOUNT, **mail.spec, suspend=True)
    assert users(await mail.account()) == expected
    del mail.objects[peer("a")], mail.objects[peer("b")], mail.objects[peer("c")]
    mail.add(ACCOUNT, **{**mail.spec, "consumer": {"name": "b"}, "connection": "Disconnected"})
    status = await mail.account()
    assert (users(status), status.used_by_count) == ([], 0)


async def test_what_is_listed_is_bounded_and_the_same_every_time() -> None:
    mail = Mail()
    for number in reversed(range(45)):
        mail.add(
            peer(f"a{number:02}"), address=f"a{number}@example.net", serverRef={"name": "smtp"}
        )
    first = await mail.look(SERVER)
    assert [user.name for user in first.used_by] == [f"a{number:02}" for number in range(20)]
    assert first.used_by_count == 46
    mail.objects = dict(reversed(mail.objects.items()))
    again = await mail.look(SERVER)
    assert (again.used_by, again.used_by_count) == (first.used_by, 46)


async def test_a_domain_that_is_declared_twice_is_used_once() -> None:
    mail = Mail()
    mail.domain()
    twin = Key(Kind.SENDING_DOMAIN, NAMESPACE, "a-younger-one")
    mail.add(twin, domain="send.example.com")
    for key, created in ((DOMAIN, "2026-01-01T00:00:00Z"), (twin, "2026-02-01T00:00:00Z")):
        mail.objects[key]["metadata"]["creationTimestamp"] = created
        mail.objects[key]["spec"]["suspend"] = True
    assert users(await mail.look(DOMAIN)) != []
    assert users(await mail.look(twin)) == []


@pytest.mark.parametrize("key", [SERVER, ACCOUNT, DOMAIN])
async def test_a_restart_knows_what_to_wait_for(key: Key) -> None:
    mail = Mail()
    mail.domain()
    raw = mail.objects[key]
    spec = parse(key.kind, raw).spec
    wanted = references_of(spec, Metadata.of(raw["metadata"]))
    assert wanted and wanted <= declared(key.kind, raw)


_STEPS = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([NAMESPACE, "team-a"]),
    st.sampled_from(["smtp", "another", "admitted", "default", "gone", "receiver"]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(_STEPS, max_size=8), st.booleans())
def test_a_status_tells_what_the_specs_say(steps: list[tuple[str, str, str]], admits: bool) -> None:
    async def live() -> None:
        mail = Mail()
        allowed = {"allowedNamespaces": {"from": "All"}} if admits else {}
        mail.add(SERVER, host="smtp.example.com", default=True, **allowed)
        expected: dict[Key, Any] = {ACCOUNT: "smtp"}
        for name, namespace, what in steps:
            key = peer(name, namespace)
            mail.objects.pop(key, None)
            expected.pop(key, None)
            references = {
                "smtp": {"name": "smtp"},
                "another": {"name": "another"},
                "admitted": {"name": "smtp", "namespace": NAMESPACE},
                "receiver": {"name": "another"},
            }
            if what == "gone":
                continue
            spec: dict[str, Any] = {"address": f"{name}@{namespace}.example"}
            spec |= {"serverRef": references[what]} if what in references else {}
            spec |= (
                {"roundTrip": {"receiverRef": {"name": "support"}}} if what == "receiver" else {}
            )
            mail.add(key, **spec)
            expected[key] = what
        own = {key.name: what for key, what in expected.items() if key.namespace == NAMESPACE}
        here = sorted(name for name, what in own.items() if what not in ("another", "receiver"))
        elsewhere = [
            key
            for key, what in expected.items()
            if key.namespace != NAMESPACE and what == "admitted" and admits
        ]
        server = await mail.look(SERVER)
        assert [name for _, name, _ in users(server)] == here
        assert server.used_by_count == len(here) + len(elsewhere)
        assert "team-a" not in server.model_dump_json()
        receives = sorted(name for name, what in own.items() if what == "receiver")
        assert [name for _, name, _ in users(await mail.account())] == receives

    asyncio.run(live())


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (SERVER, "MailServer smtp"),
        (DOMAIN, "SendingDomain send"),
        (Key(Kind.SENDING_DOMAIN, NAMESPACE, "relay"), "relay.example.net"),
        (peer("reader"), "EmailAccount reader"),
        (peer("desk"), "EmailAccount desk"),
    ],
)
async def test_whoever_is_listed_says_so_when_it_is_gone(gone: Key, named: str) -> None:
    mail = Mail(
        fallbackSender="noreply@relay.example.net",
        roundTrip={"receiverRef": {"name": "reader"}},
        forwarding={"source": "Other", "receiverRef": {"name": "desk"}},
    )
    mail.domain()
    mail.domain(Key(Kind.SENDING_DOMAIN, NAMESPACE, "relay"), "relay.example.net")
    for name in ("reader", "desk"):
        mail.add(peer(name), address=f"{name}@example.net", serverRef={"name": "smtp"})
    before = (await mail.account()).model_dump_json()
    mail.objects[gone]["spec"]["suspend"] = True
    assert "support" in [user.name for user in (await mail.look(gone)).used_by]
    del mail.objects[gone]
    after = await mail.account()
    said = [finding.message for finding in after.findings]
    said += [condition.message for condition in after.conditions if condition.status != "True"]
    new = [text for text in said if named in text and text not in before]
    assert new, said
