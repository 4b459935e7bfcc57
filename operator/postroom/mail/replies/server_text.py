# SPDX-License-Identifier: Apache-2.0
"""A server's own words, made fit for status: no secrets, no identifiers, nothing that changes.

What is kept is chosen, not what is dropped: words that look like words, the enhanced status code,
punctuation. All else (ids, addresses, host names, times, URLs, base64, numbers) becomes ``…``, so
that the same refusal reads the same every time.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from urllib.parse import quote

from postroom.api.masked import Masked
from postroom.mail.replies.catalogue import rows

#: Characters of the result.
TEXT_LIMIT = 160
_READ_LIMIT = 4096
_LEFT_OUT = "…"
_WORD = re.compile(r"[A-Za-z]?[a-z]{0,19}|[A-Z]{1,20}")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_WRAPPED = re.compile(r"([(\[]*)(.*?)([)\].,;:!?]*)")
#: Parts of a word: Application-specific, user's, and/or.
_JOINTS = re.compile(r"[-'/]")
_PARTS_LIMIT = 3


def normalised(text: str, secrets: Iterable[Masked] = ()) -> str:
    """Return what a server said without what is secret, foreign or changing; idempotent.

    At most `TEXT_LIMIT` characters. `secrets` are the credentials that were sent: if any form of
    one would remain, nothing does. Without them a secret that looks like a plain word stays.
    """
    kept: list[str] = []
    for token in text[:_READ_LIMIT].split():
        # The lines of a reply repeat its code.
        if kept and _ENHANCED.fullmatch(token):
            continue
        if (shown := _shown(token)) != _LEFT_OUT or kept[-1:] != [_LEFT_OUT]:
            kept.append(shown)
    if all(one == _LEFT_OUT for one in kept):
        return ""
    forms = {form for secret in secrets for form in _forms(secret.reveal())}
    # In the whole, too: a part of a secret at the end of what is shown would be one too much.
    said = _squeezed(text)
    return "" if any(form in said for form in forms) else _cut(kept)


def _shown(token: str) -> str:
    """Return a token as it may be shown."""
    found = _WRAPPED.fullmatch(token)
    if found is None:
        return _LEFT_OUT
    before, core, after = found.groups()
    if not (_ENHANCED.fullmatch(core) or _is_words(core)):
        return _LEFT_OUT
    return f"{before[:2]}{core}{after[:2]}"


def _is_words(core: str) -> bool:
    if core.lower() in _known():
        return True
    parts = _JOINTS.split(core)
    return len(parts) <= _PARTS_LIMIT and all(map(_is_word, parts))


def _is_word(part: str) -> bool:
    """Tell a word from an id; four equal letters in a row are in no word."""
    return bool(part) and _WORD.fullmatch(part) is not None and not _repeats(part.lower())


def _repeats(word: str) -> bool:
    run = 0
    for one, next_one in pairwise(word):
        run = run + 1 if one == next_one else 0
        if run >= 3:
            return True
    return False


@cache
def _known() -> frozenset[str]:
    """The words that rows look for, which may have another shape: #AUTH005, SendAsDenied."""
    return frozenset(
        word.strip("()[].,;:!?")
        for row in rows()
        for fragment in row.text
        for word in fragment.split()
    )


def _cut(tokens: list[str]) -> str:
    """Join as many tokens as fit."""
    result = ""
    for token in tokens:
        longer = f"{result} {token}" if result else token
        if len(longer) > TEXT_LIMIT:
            break
        result = longer
    return result


def _squeezed(text: str) -> str:
    return re.sub(r"[\s…]", "", text).lower()


def _forms(secret: str) -> set[str]:
    """The forms in which a secret may come back, as `_squeezed` would leave them."""
    data = secret.encode("utf-8", "surrogatepass")
    encoded = base64.b64encode(data).decode()
    forms = {secret, encoded, encoded.rstrip("="), quote(data, safe=""), data.hex()}
    forms.add(base64.urlsafe_b64encode(data).decode().rstrip("="))
    # As an IMAP quoted string (RFC 9051 section 4.3).
    forms.add(secret.replace("\\", "\\\\").replace('"', '\\"'))
    return {squeezed for form in forms if (squeezed := _squeezed(form))}
