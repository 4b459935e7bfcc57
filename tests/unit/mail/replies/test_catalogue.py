# SPDX-License-Identifier: Apache-2.0
"""The catalogue as data: each row matches its examples, none is shadowed, each cause is reachable,
and broken rows are refused by name."""

from __future__ import annotations

import re

import pytest

from postroom.api.data_files import InvalidData, validate
from postroom.mail.presets import preset
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
from postroom.mail.replies.catalogue import check_order
from postroom.mail.replies.families import families
from postroom.mail.replies.model import Causes, Replies, ReplyRow
from rows import over

#: Found before anything is dialled, by `postroom.mail.precheck`; its tests reach them.
PRECHECKED = {
    Cause.HOST_MISSPELLED,
    Cause.PORT_CONTRADICTS_TLS,
    Cause.PORT_NOT_SERVED,
    Cause.USERNAME_MUST_BE,
    Cause.WRONG_KEY_TYPE,
}
#: What no reply tells: errors of the network and of TLS, silence, what is missing in the cluster.
#: `postroom explain` knows them; the places that see them judge by reasons.
SEEN_WITHOUT_A_REPLY = {
    Cause.SECRET_MISSING,
    Cause.SECRET_KEY_MISSING,
    Cause.SECRET_EMPTY,
    Cause.CREDENTIAL_HAS_WHITESPACE,
    Cause.CREDENTIAL_ALTERED,
    Cause.INVALID_SPEC,
    Cause.HOST_NOT_BOUND_TO_SECRET,
    Cause.HOST_NOT_FOUND,
    Cause.DNS_TEMPORARY_FAILURE,
    Cause.ADDRESS_FORBIDDEN,
    Cause.CONNECTION_REFUSED,
    Cause.CONNECT_TIMEOUT,
    Cause.PORT_BLOCKED,
    Cause.NETWORK_UNREACHABLE,
    Cause.TLS_REQUIRED_BY_SERVER,
    Cause.PLAINTEXT_ON_TLS_PORT,
    Cause.TLS_HANDSHAKE_TIMEOUT,
    Cause.CERTIFICATE_EXPIRED,
    Cause.CERTIFICATE_NOT_YET_VALID,
    Cause.CERTIFICATE_HOSTNAME_MISMATCH,
    Cause.CERTIFICATE_SELF_SIGNED,
    Cause.CERTIFICATE_UNTRUSTED,
    Cause.CERTIFICATE_CHAIN_INCOMPLETE,
    Cause.CERTIFICATE_EXPIRING_SOON,
    Cause.START_TLS_NOT_OFFERED,
    Cause.GREETING_TIMEOUT,
    Cause.NOT_AN_SMTP_SERVER,
    Cause.NOT_AN_IMAP_SERVER,
    Cause.RESPONSE_TOO_LARGE,
    Cause.AUTH_TIMEOUT,
    Cause.MAILBOX_NEARLY_FULL,
}


def judged(row: ReplyRow, stage: Stage, example: str) -> Meaning:
    head, _, text = example.partition(" ")
    about = Circumstances(
        stage=stage,
        provider=row.provider,
        sign_in=row.sign_in or SignIn.PASSWORD,
        app_password_shaped=row.app_password_shaped,
    )
    if row.protocol is Protocol.SMTP:
        return meaning_of_smtp(int(head), text, about)
    return meaning_of_imap(text, head, about)


@over(rows(), lambda row: row.id)
def test_a_row_matches_its_examples_at_each_of_its_stages(row: ReplyRow) -> None:
    for example in row.examples:
        for stage in row.stages:
            found = judged(row, stage, example)
            assert (found.row, found.cause) == (row.id, row.cause)


def test_every_cause_can_be_reached() -> None:
    told = {row.cause for row in rows()} | {family.entry.cause for family in families()}
    told |= {entry.after_sign_in for entry in causes().values() if entry.after_sign_in}
    assert told | PRECHECKED | SEEN_WITHOUT_A_REPLY == set(Cause)
    assert not told & SEEN_WITHOUT_A_REPLY


def test_every_provider_has_a_preset_whose_replies_are_its_own() -> None:
    for row in rows():
        if row.only_at_provider:
            assert row.provider is not None
            assert preset(row.provider).replies_as == row.provider
        elif row.provider is not None:
            assert preset(row.provider).name == row.provider


def test_a_table_of_the_reference_is_complete() -> None:
    """Each wording that section 3.2 of the reference lists has a row."""
    wanted = """application-specific password required|username and password not accepted
        log in via your web browser|too many login attempts|not enabled for imap
        imap access is disabled for your domain|too many simultaneous connections
        account exceeded command or bandwidth limits|is disabled for the tenant
        is disabled for the mailbox|security defaults policy|did not meet the criteria
        basic authentication is disabled|user credentials were incorrect
        concurrent connections limit|thread limit|authenticate failed|login failed
        user is authenticated but not connected|request is throttled|#auth005
        yet to enable imap|does not have access rights to this service|unsafe login
        authentication credentials invalid|message rejected|sendasdenied"""
    texts = [fragment for row in rows() for fragment in row.text]
    for one in re.split(r"\||\n\s*", wanted):
        assert any(one in fragment for fragment in texts), one


def test_refusals_of_credentials_are_never_tried_again_soon() -> None:
    for entry in causes().values():
        if entry.reason.value in ("AuthenticationRejected", "AccountDisabled", "AccountLocked"):
            assert entry.failure_class.hard, entry.cause


def test_what_passes_leaves_no_hard_state() -> None:
    for entry in causes().values():
        if entry.reason.value in ("TemporaryFailure", "ProbeInconclusive", "LookupFailed"):
            assert not entry.failure_class.hard, entry.cause


def test_only_throttled_causes_wait() -> None:
    waiting = {entry.failure_class for entry in causes().values() if entry.wait}
    assert waiting == {FailureClass.THROTTLED}


def row(**fields: object) -> ReplyRow:
    data: dict[str, object] = {
        "id": "one",
        "protocol": Protocol.SMTP,
        "codes": ("535",),
        "cause": Cause.AUTHENTICATION_FAILED,
        "source": "RFC 4954",
        "checked": rows()[0].checked,
        "examples": ("535 no",),
    }
    return ReplyRow.model_validate(data | fields)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (row(), row(id="two", text=("more",))),
        (row(codes=("5xx",)), row(id="two")),
        (row(text=("word",)), row(id="two", text=("a word more",))),
        (row(), row(id="two", provider="Gmail", only_at_provider=True)),
        (row(), row(id="two", sign_in=SignIn.TOKEN)),
        (row(), row(id="two", enhanced="5.7.8")),
    ],
)
def test_a_shadowed_row_is_refused(earlier: ReplyRow, later: ReplyRow) -> None:
    check_order([later, earlier])
    with pytest.raises(InvalidData, match="two: is never reached, because one"):
        check_order([earlier, later])


def test_an_id_stands_once() -> None:
    with pytest.raises(InvalidData, match="two rows with this id"):
        check_order([row(), row(codes=("454",))])


GOOD = """rows:
  - id: one
    protocol: SMTP
    codes: ["535"]
    cause: AuthenticationFailed
    source: "RFC 4954"
    checked: 2026-11-21
    examples: ["535 no"]
"""


def test_a_good_file_is_read() -> None:
    assert validate("x.yaml", GOOD, Replies).rows[0].cause is Cause.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("codes:", "kodes:", "rows.0.kodes"),
        ('["535"]', '["53"]', "rows.0.codes.0"),
        ('["535"]', "[535]", "rows.0.codes.0"),
        ("cause: AuthenticationFailed", "cause: NoSuchCause", "rows.0.cause"),
        ('"RFC 4954"', '"somewhere"', "rows.0.source"),
        ("2026-11-21", "yesterday", "rows.0.checked"),
        ('["535 no"]', "[]", "rows.0.examples"),
        ("protocol: SMTP", "protocol: SMTP\n    hint: no capital", "rows.0.hint"),
        ("protocol: SMTP", "protocol: SMTP\n    enhanced: 5.x", "rows.0.enhanced"),
        ("protocol: SMTP", 'protocol: SMTP\n    text: ["Capital"]', "rows.0.text.0"),
        ("protocol: SMTP", "protocol: SMTP\n    response: LIMIT", "are of IMAP"),
        ('    codes: ["535"]\n', "", "must name codes"),
        ("protocol: SMTP", "protocol: IMAP", "are of SMTP"),
        ("protocol: SMTP", "protocol: SMTP\n    onlyAtProvider: true", "needs a provider"),
        ('protocol: SMTP\n    codes: ["535"]', "protocol: IMAP", "must not fit everything"),
        ("rows:", "rows: [", "is not YAML"),
    ],
)
def test_bad_files_are_refused_by_place(old: str, new: str, place: str) -> None:
    assert old in GOOD
    with pytest.raises(InvalidData, match=re.escape(place)):
        validate("x.yaml", GOOD.replace(old, new), Replies)


def test_a_cause_without_a_meaning_is_refused() -> None:
    with pytest.raises(InvalidData, match="must be described"):
        validate("causes.yaml", "causes: []", Causes)
