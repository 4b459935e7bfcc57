# SPDX-License-Identifier: Apache-2.0
"""How many messages go out: by account, namespace, login and recipient; and that nothing that users
can do with objects, and no restart, makes it more."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.account_messages import MessageOutcome
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.api.times import timestamp
from postroom.concurrency.shards import Shard
from postroom.reconcile.tenancy.budgets import (
    HORIZON,
    LOGIN,
    LOGIN_OF_ALL,
    NAMESPACE,
    RECIPIENT,
    RECIPIENT_OF_ALL,
    SPACING,
    Budgets,
    Spender,
)
from postroom.reconcile.world import MessagePolicy
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import ACCOUNT, SERVER
from unit.reconcile.message_worlds import BUSY, REFUSED, MessageWorld

OLD = "2020-01-01T00:00:00Z"
VICTIM = "victim@elsewhere.example"


def spender(
    name: str = "a", namespace: str = "ns", address: str | None = None, username: str = "u"
) -> Spender:
    return Spender(
        namespace, name, address or f"{name}@example.com", "secret", (username, "smtp.example.com")
    )


def taken(
    budgets: Budgets, count: int, of: Spender, recipient: str, at: datetime = NOW, each: str = ""
) -> int:
    """How many of so many messages may be sent at once, each by another account."""
    granted = 0
    for number in range(count):
        one = Spender(
            of.namespace, f"{each}{number}", f"{each}{number}@example.com", of.secret, of.login
        )
        wait = budgets.reserve(f"{each}{at}{number}", one, recipient, OLD, at)
        granted += wait == timedelta()
    return granted


@pytest.mark.parametrize("hours", [1, 72, 100_000, -1, -72, -100_000])
def test_a_clock_that_is_set_holds_nothing_up_and_gives_nothing_away(hours: int) -> None:
    even = NOW
    budgets, own, wall = Budgets(clock=lambda: even), spender(), NOW
    assert budgets.reserve("one", own, VICTIM, OLD, wall) == timedelta()
    wall = NOW + timedelta(hours=hours)
    assert budgets.reserve("two", own, VICTIM, OLD, wall) == SPACING
    even += timedelta(minutes=4)
    # An evaluation that began before goes by the time from before.
    for each in (wall, NOW):
        assert budgets.reserve("two", own, VICTIM, OLD, each) == timedelta(minutes=1)
    even += timedelta(minutes=1)
    assert budgets.reserve("two", own, VICTIM, OLD, wall) == timedelta()


def test_what_a_status_tells_counts_for_as_long_as_it_is_old() -> None:
    even = NOW
    budgets, wall = Budgets(clock=lambda: even), NOW + timedelta(hours=2)
    budgets.learn(spender(), VICTIM, "one", wall - timedelta(minutes=2), wall)
    assert budgets.wait(spender(), OLD, wall) == timedelta(minutes=3)


def test_an_account_sends_one_in_five_minutes_whatever_the_recipient() -> None:
    budgets = Budgets()
    assert budgets.reserve("1", spender(), "x@example.net", OLD, NOW) == timedelta()
    left = budgets.reserve("2", spender(), "y@example.net", OLD, NOW + timedelta(minutes=2))
    assert left == timedelta(minutes=3)
    assert budgets.reserve("3", spender(), "z@example.net", OLD, NOW + SPACING) == timedelta()


@pytest.mark.parametrize(
    "again",
    [
        spender(),  # deleted, and created again
        spender("other", address="a@example.com"),  # renamed
        spender("other", address="A+tag@example.com"),
        spender("a", address="other@example.com"),  # another address under the same name
    ],
)
def test_an_account_is_known_by_name_and_by_address(again: Spender) -> None:
    budgets = Budgets()
    budgets.reserve("1", spender(), "x@example.net", OLD, NOW)
    assert budgets.reserve("2", again, "y@example.net", OLD, NOW) == SPACING


def test_sixty_accounts_over_one_secret_write_to_one_address_twice() -> None:
    budgets = Budgets()
    assert taken(budgets, 60, spender(), VICTIM) == RECIPIENT.count
    again = (f"victim+{number}@elsewhere.example" for number in range(60))
    assert sum(taken(budgets, 1, spender(), one, each=one) for one in again) == 0


def test_a_login_is_counted_under_every_secret_and_a_secret_under_every_login() -> None:
    budgets = Budgets()
    granted = 0
    for number in range(60):
        one = Spender(
            "ns", f"n{number}", f"n{number}@example.com", f"s{number}", ("U", "Smtp.Example.com")
        )
        granted += (
            budgets.reserve(f"{number}", one, f"r{number}@x.example", OLD, NOW) == timedelta()
        )
    assert granted == LOGIN.count
    by_secret = Budgets()
    granted = 0
    for number in range(60):
        one = Spender(
            "ns", f"n{number}", f"n{number}@example.com", "s", (f"u{number}", "h.example")
        )
        granted += (
            by_secret.reserve(f"{number}", one, f"r{number}@x.example", OLD, NOW) == timedelta()
        )
    assert granted == LOGIN.count


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("sender@gmail.com", "smtp.gmail.com"), ("s.ender+x@googlemail.com", "smtp.gmail.com")),
        (("u@example.com", "smtp.gmail.com"), ("U@example.com", "smtp.googlemail.com")),
        (("u", "smtp.mail.svc"), ("u", "smtp.mail.svc.cluster.local")),
        (("u", "smtp.example.com"), ("u", "SMTP.example.com.")),
    ],
)
def test_a_login_is_one_however_it_is_written(one: tuple[str, str], other: tuple[str, str]) -> None:
    budgets = Budgets()
    granted = 0
    for number in range(20):
        login = (one, other)[number % 2]
        sender = Spender("ns", f"n{number}", f"n{number}@example.com", f"s{number}", login)
        wait = budgets.reserve(f"{number}", sender, f"r{number}@x.example", OLD, NOW)
        granted += wait == timedelta()
    assert granted == LOGIN.count


@pytest.mark.parametrize(
    ("username", "host", "is_shared"),
    [
        ("apikey", "smtp.sendgrid.net", True),
        ("resend", "smtp.resend.com", True),
        ("SMTP_Injection:X-MSYS-SUBACCOUNT=7", "smtp.sparkpostmail.com", True),
        ("other", "smtp.sendgrid.net", False),
        ("apikey", "smtp.example.com", False),
        ("u@example.com", "smtp.gmail.com", False),
    ],
)
def test_customers_who_are_all_called_the_same_do_not_wait_for_each_other(
    username: str, host: str, is_shared: bool
) -> None:
    budgets, granted = Budgets(), 0
    for number in range(40):
        place = f"ns{number // 4}"
        sender = Spender(place, f"n{number}", f"n{number}@example.com", place, (username, host))
        wait = budgets.reserve(f"{number}", sender, f"r{number}@x.example", OLD, NOW)
        granted += wait == timedelta()
    assert granted == (40 if is_shared else LOGIN_OF_ALL.count)


def test_a_namespace_has_a_budget_over_all_logins_and_recipients() -> None:
    budgets = Budgets()
    granted = 0
    for number in range(60):
        one = Spender(
            "ns", f"n{number}", f"n{number}@e.example", f"s{number}", (f"u{number}", "h.example")
        )
        granted += (
            budgets.reserve(f"{number}", one, f"r{number}@x.example", OLD, NOW) == timedelta()
        )
    assert granted == NAMESPACE.count


def test_a_neighbour_cannot_spend_what_is_ours() -> None:
    budgets = Budgets()
    assert taken(budgets, 60, spender(namespace="b"), VICTIM, each="b") == RECIPIENT.count
    assert taken(budgets, 60, spender(), VICTIM) == RECIPIENT.count


def test_many_namespaces_together_do_not_flood_one_address() -> None:
    budgets = Budgets()
    granted = sum(
        taken(
            budgets,
            5,
            spender(namespace=f"ns{number}", username=f"u{number}"),
            VICTIM,
            each=f"{number}-",
        )
        for number in range(30)
    )
    assert granted == RECIPIENT_OF_ALL.count


def test_what_was_not_sent_is_given_back() -> None:
    budgets = Budgets()
    budgets.reserve("1", spender(), VICTIM, OLD, NOW)
    budgets.give_back("1")
    budgets.give_back("never reserved")
    assert budgets.reserve("2", spender(), VICTIM, OLD, NOW) == timedelta()


def test_a_full_memory_sends_nothing_more_until_something_has_ended() -> None:
    budgets = Budgets(limit=12)
    assert budgets.reserve("1", spender("a"), "x@example.net", OLD, NOW) == timedelta()
    other = Spender("ns2", "b", "b@example.com", "s2", ("u2", "h2.example"))
    assert budgets.reserve("2", other, "y@example.net", OLD, NOW) > timedelta()
    later = NOW + HORIZON
    assert budgets.reserve("3", other, "y@example.net", OLD, later) == timedelta()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 90),
            st.sampled_from(["a", "b", "c", "d"]),
            st.sampled_from(["n1", "n2"]),
            st.sampled_from(["x@e.example", "X+t@e.example", "y@e.example"]),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_no_window_ever_holds_more_than_its_rate(
    attempts: list[tuple[int, str, str, str, bool]],
) -> None:
    budgets, now = Budgets(), NOW
    sent: list[tuple[datetime, Spender, str]] = []
    for number, (pause, name, namespace, recipient, fails) in enumerate(attempts):
        now += timedelta(seconds=pause)
        one = spender(name, namespace)
        if budgets.reserve(str(number), one, recipient, OLD, now) > timedelta():
            continue
        if fails:
            budgets.give_back(str(number))
        else:
            sent.append((now, one, recipient))
    for at, one, recipient in sent:
        for key, rate in one.rates(recipient).items():
            within = [
                when
                for when, other, to in sent
                if key in other.rates(to) and at <= when < at + rate.span
            ]
            assert len(within) <= rate.count


def test_nothing_is_sent_before_it_is_known_what_was() -> None:
    budgets = Budgets(is_open=False)
    assert budgets.reserve("1", spender(), VICTIM, OLD, NOW) > timedelta()
    budgets.learn(spender(), VICTIM, "m", NOW - timedelta(minutes=1), NOW)
    budgets.open(NOW)
    assert budgets.reserve("2", spender(), VICTIM, OLD, NOW) == timedelta(minutes=4)
    budgets.learn(spender(), VICTIM, "m", NOW - timedelta(minutes=1), NOW)
    assert budgets.reserve("3", spender("b"), VICTIM, OLD, NOW) == timedelta()


@pytest.mark.parametrize(
    ("created", "wait"),
    [
        (NOW - timedelta(minutes=4), SPACING),
        (NOW + timedelta(seconds=30), SPACING),
        (NOW - SPACING, timedelta()),
    ],
)
def test_after_a_restart_a_young_account_may_stand_for_one_that_is_gone(
    created: datetime, wait: timedelta
) -> None:
    budgets = Budgets(is_open=False)
    budgets.open(NOW, {"ns"})
    when = timestamp(created)
    assert budgets.wait(spender(), when, NOW) == wait
    assert budgets.wait(spender(namespace="new"), when, NOW) == timedelta()
    assert budgets.wait(spender(), when, NOW + SPACING) == timedelta()
    assert budgets.wait(spender(), "", NOW) == SPACING  # of which nobody knows


@pytest.mark.parametrize(
    ("each", "most"),
    [
        (lambda number: ("s", ("u", "h.example"), VICTIM), RECIPIENT.resumed),
        (lambda number: ("s", ("u", "h.example"), f"{number}@x.example"), LOGIN.resumed),
        (lambda n: (f"s{n}", (f"u{n}", "h.example"), f"{n}@x.example"), NAMESPACE.resumed),
    ],
    ids=["recipient", "login", "namespace"],
)
def test_what_deleted_accounts_sent_before_a_restart_is_taken_for_nearly_all(
    each: Callable[[int], tuple[str, tuple[str, str], str]], most: int
) -> None:
    """All accounts that sent are deleted, others that are old enough are kept in reserve."""
    budgets, granted = Budgets(is_open=False), 0
    budgets.open(NOW, {"another"})  # nothing of this namespace is left but what was never judged
    for number in range(60):
        secret, login, recipient = each(number)
        one = Spender("ns", f"n{number}", f"n{number}@e.example", secret, login)
        granted += budgets.reserve(f"{number}", one, recipient, OLD, NOW) == timedelta()
    assert granted == most
    late = Spender("ns", "late", "late@e.example", "s9", ("u9", "h9.example"))
    wait = budgets.wait(late, OLD, NOW + timedelta(minutes=9), "late@x.example")
    assert wait <= timedelta(minutes=1), "nobody waits for that after ten minutes"


def test_the_first_operator_of_a_cluster_knows_that_nothing_was_sent() -> None:
    budgets = Budgets(is_open=False)
    budgets.open(NOW)
    assert taken(budgets, 60, spender(), VICTIM) == RECIPIENT.count


class Many(MessageWorld):
    """Many accounts over one Secret."""

    def __init__(self) -> None:
        super().__init__(imap=None)
        self.message_policy = MessagePolicy((VICTIM,))
        self.office.delivers_to = None

    def account(self, name: str, **spec: object) -> Key:
        key = Key(Kind.EMAIL_ACCOUNT, ACCOUNT.namespace, name)
        reference = {"name": "login"}
        given = {"address": f"{name}@example.com", "serverRef": {"name": "smtp"}}
        self.add(key, **{**given, "credentialsRef": reference, **spec})
        return key

    def ask_of(self, key: Key, nonce: str, recipient: str = VICTIM) -> None:
        self.objects[key]["metadata"]["annotations"] = {
            "postroom.dev/send-test": nonce,
            "postroom.dev/send-test-to": recipient,
        }

    async def turns(self, *keys: Key, times: int = 1, seconds: float = 0.1) -> None:
        for _ in range(times):
            for key in keys:
                await self.look(key, timedelta(seconds=seconds))


async def test_sixty_accounts_over_one_secret_flood_nobody() -> None:
    world = Many()
    await world.ready()
    keys = [world.account(f"a{number}") for number in range(60)]
    for key in keys:
        world.ask_of(key, "one")
    await world.turns(*keys, times=2)
    assert len(world.office.sent) == RECIPIENT.count
    # They are not forgotten: those that wait are served when there is room again.
    world.time += HORIZON
    await world.turns(*keys[:9], times=2)
    assert len(world.office.sent) == 2 * RECIPIENT.count


async def test_deleting_and_creating_anew_sends_one() -> None:
    world = Many()
    await world.ready()
    for number in range(28):
        key = world.account("loop", address="loop@example.com")
        world.objects[key]["metadata"]["uid"] = f"uid-{number}"
        world.ask_of(key, f"{number}")
        await world.turns(key, times=3)
        world.restart()
        del world.objects[key]
    assert len(world.office.sent) == 1


async def test_a_restart_resets_nothing() -> None:
    world = Many()
    await world.ready()
    keys = [world.account(f"a{number}") for number in range(10)]
    for key in keys:
        world.ask_of(key, "one")
    await world.turns(*keys, times=3)
    assert len(world.office.sent) == RECIPIENT.count
    for number in range(5):
        world.restart()
        world.message_policy = MessagePolicy((VICTIM,))
        for key in keys:
            world.ask_of(key, f"again-{number}")
            await world.turns(key)
        await world.turns(*keys)
    assert len(world.office.sent) == RECIPIENT.count


@pytest.mark.parametrize("answer", [BUSY, REFUSED])
async def test_a_message_that_was_not_taken_over_is_not_counted(answer: object) -> None:
    world = Many()
    await world.ready()
    world.office.answer = answer  # type: ignore[assignment]
    key = world.account("a")
    for nonce in ("one", "two"):
        world.ask_of(key, nonce)
        await world.turns(key, times=2)
    assert len(world.office.sent) == 2


def outcome(status: EmailAccountStatus) -> tuple[MessageOutcome, str]:
    assert status.last_test is not None and status.last_test.result is not None
    return status.last_test.result.outcome, status.last_test.result.reason


@pytest.mark.parametrize(
    ("verification", "ready", "sent"),
    [
        ("Pending", "False", 0),
        ("Failed", "False", 0),
        ("Unknown", "Unknown", 0),
        ("Degraded", "False", 1),
        ("Verified", "True", 1),
    ],
)
async def test_nothing_leaves_from_an_address_whose_domain_is_not_verified(
    verification: str, ready: str, sent: int
) -> None:
    world = MessageWorld(imap=None)
    domain(world, "send", "example.com", verification, ready)
    await world.look(SERVER)
    world.ask(send_test="one")
    status = await world.run(times=2)
    assert len(world.office.sent) == sent
    if not sent:
        assert outcome(status) == (MessageOutcome.DEFERRED, "SendingDomainNotReady")


async def test_a_fallback_is_judged_like_the_address_itself() -> None:
    world = MessageWorld(imap=None, fallbackSender="noreply@fallback.example")
    domain(world, "send", "example.com", "Pending", "False")
    domain(world, "back", "fallback.example", "Pending", "False")
    await world.look(SERVER)
    world.ask(send_test="one")
    status = await world.run(times=2)
    assert (world.office.sent, outcome(status)[1]) == ([], "SendingDomainNotReady")
    domain(world, "back", "fallback.example", "Verified", "True")
    world.ask(send_test="two")
    await world.run(times=2)
    assert [one.sender for one in world.office.sent] == ["noreply@fallback.example"]


def domain(world: MessageWorld, name: str, of: str, verification: str, ready: str) -> None:
    key = Key(Kind.SENDING_DOMAIN, ACCOUNT.namespace, name)
    world.objects.pop(key, None)
    world.add(key, domain=of)
    world.objects[key]["status"] = {
        "observedGeneration": 1,
        "verification": verification,
        "conditions": [
            {
                "type": "Ready",
                "status": ready,
                "reason": "Succeeded",
                "message": "",
                "lastTransitionTime": OLD,
                "observedGeneration": 1,
            }
        ],
    }


async def test_a_replica_that_lost_its_lease_sends_nothing() -> None:
    world = MessageWorld(imap=None)
    world.message_policy = MessagePolicy(may_send=lambda: False)
    await world.ready()
    world.ask(send_test="one")
    await world.run(times=2)
    assert [one.may_be_sent() for one in world.office.sent] == [False]


async def test_another_replica_that_sends_now_is_let_alone() -> None:
    """Its message is neither sent again nor called lost; after three minutes it is."""
    world = MessageWorld(imap=None)
    await world.ready()
    world.ask(send_test="one")
    await world.run()
    world.restart()
    beside_us = MessagePolicy(budgets=Budgets(is_open=False))
    beside_us.budgets.open(world.time - timedelta(minutes=1), {ACCOUNT.namespace})
    world.message_policy = beside_us
    status = await world.run(times=5)
    assert status.last_test is not None and status.last_test.in_flight is not None
    status = await world.run(seconds=60, times=4)
    assert (outcome(status)[0], world.office.sent) == (MessageOutcome.UNKNOWN, [])


async def test_what_a_clock_that_was_wrong_announced_is_waited_for_by_nobody() -> None:
    """An earlier process has announced it, a year ahead of us, and ended."""
    world = MessageWorld(imap=None)
    await world.ready()
    world.ask(send_test="one")
    world.time += timedelta(days=365)
    await world.run()
    world.time -= timedelta(days=365)
    world.restart()
    world.message_policy = MessagePolicy(budgets=Budgets(is_open=False))
    world.message_policy.budgets.open(world.time, {ACCOUNT.namespace})
    status = await world.run(times=2)
    assert (outcome(status)[0], world.office.sent) == (MessageOutcome.UNKNOWN, [])
    world.ask(send_test="two")
    await world.run(seconds=600, times=2)
    assert len(world.office.sent) == 1


def shards_of(number: int) -> list[tuple[Budgets, Spender]]:
    """The budgets of each shard, and one who sends there."""
    found = []
    for index in range(number):
        shard = Shard(index, number)
        place = next(name for name in map("ns-{}".format, itertools.count()) if shard.has(name))
        found.append((Budgets(shard=shard), spender(namespace=place, username="shared")))
    return found


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6])
def test_shards_together_send_no_more_to_one_address_and_over_one_login(number: int) -> None:
    """None knows of the others' messages; each of their namespaces has more than one share."""
    sent = over = 0
    for budgets, sender in shards_of(number):
        places = filter(budgets._shard.has, map("team-{}".format, range(2000)))
        senders = [replace(sender, namespace=place) for place in itertools.islice(places, 15)]
        sent += sum(taken(budgets, 2, one, VICTIM, each=one.namespace) for one in senders)
    for budgets, sender in shards_of(number):
        places = filter(budgets._shard.has, map("team-{}".format, range(2000)))
        senders = [replace(sender, namespace=place) for place in itertools.islice(places, 15)]
        over += sum(
            taken(budgets, 1, one, f"{one.namespace}@example.net", each=one.namespace)
            for one in senders
        )
    assert (sent, over) == (RECIPIENT_OF_ALL.count, LOGIN_OF_ALL.count)


def test_more_shards_than_messages_have_one_each_until_they_hear_of_others() -> None:
    shards, sent, whole = shards_of(9), 0, RECIPIENT_OF_ALL.count
    for budgets, sender in shards:
        granted = taken(budgets, 2, sender, VICTIM)
        sent += granted
        for others, _ in shards:
            if others is not budgets and granted:
                others.learn(sender, VICTIM, f"{sender.namespace}-{NOW}", NOW, NOW)
    assert sent == whole


def test_what_others_send_takes_nothing_of_a_shards_own_share() -> None:
    (ours, sender), (_, other), _ = shards_of(3)
    for number in range(4):
        ours.learn(other, VICTIM, f"theirs{number}", NOW, NOW)
    assert taken(ours, 3, sender, VICTIM) == 2
