# SPDX-License-Identifier: Apache-2.0
"""`postroom explain`: every word that a status may hold, and replies that were pasted."""

from __future__ import annotations

import io

import pytest

from calls import calls_of
from postroom.api.conditions import ConditionType
from postroom.api.sendingdomain_status import RecordState, Verification
from postroom.cli.condition_meanings import CONDITIONS, STATES
from postroom.cli.explain import explain
from postroom.cli.main import main


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line; return exit code, standard output and error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), said.out, said.err


@pytest.mark.parametrize(
    "name",
    [
        "RecordNotFound",
        "SPF_MULTIPLE",
        "spf_multiple",
        "SECRET_NOT_FOUND",
        "AppPasswordRequired",
        "app_password_required",
        "MAIL_LOOP",
    ],
)
def test_explain(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = call(capsys, "explain", name)
    assert code == 0
    assert "What to do:" in out


def test_several_names_are_explained_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "explain", "SPF_MULTIPLE", "Ready", "AppPasswordRequired")
    assert code == 0
    places = [out.index(line) for line in ("SPF_MULTIPLE (", "Ready (condition)", "AppPasswordReq")]
    assert places == sorted(places)
    assert call(capsys, "explain", "SPF_MULTIPLE Ready")[1] in out
    code, out, err = call(capsys, "explain", "SPF_MULTIPLE", "SPF_MISING")
    assert (code, out) == (2, "")
    assert "nothing is called SPF_MISING. Did you mean SPF_MISSING" in err


def test_a_cause_names_the_reason_of_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "explain", "APP_PASSWORD_REQUIRED")
    assert "Conditions say: AuthenticationRejected" in out


def test_explain_offers_what_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "explain", "SPF_MULTIPEL")
    assert code == 2
    assert "SPF_MULTIPLE" in err


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("DKIMVerifed", "DKIMVerified"),
        ("dkim_verified", "DKIMVerified"),
        ("RecordNotFund", "RecordNotFound"),
        ("AppPaswordRequired", "AppPasswordRequired"),
    ],
)
def test_what_is_not_known_is_guessed(
    capsys: pytest.CaptureFixture[str], wrong: str, meant: str
) -> None:
    code, out, err = call(capsys, "explain", wrong)
    assert (code, out) == (2, "")
    assert f"Did you mean {meant}" in err


@pytest.mark.parametrize("condition", [*ConditionType])
def test_every_condition_is_explained(
    capsys: pytest.CaptureFixture[str], condition: ConditionType
) -> None:
    code, out, _ = call(capsys, "explain", condition.value.lower())
    assert code == 0
    assert out.startswith(f"{condition.value} (condition)\n\n{CONDITIONS[condition]}")


@pytest.mark.parametrize("state", [*Verification, *RecordState])
def test_every_word_of_the_status_of_a_domain_is_explained(
    capsys: pytest.CaptureFixture[str], state: Verification | RecordState
) -> None:
    place = "verification" if isinstance(state, Verification) else "records[].state"
    code, out, _ = call(capsys, "explain", state.value.lower())
    assert code == 0
    assert f"In status.{place}: {STATES[f'status.{place}'][state]}" in out.splitlines()


def test_a_state_and_a_reason_of_one_name_are_told_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = call(capsys, "explain", "pending")
    titles = [line for line in out.splitlines() if line.startswith("Pending")]
    assert titles == ["Pending (state)", "Pending (reason)"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("535 5.7.8 Username and Password not accepted. For more information, go to",),
        ("535", "5.7.8", "Username", "and", "Password", "not", "accepted."),
        ("535-5.7.8 Username and Password not accepted. For more\n535 5.7.8 information",),
        ("(535, b'5.7.8 Username and Password not accepted.')",),
        ("smtp.gmail.com port 587: 535 5.7.8 Username and Password not accepted.",),
        ("a1 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",),
        ("[AUTHENTICATIONFAILED] Invalid credentials",),
    ],
)
def test_a_pasted_reply_is_explained(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, _ = call(capsys, "explain", *arguments)
    assert code == 0
    assert out.startswith("AuthenticationFailed\n")
    assert "What to do:" in out
    assert "Conditions say: AuthenticationRejected" in out


@pytest.mark.parametrize(
    ("code", "causes"),
    [
        ("5.7.139", {"SmtpAuthDisabledForTenant", "BlockedBySecurityDefaults"}),
        ("535 5.7.8", {"AuthenticationFailed", "AppPasswordRequired"}),
        ("535", {"AuthenticationFailed"}),
        ("5.1.1", {"RecipientRejected"}),
        ("4.9.9", {"SendTemporaryFailure"}),
    ],
)
def test_a_code_alone_is_all_that_it_may_mean(
    capsys: pytest.CaptureFixture[str], code: str, causes: set[str]
) -> None:
    ended, out, _ = call(capsys, "explain", code)
    assert ended == 0
    assert causes <= {line.split()[0] for line in out.splitlines() if line}


def test_a_reply_comes_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = (
        b"550-5.1.1 No such user\n550 5.1.1 here\n",
        "550 5.1.1 No such user ä\n".encode("latin-1"),
        # What is cut off ends within a character.
        b"550 5.1.1 No such user\n " + "ä".encode() * 100_000,
        # A whole log.
        b"550 5.1.1 No such user\n" + b"a b c\n" * 100_000,
    )
    for reply in replies:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(reply), encoding="utf-8"))
        assert call(capsys, "explain", "-")[1].startswith("RecipientRejected\n")


def test_a_whole_log_is_gone_through_with_a_few_calls_for_each_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(words: int) -> int:
        log = b"550 5.1.1 No such user\n" + b"a b c\n" * (words // 3)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(log)))
        return calls_of(lambda: explain(["-"]))

    # What is made once is made.
    asked(300)
    assert asked(1_200) - asked(300) < 900 * 200


def test_an_empty_standard_input_is_no_wish_for_all_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    ended, out, err = call(capsys, "explain", "-")
    assert (ended, out) == (2, "")
    assert err.startswith("postroom explain: standard input is empty")


def test_words_that_are_no_reply_are_not_guessed_at(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "explain", "hello", "world")
    assert (code, out) == (2, "")
    assert "no reply of a mail server" in err


def test_explain_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "explain")
    assert "RecordNotFound" in out
    assert "DKIM_REVOKED" in out
    assert "AppPasswordRequired" in out
    listed = [line.split()[0] for line in out.splitlines()]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("word", ["FOO_BAR", "ABC", "NO_SUCH_THING", "RecordFoo"])
def test_nothing_is_guessed_for_what_is_like_nothing(
    capsys: pytest.CaptureFixture[str], word: str
) -> None:
    code, out, err = call(capsys, "explain", word)
    assert (code, out) == (2, "")
    assert err == f"postroom explain: nothing is called {word}. Without a name, all are listed.\n"
