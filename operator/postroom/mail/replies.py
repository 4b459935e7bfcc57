# SPDX-License-Identifier: Apache-2.0
"""What servers' refusals mean: a table in ``replies.yaml``, never the server's own words."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from postroom.api.reasons import CATALOGUE, Reason

_TEXT_LIMIT = 4096


class Row(BaseModel):
    """One meaning: all the given fields must match. `source` says where it is known from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    codes: tuple[int, ...] = ()
    response: str = ""
    text: str = ""
    reason: Reason
    hint: str
    source: Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smtp: tuple[Row, ...]
    imap: tuple[Row, ...]


class Meaning(BaseModel):
    """What a refusal means: the reason, what to do, and whether it will stay that way."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    hint: str
    conclusive: bool


@cache
def table() -> Table:
    """Load and validate the table, once."""
    text = resources.files("postroom.mail").joinpath("replies.yaml").read_text()
    return Table.model_validate(yaml.safe_load(text))


def meaning_of_smtp(code: int, text: str) -> Meaning:
    """Say what a reply to AUTH means. 4xx is passing whatever it says (RFC 5321 section 4.2.1)."""
    lowered = text[:_TEXT_LIMIT].lower()
    for row in table().smtp:
        if code in row.codes and row.text in lowered:
            return _meaning(row.reason, row.hint)
    if 400 <= code < 500:
        return _meaning(Reason.TEMPORARY_FAILURE, "")
    return _meaning(Reason.AUTHENTICATION_REJECTED, "Read the server's own log for the cause.")


def meaning_of_imap(text: str) -> Meaning:
    """Say what a NO to a login means, by its response code (RFC 5530), else by its words."""
    lowered = text[:_TEXT_LIMIT].lower()
    found = re.search(r"\[([a-z]+)", lowered)
    response = found[1].upper() if found else ""
    for row in table().imap:
        if row.response and row.response != response:
            continue
        if row.text in lowered:
            return _meaning(row.reason, row.hint)
    raise AssertionError("the last row of the table matches everything")


def _meaning(reason: Reason, hint: str) -> Meaning:
    passing = reason is Reason.TEMPORARY_FAILURE
    return Meaning(reason=reason, hint=hint or CATALOGUE[reason].remedy, conclusive=not passing)


def enhanced_code(text: str) -> str | None:
    """Return the enhanced status code that a reply begins with (RFC 3463, RFC 2034)."""
    found = re.match(r"\s*([245]\.\d{1,3}\.\d{1,3})(?:\s|$)", text)
    return found[1] if found else None
