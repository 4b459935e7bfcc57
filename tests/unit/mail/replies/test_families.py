# SPDX-License-Identifier: Apache-2.0
"""Replies whose wording no row knows: the cause that their words tell of, held against hundreds of
labelled ones; what passes is never taken for a wrong password; codes and words that disagree.

``data/replies.tsv`` holds replies with the cause that they were given before the rules were asked.
Of batch 1 the rules were tuned on one half (by a checksum of the text) and never on the other.
Batch 2 was found in threads and batch 3 made up once the rules stood, as far from them as could be;
before the rules were widened for them they named 66 of 78 and 28 of 52 right, and of batch 4, made
up after that, 22 of 28.

Batches 5 and 6 were written by another hand that had not read the rules: threads, other servers,
other languages. At first sight the rules named 215 of 270 of batch 5 right. Then they were tuned on
one half of it, and named 115 of 134 of the other half and 82 of 103 of batch 6, again at first
sight; then on the misses of batch 6. Batch 7 says too little for any cause but the general one.
Batch 8 was made up as short and as far from the rules as could be, which named 46 of 94 of it
right; then they were tuned on it and on the half of batch 5 that was kept back.

Batches 9 to 12 were made up one after the other, each by who had just tuned the rules on the one
before. At first sight the rules named 134 of 147 of batch 9 right (110 before batch 8), 148 of 157
of batch 10, whose wordings are common ones, 118 of 150 of batch 11, whose are not, and 118 of 144
of batch 12, 94 of 114 of batch 13: of replies that nobody has seen, some eight to nine in ten.
Batch 14 (servers of all the world as they are remembered, and twenty languages) was written once
the rules had been widened by kinds: at first sight they named 149 of 182 of it right.
Batch 15, made up after they were tuned on it and as odd as could be, 108 of 147; batch 16,
of everyday wordings, 70 of 72. So what nobody has seen is named right in seven of ten where it is
odd, and in more than nine where it is plain.
Batch 17 is an independent author's, who had not seen the rules: at first sight they named 104 of
121 right; then they were tuned on the kinds that it showed. Of another such author's, who wrote
after that, they named 93 of 96 right.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.reasons import Reason
from postroom.mail.presets import providers
from postroom.mail.replies import (
    Cause,
    Circumstances,
    FailureClass,
    Meaning,
    Protocol,
    SignIn,
    Stage,
    causes,
    meaning_of_imap,
    meaning_of_smtp,
    rows,
)
from postroom.mail.replies.families import _data, families
from postroom.mail.replies.model import FamilyEntry
from rows import over

HARD_REFUSALS = {Reason.AUTHENTICATION_REJECTED, Reason.ACCOUNT_DISABLED}


class Sample(NamedTuple):
    batch: int
    protocol: Protocol
    stage: Stage
    causes: frozenset[Cause]
    source: str
    reply: str

    @property
    def held_out(self) -> bool:
        return self.batch in (1, 5) and zlib.crc32(self.reply.encode()) % 2 == 1


def read_samples() -> list[Sample]:
    with (Path(__file__).parent / "data" / "replies.tsv").open(encoding="utf-8") as file:
        lines = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            Sample(
                int(line["batch"]),
                Protocol(line["protocol"]),
                Stage(line["stage"]),
                frozenset(map(Cause, line["cause"].split("|"))),
                line["source"],
                line["reply"].replace(r"\n", "\n"),
            )
            for line in lines
        ]


SAMPLES = read_samples()


@cache
def judged(protocol: Protocol, stage: Stage, reply: str, **known: object) -> Meaning:
    about = Circumstances(stage, **known)  # type: ignore[arg-type]
    if protocol is Protocol.IMAP:
        result, _, text = reply.partition(" ")
        return meaning_of_imap(text, result, about)
    text = "\n".join(line[4:] for line in reply.split("\n"))
    return meaning_of_smtp(int(reply[:3]), text, about)


def share_right(samples: Iterable[Sample]) -> float:
    verdicts = [
        judged(sample.protocol, sample.stage, sample.reply).cause in sample.causes
        for sample in samples
    ]
    return sum(verdicts) / len(verdicts)


def test_the_samples_are_many_and_each_has_a_source() -> None:
    assert len(SAMPLES) >= 1000
    assert all(one.source for one in SAMPLES)
    assert sum(one.held_out for one in SAMPLES) > 200


@pytest.mark.parametrize("held_out", [False, True])
def test_nine_of_ten_replies_are_named_right(held_out: bool) -> None:
    assert share_right(one for one in SAMPLES if one.held_out is held_out) >= 0.9


@pytest.mark.parametrize("protocol", Protocol)
def test_neither_protocol_lags_behind(protocol: Protocol) -> None:
    assert share_right(one for one in SAMPLES if one.protocol is protocol) >= 0.9


#: Of the report that the rules were made for: each was a hard refusal, or blamed the wrong one.
REPORTED: list[tuple[Stage, str, Cause]] = [
    (Stage.AUTH, "535 5.7.0 The email limit is reached", Cause.SEND_LIMIT_EXCEEDED),
    (Stage.AUTH, "535 5.7.0 Too many authentication failures", Cause.TOO_MANY_LOGINS),
    (Stage.AUTH, "NO Temporary authentication failure (rate-limit)", Cause.TOO_MANY_LOGINS),
    (Stage.MAIL, "550 5.1.8 Access denied, bad outbound sender", Cause.SENDING_BLOCKED),
    (Stage.MAIL, "554 5.1.8 Email Outgoing Blocked.", Cause.SENDING_BLOCKED),
    (Stage.DATA, "421 Domain example.com is not allowed to send", Cause.SENDER_NOT_VERIFIED),
    (Stage.RCPT, "554 5.7.1 <a@example.com>: Relay access denied", Cause.RELAY_DENIED),
    (Stage.RCPT, "550 Client host [192.0.2.1] blocked using zen.spamhaus.org", Cause.BLOCK_LISTED),
    (Stage.DATA, "550 5.7.0 Your monthly quota has been used up", Cause.SEND_LIMIT_EXCEEDED),
    (Stage.MAIL, "502 Your SMTP account is not yet activated", Cause.ACCOUNT_NOT_ACTIVATED),
    (Stage.AUTH, "534 5.7.14 Please log in with your web browser", Cause.WEB_LOGIN_REQUIRED),
    (Stage.AUTH, "535 5.7.14 Please log in with your web browser", Cause.WEB_LOGIN_REQUIRED),
    (Stage.AUTH, "550 User has no permission", Cause.PROTOCOL_DISABLED),
    (Stage.AUTH, "525 addresses not allowed", Cause.CLIENT_NOT_ALLOWED),
    (Stage.AUTH, "525 5.7.13 User account disabled", Cause.ACCOUNT_DISABLED),
    (Stage.AUTH, "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded "
     "(mail_max_userip_connections=10)", Cause.TOO_MANY_CONNECTIONS),
    (Stage.MAILBOX, "NO System Error", Cause.MAILBOX_TEMPORARY_FAILURE),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "reply", "cause"), REPORTED)
def test_the_replies_of_the_report(stage: Stage, reply: str, cause: Cause) -> None:
    protocol = Protocol.SMTP if reply[0].isdigit() else Protocol.IMAP
    assert judged(protocol, stage, reply).cause is cause


@pytest.mark.parametrize("family", families(), ids=lambda family: family.entry.id)
def test_a_family_holds_its_examples_at_each_of_its_stages(family: object) -> None:
    entry: FamilyEntry = family.entry  # type: ignore[attr-defined]
    for example in entry.examples:
        protocol = Protocol.SMTP if example[0].isdigit() else Protocol.IMAP
        for stage in entry.stages:
            found = judged(protocol, stage, example)
            assert found.cause is entry.cause, (stage, example, found.row)


def test_plain_refusals_hold_their_examples() -> None:
    for refusal in _data().refusals:
        for example in refusal.examples:
            protocol = Protocol.SMTP if example[0].isdigit() else Protocol.IMAP
            found = judged(protocol, Stage.AUTH, example)
            assert (found.cause, "words" in found.hint) == (Cause.AUTHENTICATION_FAILED, False)


@pytest.mark.parametrize(
    "sample", [one for one in SAMPLES if one.batch == 7], ids=lambda sample: sample.reply
)
def test_thin_evidence_names_the_general_cause(sample: Sample) -> None:
    assert judged(sample.protocol, sample.stage, sample.reply).cause in sample.causes


NEIGHBOURS: list[tuple[Stage, str, Cause]] = [
    (Stage.RCPT, "550 No", Cause.SEND_REFUSED),
    (Stage.RCPT, "550 5.7.1 Rejected by policy", Cause.SEND_REFUSED),
    (Stage.RCPT, "554 Transaction failed", Cause.SEND_REFUSED),
    (Stage.RCPT, "550 5.1.1 No", Cause.RECIPIENT_REJECTED),
    (Stage.RCPT, "550 Nobody of that name", Cause.RECIPIENT_REJECTED),
    (Stage.AUTH, "535 Bad password (free plan)", Cause.AUTHENTICATION_FAILED),
    (Stage.AUTH, "535 5.7.8 Free plan: login failed", Cause.AUTHENTICATION_FAILED),
    (Stage.MAIL, "550 free plan", Cause.SEND_REFUSED),
    (Stage.MAIL, "550 Not in the free plan: upgrade", Cause.PLAN_INSUFFICIENT),
    (Stage.AUTH, "535 Session limit", Cause.TOO_MANY_CONNECTIONS),
    (Stage.AUTH, "535 Login refused: connection limit reached", Cause.TOO_MANY_CONNECTIONS),
    (Stage.AUTH, "NO Too many open sessions for this login", Cause.TOO_MANY_CONNECTIONS),
    (Stage.AUTH, "NO Login limit reached", Cause.TOO_MANY_LOGINS),
    (Stage.AUTH, "535 Not enough credits", Cause.PLAN_INSUFFICIENT),
    (Stage.DATA, "550 Out of credits", Cause.PLAN_INSUFFICIENT),
    (Stage.DATA, "550 Wrong credentials", Cause.AUTH_NOT_ACCEPTED),
]


@pytest.mark.parametrize(("stage", "reply", "cause"), NEIGHBOURS)
def test_neighbours_that_were_taken_for_one_another(stage: Stage, reply: str, cause: Cause) -> None:
    protocol = Protocol.SMTP if reply[0].isdigit() else Protocol.IMAP
    assert judged(protocol, stage, reply).cause is cause


#: What a server adds without saying that it is so.
SUPPOSED = (
    "If your account is locked, see our help pages.",
    "Your account may have been disabled.",
    "You have 3 attempts left.",
    "Further failures will block your address.",
    "Check whether SMTP access is disabled.",
    "If you use two-factor authentication, read the manual.",
    "Perhaps your plan does not include it.",
)
WRONG_PASSWORDS = (
    "535 5.7.8 Wrong password.",
    "535 Login failed.",
    "NO Authentication failed.",
    "NO [AUTHENTICATIONFAILED] Bad password.",
)


@given(st.sampled_from(WRONG_PASSWORDS), st.lists(st.sampled_from(SUPPOSED), max_size=3))
def test_what_is_only_supposed_is_no_cause(refusal: str, added: list[str]) -> None:
    protocol = Protocol.SMTP if refusal[0].isdigit() else Protocol.IMAP
    found = judged(protocol, Stage.AUTH, f"{refusal} {' '.join(added)}")
    assert found.cause is Cause.AUTHENTICATION_FAILED, found


#: What a server adds when it means that the same will work later.
PASSING = (
    "Too many login attempts, please try again later.",
    "Temporarily blocked.",
    "Rate limit exceeded.",
    "Please wait 15 minutes.",
    "(rate-limit)",
    "The daily limit has been reached.",
    "Internal server error.",
    "Server is busy.",
    "Your IP has been blocked for 10 minutes.",
    "Throttled, slow down.",
)
REFUSALS = sorted(
    {(one.protocol, one.reply) for one in SAMPLES if one.stage is Stage.AUTH}
    | {
        (row.protocol, example)
        for row in rows()
        if Stage.AUTH in row.stages
        for example in row.examples
    }
)


@given(
    refusal=st.sampled_from(REFUSALS),
    added=st.sampled_from(PASSING),
    first=st.booleans(),
    provider=st.sampled_from((None, *providers())),
    sign_in=st.sampled_from(SignIn),
    shaped=st.sampled_from((None, False, True)),
)
def test_what_passes_is_never_a_wrong_password(
    refusal: tuple[Protocol, str],
    added: str,
    first: bool,
    provider: str | None,
    sign_in: SignIn,
    shaped: bool | None,
) -> None:
    """Words of limits, rates and temporality make any refusal one that passes."""
    protocol, reply = refusal
    head, _, text = reply.partition(" ")
    said = f"{head} {added} {text}" if first else f"{reply} {added}"
    found = judged(
        protocol, Stage.AUTH, said, provider=provider, sign_in=sign_in, app_password_shaped=shaped
    )
    assert found.reason not in HARD_REFUSALS, found
    assert not found.conclusive, found


@given(st.sampled_from([one for one in SAMPLES if one.stage is not Stage.AUTH]),
       st.sampled_from(PASSING))  # fmt: skip
def test_what_passes_is_no_final_verdict_at_any_stage(sample: Sample, added: str) -> None:
    assert not judged(sample.protocol, sample.stage, f"{sample.reply} {added}").conclusive


@given(st.sampled_from(REFUSALS), st.integers(400, 499))
def test_a_passing_code_is_no_verdict_on_credentials(
    refusal: tuple[Protocol, str], code: int
) -> None:
    protocol, reply = refusal
    if protocol is Protocol.SMTP and not reply[4:].startswith("4.7.12"):
        found = meaning_of_smtp(code, reply[4:])
        assert found.reason not in HARD_REFUSALS


@pytest.mark.parametrize(
    ("protocol", "stage", "reply", "words"),
    [
        (Protocol.SMTP, Stage.AUTH, "535 Too many failures", "the words that it passes"),
        (Protocol.IMAP, Stage.AUTH, "NO [AUTHENTICATIONFAILED] Rate limit hit",
         "the words that it passes"),
        (Protocol.SMTP, Stage.AUTH, "535 5.7.8 Account locked, try again later",
         "the words that it passes"),
        (Protocol.SMTP, Stage.DATA, "421 Domain example.com is not allowed to send",
         "the words that someone must act"),
        (Protocol.SMTP, Stage.AUTH, "454 4.7.0 Your account is locked",
         "the words that someone must act"),
        (Protocol.IMAP, Stage.AUTH, "NO [UNAVAILABLE] User deactivated",
         "the words that someone must act"),
    ],
)  # fmt: skip
def test_where_code_and_words_disagree_the_softer_counts_and_it_is_said(
    protocol: Protocol, stage: Stage, reply: str, words: str
) -> None:
    found = judged(protocol, stage, reply)
    assert words in found.hint
    assert not found.conclusive
    assert not found.refuses_credentials


def test_where_they_agree_nothing_is_said_of_it() -> None:
    for reply in ("454 4.7.0 Too many failures", "535 5.7.8 Bad credentials"):
        assert "words" not in judged(Protocol.SMTP, Stage.AUTH, reply).hint


BLAMED = {
    "spam": {Cause.MESSAGE_SUSPECTED},
    "recipient": {Cause.RECIPIENT_REJECTED, Cause.RECIPIENT_MAILBOX_FULL},
    "MX": set[Cause](),
}


@over(SAMPLES)
def test_nobody_is_blamed_whom_the_words_do_not_name(sample: Sample) -> None:
    """Neither spam nor the recipient nor MX, unless the server speaks of them."""
    found = judged(sample.protocol, sample.stage, sample.reply)
    for word, meant in BLAMED.items():
        if word.lower() not in sample.reply.lower() and not sample.causes & meant:
            assert word not in found.hint, found


def test_the_remedies_of_refused_messages_blame_nobody() -> None:
    for cause in (Cause.MESSAGE_REJECTED, Cause.SEND_REFUSED, Cause.RELAY_DENIED):
        said = f"{causes()[cause].meaning} {causes()[cause].remedy}".lower()
        assert "spam" not in said
        assert "recipient" not in said
        assert "mx" not in said


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("Too many messages. Try again in 92 seconds.", timedelta(seconds=92)),
        ("Too many failures, wait 15 minutes", timedelta(minutes=15)),
        ("Too many failures: blocked for an hour", timedelta(hours=1)),
        ("Too many failures, retry after 2 hours", timedelta(hours=2)),
        ("Too many failures, blocked for 99999 days", timedelta(days=1)),
    ],
)
def test_how_long_to_wait_is_read_from_any_wording(text: str, wait: timedelta) -> None:
    assert meaning_of_smtp(535, text).wait == wait


def test_a_refusal_that_stays_names_no_wait() -> None:
    assert meaning_of_smtp(535, "5.7.8 Password changed after 3 days").wait is None


def test_what_a_row_knows_outranks_the_words_in_it() -> None:
    """Yahoo says so of the account's own password from the first attempt on, QQ of any refusal."""
    yahoo = meaning_of_smtp(535, "5.7.0 (#AUTH005) Too many bad auth attempts.")
    assert (yahoo.cause, yahoo.conclusive) == (Cause.APP_PASSWORD_REQUIRED, True)
    later = meaning_of_smtp(535, "5.7.0 (#AUTH005) Too many bad auth attempts. Wait one hour")
    assert later.failure_class is FailureClass.THROTTLED


@given(st.integers(400, 599), st.text(), st.sampled_from(Stage))
def test_any_text_is_judged_and_judged_alike(code: int, text: str, stage: Stage) -> None:
    about = Circumstances(stage)
    assert meaning_of_smtp(code, text, about) == meaning_of_smtp(code, text, about)
    assert meaning_of_imap(text, "NO", about).hint


#: What a server says of what passes, in the languages of the glossary.
PASSING_ANYWHERE = (
    "Bitte versuchen Sie es später erneut.",
    "Anmeldung zurzeit nicht möglich.",
    "Veuillez réessayer plus tard.",
    "Service temporairement indisponible.",
    "Inténtelo más tarde.",
    "Serviço temporariamente indisponível.",
    "Riprova più tardi.",
    "Tijdelijk niet beschikbaar.",
    "Spróbuj później.",
    "Временно недоступен.",
    "Попробуйте позже.",
    "Vremenno nedostupen.",
    "Försök igen senare.",
    "Prøv igjen senere.",
    "Midlertidigt ikke tilgængelig.",
    "Yritä myöhemmin uudelleen.",
    "Dočasně nedostupné.",
    "Próbálja később.",
    "Geçici olarak kullanılamıyor.",
    "Daha sonra tekrar deneyin.",
    "Temporar indisponibil.",
    "Тимчасово недоступно.",
    "暂时无法登录。",
    "系统繁忙，请稍后再试。",
    "しばらくしてから再試行してください。",
    "나중에 다시 시도하십시오.",
    "Server fault, please retry.",
    "Technical difficulties.",
    "Auth worker died.",
)


@given(
    st.sampled_from(PASSING_ANYWHERE),
    st.sampled_from(Stage),
    st.sampled_from(("535 5.7.8", "550 5.7.1", "554", "NO", "NO [AUTHENTICATIONFAILED]")),
)
def test_what_passes_is_final_in_no_language(said: str, stage: Stage, head: str) -> None:
    protocol = Protocol.SMTP if head[0].isdigit() else Protocol.IMAP
    found = judged(protocol, stage, f"{head} {said}")
    assert not found.conclusive, found
    assert found.reason not in HARD_REFUSALS, found


@pytest.mark.parametrize(
    "added",
    [
        "Do not retry.",
        "This will not be retried.",
        "Never try again.",
        "There is no point in retrying.",
        "Retrying will not help.",
        "This is not temporary.",
        "No longer temporarily blocked.",
        "The server is not busy.",
        "Please don't wait.",
    ],
)
@pytest.mark.parametrize("refusal", WRONG_PASSWORDS)
def test_what_is_denied_to_pass_does_not_pass(refusal: str, added: str) -> None:
    protocol = Protocol.SMTP if refusal[0].isdigit() else Protocol.IMAP
    found = judged(protocol, Stage.AUTH, f"{refusal} {added}")
    assert (found.cause, found.conclusive) == (Cause.AUTHENTICATION_FAILED, True), found


@pytest.mark.parametrize(
    ("reply", "conclusive"),
    [
        ("535 Wrong password, please try again", True),
        ("535 Invalid credentials, retry", True),
        ("535 Login not completed, try again", False),
        ("NO Server fault, please retry", False),
    ],
)
def test_to_try_again_passes_unless_the_credentials_are_blamed(
    reply: str, conclusive: bool
) -> None:
    protocol = Protocol.SMTP if reply[0].isdigit() else Protocol.IMAP
    assert judged(protocol, Stage.AUTH, reply).conclusive is conclusive
