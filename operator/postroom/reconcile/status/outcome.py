# SPDX-License-Identifier: Apache-2.0
"""What a reconciliation yields: the whole status, what to tell people, and when to look again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from postroom.api.account_messages import MessageInFlight
from postroom.api.conditions import ConditionType
from postroom.api.emailaccount_status import SyncPhase
from postroom.api.status import CommonStatus
from postroom.mail.identities.values import Discovered, DiscoveryFailure
from postroom.mail.operations import Answer
from postroom.mail.report import ProbeReport
from postroom.reconcile.status.wanted import ChildStates, Wanted


class NoticeType(StrEnum):
    """The types of a Kubernetes Event: Warning only if a human should act."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Notice:
    """One Event worth posting: a transition, never a repetition."""

    type: NoticeType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A server's refusal of one version of credentials, and the request token it was seen under.

    `at` is when they were refused last, or when that was read from a stored status. `attempts`
    counts the refusals that came on schedule. `asked_at` is when they were last sent because
    somebody asked; `declined` tells that the request of `token` came too soon after that.
    """

    token: str | None
    report: ProbeReport
    at: datetime
    attempts: int = 1
    asked_at: datetime | None = None
    declined: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """A server's wish to be left alone, as one protocol heard it.

    `inputs` are endpoint and version of credentials; `hinted` tells that the server said for how
    long. `count` is how often in a row it wished so.
    """

    protocol: str
    report: ProbeReport
    since: datetime
    until: datetime
    inputs: tuple[object, ...]
    request: str | None
    hinted: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True)
class RecentProbe:
    """A probe, what it was made with, and when."""

    inputs: tuple[object, ...]
    at: datetime
    report: ProbeReport


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """What a server that works wants its users to see, what it was probed with, under which request
    token, and when it was said last."""

    inputs: tuple[object, ...]
    request: str | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class IdentityLook:
    """What was found out about identities, what it was asked with, and when.

    `pause` is how long not to ask again; None: as long as usual.
    """

    inputs: tuple[object, ...]
    at: datetime
    pause: timedelta | None = None
    discovered: Discovered | None = None
    failure: DiscoveryFailure | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lag:
    """Records that are published but not seen by the resolver, and when its cache lets go of them.

    `renewals` counts how often it denied them anew after that.
    """

    records: frozenset[str]
    ends: datetime
    renewals: int = 0


#: What a memory has several of, by name; nearly always none, and then no dict is kept.
_SEVERAL = (
    "first_failures",
    "wrong",
    "rejections",
    "probes",
    "sends",
    "sent_at",
    "pauses",
    "failed_probes",
    "due",
    "looks_for_overdue",
    "alerts",
)


_CHILDLESS: ChildStates = MappingProxyType({})


class Memory:
    """What the engine remembers of an object between runs in one process.

    Losing it costs a repeated look or a later one, never a wrong verdict. There is one for each
    object that is watched: dicts that are empty are made when somebody asks, until `tidy`.
    """

    __slots__ = (
        *_SEVERAL,
        "asked_at",
        "at_mailbox",
        "children",
        "clock_set_by",
        "deep_day",
        "deferred_since",
        "evaluated",
        "failures",
        "generation",
        "identities",
        "lag",
        "unasked",
    )

    #: When each condition that status does not show as False yet was first seen failing, and
    #: which of its records: (condition, record id, or "" where it has none).
    first_failures: dict[tuple[ConditionType, str], datetime]
    #: When each required record that stands wrong was first seen with this content.
    wrong: dict[str, tuple[datetime, tuple[str, ...]]]
    #: Credential versions that a server rejected, with its verdict.
    rejections: dict[str, Rejection]
    #: The last probe of each protocol, so that a change elsewhere does not repeat it.
    probes: dict[str, RecentProbe]
    #: Messages of ours by token: as it was announced where status says Sending and nothing was sent
    #: yet, for what stands in status may be another's words; else what became of sending it, so
    #: that an old view of status never sends it again.
    sends: dict[str, Answer | MessageInFlight]
    #: When those of them were sent that were.
    sent_at: dict[str, datetime]
    #: When one that was given up was looked for last, by its token.
    looks_for_overdue: dict[str, datetime]
    #: What each protocol's server wants to be seen, though nothing is wrong.
    alerts: dict[str, StandingAlert]
    #: The servers that want to be left alone, by host.
    pauses: dict[str, Pause]
    #: How often in a row each protocol failed.
    failed_probes: dict[str, int]
    #: When each protocol that failed is to be looked at again.
    due: dict[str, datetime]

    def __init__(self) -> None:
        #: What the resolver does not show yet.
        self.lag: Lag | None = None
        #: The day of the last thorough look (`schedule.deep_day`).
        self.deep_day: int | None = None
        #: When somebody last edited the spec or asked for a look: the next ones follow closely.
        self.asked_at: datetime | None = None
        #: What is being done at the mailbox in the run that is under way, and since when.
        self.at_mailbox: tuple[SyncPhase, datetime] | None = None
        #: The last look at the account's identities: providers and servers are not asked often.
        self.identities: IdentityLook | None = None
        #: Since when a new spec waits for the first verdict on its dependencies.
        self.deferred_since: datetime | None = None
        #: The spec that was evaluated last, as it came, which takes no room beside the stored one;
        #: tells an edit of ``suspend`` alone from others.
        self.evaluated: Mapping[str, Any] | None = None
        #: How often in a row a look ended without success; spaces the next one where status does
        #: not tell since when.
        self.failures: int = 0
        #: How often in a row the API could not be asked for something that the object needs.
        self.unasked: int = 0
        #: The generation that `failures` counts for.
        self.generation: int = -1
        #: What became of the children that the last run wanted; without an entry nobody tried yet.
        self.children: ChildStates = _CHILDLESS
        #: How far the wall clock was set, as far as the times above go; None: nobody has looked.
        self.clock_set_by: timedelta | None = None

    if not TYPE_CHECKING:  # else any name would be one of its own

        def __getattr__(self, name: str) -> Any:
            """Several of which there is none yet."""
            if name not in _SEVERAL:
                raise AttributeError(name)
            setattr(self, name, several := {})
            return several

    def tidy(self) -> None:
        """Keep no room for what there is none of: a run has ended."""
        for name in _SEVERAL:
            if not getattr(self, name):
                delattr(self, name)

    def known(self) -> dict[str, Any]:
        """Everything by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    @contextmanager
    def busy_at_mailbox(self, phase: SyncPhase, now: datetime) -> Iterator[None]:
        """Note what is being done at the mailbox, for as long as it is."""
        self.at_mailbox = phase, now
        try:
            yield
        finally:
            self.at_mailbox = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one run.

    `status` is complete: the writer replaces the stored status by it where they differ in more
    than `last_check_time`; None leaves the stored one as it is. `next_check` is how long to wait
    before looking again; None means only when something changes. `references` are what this
    object stands on, in its own namespace or after ``<namespace>:``: ``Secret/<name>``,
    ``ConfigMap/<name>``, ``<Kind>/<name>`` or ``<Kind>/<index>`` (see
    `postroom.reconcile.indexes`); a change of any
    of them, and a flip of a MailServer's or SendingDomain's Ready, must bring this object
    back. `deciding` is the condition that Ready repeats, None where it speaks for itself, and
    `field` the one of the spec that it is about and `fix` what to change, "" where that is not
    known.
    `children` are made true once the status is written, and what became of them is in
    `Memory.children` at the next run, which follows at once where that is news; None leaves them
    as they are.
    """

    status: CommonStatus | None
    next_check: timedelta | None
    notices: tuple[Notice, ...] = ()
    references: frozenset[str] = frozenset()
    deciding: ConditionType | None = None
    field: str = ""
    fix: str = ""
    children: tuple[Wanted, ...] | None = None
