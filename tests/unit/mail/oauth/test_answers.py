# SPDX-License-Identifier: Apache-2.0
"""What the answer of a token endpoint comes to: a token with its life, or why there is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.token_server import microsoft_error
from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import AccessToken, TokenFailure, failure_from, token_from
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.reasons import OAuthReason

G, M = OAuthProvider.GOOGLE, OAuthProvider.MICROSOFT


REFRESH = OAuthFlow.REFRESH_TOKEN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


FIELDS = (
    "error",
    "error_description",
    "error_codes",
    "suberror",
    "error_subtype",
    "access_token",
    "token_type",
    "expires_in",
    "scope",
    "refresh_token",
)


DOCUMENTS = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8)


@given(DOCUMENTS, st.integers(200, 599), st.sampled_from(OAuthProvider), st.sampled_from(OAuthFlow))
def test_any_document_ends_in_a_value(
    document: dict[str, Any], status: int, provider: OAuthProvider, flow: OAuthFlow
) -> None:
    got = token_from(TokenAnswer(status, document), provider, flow, None)
    if isinstance(got, AccessToken):
        assert status == 200
        assert 0 < got.expires_in <= 24 * 3600
    else:
        assert len(got.message) < 600
        assert got.message.isprintable()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"access_token": "x"},
        {"access_token": "", "token_type": "Bearer"},
        {"access_token": 5, "token_type": "Bearer"},
        {"access_token": "x", "token_type": "mac"},
        {"access_token": "a\x01b", "token_type": "Bearer"},
        {"access_token": "ü", "token_type": "Bearer"},
        {"access_token": "x" * 40_000, "token_type": "Bearer"},
        {"error": "invalid_grant"},
    ],
)
def test_a_success_without_a_token_is_no_refusal(document: dict[str, Any]) -> None:
    got = token_from(TokenAnswer(200, document), G, REFRESH, None)
    assert isinstance(got, TokenFailure)
    assert (got.reason, got.conclusive) == (OAuthReason.ENDPOINT_UNEXPECTED, False)


@pytest.mark.parametrize(
    ("said", "life"),
    [
        (3599, 3599.0),
        ("3599", 3599.0),
        (None, 300.0),
        (0, 300.0),
        (-5, 300.0),
        (True, 300.0),
        (10**400, 86400.0),
        ("soon", 300.0),
        (float("nan"), 300.0),
        (float("inf"), 86400.0),
    ],
)
def test_how_long_a_token_lasts(said: object, life: float) -> None:
    document = {"access_token": "x", "token_type": "Bearer", "expires_in": said}
    got = token_from(TokenAnswer(200, document), G, REFRESH, None)
    assert isinstance(got, AccessToken)
    assert got.expires_in == life


def test_messages_are_deterministic_and_say_what_to_do() -> None:
    answers = [TokenAnswer(400, microsoft_error("invalid_grant", 50173), 9.0) for _ in range(2)]
    first, second = (failure_from(answer, M, REFRESH).message for answer in answers)
    assert first == second
    assert first == (
        "The refresh token is revoked or wrong. The endpoint answers invalid_grant (AADSTS50173). "
        "Sign in again: postroom auth login."
    )


def test_no_answer_is_no_verdict_unless_we_may_not_ask() -> None:
    for denied in (False, True):
        got = token_from(NoAnswer("It is so.", denied), G, REFRESH, None)
        assert isinstance(got, TokenFailure)
        assert got.conclusive is denied
