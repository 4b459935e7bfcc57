# SPDX-License-Identifier: Apache-2.0
"""Replies in other languages: their words in English, and English left as it is."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.replies import Cause, Circumstances, Stage, meaning_of_smtp, rows
from postroom.mail.replies.families import families
from postroom.mail.replies.glossary import Glossary, in_english, without_marks
from rows import over

EXAMPLES = [example.lower() for row in rows() for example in row.examples]
EXAMPLES += [example.lower() for family in families() for example in family.entry.examples]


@pytest.mark.parametrize(
    ("said", "english"),
    [
        ("zu viele fehlgeschlagene anmeldeversuche", "too many failed login attempts"),
        ("absender nicht erlaubt", "sender not allowed"),
        ("mot de passe invalide", "password wrong"),
        ("cuenta bloqueada", "account blocked"),
        ("limite diário atingido", "limit daily exceeded"),
        ("превышен лимит", "exceeded limit"),
        ("hasło wygasło", "password expired"),
        ("VORÜBERGEHEND".lower(), "temporarily"),
    ],
)
def test_words_of_other_languages_are_read_as_english(said: str, english: str) -> None:
    assert in_english(said) == english


def test_chinese_needs_no_blanks() -> None:
    assert in_english("登录频繁稍后再试").split() == ["login", "too", "frequent", "later", "try"]


@over([one for one in EXAMPLES if one.isascii()])
def test_english_stays_as_it_is(example: str) -> None:
    foreign = re.compile(r"(?:neobhodim )?parol prilozheni\w*")
    assert in_english(foreign.sub("", example)) == foreign.sub("", example)


@given(st.text(max_size=200))
def test_anything_can_be_read(text: str) -> None:
    assert isinstance(in_english(text.lower()), str)
    assert without_marks(without_marks(text)) == without_marks(text)


@pytest.mark.parametrize("means", [["konto", "konto"], ["löschen"]])
def test_a_word_is_there_once_and_without_accents(means: list[str]) -> None:
    with pytest.raises(ValueError, match=r"twice|accents"):
        Glossary.model_validate_json(
            json.dumps({"words": [{"english": "account", "means": means}]})
        )


@pytest.mark.parametrize(
    ("stage", "said", "cause"),
    [
        (Stage.AUTH, "Konto gesperrt", {Cause.ACCOUNT_LOCKED, Cause.ACCOUNT_DISABLED}),
        (Stage.AUTH, "Compte désactivé", {Cause.ACCOUNT_DISABLED}),
        (Stage.AUTH, "Contraseña caducada", {Cause.PASSWORD_EXPIRED}),
        (Stage.AUTH, "Слишком много попыток", {Cause.TOO_MANY_LOGINS}),
        (Stage.AUTH, "暂时无法登录", {Cause.AUTH_TEMPORARY_FAILURE}),
        (Stage.AUTH, "Passwort falsch", {Cause.AUTHENTICATION_FAILED}),
        (Stage.MAIL, "Mittente non autorizzato", {Cause.SENDER_NOT_PERMITTED}),
        (Stage.MAIL, "Limite de envio diário atingido", {Cause.SEND_LIMIT_EXCEEDED}),
        (Stage.RCPT, "Odbiorca nieznany", {Cause.RECIPIENT_REJECTED}),
        (Stage.DATA, "Message trop volumineux", {Cause.MESSAGE_TOO_LARGE}),
    ],
)
def test_their_causes_are_found(stage: Stage, said: str, cause: set[Cause]) -> None:
    assert meaning_of_smtp(550, said, Circumstances(stage)).cause in cause


PASSING = (
    "Bitte probieren Sie es in ein paar Minuten nochmal",
    "Veuillez patienter quelques minutes", "Espere unos minutos",
    "Trwają prace konserwacyjne", "您的IP已被封禁", "IP가 차단되었습니다",
    "サービスは現在ご利用いただけません", "Huoltokatko", "Serviciul nu este disponibil",
    "Сервіс недоступний", "Ο λογαριασμός σας έχει κλειδωθεί προσωρινά",
    "Πάρα πολλές αποτυχημένες προσπάθειες",
    "Η υπηρεσία δεν είναι διαθέσιμη", "Δοκιμάστε ξανά αργότερα",
    "חשבונך ננעל זמנית", "יותר מדי ניסיונות", "השירות אינו זמין",
    "نسخة مؤقتًا", "محاولات كثيرة جدا", "الخدمة غير متوفرة",
    "حاول مرة أخرى لاحقا", "Tài khoản của bạn tạm thời bị khóa",
    "Quá nhiều lần đăng nhập thất bại", "Dịch vụ không khả dụng",
    "Vui lòng thử lại sau", "Bảo trì", "Akun Anda dikunci sementara",
    "Terlalu banyak percobaan login", "Layanan tidak tersedia",
    "Silakan coba lagi nanti", "Príliš veľa neúspešných pokusov",
    "Skúste neskôr", "Твърде много опити", "Опитайте по-късно",
    "Vaš račun je privremeno zaključan", "Previše neuspjelih pokušaja",
    "Pokušajte kasnije", "Vaš račun je začasno zaklenjen",
    "Preveč neuspelih poskusov", "Teie konto on ajutiselt lukustatud",
    "Liiga palju katseid", "Jūsų paskyra laikinai užrakinta",
    "Per daug bandymų", "Pārāk daudz mēģinājumu", "Mēģiniet vēlāk",
    "El teu compte està bloquejat temporalment",
    "Torneu-ho a provar més tard", "Auth server did not reply",
    "The authentication daemon is not running", "Unknown error",
    "Not now", "PAM: module is unknown", "Login locked for 30m", "Account locked for 2 hrs",
    "Banned 24h", "Locked out, 3h left",
)  # fmt: skip


@over([f"{lead}{said}" for said in PASSING for lead in ("", "5.7.8 Login failed: ")])
def test_what_passes_is_no_wrong_password(said: str) -> None:
    found = meaning_of_smtp(535, said)
    assert found.cause is not Cause.AUTHENTICATION_FAILED
    assert not found.conclusive


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("Unusual activity detected; sign-in was blocked", Cause.WEB_LOGIN_REQUIRED),
        ("Login prevented for security reasons", Cause.WEB_LOGIN_REQUIRED),
        ("Access blocked by firewall", Cause.CLIENT_NOT_ALLOWED),
    ],
)
def test_who_bars_a_sign_in_does_not_blame_the_password(said: str, cause: Cause) -> None:
    assert meaning_of_smtp(535, said).cause is cause


@pytest.mark.parametrize("said", ["Account locked (ref 12d)", "Account locked by rule 5 s"])
def test_a_mark_that_looks_like_a_time_is_none(said: str) -> None:
    found = meaning_of_smtp(535, said)
    assert (found.cause, found.conclusive) == (Cause.ACCOUNT_LOCKED, True)


@pytest.mark.parametrize("said", ["ip가 차단", "您的ip已被封禁", "smtp接続"])
def test_a_latin_word_ends_where_another_script_begins(said: str) -> None:
    assert re.search(r"\b(?:ip|smtp)\b", in_english(said))


@given(st.text(max_size=60))
def test_no_letters_make_a_text_much_longer(text: str) -> None:
    assert len(without_marks(text)) <= 3 * len(text)


def test_what_becomes_three_is_whole() -> None:
    """Syllables of Korean, which are put together again, and letters with two marks."""
    assert without_marks("비밀번호" * 50) == "비밀번호" * 50
    assert without_marks("ệ" * 50) == "e" * 50
    assert len(without_marks("\ufdfa" * 1000)) <= 3000
