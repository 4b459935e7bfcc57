# SPDX-License-Identifier: Apache-2.0
"""Servers' own words made fit for status: what is kept, what never is, bounds, idempotence."""

from __future__ import annotations

import base64
import re
import secrets
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.fields import UNPRINTED
from postroom.api.masked import Masked
from postroom.mail.replies import normalised, rows, server_text
from postroom.mail.replies.server_text import TEXT_LIMIT
from rows import over

CASES = [
    ("5.7.8 Error: authentication failed", "5.7.8 Error: authentication failed"),
    ("5.7.8 Learn more at\n5.7.8  https://example.com/?t=a1 x1-gsmtp", "5.7.8 Learn more at …"),
    ("no [AM0PR01CA0104.eurprd01.prod.outlook.com 2026-01-02T03:04:05.678Z 08DCBB43]", "no …"),
    ("client host [192.0.2.1] blocked using zen.example.org", "client host … blocked using …"),
    ("<b@example.com>: Sender address rejected", "… Sender address rejected"),
    ("Disconnected (0.001 + 0.000 secs).", "Disconnected …"),
    ("wait 9000 milliseconds", "wait …"),
    ("Try again in 1 hour and 5 minutes", "Try again in …"),
    ("Try again in 59 seconds.", "Try again in …"),
    ("Mon, 28 Nov 2026 17:37:24 +0000 (UTC) too many", "… too many"),
    ("locked until Nov 28 12:30 PM", "locked until …"),
    # Tomorrow it is another day.
    ("you may see the March rules on Sunday", "you may see the March rules on …"),
    ("you must issue a STARTTLS command first", "you must issue a STARTTLS command first"),
    ("use smtp-auth, or an SMTP-only account", "use smtp-auth, or an SMTP-only account"),
    ("the server is busy, ask its host", "the server is busy, ask its host"),
    ("[AUTHENTICATIONFAILED] Authentication failed.",) * 2,
    ("session expired: no ticket for it, id is bad",) * 2,
    ("1 attempt left", "… attempts left"),
    ("2 attempts left", "… attempts left"),
    ("Session id: ABCDEFGH closed", "Session id: … closed"),
    ("queued as ADFBCEAF by mx-a", "queued as … by …"),
    ("STARTTLS e-mail strengths gsmtp",) * 2,
    ("see 2001:db8::1 at 12:30:01 on 2026-11-21", "see … at … on …"),
    ("token dXNlcjpwYXNzd29yZA== refused", "token … refused"),
    ("[ALERT] Too many simultaneous connections. (Failure)",) * 2,
    ("(#AUTH005) Too many bad auth attempts.",) * 2,
    ("Application-specific password required, user's and/or",) * 2,
    ("aaaaaaaaaaaa no", "… no"),
    ("no\x1b[31m\u202e no", "… no"),
    ("1 2 3 a@b", ""),
    ("", ""),
    # In other languages, as servers of their countries answer.
    (
        "Anmeldung von b@example.com fehlgeschlagen: ungültiges Kennwort",
        "Anmeldung von … fehlgeschlagen: ungültiges Kennwort",
    ),
    ("Authentifizierungsfehler für „mx-a“", "Authentifizierungsfehler für …"),
    (
        "compte verrouillé : réessayez d’ici 5 minutes !",
        "compte verrouillé: réessayez d'ici …",
    ),
    (
        "Неверный логин или пароль (код), ждите 5 минут [a1]",
        "Неверный логин или пароль (код), ждите … минут …",
    ),
    ("用户名或密码错误，请在10分钟后重试。", "用户名或密码错误, 请在 … 分钟后重试."),
    ("パスワードが正しくありません（ID: 83jf8a）", "パスワードが正しくありません (ID: …"),
    ("로그인 실패: IP가 차단되었습니다", "로그인 실패: IP 가 차단되었습니다"),
    ("החשבון נעול, נסה שוב", "החשבון נעול, נסה שוב"),
    ("الحساب مقفل مؤقتا", "الحساب مقفل مؤقتا"),
    ("Tài khoản đã bị khóa", "Tài khoản đã bị khóa"),
    ("รหัสผ่านไม่ถูกต้อง", "รหัสผ่านไม่ถูกต้อง"),
    # Letters of two scripts in one word, marks in heaps, and what turns or hides a text.
    ("wrong pаsswоrd", "wrong …"),
    ("no Z\u0351\u0352\u0353\u0354lgo", "no …"),
    ("密\u202e码 错\u200b误 不", "… 不"),
]


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_what_is_shown(text: str, shown: str) -> None:
    assert normalised(text) == shown


#: What differs between two refusals for the same cause, in words that look like words.
CHANGING = [
    ("ref abcdefgh", "ref zyxwvuts"),
    ("(id hgfedcba)", "(id bcdefgha)"),
    ("trace: hgfedcba", "trace: bcdefgha"),
    ("at Monday", "at Tuesday"),
    ("since January", "since February"),
    ("at noon", "at midnight"),
    ("until today", "until tomorrow"),
    ("one attempt left", "two attempts left"),
    ("three minutes", "five minutes"),
    ("twenty messages", "thirty messages"),
    ("wait a minute", "wait an hour"),
    ("in an hour or two", "in a day or three"),
    ("server: alpha", "server: bravo"),
    ("Host: mxalpha", "Host: mxbravo"),
    ("[alpha]", "[bravo]"),
    ("node alpha", "node bravo"),
    ("by smtp-alpha", "by smtp-bravo"),
    ("from mx-alpha-west", "from mx-bravo-east"),
    ("pod: worker-alpha", "pod: worker-bravo"),
    ("(mxalpha)", "(mxbravo)"),
    ("(mxalpha).", "(mxbravo)."),
    ("rack/alpha", "rack/bravo"),
    ("first/second", "third/fourth"),
    ("(alpha/bravo)", "(bravo/alpha)"),
]


@over(CHANGING)
def test_words_that_change_are_left_out(pair: tuple[str, str]) -> None:
    for sentence in ("5.7.8 refused {}", "refused {} for now", "{}: not now"):
        first, second = (normalised(sentence.format(one)) for one in pair)
        assert first == second
        assert "refused" in first or "not now" in first
        assert normalised(first) == first


@pytest.mark.parametrize(
    "text",
    [
        "closing connection (EHLO)",
        "Invalid credentials (Failure)",
        "refused (rate-limit), wrong user/password and/or domain",
        "AUTH (PLAIN) disabled",
        "no (#AUTH005) here",
    ],
)
def test_asides_that_tell_something_stay(text: str) -> None:
    assert normalised(text) == text


@over(rows(), lambda row: row.id)
def test_the_words_that_decide_stay_readable(row: object) -> None:
    for example in getattr(row, "examples", ()):
        text = str(example).partition(" ")[2]
        shown = normalised(text)
        assert shown == normalised(shown)
        assert "http" not in shown
        assert "@" not in shown


#: Letters and marks that nobody sees (Default_Ignorable_Code_Point, and blank ones).
UNSEEN = (
    r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff"
)
_SOMEWHERE = st.characters(min_codepoint=0xA0, max_codepoint=0xFFFF, exclude_categories=["Cs"])
_MOSTLY = "aäßéжЯλאعखไ密ログ가 \u0301\u202e\u200b\u2066\u0600\u3164\u115f\u034f\ufe0f（）。：「」…"


@given(st.text() | st.text(_SOMEWHERE | st.sampled_from(_MOSTLY), max_size=60))
def test_it_is_idempotent_and_bounded(text: str) -> None:
    shown = normalised(text)
    assert normalised(shown) == shown
    assert len(shown) <= TEXT_LIMIT
    assert shown.isprintable()
    for character in shown.replace("…", ""):
        # Letters and the marks on them, each as it is written plainly.
        assert character.isascii() or unicodedata.category(character)[0] in "LM"
        assert unicodedata.normalize("NFKC", character) == character
    assert re.search(f"[{UNPRINTED}{UNSEEN}]", shown) is None


@given(st.lists(st.sampled_from([*"aZ9.-…[]() \n", "5.7.8 ", "word ", "A1b2", "<x@y>"])))
def test_it_is_idempotent_on_likely_texts(parts: list[str]) -> None:
    shown = normalised("".join(parts))
    assert normalised(shown) == shown


def test_long_texts_are_cut_between_words() -> None:
    shown = normalised("word " * 100_000)
    assert len(shown) <= TEXT_LIMIT
    assert set(shown.split()) == {"word"}


AROUND = st.sampled_from(
    ["{}", "no {} no", "<{}>", "user={};", "[{}] x", "a {}b", "https://h/?t={}"]
)


@given(st.binary(min_size=9, max_size=40), AROUND)
def test_encoded_canaries_never_remain(secret: bytes, around: str) -> None:
    for form in (base64.b64encode(secret).decode(), secret.hex(), quote(b"%" + secret, safe="")):
        # A text of capitals or small letters alone is a word: no encoding of random bytes.
        if form.isalpha() and (form.isupper() or form.islower()):
            continue
        shown = normalised(around.format(form))
        assert form not in shown


def test_tokens_never_remain() -> None:
    for _ in range(200):
        token = f"a1B{secrets.token_urlsafe(24)}"
        assert token[:8] not in normalised(f"535 5.7.8 token {token} expired ({token})")


@given(st.text(min_size=1, max_size=30), AROUND)
def test_given_secrets_never_remain_in_any_form(secret: str, around: str) -> None:
    data = secret.encode("utf-8", "surrogatepass")
    forms = [secret, base64.b64encode(data).decode(), data.hex(), quote(data, safe="")]
    for form in forms:
        shown = normalised(around.format(form), [Masked(secret)])
        assert form not in shown or not form.strip(" …\n\r\t")


SECRET = "correct horse battery staple"


ECHOES = {
    "as it is": SECRET,
    "in capitals": SECRET.upper(),
    "backwards": SECRET[::-1],
    "word by word backwards": "staple battery horse correct",
    "in lines": "corr\n5.7.8 ect ho\n5.7.8 rse battery staple",
    "hyphens": "c-o-r rect-horse batt-ery staple",
    "a part": "no such horse battery here",
    "a part backwards": "no elpats yrettab",
    "pieces": "correct your horse and pay for the battery or staple",
    "rot13": "pbeerpg ubefr onggrel",
    "percent": "%63orrect%20horse battery staple",
    "quoted-printable": "=63orrect=20horse battery sta=\nple",
    "HTML": "&#99;orrect horse battery staple",
    "wide": "".join(chr(ord(letter) + 0xFEE0) if letter > " " else letter for letter in SECRET),
    "ornate": "".join(chr(ord(each) + 0x1D3B9) if each > " " else each for each in SECRET),
}


@pytest.mark.parametrize("name", ECHOES)
def test_an_echo_silences_the_server(name: str) -> None:
    text = f"5.7.8 denied: {ECHOES[name]} is wrong"
    assert "denied" in normalised(text)
    assert normalised(text, [Masked(SECRET)]) == ""


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("gehe\u0301imnis", "falsch: geh\u00e9imnis"),
        ("geh\u00e9imnis", "falsch: gehe\u0301imnis"),
        ("größenwahn", "falsch: grössenwahn"),
        ("parolaÉtrange", "faux : parolaetrange"),
        ("наша тайна", "нет: наша тайна"),
        ("наша тайна", "нет: аншйат ашан аншат наша"),
        ("正しい馬電池", "不正: 正しい馬電池です"),
    ],
)
def test_a_secret_in_other_letters_does_not_remain(secret: str, said: str) -> None:
    assert len(normalised(said)) > 8
    assert normalised(said, [Masked(secret)]) == ""


@given(st.from_regex(r"[a-z]{8,24}", fullmatch=True), st.integers(0, 30), st.booleans())
def test_no_six_letters_of_a_secret_remain(secret: str, at: int, backwards: bool) -> None:
    spelt = secret[::-1] if backwards else secret
    begin = at % (len(spelt) - 5)
    shown = normalised(f"no {spelt[begin : begin + 6]} no", [Masked(secret)])
    assert spelt[begin : begin + 6] not in shown


@pytest.mark.parametrize(
    ("username", "text", "shown"),
    [
        ("bob@example.com", "5.7.8 bob is unknown", "5.7.8 … is unknown"),
        ("bob@example.com", "<bob@example.com> is unknown", "… is unknown"),
        ("bob", "user=bob, denied to BOB", "… denied to …"),
        ("Bob Smith", "no bob  smith here", "no … here"),
        ("apikey", "use apikeys or yekipa", "use …"),
        ("alice", "authentication failed", "authentication failed"),
        ("王伟", "用户王伟不存在", ""),
        ("田中1", "ユーザー 田中1 は無効です", "ユーザー … は無効です"),
        ("田中1@example.jp", "ユーザー 田中1 は無効です", "ユーザー … は無効です"),
        ("田中、花子", "利用者 田中、花子 は無効です", "利用者 … は無効です"),
        ("山田（営業）", "利用者 山田（営業） は無効です", "利用者 … は無効です"),
        ("O’Neilß", "user O’Neilß unknown", "user … unknown"),
        ("иван", "пользователь Иван заблокирован", "пользователь … заблокирован"),
    ],
)
def test_names_are_left_out(username: str, text: str, shown: str) -> None:
    assert normalised(text, names=[username]) == shown


def test_no_more_is_searched_for_a_secret_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign may be eighteen letters in plain form."""
    searched: list[int] = []

    def looks(secret: str, said: str, shown: str) -> bool:
        searched.append(len(said))
        return False

    monkeypatch.setattr(server_text, "is_echoed", looks)
    assert normalised("no \ufdfa" * 2000, [Masked("pässword")])
    assert max(searched) <= 4096


@pytest.mark.parametrize("secret", ["", " ", "\0"])
def test_a_secret_that_is_none_silences_nobody(secret: str) -> None:
    assert normalised("no such user", [Masked(secret)]) == "no such user"


_KINDS_OF_IDS = (
    st.uuids().map(str),
    st.integers(0, 10**12).map(str),
    st.binary(min_size=6, max_size=12).map(lambda octets: octets.hex().upper()),
    st.binary(min_size=9, max_size=18).map(lambda octets: base64.b64encode(octets).decode() + "0="),
    st.ip_addresses().map(lambda address: f"[{address}]"),
    st.from_regex(r"mx[0-9]{1,3}(\.[a-z]{3,8}\.example\.net)?", fullmatch=True),
    st.from_regex(r"[A-F0-9]{10,12}", fullmatch=True),
    st.from_regex(r"4[A-Z][a-zB-DF-H]{8,10}", fullmatch=True),
    st.from_regex(
        r"[a-z0-9]{3}-20020a[0-9a-f]{12}sm[0-9]{7}[a-z]{2}\.[0-9]{2} - gsmtp", fullmatch=True
    ),
)


#: Two of one kind.
IDS = st.one_of(*(st.tuples(kind, kind) for kind in _KINDS_OF_IDS))


MOMENTS = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: format(moment, "%a, %d %b %Y %H:%M:%S +0000")),
    st.datetimes().map(lambda moment: format(moment, "%d/%b/%Y:%H:%M:%S")),
    st.datetimes().map(lambda moment: format(moment, "%B %d %I:%M %p")),
)


WAITS = st.one_of(
    st.integers(1, 120).map(lambda number: f"{number} minute{'s' * (number != 1)}"),
    st.integers(1, 120).map(lambda number: f"{number} seconds"),
    st.integers(1, 9).map(lambda number: f"{number} hours and {number} minutes"),
)


@given(IDS, MOMENTS, MOMENTS, WAITS, WAITS)
def test_the_same_refusal_reads_the_same(
    ids: tuple[str, str], then: str, now: str, wait: str, longer: str
) -> None:
    """Whatever ids, times and hosts it names, so that a repeated refusal writes nothing."""
    one, other = ids
    said = "4.7.0 Too many logins at {}, wait {} ({}) and ask with {}\n4.7.0 {} thank you"
    first = normalised(said.format(then, wait, one, one, one))
    assert first == normalised(said.format(now, longer, other, other, other))
    assert first.startswith("4.7.0 Too many logins at … wait …")
    assert first.endswith("thank you")


def test_a_secret_of_plain_words_is_known_by_being_given() -> None:
    text = "no such password: correct horse battery staple"
    assert "horse" in normalised(text)
    assert normalised(text, [Masked("correct horse battery staple")]) == ""


def test_a_part_of_a_secret_at_the_cut_does_not_remain() -> None:
    text = "word " * 30 + "correct horse battery staple"
    assert normalised(text, [Masked("correct horse battery staple")]) == ""


@pytest.mark.parametrize("begin", ["Mon ", "May ", "… and ", "1 sec ", "a second "])
def test_a_text_costs_no_more_than_it_is_worth(begin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that each make the one before them nothing were looked at a million times."""
    looks = 0

    def counted(tokens: list[str]) -> list[str]:
        nonlocal looks
        looks += len(tokens)
        return tidied(tokens)

    tidied = server_text._tidied
    monkeypatch.setattr(server_text, "_tidied", counted)
    for times in (50, 158, 1000):
        normalised(f"{begin * times}12:00")
    assert looks < 60_000
