# SPDX-License-Identifier: Apache-2.0
"""From a Secret's data to a login, with the mistakes that users make named before anything is
dialled; and to which hosts the Secret agrees to be sent."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from postroom.api.credentials_reference import PASSWORD, USERNAME
from postroom.api.masked import Masked
from postroom.mail.report import Login

#: What no protocol can carry: controls, and halves of characters, which no encoding can write.
UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_LINE_END = re.compile(r"\r?\n\Z")


@dataclass(frozen=True, slots=True)
class BadCredentials:
    """What is wrong with a Secret's data, in a sentence that repeats none of it.

    `fix` is what to do with which key, a clause that the Secret's name ends.
    """

    sentence: str
    fix: str


def login_from(
    data: Mapping[str, Masked],
    username: str | None = None,
    keys: tuple[str, str] = (USERNAME, PASSWORD),
) -> Login | BadCredentials:
    """Read username and password from `keys`; one trailing line end, which editors add, is dropped.

    `username` is the one that the provider fixes; the Secret's, if it has one, wins.
    """
    values, trimmed = {}, []
    for part, key in zip((USERNAME, PASSWORD), keys, strict=True):
        value = data.get(key)
        if value is None and part == USERNAME and username is not None:
            value = Masked(username)
        if value is None:
            return BadCredentials(f"key {key} is missing: add it.", f"Add key {key}")
        text = _LINE_END.sub("", value.reveal())
        if not text:
            return BadCredentials(f"key {key} is empty: set it.", f"Set key {key}")
        if UNSENDABLE.search(text):
            return BadCredentials(
                f"key {key} holds a control character, perhaps a line end: remove it.",
                f"Take the control character, perhaps a line end, out of key {key}",
            )
        values[part] = text
        if text != value.reveal():
            trimmed.append(part)
    return Login(values[USERNAME], Masked(values[PASSWORD]), trimmed=tuple(trimmed))


def host_allowed(host: str, allowed: Sequence[str] | None) -> bool:
    """Whether a Secret may be sent to a host.

    `allowed` are the patterns of its annotation, of which the first label may be ``*``; None,
    where there is no annotation, allows any.
    """
    if allowed is None:
        return True
    host = host.lower().rstrip(".")
    for pattern in allowed:
        wanted = pattern.strip().lower().rstrip(".")
        if host == wanted:
            return True
        if wanted.startswith("*.") and host.partition(".")[2] == wanted[2:]:
            return True
    return False
