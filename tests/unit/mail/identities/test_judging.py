# SPDX-License-Identifier: Apache-2.0
"""What is known of an identity: from a list, from a server's answers, or from nobody.

Covers: what each list decides, the fix that each refusal names, whose refusal it is, what outweighs
what, and that whatever is unknown is neither verified nor rejected.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.conditions import MESSAGE_LIMIT
from postroom.api.identities import IdentityMethod, IdentityState, IdentityType, VerificationMethod
from postroom.api.oauth import OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.identities.judging import Judgement, Knowledge, judge
from postroom.mail.identities.values import Discovered, DiscoveryFailure, ListedIdentity
from postroom.mail.operations import Acceptance, Answer

OWN, BILLING = "support@example.com", "billing@example.com"
ALIAS, SEND_AS, SHARED = IdentityType.ALIAS, IdentityType.SEND_AS, IdentityType.SHARED
VERIFIED, PENDING = IdentityState.VERIFIED, IdentityState.PENDING
SIGNED_IN = Knowledge(OWN, VerificationMethod.PROVIDER, signed_in_as=OWN)
GMAIL = Discovered(OAuthProvider.GOOGLE, OWN, (), frozenset(IdentityType))
GRAPH = Discovered(
    OAuthProvider.MICROSOFT, OWN, (), frozenset({IdentityType.PRIMARY, IdentityType.ALIAS})
)


def listing(
    base: Discovered, state: IdentityState, kind: IdentityType = ALIAS, address: str = BILLING
) -> Knowledge:
    listed = (ListedIdentity(address, kind, state),)
    return replace(SIGNED_IN, discovered=replace(base, listed=listed))


def answer(acceptance: Acceptance, reason: Reason = Reason.PROBE_INCONCLUSIVE) -> Answer:
    return Answer(acceptance, reason, "The server says so.")


def answering(own: Answer, billing: Answer, **more: Any) -> Knowledge:
    known = Knowledge(OWN, VerificationMethod.ENVELOPE, "apikey", **more)
    return replace(known, answers={OWN: own, BILLING: billing})


def found(judgement: Judgement) -> tuple[str, str | None, str]:
    method = judgement.method.value if judgement.method else None
    return judgement.state.value, method, judgement.reason.value


def test_who_signs_in_as_an_address_may_send_as_it() -> None:
    known = replace(SIGNED_IN, signed_in_as="Support@Example.com")
    assert found(judge(OWN, SEND_AS, known)) == ("Verified", "SignIn", "IdentityVerified")


def test_another_user_name_proves_nothing_of_the_address() -> None:
    known = replace(SIGNED_IN, signed_in_as="apikey")
    assert judge(OWN, IdentityType.PRIMARY, known).state is IdentityState.UNVERIFIABLE


@pytest.mark.parametrize("base", [GMAIL, GRAPH])
@pytest.mark.parametrize("kind", IdentityType)
def test_what_is_listed_is_verified_whatever_its_type(base: Discovered, kind: IdentityType) -> None:
    judgement = judge("Billing@example.com", kind, listing(base, VERIFIED))
    assert found(judgement) == ("Verified", "Provider", "IdentityVerified")


def test_pending_says_what_to_do() -> None:
    judgement = judge(BILLING, SEND_AS, listing(GMAIL, PENDING))
    assert found(judgement) == ("Pending", "Provider", "IdentityPending")
    assert f"sent to {BILLING}" in judgement.message


def test_an_alias_of_microsoft_comes_with_its_condition() -> None:
    assert "SendFromAliasEnabled" in judge(BILLING, ALIAS, listing(GRAPH, VERIFIED)).message


@pytest.mark.parametrize("kind", [ALIAS, SHARED, SEND_AS])
def test_gmail_rewrites_what_it_does_not_list(kind: IdentityType) -> None:
    judgement = judge(BILLING, kind, replace(SIGNED_IN, discovered=GMAIL))
    assert found(judgement) == ("Rejected", "Provider", "IdentityRejected")
    assert "Send mail as" in judgement.message


def test_microsoft_lists_every_alias() -> None:
    judgement = judge(BILLING, ALIAS, replace(SIGNED_IN, discovered=GRAPH))
    assert found(judgement) == ("Rejected", "Provider", "IdentityRejected")
    assert f"Set-Mailbox {OWN} -EmailAddresses @{{Add='{BILLING}'}}" in judgement.message


@pytest.mark.parametrize("kind", [SHARED, SEND_AS])
def test_microsoft_does_not_list_who_may_send_as_another(kind: IdentityType) -> None:
    judgement = judge(BILLING, kind, replace(SIGNED_IN, discovered=GRAPH))
    assert found(judgement) == ("Unverifiable", None, "IdentityUnverifiable")
    assert f"Add-RecipientPermission {BILLING} -AccessRights SendAs -Trustee {OWN}" in (
        judgement.message
    )


def test_the_own_address_is_rejected_only_where_the_list_decides_about_all() -> None:
    alice = replace(SIGNED_IN, signed_in_as="alice@example.com")
    at_gmail = judge(OWN, IdentityType.PRIMARY, replace(alice, discovered=GMAIL))
    at_microsoft = judge(OWN, IdentityType.PRIMARY, replace(alice, discovered=GRAPH))
    assert (at_gmail.state.value, at_microsoft.state.value) == ("Rejected", "Unverifiable")


@pytest.mark.parametrize("passing", [True, False])
def test_no_list_is_no_refusal(passing: bool) -> None:
    failure = DiscoveryFailure(Reason.PROBE_INCONCLUSIVE, "Wait.", passing)
    judgement = judge(BILLING, ALIAS, replace(SIGNED_IN, failure=failure))
    assert (judgement.state, judgement.message) == (IdentityState.UNVERIFIABLE, "Wait.")
    assert judgement.passing is passing


YES, NO = answer(Acceptance.ACCEPTED), answer(Acceptance.REFUSED)
FOREIGN = answer(Acceptance.REFUSED, Reason.SENDER_NOT_AUTHORIZED)


@pytest.mark.parametrize(
    ("own", "billing", "state"),
    [
        (YES, YES, "Verified"),
        (YES, NO, "Rejected"),
        (YES, FOREIGN, "Rejected"),
        (NO, FOREIGN, "Rejected"),
        (NO, NO, "Unverifiable"),
        (YES, answer(Acceptance.DEFERRED), "Unverifiable"),
        (YES, answer(Acceptance.UNKNOWN), "Unverifiable"),
    ],
)
def test_answers_to_mail_and_rcpt(own: Answer, billing: Answer, state: str) -> None:
    judgement = judge(BILLING, SEND_AS, answering(own, billing))
    assert judgement.state.value == state
    assert judgement.passing == (state == "Unverifiable")


def test_the_own_address_is_judged_by_the_server_too() -> None:
    assert found(judge(OWN, IdentityType.PRIMARY, answering(YES, NO)))[:2] == (
        "Verified",
        "Envelope",
    )
    assert found(judge(OWN, IdentityType.PRIMARY, answering(FOREIGN, NO)))[0] == "Rejected"


@pytest.mark.parametrize("billing", [YES, FOREIGN])
def test_who_judges_late_says_nothing_to_an_envelope(billing: Answer) -> None:
    judgement = judge(BILLING, SEND_AS, answering(YES, billing, judges_late="Gmail"))
    assert found(judgement) == ("Unverifiable", None, "IdentityUnverifiable")
    assert judgement.message.startswith("Gmail judges senders only after")


def test_the_list_outweighs_the_server() -> None:
    known = replace(listing(GMAIL, PENDING), answers={BILLING: YES})
    assert judge(BILLING, SEND_AS, known).state is PENDING


def test_without_a_method_nobody_is_asked() -> None:
    known = replace(SIGNED_IN, method=VerificationMethod.NONE)
    assert "method is None" in judge(BILLING, SEND_AS, known).message
    assert judge(OWN, SEND_AS, known).method is IdentityMethod.SIGN_IN


def test_where_nobody_lists_the_envelope_is_advised() -> None:
    judgement = judge(BILLING, SEND_AS, SIGNED_IN)
    assert found(judgement) == ("Unverifiable", None, "IdentityUnverifiable")
    assert "identityVerification.method to Envelope" in judgement.message


LONGEST = f"{'a' * 64}@{'b' * 61}.{'c' * 61}.{'d' * 61}.example"
ANSWERS = st.builds(Answer, st.sampled_from(Acceptance), st.sampled_from(Reason), st.just("x"))
KNOWN = st.builds(
    Knowledge,
    st.sampled_from([OWN, LONGEST]),
    st.sampled_from(VerificationMethod),
    st.sampled_from([None, OWN, "apikey"]),
    st.sampled_from([None, GMAIL, GRAPH, replace(GMAIL, mailbox=LONGEST)]),
    st.sampled_from([None, DiscoveryFailure(Reason.NOT_ATTEMPTED, "Later.", passing=True)]),
    st.dictionaries(st.sampled_from([OWN, BILLING, LONGEST]), ANSWERS),
    st.sampled_from([None, "Gmail"]),
)


@given(st.sampled_from([OWN, BILLING, LONGEST]), st.sampled_from(IdentityType), KNOWN)
def test_any_knowledge(address: str, kind: IdentityType, known: Knowledge) -> None:
    judgement = judge(address, kind, known)
    assert judgement.message.endswith(".")
    assert len(judgement.message) <= 2 * MESSAGE_LIMIT
    # Nothing is verified or rejected without a method that found it so.
    assert (judgement.method is None) == (judgement.state is IdentityState.UNVERIFIABLE)
