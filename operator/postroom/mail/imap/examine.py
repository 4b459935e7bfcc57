# SPDX-License-Identifier: Apache-2.0
"""Opening a mailbox: EXAMINE, which changes nothing in it (RFC 9051 section 6.3.3)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.protocol import CommandAnswer
from postroom.mail.imap.session import ImapSession, text_of
from postroom.mail.imap.text import modified_utf7, quoted
from postroom.mail.imap.values import Value, number, pairs, responses, without_literals
from postroom.mail.replies import Stage
from postroom.mail.report import Mailbox

_EXISTS = re.compile(rb"(\d{1,10}) EXISTS", re.IGNORECASE)
_CODE = re.compile(rb"OK \[(UIDVALIDITY|UIDNEXT) (\d{1,10})\]", re.IGNORECASE)
#: How servers say that they do not know a command.
_UNKNOWN = re.compile(
    r"(unknown|unrecogni[sz]ed|unsupported|unimplemented|undefined|invalid|illegal|no such|bad)"
    r"\s+(imap4?(rev1)?\s+)?command|command\s+(\S+\s+)?(is\s+)?(not\s+|un)"
    r"(known|recogni[sz]ed|supported|implemented|understood)|not implemented"
    r"|(unknown|unsupported|unrecogni[sz]ed|not supported)\W*examine"
    r"|examine\W*(is\s+)?(unknown|unsupported|not\s+(known|supported|implemented|recogni[sz]ed))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a server tells when it opens a mailbox (RFC 9051 section 6.3.2); None: it does not."""

    messages: int
    uid_validity: int | None
    uid_next: int | None


async def examine(session: ImapSession, mailbox: str) -> Opened:
    """Open a mailbox read-only; raises `Failure` where it does not open."""
    name = written(mailbox)
    examined = await session.ask("EXAMINE", name)
    (result, lines), _ = await or_selected(session, name, examined)
    if result != "OK":
        raise not_opened(session, result, text_of(lines))
    found = opened(lines[:-1])
    if found is None:
        raise uncounted(session)
    return found


async def or_selected(
    session: ImapSession, name: str, examined: CommandAnswer
) -> tuple[CommandAnswer, bool]:
    """How a mailbox was opened, and whether only with SELECT, which must be allowed.

    `examined` is the answer to EXAMINE for the mailbox, whose `name` is as it is written.
    Raises `Failure` where EXAMINE is not known and nothing else is allowed.
    """
    result, lines = examined
    # BAD alone does not say so (RFC 9051 section 7.1.3): servers also slow down with it.
    unknown = result in ("BAD", "NO") and _UNKNOWN.search(text_of(lines)) is not None
    if session.state.endpoint.may_select and (unknown or result == "BAD"):
        return await session.ask("SELECT", name), True
    if unknown:
        wrong = (
            f"{session.state.place} does not know EXAMINE, which opens a mailbox without changing "
            "it:"
        )
        fix = (
            "set imap.allowSelect to true to have it opened with SELECT, which may take the mark "
            "\\Recent from new messages."
        )
        raise session.state.failure(Reason.CAPABILITY_MISSING, wrong, fix)
    return examined, False


def not_opened(session: ImapSession, result: str, text: str, more: str = "") -> Failure:
    """The end of a session by the answer to EXAMINE or SELECT; `more` goes with the hint."""
    meaning = session.meaning(Stage.MAILBOX, text, "NO" if result == "NO" else "BAD")
    failure = session.meant(meaning, "signs in, but does not open the mailbox")
    failure.fix += more
    return failure


def no_positions(session: ImapSession) -> Failure:
    """Without these numbers nobody can tell which messages are new (RFC 9051 section 2.3.1)."""
    wrong = (
        f"{session.state.place} does not number the messages of the mailbox for good "
        "(UIDVALIDITY, UIDNEXT), so that new ones cannot be told:"
    )
    return session.state.failure(Reason.CAPABILITY_MISSING, wrong, "use another server.")


def uncounted(session: ImapSession) -> Failure:
    """The number of messages is part of every answer (RFC 9051 section 6.3.2): without it nobody
    can tell whether the mailbox is empty."""
    wrong = (
        f"{session.state.place} opens the mailbox, but does not say how many messages it has; it "
        "is asked again:"
    )
    return session.state.passing(Reason.PROBE_INCONCLUSIVE, wrong, "read its log.")


def written(mailbox: str) -> str:
    """A mailbox's name as an argument."""
    return quoted(modified_utf7(mailbox))


def opened(lines: Sequence[bytes]) -> Opened | None:
    """What the untagged lines tell that answer SELECT or EXAMINE; None: not even what they must."""
    lines = list(without_literals(lines))
    exists = [int(found[1]) for found in map(_EXISTS.match, lines) if found]
    codes = {
        found[1].upper(): int(found[2]) for found in map(_CODE.match, lines) if found is not None
    }
    if not exists:
        return None
    return Opened(
        messages=exists[-1],
        uid_validity=codes.get(b"UIDVALIDITY") or None,
        uid_next=codes.get(b"UIDNEXT") or None,
    )


def mailbox_of(name: str, counted: Sequence[bytes], lines: Sequence[bytes]) -> Mailbox | None:
    """Read the answers to STATUS and EXAMINE; `counted` is empty where STATUS was refused.

    None where neither tells how many messages there are.
    """
    told: dict[bytes, Value] = {}
    for words in responses(counted, b"STATUS"):
        match words:
            case [bytes(kind), *_, list(items)] if kind.upper() == b"STATUS":
                told = dict(pairs(items))
    seen, messages = opened(lines), number(told.get(b"MESSAGES"))
    if messages is None and seen is None:
        return None
    found = Mailbox(
        name=name,
        messages=seen.messages if messages is None and seen is not None else messages or 0,
        unseen=number(told.get(b"UNSEEN")),
        uid_next=number(told.get(b"UIDNEXT")),
        uid_validity=number(told.get(b"UIDVALIDITY")),
        append_limit=number(told.get(b"APPENDLIMIT")),
        size=number(told.get(b"SIZE")),
    )
    if told or seen is None:
        return found
    return replace(found, uid_next=seen.uid_next, uid_validity=seen.uid_validity)
