# SPDX-License-Identifier: Apache-2.0
"""What key records say besides their key, which a record offered in their place keeps or names."""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

from postroom.dns.dkim.concealing import concealed
from postroom.dns.dkim.key import PublicKey
from postroom.dns.dkim.record import VERSION, looks_like_key, parse
from postroom.dns.finding_codes import Code
from postroom.dns.texts import tag_list
from postroom.dns.texts.quoting import quoted
from postroom.dns.texts.tag_slips import meant

#: What is told by the finding itself, or written anew.
_OF_KEY = frozenset({"v", "k", "p"})
#: Faults of one tag, beside which the others read as they stand.
_OF_ONE_TAG = frozenset({Code.DKIM_HASH, Code.DKIM_SERVICE, Code.DKIM_WEAK})
#: The tags of RFC 6376 section 3.6.1 that say anything of a key, and the values they may have
#: beside a key for mail; a tag that is not known says nothing to anybody.
_SOUND = {
    "h": re.compile(r"(?:[\w-]+\s*:\s*)*sha256(?:\s*:\s*[\w-]+)*"),
    "n": re.compile(r"[!-:<-~](?:[ !-:<-~]*[!-:<-~])?"),
    "s": re.compile(r"(?:[\w-]+\s*:\s*)*(?:email|\*)(?:\s*:\s*(?:[\w-]+|\*))*"),
    "t": re.compile(r"[\w-]+(?:\s*:\s*[\w-]+)*"),
}
#: Longer ones are pieces of a key that was torn.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
#: Most tags that are named one by one.
_LIMIT = 6


def with_tags_of(value: str, texts: Sequence[str], key: PublicKey) -> str:
    """Write the sound tags of `texts` into `value`, the record of `key` that is to replace them.

    Where one of them publishes the key already, the tags of such a record only.
    """
    read = {text: parse(text) for text in texts}
    right = [text for text in texts if read[text].usable and read[text].key == key]
    kept: dict[str, str] = {}
    for text in right or texts:
        for name, said in _tags(text):
            if name in _SOUND and _SOUND[name].fullmatch(said):
                kept.setdefault(name, said)
    beside = "".join(f"; {name}={said}" for name, said in kept.items())
    made = value.replace("; p=", f"{beside}; p=", 1)
    record = parse(made)
    return made if record.usable and record.key == key else value


def left_out(texts: Iterable[str], value: str) -> str:
    """Name in a sentence which tags of `texts` the offered record has not, or not so."""
    offered = tag_list.parse(value).tags
    gone = dict.fromkeys(
        quoted(f"{name}={said}")
        for text in texts
        for name, said in _tags(text)
        if offered.get(name) != said
    )
    if not gone:
        return ""
    more = f" and {len(gone) - _LIMIT} more" if len(gone) > _LIMIT else ""
    return f"The fix leaves out {'; '.join([*gone][:_LIMIT])}{more}."


def staying(texts: Iterable[str], key: PublicKey) -> str | None:
    """Which record of a key stays where it has several; None where none of them is usable.

    Receivers take any of them, so that the one stays under which all mail passes that passed: t=s
    refuses an identity (i=) below the domain, and t=y has passing mail taken for unsigned. Of
    those alike the one stays that says the most.
    """
    read = {text: parse(text) for text in texts}
    usable = [text for text, record in read.items() if record.usable and record.key == key]

    def least_lost(text: str) -> tuple[bool, bool, int, str]:
        record = read[text]
        return record.strict, record.testing, -sum(1 for _ in _tags(text)), text

    return min(usable, key=least_lost, default=None)


def _tags(text: str) -> Iterator[tuple[str, str]]:
    """What a key record says besides its key; of one that cannot be read what it was meant to."""
    plain = unquote(text, errors="replace") if "%3d" in text.lower() else text
    if not looks_like_key(plain) or concealed(plain) != plain:
        return
    fault = parse(plain).fault
    if fault is not None and fault.code not in _OF_ONE_TAG:
        plain = meant(plain, f"v={VERSION}", "dkim", (*_SOUND, "k", "p", "g"))
    for name, said in tag_list.parse(plain).tags.items():
        if _NAME.fullmatch(name) and name.lower() not in _OF_KEY and said.strip("="):
            yield name, said
