# SPDX-License-Identifier: Apache-2.0
"""Loads the catalogue from its files: once, validated, the most specific rows first."""

from collections.abc import Iterable, Mapping
from functools import cache

from postroom.api.data_files import InvalidData, read
from postroom.mail.replies.causes import Cause
from postroom.mail.replies.model import CauseEntry, Causes, Protocol, Replies, ReplyRow, Stage

_PACKAGE = "postroom.mail.replies"
#: The files of rows, in the order in which they are tried: from one provider's wording to the
#: standards.
FAMILIES = (
    "google",
    "microsoft",
    "mailboxes",
    "sending",
    "wordings",
    "smtp",
    "transaction",
    "imap",
)
#: Those of them that say what codes mean, whoever sends them.
_STANDARDS = ("smtp", "transaction", "imap")


@cache
def causes() -> Mapping[Cause, CauseEntry]:
    """Load what each cause means; raises `InvalidData`."""
    return {cause.cause: cause for cause in read(_PACKAGE, "causes.yaml", Causes).causes}


@cache
def rows() -> tuple[ReplyRow, ...]:
    """Load all rows of replies in the order in which they are tried; raises `InvalidData`."""
    found = tuple(row for family in FAMILIES for row in _file(family))
    check_order(found)
    return found


@cache
def specific_rows() -> tuple[ReplyRow, ...]:
    """The rows that know what a server says: some of its words, or its provider's own codes."""
    standard = {row.id for family in _STANDARDS for row in _file(family)}
    return tuple(
        row
        for row in rows()
        if row.text
        or (row.id not in standard and not row.only_at_provider and (row.response or row.enhanced))
    )


@cache
def general_rows() -> tuple[ReplyRow, ...]:
    """The other rows: what a code means, in general or at a provider."""
    known = {row.id for row in specific_rows()}
    return tuple(row for row in rows() if row.id not in known)


@cache
def rows_at(protocol: Protocol, stage: Stage) -> tuple[tuple[ReplyRow, ...], tuple[ReplyRow, ...]]:
    """Of the specific and of the general rows those that a reply at a stage may be judged by:
    each reply is held against them until one fits."""

    def reaching(found: tuple[ReplyRow, ...]) -> tuple[ReplyRow, ...]:
        return tuple(row for row in found if row.protocol is protocol and row.reaches(stage))

    return reaching(specific_rows()), reaching(general_rows())


@cache
def _file(family: str) -> tuple[ReplyRow, ...]:
    return read(_PACKAGE, f"rows/{family}.yaml", Replies).rows


def check_order(found: Iterable[ReplyRow]) -> None:
    """Raise `InvalidData` where a row can never be reached, or two have the same id."""
    earlier: list[ReplyRow] = []
    for row in found:
        for earlier_row in earlier:
            if earlier_row.id == row.id:
                raise InvalidData(f"{row.id}: there are two rows with this id")
            if earlier_row.covers(row):
                raise InvalidData(
                    f"{row.id}: is never reached, because {earlier_row.id} comes before it"
                )
        earlier.append(row)
