# SPDX-License-Identifier: Apache-2.0
"""What the codes in the findings of MailServers and EmailAccounts mean.

Most are a `Reason` or a `Cause` in upper snake case, and are explained there.
``finding_meanings.yaml`` has all others.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.data_files import Row, read
from postroom.api.findings import Severity

_Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=64)]
_Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z].*\.$", max_length=240)]


class MailFindingEntry(Row):
    """What a code means, and what to do; `source` is the standard, empty where there is none."""

    severity: Severity
    meaning: _Sentence
    remedy: _Sentence
    source: Annotated[str, StringConstraints(max_length=300)] = ""


class _FindingsFile(Row):
    codes: Annotated[dict[_Code, MailFindingEntry], Field(min_length=1)]


@cache
def catalogue() -> Mapping[str, MailFindingEntry]:
    """Load the catalogue, by code; raises `InvalidData` where the file is broken."""
    return read("postroom.mail", "finding_meanings.yaml", _FindingsFile).codes
