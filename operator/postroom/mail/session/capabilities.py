# SPDX-License-Identifier: Apache-2.0
"""The words by which servers say what they offer, as far as they are known.

Others are not shown: a hostile server could put into a word what it was told.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.data_files import Row, read

#: Capabilities with a parameter that tells nothing but numbers or single letters (RFC 7889, RFC
#: 4314 section 2.2, RFC 9738).
_WITH_PARAMETER = re.compile(r"(APPENDLIMIT|MESSAGELIMIT|SAVELIMIT)=[0-9]{1,20}")

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9_=+-]{0,31}$")]


class _Names(Row):
    source: Annotated[str, StringConstraints(pattern=r"^https://", max_length=300)]
    names: Annotated[tuple[_Name, ...], Field(min_length=1)]


class _Capabilities(Row):
    smtp: _Names
    smtp_of_vendors: _Names
    imap: _Names
    imap_of_vendors: _Names
    sasl: _Names


@cache
def _offers() -> _Capabilities:
    return read("postroom.mail.session", "capabilities.yaml", _Capabilities)


@cache
def _keywords() -> frozenset[str]:
    return frozenset((*_offers().smtp.names, *_offers().smtp_of_vendors.names))


@cache
def _mechanisms() -> frozenset[str]:
    return frozenset(_offers().sasl.names)


@cache
def _of_imap() -> frozenset[str]:
    offers, signing_in = _offers(), (f"AUTH={name}" for name in _mechanisms())
    return frozenset((*offers.imap.names, *offers.imap_of_vendors.names, *signing_in))


def known_keywords(words: Iterable[str]) -> list[str]:
    """Return the known EHLO keywords (RFC 5321 section 4.1.1.1) among words, in capitals."""
    return sorted(_keywords().intersection(words))


def known_mechanisms(words: Iterable[str]) -> list[str]:
    """Return the known SASL mechanisms (RFC 4422) among words, in capitals."""
    return sorted(_mechanisms().intersection(words))


def known_capabilities(words: Iterable[str]) -> list[str]:
    """Return the known IMAP capabilities (RFC 9051 section 7.2.2) among words, in capitals."""
    known = _of_imap()
    return sorted({word for word in words if word in known or _WITH_PARAMETER.fullmatch(word)})
