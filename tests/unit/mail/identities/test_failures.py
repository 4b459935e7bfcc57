# SPDX-License-Identifier: Apache-2.0
"""Why there is no list of identities.

Covers: the error documents of both APIs, old and new forms, outages against refusals, the pause
that an API asks for, what each flow lacks, missing tokens, and any document whatsoever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.oauth_lab import google_account, google_user, microsoft_application, microsoft_user
from postroom.api.reasons import Reason
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.identities.asking import ApiReply
from postroom.mail.identities.failures import failure_of, no_token
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.grant import Grant
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.replies.model import FailureClass

GOOGLE, MICROSOFT = google_user(), microsoft_user()


def google_error(code: int, status: str, *, old: str = "", new: str = "") -> dict[str, Any]:
    """As www.googleapis.com writes it."""
    error: dict[str, Any] = {"code": code, "message": "canary", "status": status}
    if old:
        error["errors"] = [{"message": "canary", "domain": "global", "reason": old}]
    if new:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        error["details"] = [{"@type": kind, "reason": new, "domain": "googleapis.com"}]
    return {"error": error}


def graph_error(code: str) -> dict[str, Any]:
    """As graph.microsoft.com writes it."""
    inner = {"date": "2026-11-21T08:00:00", "request-id": "0a1b", "client-request-id": "0a1b"}
    return {"error": {"code": code, "message": "canary", "innerError": inner}}


ANSWERS: list[tuple[str, Grant, int, Mapping[str, object] | None, str, str]] = [
    (
        "api off",
        GOOGLE,
        403,
        google_error(403, "PERMISSION_DENIED", old="accessNotConfigured", new="SERVICE_DISABLED"),
        "IdentityUnverifiable",
        "enable it there under APIs & Services",
    ),
    (
        "scope",
        GOOGLE,
        403,
        google_error(
            403,
            "PERMISSION_DENIED",
            old="insufficientPermissions",
            new="ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        ),
        "OAuthScopeMissing",
        "https://mail.google.com/",
    ),
    (
        "scope, new form alone",
        google_account(),
        403,
        google_error(403, "PERMISSION_DENIED", new="ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
        "OAuthScopeMissing",
        "have the delegation grant that scope",
    ),
    (
        "policy",
        GOOGLE,
        403,
        google_error(403, "PERMISSION_DENIED", old="domainPolicy"),
        "IdentityUnverifiable",
        "have an administrator",
    ),
    (
        "no gmail",
        google_account(),
        400,
        google_error(400, "FAILED_PRECONDITION", old="failedPrecondition"),
        "IdentityUnverifiable",
        "turn the service on",
    ),
    ("gone", GOOGLE, 404, None, "IdentityUnverifiable", "Gmail is not on for alice@example.com"),
    (
        "unauthorised",
        GOOGLE,
        401,
        google_error(401, "UNAUTHENTICATED", old="authError"),
        "OAuthTokenRejected",
        "does not take a token",
    ),
    (
        "graph, delegated",
        MICROSOFT,
        403,
        graph_error("Authorization_RequestDenied"),
        "OAuthScopeMissing",
        "delegated permission User.Read",
    ),
    (
        "graph, application",
        microsoft_application(),
        403,
        graph_error("Authorization_RequestDenied"),
        "OAuthScopeMissing",
        "application permission User.Read.All",
    ),
    (
        "graph, nobody",
        microsoft_application(),
        404,
        graph_error("Request_ResourceNotFound"),
        "IdentityUnverifiable",
        "principal name alice@example.com",
    ),
    (
        "graph, token",
        MICROSOFT,
        401,
        graph_error("InvalidAuthenticationToken"),
        "OAuthTokenRejected",
        "does not take a token",
    ),
]


@pytest.mark.parametrize(
    ("grant", "status", "document", "reason", "part"),
    [one[1:] for one in ANSWERS],
    ids=[one[0] for one in ANSWERS],
)
def test_refusals_name_the_fix(
    grant: Grant, status: int, document: Mapping[str, object] | None, reason: str, part: str
) -> None:
    failure = failure_of(ApiReply(status, document), grant)
    assert (failure.reason.value, failure.passing) == (reason, False)
    assert part in failure.message
    assert "canary" not in failure.message


PASSING: list[tuple[int, Mapping[str, object] | None]] = [
    (429, None),
    (429, graph_error("TooManyRequests")),
    (403, google_error(403, "PERMISSION_DENIED", old="userRateLimitExceeded")),
    (403, google_error(403, "RESOURCE_EXHAUSTED", new="RATE_LIMIT_EXCEEDED")),
    (408, None),
    (500, google_error(500, "INTERNAL", old="backendError")),
    (502, None),
    (503, graph_error("ServiceNotAvailable")),
    (200, None),
    (204, None),
    (302, None),
    (400, None),
    (418, {}),
]


@pytest.mark.parametrize(("status", "document"), PASSING)
def test_what_passes_by_itself_is_no_refusal(
    status: int, document: Mapping[str, object] | None
) -> None:
    failure = failure_of(ApiReply(status, document, 120.0), GOOGLE)
    assert (failure.reason.value, failure.passing) == ("ProbeInconclusive", True)
    assert failure.retry_after == 120.0


@pytest.mark.parametrize("denied", [True, False])
def test_what_is_not_answered(denied: bool) -> None:
    failure = failure_of(NoAnswer("Nobody answers.", denied), MICROSOFT)
    assert (failure.message, failure.passing) == ("Nobody answers.", not denied)


def test_no_token_for_graph_names_the_permission() -> None:
    refused = TokenFailure(
        OAuthReason.CONSENT_REQUIRED, FailureClass.CONFIGURATION, "Nobody has consented."
    )
    failure = no_token(refused, MICROSOFT)
    assert (failure.reason, failure.passing) == (Reason.OAUTH_CONSENT_REQUIRED, False)
    assert "delegated permission User.Read of Microsoft Graph. Nobody" in failure.message


@pytest.mark.parametrize("grant", [GOOGLE, MICROSOFT])
def test_no_token_for_now(grant: Grant) -> None:
    outage = TokenFailure(OAuthReason.THROTTLED, FailureClass.THROTTLED, "Wait.", 60.0)
    failure = no_token(outage, grant)
    assert (failure.message, failure.passing, failure.retry_after) == ("Wait.", True, 60.0)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "details", "reason", "status", "code"]), inner
        )
    ),
    max_leaves=20,
)


@given(
    st.integers(100, 599),
    st.none() | st.dictionaries(st.sampled_from(["error", "message"]), JSON),
    st.sampled_from([GOOGLE, MICROSOFT, microsoft_application()]),
)
def test_any_answer(status: int, document: dict[str, Any] | None, grant: Grant) -> None:
    failure = failure_of(ApiReply(status, document), grant)
    assert failure.message.endswith(".")
    assert failure.passing or 400 <= status < 500
