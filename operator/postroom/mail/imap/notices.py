# SPDX-License-Identifier: Apache-2.0
"""What an IMAP server tells beside its answers: warnings, and alerts, which a user must see (RFC
9051 sections 7.1 and 7.1.2). It may be why the next command is refused."""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from postroom.mail.imap.values import without_literals

#: How many are kept, the last ones, and octets of each.
_KEPT, _TEXT_LIMIT = 4, 1024
_ALERT = b"[ALERT]"
#: Untagged NO and BAD, and an alert in what is no trouble. What is said with BYE is read anyway.
_NOTICE = re.compile(
    rb"(?:\* )?(?:(?:NO|BAD) (.+)|(?:OK|PREAUTH) (\[ALERT\].*))", re.IGNORECASE | re.DOTALL
)


#: An alert in the answer to a command that was done.
_DONE = re.compile(rb"[^*+ ]+ OK (\[ALERT\].*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Notice:
    """What was told so; `warns` of trouble with what was asked, as NO and BAD do."""

    text: bytes
    warns: bool


class Notices:
    """What one server told so, whenever that was: before it greets, and between commands, too."""

    def __init__(self) -> None:
        self._heard: deque[bytes] = deque(maxlen=_KEPT)

    def hear(self, line: bytes) -> None:
        """Keep a line if it is one; a refusal is read anyway."""
        if line.startswith(b"*"):
            self._heard.extend(notice.text for notice in notices_in([line]))
        elif (done := _DONE.fullmatch(line)) is not None:
            self._heard.append(done[1][:_TEXT_LIMIT])

    def forget(self) -> None:
        """What was told in the clear anyone could have told."""
        self._heard.clear()

    @property
    def texts(self) -> tuple[bytes, ...]:
        """Each once."""
        return tuple(dict.fromkeys(self._heard))

    @property
    def alerts(self) -> tuple[bytes, ...]:
        """Those that a user must see, whatever comes of the session."""
        return tuple(text for text in self.texts if text[: len(_ALERT)].upper() == _ALERT)


def notices_in(lines: Iterable[bytes]) -> list[Notice]:
    """Return what is told so among untagged lines, with or without their mark; warnings first."""
    found = [match for line in without_literals(lines) if (match := _NOTICE.fullmatch(line))]
    told = [
        Notice(match[match.lastindex or 0][:_TEXT_LIMIT], match[1] is not None) for match in found
    ]
    return sorted(told, key=lambda notice: not notice.warns)
