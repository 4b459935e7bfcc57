# SPDX-License-Identifier: Apache-2.0
"""Tells whether two texts of a server are one refusal, told twice.

Servers name the machine, the rack or the session that refused in words that look like any other.
What of two texts differs, and tells nothing of a cause, is such a name.
"""

import re
from difflib import SequenceMatcher
from functools import cache

from postroom.api.mailserver import SERVER_TEXT_LIMIT
from postroom.mail.replies.catalogue import rows
from postroom.mail.replies.families import families
from postroom.mail.replies.glossary import in_english

_WORD = re.compile(r"[a-z]+")
_ESCAPED = re.compile(r"\\.")
#: Words of grammar that change what a sentence says.
_TURN = "no not never none only yet until unless without cannot"
#: Names of what is done in a session: they tell what was refused.
_SPEECH = (
    "and or plain login cram md5 scram sha xoauth oauthbearer auth ehlo helo mail rcpt data quit "
    "imap smtp tls ssl starttls select examine"
)
#: Words that rows have in other sentences, and which say where: of a machine, by its number.
_PLACE = (
    "a an the at by in on of from via through here there our host hostname server node cluster "
    "prod machine first second third fourth last next"
)
_TURNING, _SPOKEN, _PLACING = (frozenset(words.split()) for words in (_TURN, _SPEECH, _PLACE))
#: Of the longer text's words, this share must be the same.
_SHARE = 0.5
#: What is cut may end with another word although it was said alike: none is longer.
_CUT_FROM = SERVER_TEXT_LIMIT - 40


def is_same_refusal(before: str, now: str) -> bool:
    """Whether texts as `normalised` returns them differ only in what tells nothing."""
    if before == now:
        return True
    one, other = _bare(before), _bare(now)
    # One attempt is left, or two attempts are.
    singular, other_singular = (
        [word.removesuffix("s") for word in words] for words in (one, other)
    )
    steps = SequenceMatcher(None, singular, other_singular, autojunk=False).get_opcodes()
    if steps and max(len(before), len(now)) >= _CUT_FROM and steps[-1][0] != "equal":
        steps.pop()
    same = 0
    for kind, begin, end, other_begin, other_end in steps:
        if kind == "equal":
            same += end - begin
        elif _tells(one[begin:end]) or _tells(other[other_begin:other_end]):
            return False
    return same >= _SHARE * max(len(one), len(other))


def _bare(text: str) -> list[str]:
    """The words without the signs around them, which stand elsewhere where a name is left out."""
    return [word for token in text.lower().split() if (word := token.strip("()[].,;:!?…"))]


def _tells(tokens: list[str]) -> bool:
    """Whether a word among them may tell of a cause, or of what was refused."""
    words = _words_of(in_english(" ".join(tokens)))
    return any(word in telling_words() for word in words)


def is_telling(token: str) -> bool:
    """Whether a token has words, and all of them may tell of a cause."""
    found = _words_of(token)
    return bool(found) and all(word in telling_words() for word in found)


@cache
def telling_words() -> frozenset[str]:
    """The words that rows and families look for, in the singular as well, and those of grammar."""
    looked_for: list[str] = [fragment for row in rows() for fragment in row.text]
    looked_for += [_ESCAPED.sub(" ", family.words.pattern) for family in families()]
    found = {word for text in looked_for for word in _words_of(text) if len(word) > 1}
    singulars = {word[:-1] for word in found if word.endswith("s") and len(word) > 3}
    return frozenset((found | singulars) - _PLACING) | _TURNING | _SPOKEN


def _words_of(text: str) -> list[str]:
    return _WORD.findall(text.lower())
