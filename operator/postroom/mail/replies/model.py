# SPDX-License-Identifier: Apache-2.0
"""The shape of the catalogue: causes, the replies that tell of them, their classes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from postroom.api.data_files import Row
from postroom.api.reasons import Reason
from postroom.mail.replies.causes import Cause

_ENHANCED = r"[245]\.\d{1,3}\.\d{1,3}"
#: Compared with lowercase text, hence without capital letters.
Fragment = Annotated[str, StringConstraints(pattern=r"^[^A-Z]+$", min_length=4)]
Hint = Annotated[str, StringConstraints(pattern=r"^([A-Z].*\.)?$", max_length=240)]
Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z].*\.$", max_length=240)]
#: A public document, or the section of a standard.
Source = Annotated[str, StringConstraints(pattern=r"^(https://[^ ]+|RFC \d+.*)$", max_length=300)]
#: A reply code, or all of one class: 4xx.
Code = Annotated[str, StringConstraints(pattern=r"^[2345](\d\d|xx)$")]
Provider = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{1,39}$")]
_HOUR, _DAY = 3600, 86400


class FailureClass(StrEnum):
    """What kind of failure it is, which decides when to look again."""

    #: Passes by itself: look again soon.
    TRANSIENT = "Transient"
    #: The server asks to be left alone for a while.
    THROTTLED = "Throttled"
    #: Stays until someone acts at the provider or changes the credentials: never tried quickly.
    PERMANENT = "Permanent"
    #: Stays until the spec, the Secret or the server's settings change.
    CONFIGURATION = "Configuration"
    #: Works, and will not for ever.
    WARNING = "Warning"

    @property
    def hard(self) -> bool:
        """Whether it counts at once, and not only when it was seen several times."""
        return self in (FailureClass.PERMANENT, FailureClass.CONFIGURATION)


class Protocol(StrEnum):
    """The protocols that are checked."""

    SMTP = "SMTP"
    IMAP = "IMAP"


class Stage(StrEnum):
    """Where in a conversation something was seen.

    As `postroom.api.mailserver.ProbeStage`, and what comes before and after a probe.
    """

    LOCAL = "Local"
    RESOLVE = "Resolve"
    GUARD = "Guard"
    CONNECT = "Connect"
    TLS = "TLS"
    GREETING = "Greeting"
    CAPABILITIES = "Capabilities"
    AUTH = "Auth"
    MAILBOX = "Mailbox"
    #: Any command of a mail transaction: one of the three below (RFC 5321 section 3.3).
    SEND = "Send"
    MAIL = "Mail"
    RCPT = "Rcpt"
    #: The command, and the end of the content.
    DATA = "Data"


#: The commands of a mail transaction.
TRANSACTION = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA})


class SignIn(StrEnum):
    """What we signed in with."""

    PASSWORD = "Password"  # noqa: S105 - a kind of credential
    TOKEN = "Token"  # noqa: S105


class Result(StrEnum):
    """The results of an IMAP command that are no success (RFC 9051 section 7.1)."""

    NO = "NO"
    BAD = "BAD"
    BYE = "BYE"


class CauseEntry(Row):
    """What a cause means; `reason` is what a condition says of it, `wait` seconds to wait.

    Once a sign-in has been accepted, `after_sign_in` is the cause instead, and otherwise
    `remedy_after_sign_in` the remedy: nothing then is mended by credentials. What `waits` passes by
    itself, and to wait is the remedy.
    """

    cause: Cause
    reason: Reason
    failure_class: FailureClass
    meaning: Sentence
    remedy: Sentence
    after_sign_in: Cause | None = None
    remedy_after_sign_in: Sentence | None = None
    waits: bool = False
    wait: Annotated[int, Field(ge=_HOUR, le=_DAY)] | None = None


class ReplyRow(Row):
    """What a reply means that fits all the given fields.

    `provider` is who answers so; with `only_at_provider` the reply alone would not tell, so that
    the host must be known as that provider's. All fragments in `text` must occur. An example is a
    code or result and a text; the lines of a reply are separated by line feeds. An empty hint
    stands for the remedy of the cause, `reason`, `failure_class` and `wait` override those of the
    cause.
    `in_the_clear` rows are about sessions without TLS: what they say cannot be meant over it.
    `despite` are words that would speak of something passing, and do not here.
    `source` is where the case is described or was reported, `checked` when the row was reviewed.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    protocol: Protocol
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = (Stage.AUTH,)
    provider: Provider | None = None
    only_at_provider: bool = False
    codes: tuple[Code, ...] = ()
    enhanced: Annotated[str, StringConstraints(pattern=rf"^{_ENHANCED}$")] | None = None
    results: tuple[Result, ...] = ()
    response: Annotated[str, StringConstraints(pattern=r"^[A-Z-]{2,32}$")] | None = None
    text: tuple[Fragment, ...] = ()
    despite: tuple[Fragment, ...] = ()
    sign_in: SignIn | None = None
    app_password_shaped: bool | None = None
    in_the_clear: bool = False
    cause: Cause
    reason: Reason | None = None
    failure_class: FailureClass | None = None
    hint: Hint = ""
    wait: Annotated[int, Field(ge=_HOUR, le=_DAY)] | None = None
    source: Source
    checked: date
    examples: Annotated[tuple[str, ...], Field(min_length=1)]

    def reaches(self, stage: Stage) -> bool:
        """Whether it is about a stage."""
        return stage in self.stages or (stage in TRANSACTION and Stage.SEND in self.stages)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.protocol is Protocol.SMTP:
            if self.results or self.response:
                raise ValueError("results and response are of IMAP")
            if not self.codes:
                raise ValueError("a row of SMTP must name codes")
        elif self.codes or self.enhanced:
            raise ValueError("codes and enhanced are of SMTP")
        elif not (self.results or self.response or self.text):
            raise ValueError("give results, response or text: a row must not fit everything")
        if self.only_at_provider and self.provider is None:
            raise ValueError("onlyAtProvider needs a provider")
        return self

    def covers(self, other: ReplyRow) -> bool:
        """Whether every reply that fits `other` fits this row too."""
        mine = self.provider if self.only_at_provider else None
        theirs = other.provider if other.only_at_provider else None
        return (
            self.protocol is other.protocol
            and (other.in_the_clear or not self.in_the_clear)
            and all(map(self.reaches, other.stages))
            and all({code, f"{code[0]}xx"} & set(self.codes) for code in other.codes)
            and (
                not self.results
                or (bool(other.results) and set(self.results) >= set(other.results))
            )
            and all(any(fragment in more for more in other.text) for fragment in self.text)
            and all(
                wide is None or wide == narrow
                for wide, narrow in (
                    (mine, theirs),
                    (self.enhanced, other.enhanced),
                    (self.response, other.response),
                    (self.sign_in, other.sign_in),
                    (self.app_password_shaped, other.app_password_shaped),
                )
            )
        )


#: A regular expression on lowercase text, in which {name} stands for a word of the vocabulary.
Words = Annotated[str, StringConstraints(pattern=r"^[^\n]+$", min_length=4)]


class FamilyEntry(Row):
    """What replies mean that share words, whoever says them: those that no row knows.

    It fits where one of `words` is found and none of `unless`; `passing` adds the words of all that
    passes by itself. `protocol` None stands for both.
    """

    id: Annotated[str, StringConstraints(pattern=r"^family(-[a-z0-9]+)+$", max_length=60)]
    protocol: Protocol | None = None
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = (Stage.AUTH,)
    words: tuple[Words, ...] = ()
    unless: tuple[Words, ...] = ()
    passing: bool = False
    sign_in: SignIn | None = None
    cause: Cause
    hint: Hint = ""
    source: Source
    checked: date
    examples: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _matches_something(self) -> Self:
        if not (self.words or self.passing):
            raise ValueError("give words: a family must not fit everything")
        return self


class PlainRefusal(Row):
    """Words that say of a sign-in that it is refused, and no more than its code does."""

    words: Words
    source: Source
    checked: date
    examples: Annotated[tuple[str, ...], Field(min_length=1)]


class FamilyEntries(Row):
    """The whole of ``families.yaml``.

    Vocabulary, words of what passes, of what is only supposed, of what denies to pass, of nothing
    (`empty`), of mere refusals; families.
    """

    vocabulary: Mapping[Annotated[str, StringConstraints(pattern=r"^[a-z]+$")], tuple[str, ...]]
    passing: Annotated[tuple[Words, ...], Field(min_length=1)]
    supposed: Annotated[tuple[Words, ...], Field(min_length=1)]
    negated: Annotated[tuple[Words, ...], Field(min_length=1)]
    empty: Annotated[tuple[Words, ...], Field(min_length=1)]
    refusals: Annotated[tuple[PlainRefusal, ...], Field(min_length=1)]
    families: Annotated[tuple[FamilyEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [family.id for family in self.families]
        if len(set(ids)) < len(ids):
            raise ValueError("there are two families with the same id")
        return self


class Causes(Row):
    """The whole of ``causes.yaml``: every cause once."""

    causes: tuple[CauseEntry, ...]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        described = [cause.cause for cause in self.causes]
        if len(set(described)) < len(described):
            raise ValueError("a cause is described twice")
        if missing := sorted(set(Cause) - set(described)):
            raise ValueError(f"{', '.join(missing)} must be described")
        return self


class Replies(Row):
    """One file of rows."""

    rows: Annotated[tuple[ReplyRow, ...], Field(min_length=1)]
