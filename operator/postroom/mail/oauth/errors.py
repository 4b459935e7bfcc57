# SPDX-License-Identifier: Apache-2.0
"""What the error documents of token endpoints mean: a table in ``errors.yaml``, never their words.

Microsoft asks clients not to depend on its numbers; hence an unknown number falls back to the
family that its words are of, and last to the `error` of RFC 6749.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from postroom.api.data_files import Row, read
from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.mail.oauth.reasons import CATALOGUE, OAuthReason
from postroom.mail.replies.model import FailureClass

_TEXT_LIMIT = 2048
_CODES_LIMIT = 8
#: The words after that are ids and times.
_SAID_LIMIT = 400
#: What we read and repeat of `error`, which may be anything printable (RFC 6749 section 5.2).
_ERROR = re.compile(r"[a-z][a-z0-9_]{0,39}")
_AADSTS = re.compile(r"AADSTS(\d{4,8})\b")
#: Statuses below 500 that say "not now" rather than "no".
_PASSING_STATUSES = frozenset({408, 425})
_TOO_MANY_REQUESTS = 429

_Hint = Annotated[str, StringConstraints(pattern=r"^([A-Z].*\.)?$", max_length=220)]


class Source(Row):
    """Where a fact was read, and when."""

    url: Annotated[str, StringConstraints(pattern=r"^https://[^ ]+$")]
    checked: date


class ErrorRow(Row):
    """What an error document means that matches all the given fields."""

    provider: OAuthProvider | None = None
    flow: OAuthFlow | None = None
    error: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,39})?$")] = ""
    code: Annotated[int, Field(ge=1000)] | None = None
    suberror: Annotated[str, StringConstraints(pattern=r"^[a-z_]*$")] = ""
    text: Annotated[str, StringConstraints(pattern=r"^[^A-Z]*$")] = ""
    meaning: Annotated[str, StringConstraints(pattern=r"^[A-Z].*\.$")]
    reason: OAuthReason
    failure_class: FailureClass = Field(alias="class")
    hint: _Hint = ""
    source: str

    @model_validator(mode="after")
    def _matches_something(self) -> Self:
        if not (self.error or self.code):
            raise ValueError("give error or code: a row must not match everything")
        if self.code is not None and self.provider is not OAuthProvider.MICROSOFT:
            raise ValueError("only Microsoft has codes")
        return self

    @property
    def bare(self) -> bool:
        """Whether it knows no more than the word of RFC 6749, whoever says it, or invalid_grant."""
        known = self.code is not None or self.suberror or self.text
        return not known and (self.provider is None or self.error == "invalid_grant")

    def matches(self, fault: ErrorDocument, provider: OAuthProvider, flow: OAuthFlow) -> bool:
        """Whether this row speaks of a document that a provider answered to a flow."""
        return (
            self.provider in (None, provider)
            and self.flow in (None, flow)
            and self.error in ("", fault.error)
            and (self.code is None or self.code in fault.codes)
            and self.suberror in ("", fault.suberror)
            and self.text in fault.text
        )


class ErrorFamily(Row):
    """What errors mean that share words, or a range of numbers, and that no row knows.

    `words` is a regular expression on the lowercase error and description, with spaces for
    underscores; `codes` the first and last number. One of the two must fit.
    """

    provider: OAuthProvider | None = None
    words: Annotated[str, StringConstraints(min_length=4)] = "(?!)"
    codes: tuple[int, int] | None = None
    reason: OAuthReason
    failure_class: FailureClass = Field(alias="class")
    hint: _Hint = ""
    source: str

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            re.compile(self.words)
        except re.error as problem:
            raise ValueError(f"words: {problem}") from None
        return self

    def matches(self, fault: ErrorDocument, provider: OAuthProvider) -> bool:
        """Whether a document is of this family."""
        if self.provider not in (None, provider):
            return False
        if self.codes is not None:
            first, last = self.codes
            if any(first <= code <= last for code in fault.codes):
                return True
        said = f"{fault.error.replace('_', ' ')}. {fault.text[:_SAID_LIMIT]}"
        return re.search(self.words, said) is not None


class Table(Row):
    """The whole file."""

    sources: dict[str, Source]
    rows: tuple[ErrorRow, ...]
    families: tuple[ErrorFamily, ...] = ()

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        named = {row.source for row in self.rows} | {family.source for family in self.families}
        unknown = named - set(self.sources)
        if unknown:
            raise ValueError(f"no such source: {', '.join(sorted(unknown))}")
        return self


@cache
def table() -> Table:
    """Load and validate the table, once."""
    return read("postroom.mail.oauth", "errors.yaml", Table)


@dataclass(frozen=True, slots=True)
class ErrorDocument:
    """What is used of an error document; nothing in it may be shown but `error` and `codes`.

    `error` is empty where there is none that can be read; `text` is the description in lowercase.
    """

    error: str = ""
    codes: tuple[int, ...] = ()
    suberror: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """Why there is no token; `hint` is a sentence that says what to do."""

    reason: OAuthReason
    failure_class: FailureClass
    hint: str


def read_document(body: bytes) -> Mapping[str, object] | None:
    """Read the JSON object of a response; None for anything else. Never raises."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def error_document(document: Mapping[str, object]) -> ErrorDocument:
    """Pick what matters from an error response (RFC 6749 section 5.2). Never raises."""
    error, described = document.get("error"), document.get("error_description")
    if isinstance(error, dict):
        # As Google's front end answers, before anything that knows OAuth.
        nested: dict[str, object] = error
        error, described = nested.get("status"), nested.get("message")
    text = described[:_TEXT_LIMIT] if isinstance(described, str) else ""
    lowered = error.lower() if isinstance(error, str) and len(error) <= 40 else ""
    # The numbers of Microsoft: as a list, else at the begin of the description.
    listed = document.get("error_codes")
    entries = listed[:_CODES_LIMIT] if isinstance(listed, list) else []
    codes = [code for code in entries if isinstance(code, int) and 1000 <= code <= 99_999_999]
    if not codes and (match := _AADSTS.match(text)):
        codes = [int(match[1])]
    return ErrorDocument(
        error=lowered if _ERROR.fullmatch(lowered) else "",
        codes=tuple(codes),
        suberror=_word(document.get("suberror")) or _word(document.get("error_subtype")),
        text=text.lower(),
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) and _ERROR.fullmatch(value) else ""


def meaning_of(
    status: int, fault: ErrorDocument | None, provider: OAuthProvider, flow: OAuthFlow
) -> ErrorMeaning:
    """What a response means that is no success.

    `fault` is None where the response is no error document. A status that says "not now" is an
    outage whatever the document says: a rejection must never be read into one.
    """
    if status == _TOO_MANY_REQUESTS:
        return _plain(OAuthReason.THROTTLED, FailureClass.THROTTLED)
    if status >= 500 or status in _PASSING_STATUSES:
        return _plain(OAuthReason.ENDPOINT_UNAVAILABLE, FailureClass.TRANSIENT)
    if fault is None:
        return _plain(OAuthReason.ENDPOINT_UNEXPECTED, FailureClass.TRANSIENT)
    row = next(
        (candidate for candidate in table().rows if candidate.matches(fault, provider, flow)), None
    )
    found: ErrorRow | ErrorFamily | None = row
    if row is None or row.bare:
        # The word of RFC 6749 alone says little: what goes with it may tell the family.
        found = next(
            (family for family in table().families if family.matches(fault, provider)), row
        )
    if found is not None:
        hint = found.hint or CATALOGUE[found.reason].remedy
        return ErrorMeaning(found.reason, found.failure_class, hint)
    if fault.error or fault.codes:
        # A word that is new to us may mean anything: no verdict.
        return _plain(OAuthReason.REQUEST_INVALID, FailureClass.TRANSIENT)
    return _plain(OAuthReason.ENDPOINT_UNEXPECTED, FailureClass.TRANSIENT)


def _plain(reason: OAuthReason, failure_class: FailureClass) -> ErrorMeaning:
    return ErrorMeaning(reason, failure_class, CATALOGUE[reason].remedy)


def shown(fault: ErrorDocument | None) -> str:
    """Name an error in a message: its word and number, which are stable; "" where it has none."""
    if fault is None:
        return ""
    number = f"AADSTS{fault.codes[0]}" if fault.codes else ""
    if fault.error and number:
        return f"{fault.error} ({number})"
    return fault.error or number
