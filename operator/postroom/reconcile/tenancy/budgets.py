# SPDX-License-Identifier: Apache-2.0
"""How many messages of ours may go out: for each account, namespace, login and recipient.

What is spent is remembered by names and addresses, not by objects: who deletes an account and
creates it again, renames it, or puts many accounts over one Secret, finds what is spent still
spent. After a restart it is learned from the statuses that there are. Messages of accounts that
were deleted before that are known to nobody; so where an earlier process worked, young accounts
wait until none of those can count for them any more, and as long as any of them may still count,
everything but an account's own pace is nearly spent (`Rate.resumed`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from postroom.api.times import parse_timestamp
from postroom.concurrency.shards import WHOLE, Shard
from postroom.mail.presets.mailboxes import is_shared_username, login_of, mailbox_of

#: Between two messages of ours through one account.
SPACING = timedelta(minutes=5)
#: After so long a message counts nowhere any more.
HORIZON = timedelta(minutes=10)
#: Counts that are kept at most; beyond it nothing more is sent until some have ended.
_REMEMBERED = 100_000
_FULL = timedelta(minutes=1)
#: For how long a process may be busy sending a message that it announced.
_IN_HAND = timedelta(minutes=3)
#: How soon to ask again while it is still being found out what was sent before.
_NOT_OPEN = timedelta(seconds=1)

#: What a count is about, and of what.
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many messages within any span of such a length; `resumed` while some may be unknown."""

    count: int
    resumed: int
    span: timedelta = HORIZON


#: Within a namespace, so that nobody spends what is another's.
ACCOUNT = Rate(1, 1, SPACING)
NAMESPACE = Rate(10, 3)
LOGIN = Rate(5, 2)
RECIPIENT = Rate(2, 1)
#: Over all namespaces: three times as much, also after a start, lest one namespace wait for others.
LOGIN_OF_ALL = Rate(15, 15)
RECIPIENT_OF_ALL = Rate(6, 6)
_OF_ALL = (LOGIN_OF_ALL, RECIPIENT_OF_ALL)


@dataclass(frozen=True, slots=True)
class Spender:
    """An account that sends, by what it is known by: neither its UID nor its age is among it.

    `secret` is the name of the Secret that it signs in with, and `login` who it then is, and where:
    the username and the host. One of them may not be known.
    """

    namespace: str
    name: str
    address: str
    secret: str | None = None
    login: tuple[str, str] | None = None

    def rates(self, recipient: str) -> Mapping[Key, Rate]:
        """Return everything that a message to a recipient counts for."""
        place, mailbox = self.namespace, mailbox_of(recipient)
        found: dict[Key, Rate] = {
            ("account", place, self.name): ACCOUNT,
            ("address", place, mailbox_of(self.address)): ACCOUNT,
            ("namespace", place): NAMESPACE,
            ("recipient", place, mailbox): RECIPIENT,
            ("recipient", mailbox): RECIPIENT_OF_ALL,
        }
        if self.secret is not None:
            found["secret", place, self.secret] = LOGIN
        if self.login is not None:
            who = login_of(*self.login)
            found["login", place, *who] = LOGIN
            # What all customers of a provider are called tells nobody's login from another's.
            if not is_shared_username(*self.login):
                found["login", *who] = LOGIN_OF_ALL
        return found


class Budgets:
    """What is spent, in one process.

    Where `is_open` is False nothing may be sent yet; `open` ends that. A process that sends for its
    `shard` of the namespaces has its share of what all namespaces together may send; what others
    send counts too, as far as it is learned. `clock` tells a time that nobody sets, by which what
    was sent counts for as long as it should; None: the times that are given are such.
    """

    def __init__(
        self,
        *,
        is_open: bool = True,
        limit: int = _REMEMBERED,
        shard: Shard = WHOLE,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._clock = clock
        self._shard = shard
        self._is_open = is_open
        self._limit = limit
        #: The messages that count, and when each was sent.
        self._spent: dict[Key, dict[str, datetime]] = {}
        #: Messages that are counted already, and until when that must be known.
        self._known: dict[str, datetime] = {}
        #: When it was opened, by our clock and by the wall clock.
        self._opened_at: datetime | None = None
        self._opened: datetime | None = None
        self._inherited: frozenset[str] = frozenset()

    def open(self, now: datetime, inherited: Iterable[str] = ()) -> None:
        """Begin, once all that statuses tell is learned.

        `inherited` are the namespaces in which an earlier process worked.
        """
        self._is_open, self._inherited = True, frozenset(inherited)
        self._opened_at, self._opened = self._even(now), now

    def learn(
        self, spender: Spender, recipient: str, message: str, moment: datetime, now: datetime
    ) -> None:
        """Count a message of which a status tells, unless it is counted already."""
        if message not in self._known and now - moment < HORIZON:
            self.know(message, now)
            age = max(now - moment, timedelta())
            self._spend(self._rates(spender, recipient), message, self._even(now) - age)

    def know(self, message: str, now: datetime) -> None:
        """Have a message that is counted not be learned again."""
        now = self._even(now)
        if message not in self._known and len(self._known) >= self._limit:
            self._known = {known: until for known, until in self._known.items() if until > now}
        self._known[message] = now + 2 * HORIZON

    def wait(
        self, spender: Spender, created: str, now: datetime, recipient: str | None = None
    ) -> timedelta:
        """Return how long a message must wait; without a recipient, as far as the account goes.

        `created` is when the account was, as its metadata say.
        """
        if not self._is_open:
            return _NOT_OPEN
        now = self._even(now)
        rates = self._rates(spender, recipient or spender.address)
        if recipient is None:
            rates = {key: rate for key, rate in rates.items() if rate is ACCOUNT}
        waits = [timedelta(), *(self._wait_for(key, rate, now) for key, rate in rates.items())]
        if self._opened_at is not None and spender.namespace in self._inherited:
            # An account that was deleted before may have sent, and stood where a young one stands.
            try:
                is_old = parse_timestamp(created) <= (self._opened or now) - SPACING
            except ValueError:
                is_old = False
            if not is_old:
                waits.append(self._opened_at + SPACING - now)
        return max(waits)

    def reserve(
        self, message: str, spender: Spender, recipient: str, created: str, now: datetime
    ) -> timedelta:
        """Count a message before it is sent; a wait means that it is not, and may not be sent."""
        wait = self.wait(spender, created, now, recipient)
        if wait > timedelta():
            return wait
        now = self._even(now)
        rates = self._rates(spender, recipient)
        if len(self._spent) + len(rates) > self._limit:
            fresh = {key: _counting(messages, now) for key, messages in self._spent.items()}
            self._spent = {key: messages for key, messages in fresh.items() if messages}
            if len(self._spent) + len(rates) > self._limit:
                return _FULL
        self._spend(rates, message, now)
        return timedelta()

    def is_of_another(self, token: str, announced: datetime, now: datetime) -> bool:
        """Whether another process that runs beside us has just announced a message.

        What was announced before we began is of one that has ended.
        """
        if token in self._known or self._opened is None:
            return False
        return announced > self._opened and now - announced < _IN_HAND

    def give_back(self, message: str) -> None:
        """Forget a message that no server took over."""
        for key in [key for key, messages in self._spent.items() if message in messages]:
            del self._spent[key][message]

    def _even(self, now: datetime) -> datetime:
        """Now, by our own clock where there is one."""
        return now if self._clock is None else self._clock()

    def _rates(self, spender: Spender, recipient: str) -> Mapping[Key, Rate]:
        """Everything that a message counts for, and where this is one of several shards that sends
        it, its share of what they have in common."""
        rates, shard = spender.rates(recipient), self._shard
        if shard.of == 1 or not shard.has(spender.namespace):
            return rates
        shares = {
            ("shard", *key): Rate(shard.share(rate.count), shard.share(rate.resumed), rate.span)
            for key, rate in rates.items()
            if rate in _OF_ALL
        }
        return {**rates, **shares}

    def _wait_for(self, key: Key, rate: Rate, now: datetime) -> timedelta:
        wait = self._left(key, rate.count, rate.span, now)
        if self._opened_at is None or not self._inherited:
            return wait
        unknown = self._opened_at + HORIZON - now
        return max(wait, min(unknown, self._left(key, rate.resumed, rate.span, now)))

    def _left(self, key: Key, count: int, span: timedelta, now: datetime) -> timedelta:
        moments = sorted(self._spent.get(key, {}).values())[-count:]
        return moments[0] + span - now if len(moments) == count else timedelta()

    def _spend(self, rates: Mapping[Key, Rate], message: str, moment: datetime) -> None:
        for key in rates:
            self._spent[key] = {**_counting(self._spent.get(key, {}), moment), message: moment}


def _counting(messages: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
    """Return the messages that still count."""
    return {message: at for message, at in messages.items() if now - at < HORIZON}
