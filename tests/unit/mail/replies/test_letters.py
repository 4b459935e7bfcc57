# SPDX-License-Identifier: Apache-2.0
"""Words in other letters than those of ASCII: what is one, and how texts of them are parted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.data_files import read
from postroom.mail.replies.glossary import Glossary
from postroom.mail.replies.letters import is_word, prepared
from rows import over


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("Zeitüberschreitung", True),
        ("ŞİFRE", True),
        ("gEheim", False),
        ("geheiMÄ", False),
        ("é", True),
        ("пароль", True),
        ("пapoль", False),  # with Latin letters in it
        ("密码password", False),
        ("ユーザー名", True),
        ("ü" * 31, False),
        ("密" * 60, True),
        ("密" * 61, False),
        ("a\u0301", True),
        ("\u0301a", False),
        ("u\u0301\u0302\u0303", True),
        ("u\u0301\u0302\u0303\u0304", False),
        ("ü1", False),
        ("ü\u200bü", False),
        ("l\u0336o\u0336g\u0336", False),  # crossed out
        ("o\u0338", False),
        ("\u01c3", False),  # looks like "!"
        ("\u3164", False),
        ("\U0001d5ba", False),
        ("", False),
    ],
)
def test_a_word_is_letters_of_one_script(text: str, is_one: bool) -> None:
    assert is_word(text) is is_one


_TELLING = {
    word.strip("*-")
    for entry in read("postroom.mail.replies", "glossary.yaml", Glossary).words
    for means in entry.means
    for word in means.split()
    if not word.isascii() and not any(map(str.isdigit, word))
}


@over(sorted(_TELLING), str)
def test_the_words_that_tell_a_cause_are_words(word: str) -> None:
    assert all(is_word(part) for each in prepared(word).split() for part in each.split("-"))


@pytest.mark.parametrize(
    ("text", "parted"),
    [
        ("no  change", "no  change"),
        ("请在10分钟后重试", "请在 10 分钟后重试"),
        ("IMAP服务(错误)", "IMAP 服务 (错误)"),
        ("ｗｉｄｅ", "wide"),
        ("e\u0301", "é"),
        ("sagt „mx-a“ nein", "sagt   …   nein"),
        ("a…b", "a … b"),
    ],
)
def test_words_are_parted_by_blanks(text: str, parted: str) -> None:
    assert prepared(text) == parted


@given(st.text())
def test_what_is_prepared_is_not_prepared_otherwise_again(text: str) -> None:
    once = prepared(text)
    assert prepared(once).split() == once.split()
