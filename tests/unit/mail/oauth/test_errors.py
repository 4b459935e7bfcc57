# SPDX-License-Identifier: Apache-2.0
"""What the refusals of token endpoints mean.

Covers: every row of the table (each can be reached, none is in the shadow of another), the rows of
the reference by name, statuses that stand above documents, and hostile documents.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.token_server import google_error, microsoft_error
from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.mail.oauth.errors import (
    ErrorDocument,
    ErrorRow,
    Table,
    error_document,
    meaning_of,
    read_document,
    shown,
    table,
)
from postroom.mail.oauth.reasons import CATALOGUE, OAuthReason
from postroom.mail.replies.model import FailureClass
from rows import over

G, M = OAuthProvider.GOOGLE, OAuthProvider.MICROSOFT


REFRESH, ACCOUNT = OAuthFlow.REFRESH_TOKEN, OAuthFlow.SERVICE_ACCOUNT


OUTAGES = {OAuthReason.ENDPOINT_UNAVAILABLE, OAuthReason.THROTTLED, OAuthReason.LOGIN_PENDING}


def document_of(row: ErrorRow) -> dict[str, Any]:
    """The document that a row is about, in its provider's form."""
    if row.provider is M:
        return microsoft_error(row.error or "invalid_grant", row.code)
    return google_error(row.error, f"It says: {row.text.title()}" if row.text else "", row.suberror)


def name_of(row: ErrorRow) -> str:
    return f"{row.provider or 'all'}-{row.code or row.error}-{row.text}{row.suberror}"


@over(table().rows, name_of)
def test_every_row_decides_about_its_own_document(row: ErrorRow) -> None:
    provider = row.provider or OAuthProvider.GENERIC
    fault = error_document(document_of(row))
    meant = meaning_of(400, fault, provider, row.flow or REFRESH)
    hint = row.hint or CATALOGUE[row.reason].remedy
    assert (meant.reason, meant.failure_class, meant.hint) == (row.reason, row.failure_class, hint)


@over(table().rows, name_of)
def test_only_what_passes_is_inconclusive(row: ErrorRow) -> None:
    assert row.failure_class.hard == (row.reason not in OUTAGES)


@pytest.mark.parametrize("reason", OAuthReason)
def test_every_reason_has_a_meaning_and_a_remedy(reason: OAuthReason) -> None:
    entry = CATALOGUE[reason]
    assert entry.meaning.endswith(".")
    assert entry.remedy.endswith(".")


REFERENCE: list[tuple[OAuthProvider, OAuthFlow, dict[str, Any], str]] = [
    (M, REFRESH, microsoft_error("invalid_client", 7000215), "OAuthClientSecretInvalid"),
    (M, REFRESH, microsoft_error("invalid_client", None), "OAuthClientSecretInvalid"),
    (G, REFRESH, google_error("invalid_client"), "OAuthClientSecretInvalid"),
    (M, REFRESH, microsoft_error("invalid_client", 7000222), "OAuthClientSecretExpired"),
    (M, REFRESH, microsoft_error("unauthorized_client", 700016), "OAuthClientUnknown"),
    (M, REFRESH, microsoft_error("invalid_client", 700027), "OAuthAssertionInvalid"),
    (M, REFRESH, microsoft_error("invalid_request", 90002), "OAuthTenantUnknown"),
    (G, ACCOUNT, google_error("unauthorized_client"), "OAuthDelegationMissing"),
    (M, REFRESH, microsoft_error("invalid_grant", 700082), "OAuthGrantExpired"),
    (M, REFRESH, microsoft_error("invalid_grant", 70008), "OAuthGrantExpired"),
    (M, REFRESH, microsoft_error("invalid_grant", 50173), "OAuthGrantRevoked"),
    (M, REFRESH, microsoft_error("invalid_grant", 50076), "OAuthInteractionRequired"),
    (M, REFRESH, microsoft_error("invalid_grant", 50079), "OAuthInteractionRequired"),
    (M, REFRESH, microsoft_error("invalid_grant", 53003), "OAuthBlockedByConditionalAccess"),
    (M, REFRESH, microsoft_error("invalid_grant", 65001), "OAuthConsentRequired"),
    (M, REFRESH, microsoft_error("invalid_grant", 50057), "OAuthAccountDisabled"),
    (M, REFRESH, microsoft_error("invalid_grant", 50034), "OAuthAccountNotFound"),
    (
        G,
        REFRESH,
        google_error("invalid_grant", "Token has been expired or revoked."),
        "OAuthGrantRevoked",
    ),
    (G, REFRESH, google_error("invalid_scope"), "OAuthScopeRejected"),
    (G, REFRESH, google_error("access_denied"), "OAuthAccessDeclined"),
    (G, REFRESH, google_error("admin_policy_enforced"), "OAuthBlockedByAdmin"),
    (M, REFRESH, microsoft_error("invalid_grant", 99999999), "OAuthGrantRevoked"),
    (M, REFRESH, microsoft_error("invalid_grant", None, "No number."), "OAuthGrantRevoked"),
]


@pytest.mark.parametrize(("provider", "flow", "document", "reason"), REFERENCE)
def test_the_errors_of_the_reference(
    provider: OAuthProvider, flow: OAuthFlow, document: dict[str, Any], reason: str
) -> None:
    meant = meaning_of(400, error_document(document), provider, flow)
    assert (meant.reason.value, meant.failure_class.hard) == (reason, True)


def test_the_causes_of_a_revoked_grant_stand_in_the_order_of_the_reference() -> None:
    document = google_error("invalid_grant", "Token has been expired or revoked.")
    hint = meaning_of(400, error_document(document), G, REFRESH).hint
    causes = ("in testing", "password", "6 months", "too many tokens", "session control")
    places = [hint.find(cause) for cause in causes]
    assert -1 not in places
    assert places == sorted(places)


def test_a_number_that_is_only_in_the_text_counts() -> None:
    document = microsoft_error("invalid_grant", 50173)
    del document["error_codes"]
    assert error_document(document).codes == (50173,)


@over(table().rows, name_of)
def test_an_outage_is_no_refusal_whatever_the_document_says(row: ErrorRow) -> None:
    fault = error_document(document_of(row))
    for status in (500, 502, 503, 504, 599, 408, 425):
        meant = meaning_of(status, fault, row.provider or G, REFRESH)
        assert meant.reason is OAuthReason.ENDPOINT_UNAVAILABLE, status
        assert meant.failure_class is FailureClass.TRANSIENT, status


def test_too_many_requests_are_no_refusal() -> None:
    fault = error_document(google_error("invalid_grant"))
    assert meaning_of(429, fault, G, REFRESH).reason is OAuthReason.THROTTLED


def test_the_front_end_of_google_is_understood() -> None:
    nested = {"error": {"code": 400, "message": "Bad", "status": "INVALID_ARGUMENT"}}
    fault = error_document(nested)
    assert shown(fault) == "invalid_argument"
    assert not meaning_of(400, fault, G, REFRESH).failure_class.hard


def test_a_word_that_is_new_is_no_verdict() -> None:
    meant = meaning_of(400, ErrorDocument(error="brand_new"), G, REFRESH)
    assert (meant.reason, meant.failure_class) == (
        OAuthReason.REQUEST_INVALID,
        FailureClass.TRANSIENT,
    )


def test_a_table_must_be_sound() -> None:
    row = {
        "meaning": "It is.",
        "reason": "OAuthGrantRevoked",
        "class": "Permanent",
        "source": "here",
    }
    sources = {"here": {"url": "https://example.com/", "checked": "2026-11-21"}}
    with pytest.raises(ValidationError, match="must not match everything"):
        Table.model_validate_json(json.dumps({"sources": sources, "rows": [row]}))
    with pytest.raises(ValidationError, match="only Microsoft"):
        of_google = {"sources": sources, "rows": [row | {"code": 50034}]}
        Table.model_validate_json(json.dumps(of_google))
    with pytest.raises(ValidationError, match="no such source: there"):
        broken = row | {"error": "x", "source": "there"}
        Table.model_validate_json(json.dumps({"sources": sources, "rows": [broken]}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=300))
def test_any_body_can_be_read(body: bytes) -> None:
    found = read_document(body)
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 9999, b'"x"', b"null"])
def test_absurd_bodies_are_no_documents(body: bytes) -> None:
    assert read_document(body) is None


@given(st.text(max_size=60))
def test_foreign_words_are_not_shown(word: str) -> None:
    named = shown(error_document({"error": word, "error_description": word}))
    assert named == "" or named.replace("_", "").isalnum()
    assert named.isascii()


#: Numbers and words that the table does not know, by what they speak of.
UNKNOWN: list[tuple[OAuthProvider, dict[str, Any], str]] = [
    (M, microsoft_error("invalid_client", 7009999, "AADSTS7009999: The certificate with "
     "thumbprint AB12 has not been found on the application."), "OAuthAssertionInvalid"),
    (M, microsoft_error("invalid_client", 7009998, "AADSTS7009998: The client assertion "
     "signature cannot be verified."), "OAuthAssertionInvalid"),
    (M, microsoft_error("invalid_client", 7000299, "AADSTS7000299: The provided client secret "
     "keys have expired."), "OAuthClientSecretExpired"),
    (M, microsoft_error("invalid_client", 7000298, "AADSTS7000298: Wrong client secret."),
     "OAuthClientSecretInvalid"),
    (M, microsoft_error("unauthorized_client", 7000199, "AADSTS7000199: Application "
     "'11111111-2222-3333-4444-555555555555'(Mail) is disabled."), "OAuthClientDisabled"),
    (M, microsoft_error("invalid_resource", 500019, "AADSTS500019: The service principal for "
     "resource 'x' is disabled."), "OAuthClientDisabled"),
    (M, microsoft_error("unauthorized_client", 700099, "AADSTS700099: The service principal "
     "named x was not found in the tenant named y."), "OAuthClientUnknown"),
    (M, microsoft_error("invalid_grant", 65099, "AADSTS65099: The user or administrator has not "
     "consented to use the application."), "OAuthConsentRequired"),
    (M, microsoft_error("invalid_grant", 65098, "AADSTS65098: No."), "OAuthConsentRequired"),
    (M, microsoft_error("invalid_grant", 53999, "AADSTS53999: No."),
     "OAuthBlockedByConditionalAccess"),
    (M, microsoft_error("invalid_grant", 530099, "AADSTS530099: Access has been blocked by "
     "Conditional Access policies."), "OAuthBlockedByConditionalAccess"),
    (M, microsoft_error("invalid_grant", 50999, "AADSTS50999: You must use multi-factor "
     "authentication to access x."), "OAuthInteractionRequired"),
    (M, microsoft_error("invalid_grant", 50998, "AADSTS50998: The user account is locked."),
     "OAuthThrottled"),
    (M, microsoft_error("invalid_grant", 50053, "AADSTS50053: The account is locked, you've tried "
     "to sign in too many times with an incorrect user ID or password."), "OAuthThrottled"),
    (M, microsoft_error("invalid_grant", 50996, "AADSTS50996: The user account is blocked."),
     "OAuthAccountDisabled"),
    (M, microsoft_error("invalid_grant", 50997, "AADSTS50997: The user account does not exist "
     "in the directory."), "OAuthAccountNotFound"),
    (M, microsoft_error("invalid_request", 90999, "AADSTS90999: Tenant 'x' not found."),
     "OAuthTenantUnknown"),
    (M, microsoft_error("invalid_grant", 50996, "AADSTS50996: Sign-in was restricted by your "
     "administrator."), "OAuthBlockedByAdmin"),
    (M, microsoft_error("invalid_request", 90998, "AADSTS90998: Too many requests, throttled."),
     "OAuthThrottled"),
    (M, microsoft_error("invalid_grant", 90997, "AADSTS90997: The service is temporarily "
     "unavailable, try again later."), "OAuthEndpointUnavailable"),
    (M, microsoft_error("invalid_grant", 70099, "AADSTS70099: The refresh token has expired due "
     "to inactivity."), "OAuthGrantExpired"),
    (G, google_error("invalid_grant", "Account has been deleted"), "OAuthAccountDisabled"),
    (G, google_error("invalid_grant", "The user account was suspended"), "OAuthAccountDisabled"),
    (G, google_error("rate_limit_exceeded"), "OAuthThrottled"),
    (G, google_error("policy_enforced"), "OAuthBlockedByAdmin"),
    (G, google_error("invalid_client", "The OAuth client was deleted."), "OAuthClientDisabled"),
    (G, google_error("invalid_request", "Invalid JWT signature"), "OAuthAssertionInvalid"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "document", "reason"), UNKNOWN)
def test_unknown_errors_are_understood_by_their_family(
    provider: OAuthProvider, document: dict[str, Any], reason: str
) -> None:
    meant = meaning_of(400, error_document(document), provider, REFRESH)
    assert meant.reason.value == reason
    assert meant.failure_class.hard == (meant.reason not in OUTAGES)


def read_samples() -> list[dict[str, str]]:
    """Errors made up with numbers and wordings that the table lacks, and what they may mean.

    It named 41 of the first 62 right before its families were widened for them, and then 26 of the
    33 that follow.
    """
    with (Path(__file__).parent / "data" / "token_errors.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@over(read_samples())
def test_errors_of_other_wordings_are_understood(sample: dict[str, str]) -> None:
    code, said = sample["code"], sample["description"]
    if code:
        document = microsoft_error(sample["error"], int(code), f"AADSTS{code}: {said}")
    else:
        document = google_error(sample["error"], said)
    provider, flow = OAuthProvider(sample["provider"]), OAuthFlow(sample["flow"])
    meant = meaning_of(400, error_document(document), provider, flow)
    assert meant.reason.value in sample["reason"].split("|")


@given(
    st.sampled_from([one for one in UNKNOWN if one[0] is M]),
    st.sampled_from(["Throttled.", "Try again later.", "It is temporarily unavailable."]),
)
def test_an_unknown_error_that_passes_is_no_refusal(
    sample: tuple[OAuthProvider, dict[str, Any], str], added: str
) -> None:
    provider, document, _ = sample
    said = {**document, "error_description": f"{document['error_description']} {added}"}
    assert not meaning_of(400, error_document(said), provider, REFRESH).failure_class.hard
