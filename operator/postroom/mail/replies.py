# SPDX-License-Identifier: Apache-2.0
"""What servers' refusals mean: a table in ``replies.yaml``, never the server's own words."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from postroom.api.reasons import CATALOGUE, Reason

_TEXT_LIMIT = 4096
#: Reasons that pass by themselves; all others stay until someone changes something.
_PASSING = frozenset(
    {Reason.TEMPORARY_FAILURE, Reason.SERVICE_UNAVAILABLE, Reason.PROBE_INCONCLUSIVE}
)
#: Reasons that are a verdict on the credentials, which must not be tried again as they are.
_REFUSALS = frozenset({Reason.AUTHENTICATION_REJECTED, Reason.ACCOUNT_DISABLED})

_ENHANCED = r"[245]\.\d{1,3}\.\d{1,3}"
#: Compared with lowercase text, hence without capital letters.
Fragment = Annotated[str, StringConstraints(pattern=r"^[^A-Z]*$")]
Hint = Annotated[str, StringConstraints(pattern=r"^([A-Z].*\.)?$", max_length=200)]


class SmtpRow(BaseModel):
    """What a reply means that matches all the given fields. `source` says how that is known.

    An empty hint stands for the remedy of the reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    codes: Annotated[tuple[int, ...], Field(min_length=1)]
    enhanced: Annotated[str, StringConstraints(pattern=rf"^({_ENHANCED})?$")] = ""
    text: Fragment = ""
    reason: Reason
    hint: Hint = ""
    source: Annotated[str, Field(min_length=1)]


class ImapRow(BaseModel):
    """What a response means whose code (RFC 5530) or text matches. See `SmtpRow`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    response: Annotated[str, StringConstraints(pattern=r"^[A-Z-]*$")] = ""
    text: Fragment = ""
    reason: Reason
    hint: Hint = ""
    source: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _matches_something(self) -> Self:
        if not (self.response or self.text):
            raise ValueError("give response or text: a row must not match everything")
        return self


class Table(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smtp: tuple[SmtpRow, ...]
    imap: tuple[ImapRow, ...]


class Meaning(BaseModel):
    """What a refusal means: the reason, and what to do."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    hint: str

    @property
    def conclusive(self) -> bool:
        """Whether it will stay that way until someone changes something."""
        return self.reason not in _PASSING

    @property
    def refuses_credentials(self) -> bool:
        """Whether it is a verdict on the credentials, and not on how they were sent."""
        return self.reason in _REFUSALS


@cache
def table() -> Table:
    """Load and validate the table, once."""
    text = resources.files("postroom.mail").joinpath("replies.yaml").read_text(encoding="utf-8")
    return Table.model_validate(yaml.safe_load(text))


def meaning_of_smtp(code: int, text: str) -> Meaning:
    """Say what an error reply to AUTH means (RFC 4954 section 6, RFC 5321 section 4.2)."""
    lowered = text[:_TEXT_LIMIT].lower()
    enhanced = enhanced_code(text)
    for row in table().smtp:
        if code not in row.codes or row.text not in lowered:
            continue
        if row.enhanced in ("", enhanced):
            return _meaning(row.reason, row.hint)
    if 400 <= code < 500:
        return _meaning(Reason.TEMPORARY_FAILURE, "")
    return _meaning(Reason.AUTHENTICATION_REJECTED, "Read the server's own log for the cause.")


def meaning_of_imap(text: str, result: str = "NO") -> Meaning:
    """Say what NO, BAD or BYE means, by its response code (RFC 5530), else by its words.

    NO is the refusal of a login (RFC 9051 section 6.2.3). BAD is not: the server did not
    understand the command, or does not want to now.
    """
    lowered = text[:_TEXT_LIMIT].lower()
    found = re.match(r"\s*\[([a-z-]{1,32})", lowered)
    response = found[1].upper() if found else ""
    for row in table().imap:
        if row.response in ("", response) and row.text in lowered:
            return _meaning(row.reason, row.hint)
    if result == "NO":
        return _meaning(Reason.AUTHENTICATION_REJECTED, "")
    return _meaning(Reason.PROBE_INCONCLUSIVE, "Read the server's own log for the cause.")


def _meaning(reason: Reason, hint: str) -> Meaning:
    return Meaning(reason=reason, hint=hint or CATALOGUE[reason].remedy)


def enhanced_code(text: str) -> str | None:
    """Return the enhanced status code that a reply begins with (RFC 3463, RFC 2034)."""
    found = re.match(rf"\s*({_ENHANCED})(?:\s|$)", text)
    return found[1] if found else None
