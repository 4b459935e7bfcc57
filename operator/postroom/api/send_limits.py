# SPDX-License-Identifier: Apache-2.0
"""How much may be sent and when: limits of servers and accounts, and the plan that follows.

A plan is a rule: nothing in it depends on the day on which it is read.
"""

from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from postroom.api.fields import Model, Text, rule, rules
from postroom.api.suggest import nearest

#: Messages. No account sends more, and no sum of as many as a namespace has overflows.
_Messages = Annotated[int, Field(strict=True, ge=1, le=100_000_000)]
_Planned = Annotated[int, Field(ge=0)]
HOURS_LIMIT = 24


class Weekday(StrEnum):
    """The days of a week, Monday first (ISO 8601)."""

    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"


@cache
def time_zones() -> frozenset[str]:
    """The names of the IANA time zone database, links among them."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="ascii").split())


TimeZone = Annotated[
    str,
    Text(
        r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$",
        "must be a time zone of the IANA database such as Europe/Berlin or UTC",
        longest=64,
        also=lambda name: name in time_zones(),
        # A zone that the API server does not know is an error of the rule, which refuses it, too.
        also_rule="self != 'Local' && timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
        mend=lambda name: nearest(name, time_zones()) or name,
    ),
]
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
#: Longer than any time of day, so that a longer text is answered with the sentence, too.
_CLOCK_LIMIT = 16
_Start = Annotated[
    str,
    Text(
        rf"^{_CLOCK}$",
        'must be a time of day from "00:00" to "23:59", such as "09:00"',
        longest=_CLOCK_LIMIT,
    ),
]
_End = Annotated[
    str,
    Text(
        rf"^({_CLOCK}|24:00)$",
        'must be a time of day up to "24:00", such as "17:00"',
        longest=_CLOCK_LIMIT,
    ),
]
_WINDOW_SENTENCE = (
    "must be later than start: a window does not go over midnight. Name the time zone of those "
    "who are written to, or split the addresses over two accounts"
)


class SendingWindow(Model):
    """When messages go out: on these days, between two times of day, by the clock of the zone.

    Without days and times it is every day, around the clock; then the zone says when a day begins.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.start < self.end", _WINDOW_SENTENCE, field_path=".end"),
        )
    )

    time_zone: TimeZone = Field(description="IANA time zone, such as Europe/Berlin.")
    days: Annotated[list[Weekday], Field(min_length=1, max_length=7)] = Field(
        default=list(Weekday),
        description="Mon to Sun; default: every day.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    start: _Start = Field(default="00:00", description="When it opens, HH:MM.")
    end: _End = Field(
        default="24:00", description="When it closes, HH:MM, later than start; 24:00 is midnight."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.days)) < len(self.days):
            raise ValueError("days must name each day once")
        if self.start >= self.end:
            raise ValueError(f"end {_WINDOW_SENTENCE}")
        return self

    @property
    def minutes(self) -> tuple[int, int]:
        """Start and end, in minutes since midnight."""
        return _minute_of(self.start), _minute_of(self.end)


def _minute_of(clock: str) -> int:
    """The minute of the day of ``HH:MM``."""
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


class RampUp(Model):
    """A new address sends little at first, and more from day to day, so that receivers learn it."""

    start_daily: _Messages = Field(description="Messages on the day that the account connected.")
    daily_increase: _Messages = Field(description="How many more on each day after it.")


class SendLimits(Model):
    """How much the account may send, and when; its identities share it."""

    daily: _Messages | None = Field(
        default=None,
        description="Most messages in a day, by the time zone of the window, else UTC.",
    )
    hourly: _Messages | None = Field(default=None, description="Most messages in an hour.")
    window: SendingWindow | None = Field(
        default=None, description="When messages go out; the daily limit is spread over it."
    )
    ramp_up: RampUp | None = Field(
        default=None,
        description="Less at first: counted in days from status.connectedAt, up to the daily "
        "limit.",
    )


class ServerLimits(Model):
    """The ceiling of all accounts behind a server: what the plan at its provider allows."""

    daily: _Messages | None = Field(
        default=None, description="Most messages in a day; default: what its provider documents."
    )
    hourly: _Messages | None = Field(
        default=None, description="Most messages in an hour; default: what its provider documents."
    )
    connections: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = Field(
        default=None, description="Most connections at a time, passed on to whoever sends."
    )


class LimitSource(StrEnum):
    """What a number of a plan comes from."""

    #: spec.sendLimits of the account.
    SEND_LIMITS = "SendLimits"
    #: spec.limits of the MailServer.
    MAIL_SERVER = "MailServer"
    #: What the provider documents.
    PROVIDER = "Provider"
    #: What fits into the hours of the window, or of a day.
    WINDOW = "Window"


class PlannedHour(Model):
    """What is to go out between two times of day, of a day with the whole daily number."""

    start: Annotated[str, StringConstraints(max_length=5)] = Field(description="HH:MM.")
    end: Annotated[str, StringConstraints(max_length=5)] = Field(description="HH:MM.")
    messages: _Planned = Field(description="How many messages.")


class PlannedRampUp(Model):
    """The daily number at first: startDaily, and dailyIncrease more for each day after the day of
    status.connectedAt, never more than daily."""

    start_daily: _Planned = Field(description="Messages on the first day.")
    daily_increase: _Planned = Field(description="How many more on each day after it.")
    full_after_days: _Planned | None = Field(
        default=None, description="How many days later daily is reached; absent without a daily."
    )


class SendPlan(Model):
    """What whoever sends as this account keeps to; a rule that is the same on every day."""

    daily: _Planned | None = Field(default=None, description="Most messages in a day.")
    daily_from: LimitSource | None = Field(
        default=None,
        description="What set daily: SendLimits, MailServer, Provider or Window (so many fit into "
        "its hours).",
    )
    hourly: _Planned | None = Field(default=None, description="Most messages in an hour.")
    hourly_from: LimitSource | None = Field(
        default=None,
        description="What set hourly: SendLimits, MailServer, Provider or Window (daily spread "
        "over it).",
    )
    connections: _Planned | None = Field(
        default=None, description="Most connections to the server at a time."
    )
    window: SendingWindow | None = Field(
        default=None, description="When messages go out; absent: at any time."
    )
    hours: Annotated[tuple[PlannedHour, ...], Field(max_length=HOURS_LIMIT)] = Field(
        default=(),
        description="The daily number spread over the window, by its clock: an hour that the clock "
        "shows twice counts once, one that it skips is left out.",
    )
    ramp_up: PlannedRampUp | None = Field(
        default=None, description="Less in the first days; absent: at once the whole daily number."
    )


#: Where nothing is said of limits, and of what follows from them: most accounts share these.
UNLIMITED, NO_SERVER_LIMITS, NO_PLAN = SendLimits(), ServerLimits(), SendPlan()
