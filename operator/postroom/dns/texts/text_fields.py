# SPDX-License-Identifier: Apache-2.0
"""The fields of MTA-STS and TLS-RPT records: ``v=...; name=value``, read as strictly as senders do.

Both have the same grammar (RFC 8461 section 3.1, RFC 8460 section 3): blanks stand only around
semicolons, and never around ``=``.
"""

import re
from typing import NamedTuple

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
#: The value of a field that is none of the known ones.
_VALUE = re.compile(r"[\x21-\x3a\x3c\x3e-\x7e]+")
_BLANK = " \t"
#: Most fields that are read.
_FIELDS_LIMIT = 100


class TextField(NamedTuple):
    """A field as it is written, without the blanks around it."""

    name: str
    value: str


def fields(text: str, known: str) -> tuple[tuple[TextField, ...], str | None]:
    """Return the fields behind the version, and what breaks the grammar; never raises.

    Names are compared as they are written. The value of the `known` field is for the caller to
    judge. Fields that break the grammar are returned too: what they mean is often plain.
    """
    parts = text.split(";", _FIELDS_LIMIT + 1)[1:]
    if len(parts) > _FIELDS_LIMIT:
        return (), f"it has more than {_FIELDS_LIMIT} fields"
    ending = bool(parts) and not parts[-1].strip(_BLANK)
    if ending:
        parts.pop()
    found: list[TextField] = []
    problem = None
    for part in parts:
        name, equals, value = part.strip(_BLANK).partition("=")
        made = TextField(name.strip(_BLANK), value.strip(_BLANK))
        found.append(made)
        problem = problem or _problem(TextField(name, value), made, equals, known)
    blank_end = not ending and bool(parts) and parts[-1] != parts[-1].rstrip(_BLANK)
    if blank_end:
        problem = problem or "a blank stands at its end"
    return tuple(found), problem


def _problem(written: TextField, meant: TextField, equals: str, known: str) -> str | None:
    if not equals or _NAME.fullmatch(meant.name) is None:
        return "it is not a list of name=value pairs separated by semicolons"
    if written != meant:
        return f"a blank stands beside the = of {meant.name}, where none may be"
    if meant.name != known and _VALUE.fullmatch(meant.value) is None:
        return f"{meant.name} has a value that no field may have"
    return None
