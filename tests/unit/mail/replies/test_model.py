# SPDX-License-Identifier: Apache-2.0
"""The shape of the catalogue of replies: what a row may hold, and which of two says more."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from postroom.api.reasons import Reason
from postroom.mail.replies.causes import Cause
from postroom.mail.replies.model import (
    CauseEntry,
    Causes,
    FailureClass,
    FamilyEntries,
    FamilyEntry,
    Protocol,
    ReplyRow,
    Result,
    SignIn,
    Stage,
)

ROW: dict[str, Any] = {
    "id": "a-row",
    "protocol": Protocol.SMTP,
    "codes": ("535",),
    "cause": Cause.AUTHENTICATION_FAILED,
    "source": "RFC 4954 section 6",
    "checked": date(2026, 11, 1),
    "examples": ("535 no",),
}
IMAP: dict[str, Any] = {**ROW, "protocol": Protocol.IMAP, "codes": (), "results": (Result.NO,)}
FAMILY: dict[str, Any] = {
    "id": "family-one",
    "words": ("wrong",),
    "cause": Cause.AUTHENTICATION_FAILED,
    "source": "RFC 4954 section 6",
    "checked": date(2026, 11, 1),
    "examples": ("535 wrong",),
}


def row(base: dict[str, Any] = ROW, **more: Any) -> ReplyRow:
    return ReplyRow(**{**base, **more})


@pytest.mark.parametrize(
    ("base", "wrong", "why"),
    [
        (ROW, {"codes": ()}, "must name codes"),
        (ROW, {"results": (Result.NO,)}, "are of IMAP"),
        (ROW, {"response": "ALERT"}, "are of IMAP"),
        (IMAP, {"codes": ("535",)}, "are of SMTP"),
        (IMAP, {"enhanced": "5.7.8"}, "are of SMTP"),
        (IMAP, {"results": ()}, "must not fit everything"),
        (ROW, {"only_at_provider": True}, "needs a provider"),
        (ROW, {"codes": ("135",)}, "pattern"),
        (ROW, {"enhanced": "3.1.1"}, "pattern"),
        (ROW, {"text": ("Upper",)}, "pattern"),
        (ROW, {"hint": "no capital"}, "pattern"),
        (ROW, {"source": "somewhere"}, "pattern"),
        (ROW, {"examples": ()}, "at least 1"),
        (ROW, {"wait": 60}, "greater than"),
        (ROW, {"unknown": 1}, "Extra inputs"),
    ],
)
def test_rows_that_are_refused(base: dict[str, Any], wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        row(base, **wrong)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({"codes": ("5xx",)}, {}),
        ({"codes": ("535", "454")}, {}),
        ({}, {"text": ("password",)}),
        ({"text": ("word",)}, {"text": ("password", "more")}),
        ({}, {"enhanced": "5.7.8"}),
        ({"stages": (Stage.SEND,)}, {"stages": (Stage.MAIL, Stage.RCPT)}),
        ({}, {"provider": "Gmail", "only_at_provider": True}),
        ({"provider": "Gmail"}, {"provider": "Outlook"}),
        ({}, {"sign_in": SignIn.TOKEN}),
        ({}, {"app_password_shaped": False}),
    ],
)
def test_a_row_covers_those_that_say_more(wide: dict[str, Any], narrow: dict[str, Any]) -> None:
    assert row(**wide).covers(row(**narrow))
    if "provider" not in wide:
        assert not row(**narrow).covers(row(**wide))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"codes": ("535",)}, {"codes": ("535", "534")}),
        ({"codes": ("4xx",)}, {"codes": ("535",)}),
        ({"text": ("password", "again")}, {"text": ("password",)}),
        ({"enhanced": "5.7.8"}, {"enhanced": "5.7.9"}),
        ({"stages": (Stage.MAIL,)}, {"stages": (Stage.SEND,)}),
        ({"provider": "Gmail", "only_at_provider": True}, {"provider": "Gmail"}),
        ({"app_password_shaped": True}, {"app_password_shaped": False}),
    ],
)
def test_a_row_does_not_cover_what_it_does_not_fit(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert not row(**one).covers(row(**other))


def test_results_of_imap_are_all_or_some() -> None:
    anything = row(IMAP, results=(), text=("wrong",))
    no, either = (
        row(IMAP, results=each, text=("wrong",)) for each in ((Result.NO,), tuple(Result))
    )
    assert anything.covers(no)
    assert either.covers(no)
    assert not no.covers(anything)
    assert not no.covers(either)
    assert not anything.covers(row(text=("wrong",)))


@pytest.mark.parametrize(
    ("stages", "stage", "reached"),
    [
        ((Stage.AUTH,), Stage.AUTH, True),
        ((Stage.AUTH,), Stage.MAIL, False),
        ((Stage.SEND,), Stage.DATA, True),
        ((Stage.SEND,), Stage.AUTH, False),
        ((Stage.MAIL,), Stage.SEND, False),
    ],
)
def test_sending_is_all_of_a_transaction(
    stages: tuple[Stage, ...], stage: Stage, reached: bool
) -> None:
    """RFC 5321 section 3.3."""
    assert row(stages=stages).reaches(stage) is reached


def test_what_somebody_must_mend_counts_at_once() -> None:
    assert {each for each in FailureClass if each.hard} == {
        FailureClass.PERMANENT,
        FailureClass.CONFIGURATION,
    }


def test_a_family_has_words_or_is_of_what_passes() -> None:
    assert FamilyEntry(**{**FAMILY, "words": (), "passing": True}).passing
    with pytest.raises(ValidationError, match="must not fit everything"):
        FamilyEntry(**{**FAMILY, "words": ()})


def test_no_family_stands_twice() -> None:
    family = FamilyEntry(**FAMILY)
    senses = dict.fromkeys(("passing", "supposed", "negated", "empty"), ("word",))
    refusal = {name: FAMILY[name] for name in ("source", "checked", "examples")} | {"words": "word"}
    words = {"vocabulary": {}, **senses, "refusals": (refusal,)}
    assert FamilyEntries(**words, families=(family,)).families == (family,)
    with pytest.raises(ValidationError, match="same id"):
        FamilyEntries(**words, families=(family, family))


def test_every_cause_is_described_once() -> None:
    def entry(cause: Cause) -> CauseEntry:
        return CauseEntry(
            cause=cause,
            reason=Reason.AUTHENTICATION_REJECTED,
            failure_class=FailureClass.PERMANENT,
            meaning="It means something.",
            remedy="Do something.",
        )

    everything = tuple(map(entry, Cause))
    assert len(Causes(causes=everything).causes) == len(Cause)
    with pytest.raises(ValidationError, match=f"{everything[0].cause.value} must be described"):
        Causes(causes=everything[1:])
    with pytest.raises(ValidationError, match="described twice"):
        Causes(causes=(*everything, everything[0]))
