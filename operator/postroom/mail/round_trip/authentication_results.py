# SPDX-License-Identifier: Apache-2.0
"""Reads the field Authentication-Results (RFC 8601): how a server judged a message.

Tolerant, since the field is read to explain and not to decide: Microsoft leaves out the name of
the judging server, some write texts between the results. What cannot be read is passed over.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroom.mail.round_trip.header import words

_RESULTS_LIMIT = 32
_PROPERTIES_LIMIT = 16
_TEXT_LIMIT = 320
_METHOD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,31})(/\d{1,3})?", re.ASCII)
_KEYWORD = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)?", re.ASCII)


class Outcome(StrEnum):
    """A result of a method (RFC 8601 section 2.7), and what Microsoft's compauth adds."""

    PASS = "pass"  # noqa: S105 - a result, not a password
    SOFT_PASS = "softpass"  # noqa: S105
    NONE = "none"
    NEUTRAL = "neutral"
    POLICY = "policy"
    FAIL = "fail"
    SOFT_FAIL = "softfail"
    TEMPORARY_ERROR = "temperror"
    PERMANENT_ERROR = "permerror"
    #: A word that no standard has.
    UNKNOWN = "unknown"

    @property
    def failing(self) -> bool:
        """Whether it counts against the message; none, neutral and passing errors do not."""
        return self in _FAILING


_FAILING = frozenset({Outcome.FAIL, Outcome.SOFT_FAIL, Outcome.PERMANENT_ERROR, Outcome.POLICY})
#: Words of older standards, as RFC 5451 and those before it.
_OLD_WORDS = {
    "hardfail": Outcome.FAIL,
    "permfail": Outcome.PERMANENT_ERROR,
    "error": Outcome.TEMPORARY_ERROR,
    "tempfail": Outcome.TEMPORARY_ERROR,
    "bestguesspass": Outcome.NONE,
}


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method's result with what it is about, such as ``smtp.mailfrom`` or ``header.d``."""

    method: str
    outcome: Outcome
    properties: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Return a property's value; None where it is not given."""
        return next((value for key, value in self.properties if key == name), None)


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """One field; `server` is the authserv-id in lowercase, None where it is left out."""

    server: str | None
    results: tuple[MethodResult, ...]


def parse(body: str) -> AuthenticationResults:
    """Read the body of one field; never fails."""
    parts = words(body, ";")
    server = None
    if parts and parts[0] and not any("=" in word for word in parts[0]):
        server = parts[0][0][:253].lower().rstrip(".")
        parts = parts[1:]
    results = (_result(part) for part in parts[:_RESULTS_LIMIT])
    return AuthenticationResults(server, tuple(result for result in results if result is not None))


def _result(part: Sequence[str]) -> MethodResult | None:
    # Pairs name=value, with white space around the sign or not; other words are passed over.
    pairs: list[tuple[str, str]] = []
    name, awaiting = "", False
    for word in part:
        left, sign, right = word.partition("=")
        if awaiting and not (sign and "." in left and _PROPERTY.fullmatch(left)):
            pairs.append((name, word))
            name, awaiting = "", False
        elif not sign:
            name = word
        else:
            name, awaiting = left or name, not right
            if right and name:
                pairs.append((name, right))
                name = ""
    if not pairs:
        return None
    method = _METHOD.fullmatch(pairs[0][0])
    if method is None:
        return None
    properties = tuple(
        (name.lower(), value[:_TEXT_LIMIT])
        for name, value in pairs[1:]
        if _PROPERTY.fullmatch(name)
    )
    said = pairs[0][1].lower()
    known = said in Outcome.__members__.values()
    outcome = _OLD_WORDS.get(said) or (Outcome(said) if known else Outcome.UNKNOWN)
    return MethodResult(method[1].lower(), outcome, properties[:_PROPERTIES_LIMIT])
