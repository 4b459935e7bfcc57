# SPDX-License-Identifier: Apache-2.0
"""MTA-STS (RFC 8461): the TXT record, the policy, and which exchanges it covers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from postroom.api.sendingdomain import MTASTSMode
from postroom.dns.names import NAME_LIMIT
from postroom.dns.texts.text_fields import fields

#: RFC 8461 section 3.2.
MAX_AGE_LIMIT = 31_557_600
#: Shorter policies protect little: a sender forgets them between two messages.
MAX_AGE_LEAST = 86_400
#: RFC 8461 section 3.2 speaks of weeks or more.
MAX_AGE_ADVISED = 604_800
_STRICTNESS = list(MTASTSMode)
_MODES = {mode.value.lower(): mode for mode in MTASTSMode}
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PATTERN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_LINES_LIMIT = 200
_BLANK = " \t"


def policy_host(domain: str) -> str:
    """Return the host that serves the policy of a domain (section 3.3)."""
    return f"mta-sts.{domain}"


def policy_url(domain: str) -> str:
    """Return where senders fetch the policy of a domain (section 3.3)."""
    return f"https://{policy_host(domain)}/.well-known/mta-sts.txt"


def is_record(text: str) -> bool:
    """Whether a TXT text is an MTA-STS record: v=STSv1 first (section 3.1)."""
    return re.match(r"v=STSv1[ \t]*;", text) is not None


def looks_like_record(text: str) -> bool:
    """Whether a TXT text was meant as one."""
    return (
        re.search(r"\bv\s{0,4}[=:]\s{0,4}sts|^[\s\"']{0,4}stsv1\b", text, re.IGNORECASE) is not None
    )


def select(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the records among the TXT texts of a name, in a stable order."""
    return tuple(sorted(text for text in texts if is_record(text)))


def record_problem(text: str) -> str | None:
    """What is wrong with a record for which `is_record` holds."""
    found, problem = fields(text, "id")
    if problem is not None:
        return problem
    ids = [field.value for field in found if field.name == "id"]
    if len(ids) > 1:
        return "it has id= twice"
    if not ids or not re.fullmatch(r"[A-Za-z0-9]{1,32}", ids[0]):
        return "its id= must be 1 to 32 letters and digits"
    return None


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy (section 3.2); `exchanges` are its patterns in lowercase, sorted.

    `problem` says why senders would not apply it.
    """

    mode: MTASTSMode = MTASTSMode.NONE
    max_age: int = 0
    exchanges: tuple[str, ...] = ()
    problem: str | None = None

    def at_least(self, wanted: MTASTSMode) -> bool:
        """Whether the mode is as strict as the wanted one, or stricter."""
        return _STRICTNESS.index(self.mode) >= _STRICTNESS.index(wanted)

    def covers(self, host: str) -> bool:
        """Whether a mail exchange matches a pattern: ``*.`` stands for one label (4.1).

        Without a mode that asks for it nothing is restricted, so that everything is covered.
        """
        host = host.lower().removesuffix(".")
        return self.mode is MTASTSMode.NONE or any(
            host.partition(".")[2] == exchange[2:]
            if exchange.startswith("*.")
            else host == exchange
            for exchange in self.exchanges
        )


def parse_policy(text: str) -> Policy:
    """Parse a policy; never raises. Of equal keys but mx the first counts (section 3.2)."""
    fields: dict[str, str] = {}
    exchanges: list[str] = []
    lines = [row.rstrip(_BLANK) for row in text.replace("\r\n", "\n").split("\n")]
    lines = [row for row in lines if row]
    if len(lines) > _LINES_LIMIT:
        return Policy(problem=f"it has more than {_LINES_LIMIT} lines")
    for line in lines:
        key, colon, value = line.partition(":")
        if not colon or not _KEY.fullmatch(key):
            return Policy(problem="it has a line that is no key, directly followed by a colon")
        if key == "mx":
            exchanges.append(value.strip(_BLANK).lower())
        else:
            fields.setdefault(key, value.strip(_BLANK))
    problem = _problem(fields, exchanges)
    if problem is not None:
        return Policy(problem=problem)
    return Policy(_MODES[fields["mode"]], int(fields["max_age"]), tuple(sorted(set(exchanges))))


def _problem(fields: dict[str, str], exchanges: Sequence[str]) -> str | None:
    if fields.get("version") != "STSv1":
        return "its version must be STSv1"
    if fields.get("mode") not in _MODES:
        return "its mode must be enforce, testing or none"
    age = fields.get("max_age", "")
    if not re.fullmatch(r"[0-9]{1,10}", age) or int(age) > MAX_AGE_LIMIT:
        return f"its max_age must be a number of seconds up to {MAX_AGE_LIMIT}"
    if not exchanges and fields["mode"] != "none":
        return "it names no mail exchange (mx)"
    if not all(
        len(exchange) <= NAME_LIMIT and _PATTERN.fullmatch(exchange) for exchange in exchanges
    ):
        return "it names a mail exchange that is no host name, or has * elsewhere than in front"
    return None


def policy_text(mode: MTASTSMode, exchanges: Sequence[str], max_age: int = MAX_AGE_ADVISED) -> str:
    """Write a policy to serve; one in a mode other than None must name an exchange."""
    lines = ["version: STSv1", f"mode: {mode.value.lower()}"]
    lines += [f"mx: {exchange}" for exchange in exchanges]
    return "\r\n".join([*lines, f"max_age: {max_age}", ""])
