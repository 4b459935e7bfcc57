# SPDX-License-Identifier: Apache-2.0
"""A server's own words, made fit for status: no secrets, no identifiers, nothing that changes.

What is kept is chosen, not what is dropped: words that look like words, in the scripts that servers
answer in, the enhanced status code, punctuation. All else (ids, addresses, host names, times, URLs,
base64, numbers) becomes ``…``, so that the same refusal reads the same every time.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from functools import cache

from postroom.api.mailserver import SERVER_TEXT_LIMIT
from postroom.api.masked import Masked
from postroom.mail.replies import letters
from postroom.mail.replies.catalogue import rows
from postroom.mail.replies.echoes import is_echoed
from postroom.mail.replies.glossary import letters_known, without_marks
from postroom.mail.replies.wording import is_telling

#: Characters of the result.
TEXT_LIMIT = SERVER_TEXT_LIMIT
#: What is read of a text: characters, and words, each of which may be looked at for each other.
_READ_LIMIT, _WORDS_LIMIT = 4096, 160
_LEFT_OUT = "…"
_WORD = re.compile(r"[A-Za-z]?[a-z]{0,19}|[A-Z]{1,20}")
#: Compounds of other languages, of which only those that tell something are known from ids.
_LONG_WORD = re.compile(r"[A-Za-z][a-z]{20,39}")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_WRAPPED = re.compile(r"([(\[]*)(.*?)([)\].,;:!?]*)")
#: As French has them.
_APART = re.compile(r"(?<=\w)\s+([:;!?])(?!\S)")
#: Parts of a word: Application-specific, user's, and/or.
_JOINTS = re.compile(r"[-'/]")
_PARTS_LIMIT = 3
_MONTHS = "january february march april may june july august september october november december"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_ZONES = "am pm gmt utc cet cest est edt cst cdt mst mdt pst pdt jst ist bst"
_CLOCK = (
    "ms msec msecs millisecond milliseconds s sec secs second seconds m min mins minute minutes "
    "h hr hrs hour hours d day days week weeks month months"
)
_COUNTABLE = "attempt connection error failure login message recipient retry session time"
_LABEL = "id ref reference ticket session trace guid uuid nonce cookie queue instance request"
_PLACE = "server host hostname node mx relay worker shard pod region cluster proxy backend mta peer"
_DAYTIME = "today tomorrow yesterday tonight noon midnight morning afternoon evening"
_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_LARGE = (
    "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty "
    "ninety hundred twice"
)
_MACHINE = "mx mta smtp smtpd imap imapd pop srv node host pod vm"
_BESIDE_PROTOCOL = "auth authentication client command only relay server session submission"
_SPOKEN_BY_NONE = "dnsbl dnswl esmtps esmtpsa gsmtp https imaps rhsbl smtps smtpsvc starttls"
#: Words of a date or time of day, beside a number; short and long.
_DATES = frozenset(_ZONES.split()).union(
    *({name, name[:3]} for name in f"{_MONTHS} {_DAYS}".split()), {"sept", "tues", "thurs"}
)
#: Months only where they begin with a capital.
_VERBS = frozenset({"may", "march"})
#: What is counted by a clock: a wait is told in others each time.
_UNITS = frozenset(_CLOCK.split())
#: What else servers count: one of them must not read otherwise than two.
_PLURALS = {word: "retries" if word == "retry" else f"{word}s" for word in _COUNTABLE.split()}
#: After these, with a colon, stands what identifies this one refusal.
_LABELS = frozenset(_LABEL.split())
#: The same of places, which have names; of both those that need no colon, before a longer word.
_PLACES = frozenset(_PLACE.split())
_IDS = frozenset({"id", "ref", "guid", "uuid", "nonce", "trace", "ticket", "node", "shard", "pod"})
_ID_FROM = 4
#: Numbers in words, and days and times of day that need no number beside them.
_NUMBERS = frozenset(f"{_SMALL} {_LARGE}".split())
_MOMENTS = frozenset(f"{_DAYS} {_MONTHS} {_DAYTIME}".split()) - _VERBS
#: What machines' names begin with, and what may follow in an ordinary word.
_MACHINES, _ORDINARY = frozenset(_MACHINE.split()), frozenset(_BESIDE_PROTOCOL.split())
#: Words of the trade that no one could speak.
_TRADE = frozenset(_SPOKEN_BY_NONE.split())
#: Shorter words are left alone: abbreviations need no vowels.
_SPEAKABLE_FROM = 5
_VOWEL = re.compile(r"[aeiouy]")
#: What is in no word: more than five consonants in a row, four equal letters in a row.
_UNSPEAKABLE = re.compile(r"[^aeiouy]{6}")
_REPEATED = re.compile(r"(.)\1{3}")


def normalised(text: str, secrets: Iterable[Masked] = (), names: Iterable[str] = ()) -> str:
    """Return what a server said without what is secret, foreign or changing; idempotent.

    At most `TEXT_LIMIT` characters. `secrets` are the credentials that were sent: if any form of
    one would remain, or a good part of it, nothing does. Without them a secret that looks like a
    plain word stays. `names` are those that we signed in with, which are left out.
    """
    said = _APART.sub(r"\1", letters.prepared(text[:_READ_LIMIT])[:_READ_LIMIT])
    # As what is said is written by then: "田中1" in two words.
    folded = {letters.prepared(name).strip().lower() for name in names}
    folded |= {name.partition("@")[0] for name in folded}
    ours = {way for name in folded if name for way in (name, name[::-1])}
    for name in sorted((our for our in ours if " " in our), key=len, reverse=True):
        pattern = r"\s+".join(map(re.escape, name.split()))
        said = re.sub(pattern, f" {_LEFT_OUT} ", said, flags=re.IGNORECASE)
    kept = [_shown(token, ours) for token in said.split()[:_WORDS_LIMIT]]
    # What only makes sense with what was left out goes, too, until nothing changes: what was left
    # out is seen as such again, so that a second time the result is the same.
    before: list[str] = []
    while kept != before:
        before, kept = kept, _tidied(kept)
    if all(token == _LEFT_OUT for token in kept):
        return ""
    shown = ""
    for token in kept:
        longer = f"{shown} {token}" if shown else token
        if len(longer) > TEXT_LIMIT:
            break
        shown = longer
    # In the whole, too: a part of a secret at the end of what is shown would be one too much.
    for secret in secrets:
        # Each as it was said, and in the letters that are shown: plain ones, and without marks.
        for way in dict.fromkeys(_ways(secret.reveal(), text[:_READ_LIMIT], shown)):
            if is_echoed(*way):
                return ""
    return shown


def _ways(secret: str, said: str, shown: str) -> Iterator[tuple[str, str, str]]:
    yield secret, said, shown
    # No more than is shown of: one sign may be eighteen letters in plain form.
    plain = unicodedata.normalize("NFKC", secret), letters.prepared(said)[:_READ_LIMIT], shown
    yield plain
    secret, said, shown = (without_marks(each.lower()) for each in plain)
    yield secret, said, shown


def _shown(token: str, names: Collection[str]) -> str:
    """Return a token as it may be shown; `names` are in lowercase."""
    found = _WRAPPED.fullmatch(token)
    if found is None:
        return _LEFT_OUT
    before, core, after = found.groups()
    if not (_ENHANCED.fullmatch(core) or _is_words(core)):
        return _LEFT_OUT
    word = core.lower()
    # Names that are long enough to be seen in a word also count within one.
    if any(
        word == name or (name in word and (len(name) >= _SPEAKABLE_FROM or not name.isascii()))
        for name in names
    ):
        return _LEFT_OUT
    # Alone in parentheses, or beside a slash, stand names of machines.
    aside = "/" in core or (before.endswith("(") and after.startswith(")"))
    if aside and core.isascii() and not (core in _known() or is_telling(core)):
        return _LEFT_OUT
    # A machine's name such as ``smtp-alpha``, and no word such as ``smtp-auth``.
    first, *others = word.split("-")
    machine = bool(others) and first in _MACHINES and not _ORDINARY.issuperset(others)
    if word in _NUMBERS or word in _MOMENTS or machine:
        return _LEFT_OUT
    if before.endswith("[") and after.startswith("]") and core.islower():
        # Codes of IMAP are in capitals (RFC 5530); this is a name or an id.
        return _LEFT_OUT
    return f"{before[:2]}{core}{after[:2]}"


def _is_words(core: str) -> bool:
    """Whether words may be shown: what rows look for, and what is joined of a few words."""
    if core.lower() in _known():
        return True
    parts = _JOINTS.split(core)
    # A host's name such as ``mail-b`` ends so, and no word such as ``e-mail``.
    counted = any(len(part) < 2 for part in core.split("-")[1:])
    return len(parts) <= _PARTS_LIMIT and all(map(_is_word, parts)) and not counted


def _is_word(part: str) -> bool:
    """Tell a word from an id, and from letters that a machine drew, as hexadecimal digits are."""
    if not part.isascii():
        return letters.is_word(part)
    word = part.lower()
    if _LONG_WORD.fullmatch(part) is not None:
        return letters_known(word) == len(word)
    if not part or _WORD.fullmatch(part) is None or _REPEATED.search(word):
        return False
    if word in _TRADE or len(word) < _SPEAKABLE_FROM:
        return True
    hexadecimal = part.isupper() and set(word) <= set("abcdef")
    return bool(_VOWEL.search(word)) and not _UNSPEAKABLE.search(word) and not hexadecimal


@cache
def _known() -> frozenset[str]:
    """The words that rows look for, which may have another shape: #AUTH005, SendAsDenied."""
    return frozenset(
        word
        for row in rows()
        for fragment in row.text
        for token in fragment.split()
        if (word := token.strip("()[].,;:!?"))
    )


def _tidied(tokens: list[str]) -> list[str]:
    """Leave out dates, times and ids beside what was left out; count in the plural.

    What was left out in a row is written once, as is the enhanced code, which each line repeats.
    """
    result = list(tokens)
    for at, token in enumerate(tokens):
        word = token.strip("()[].,;:!?").lower()
        before = result[at - 1] if at else ""
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        beside = _LEFT_OUT in (before, after) or _is_date(before) or _is_date(after)
        label = before.strip("()[]:#").lower()
        labelled = before[-1:] == ":" and label in (_LABELS | _PLACES)
        labelled |= label in _IDS and len(word) >= _ID_FROM and _WORD.fullmatch(word) is not None
        counted = word in ("a", "an") and after.strip("()[].,;:!?").lower() in _UNITS
        if (
            (word in _DATES and beside and not (word in _VERBS and token.islower()))
            or (word in _UNITS and before == _LEFT_OUT)
            or (labelled and word)
            or counted
        ):
            result[at] = _LEFT_OUT
        elif word in _PLURALS and before == _LEFT_OUT:
            result[at] = token.lower().replace(word, _PLURALS[word])
    kept: list[str] = []
    for token in result:
        if kept and _ENHANCED.fullmatch(token):
            continue
        if token == _LEFT_OUT:
            # One hour and two minutes, or one hour alone.
            if len(kept) > 1 and kept[-1] in ("and", "or", "-", ",") and kept[-2] == _LEFT_OUT:
                kept.pop()
            if kept[-1:] == [_LEFT_OUT]:
                continue
        kept.append(token)
    return kept


def _is_date(token: str) -> bool:
    """Tell ``Mon,`` which begins a date from a word in a sentence."""
    return token.endswith(",") and token[:-1].lower() in _DATES
