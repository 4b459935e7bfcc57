# SPDX-License-Identifier: Apache-2.0
"""The lab's IMAP server in the selected state (RFC 3501 section 6.4): one session's own view of a
mailbox, which others change at the same time."""

from collections.abc import Callable

from postroom.lab.mailboxes import Account, Mailbox, Message, Numbered

#: What is carried out with a selected mailbox.
COMMANDS = ("FETCH", "SEARCH", "STORE", "EXPUNGE", "COPY", "MOVE", "CLOSE", "UNSELECT", "CHECK")
#: While one of these is answered, sequence numbers stay (section 7.4.1).
_NUMBERED = ("FETCH", "SEARCH", "STORE")


class Selected:
    """What one session has selected; `send` writes a line or, as bytes, whatever it is."""

    def __init__(
        self,
        account: Account,
        mailbox: Mailbox,
        send: Callable[[str | bytes], None],
        *,
        read_only: bool,
    ) -> None:
        self._account, self._mailbox, self._send = account, mailbox, send
        self._read_only = read_only
        self._validity = mailbox.uid_validity
        self._view = Numbered(list(mailbox.messages))

    def introduce(self) -> str:
        """Tell what SELECT and EXAMINE tell; return the tagged answer."""
        self._send("* FLAGS (\\Seen \\Deleted \\Answered \\Flagged \\Draft)")
        self._send(f"* {len(self._view.messages)} EXISTS")
        self._send("* 0 RECENT")
        self._send(f"* OK [UIDVALIDITY {self._validity}] valid")
        self._send(f"* OK [UIDNEXT {self._mailbox.uid_next}] next")
        return f"OK [{'READ-ONLY' if self._read_only else 'READ-WRITE'}] done"

    @property
    def is_gone(self) -> bool:
        """Whether the mailbox was deleted or made anew: nothing more can be said of it."""
        return self._mailbox.uid_validity != self._validity

    def sync(self, *, expunges: bool = True) -> None:
        """Tell what others have changed since it was told last."""
        there, known = self._mailbox.messages, self._view.messages
        if len(there) == len(known) and (not there or there[-1] is known[-1]):
            return  # what is new comes last
        if expunges:
            left = set(map(id, there))
            for index in range(len(known), 0, -1):
                if id(known[index - 1]) not in left:
                    del known[index - 1]
                    self._send(f"* {index} EXPUNGE")
        newest = known[-1].uid if known else 0
        if there and there[-1].uid > newest:
            known.extend(message for message in there if message.uid > newest)
            self._send(f"* {len(known)} EXISTS")

    def execute(self, name: str, words: list[str], by_uid: bool) -> str:
        """Carry out a command; return the tagged answer. Raises `ValueError` for what is none."""
        answer = self._carry_out(name, words, by_uid)
        self.sync(expunges=by_uid or name not in _NUMBERED)
        return answer

    def _carry_out(self, name: str, words: list[str], by_uid: bool) -> str:
        match name:
            case "CHECK":
                pass
            case "SEARCH":
                numbered = self._view.found(words)
                found = [message.uid if by_uid else index for index, message in numbered]
                self._send(f"* SEARCH {' '.join(map(str, found))}".rstrip())
            case "FETCH":
                return self._fetch(self._chosen(words[0], by_uid), " ".join(words[1:]).upper())
            case "COPY":
                return self._copy(words, by_uid, moved=False)
            case _ if self._read_only:
                return "NO [READ-ONLY] the mailbox was examined"
            case "STORE":
                self._store(self._chosen(words[0], by_uid), words)
            case "EXPUNGE":
                chosen = self._chosen(words[0] if by_uid and words else "1:*", by_uid)
                self._mailbox.expunge(
                    message for _, message in chosen if "\\Deleted" in message.flags
                )
            case _:
                return self._copy(words, by_uid, moved=True)
        return "OK done"

    def _chosen(self, numbers: str, by_uid: bool) -> list[tuple[int, Message]]:
        return self._view.chosen(numbers, by_uid=by_uid)

    def _copy(self, words: list[str], by_uid: bool, *, moved: bool) -> str:
        """COPY and MOVE (section 6.4.7, RFC 6851), with times and flags."""
        target = self._account.mailbox(words[1])
        if target is None:
            return "NO [TRYCREATE] no such mailbox"
        messages = [message for _, message in self._chosen(words[0], by_uid)]
        for message in messages:
            target.deliver(message.content, message.received, message.flags)
        if moved:
            self._mailbox.expunge(messages)
        return "OK done"

    def _fetch(self, messages: list[tuple[int, Message]], items: str) -> str:
        marks = not self._read_only and "BODY[" in items
        for index, message in messages:
            if not self._mailbox.holds(message):
                continue
            if marks:
                message.flags.add("\\Seen")
            facts = [f"UID {message.uid}"]
            if "FLAGS" in items or marks:
                facts.append(f"FLAGS ({' '.join(sorted(message.flags))})")
            if "INTERNALDATE" in items:
                facts.append(f'INTERNALDATE "{message.received:%d-%b-%Y %H:%M:%S +0000}"')
            if "RFC822.SIZE" in items:
                facts.append(f"RFC822.SIZE {len(message.content)}")
            told = f"* {index} FETCH ({' '.join(facts)}".encode()
            if "BODY" in items:
                part, content = message.section(items)
                told += f" BODY[{part} {{{len(content)}}}\r\n".encode() + content
            self._send(told + b")\r\n")
        return "OK done"

    def _store(self, messages: list[tuple[int, Message]], words: list[str]) -> None:
        flags = set(" ".join(words[2:]).strip("()").split())
        for index, message in messages:
            if words[1].startswith("-"):
                message.flags -= flags
            else:
                message.flags |= flags
            if "SILENT" not in words[1].upper():
                self._send(f"* {index} FETCH (FLAGS ({' '.join(sorted(message.flags))}))")
