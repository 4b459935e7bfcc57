# SPDX-License-Identifier: Apache-2.0
"""The lists of Gmail and Microsoft Graph, read.

Covers: documents in the form of both API references, whose list it is, what a list decides about,
bounds, and any document whatsoever.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from postroom.api.fields import EmailAddress
from postroom.api.identities import DISPLAY_NAME_LIMIT, IdentityState, IdentityType
from postroom.api.oauth import OAuthProvider
from postroom.mail.identities.reading import read, read_gmail, read_graph
from postroom.mail.identities.values import Discovered, DiscoveryFailure

OWN = "support@example.com"
PRIMARY: dict[str, Any] = {
    "sendAsEmail": OWN,
    "displayName": "Support",
    "replyToAddress": "",
    "signature": "",
    "isPrimary": True,
    "isDefault": True,
}


def send_as(address: str, **more: Any) -> dict[str, Any]:
    return {
        "sendAsEmail": address,
        "displayName": "Billing",
        "replyToAddress": "",
        "signature": "<div>Billing</div>",
        "treatAsAlias": True,
        "verificationStatus": "accepted",
        **more,
    }


def gmail(*entries: object, mailbox: str = OWN) -> Discovered:
    found = read_gmail({"sendAs": [PRIMARY, *entries]}, mailbox)
    assert isinstance(found, Discovered)
    return found


def graph(mailbox: str = OWN, **document: Any) -> Discovered:
    found = read_graph({"@odata.context": "https://graph.microsoft.com/v1.0/", **document}, mailbox)
    assert isinstance(found, Discovered)
    return found


def facts(found: Discovered) -> list[tuple[str, str, str]]:
    return [(one.address, one.type.value, one.state.value) for one in found.listed]


def test_gmail() -> None:
    found = gmail(
        send_as("billing@example.com"),
        send_as("owner@example.org", treatAsAlias=False, verificationStatus="pending"),
    )
    assert facts(found) == [
        (OWN, "Primary", "Verified"),
        ("billing@example.com", "Alias", "Verified"),
        ("owner@example.org", "SendAs", "Pending"),
    ]
    assert found.decides == set(IdentityType)
    assert [one.display_name for one in found.listed] == ["Support", "Billing", "Billing"]


def test_gmail_that_does_not_say_whether_it_is_confirmed() -> None:
    entry = send_as("billing@example.com", verificationStatus="verificationStatusUnspecified")
    assert facts(gmail(entry))[1:] == [("billing@example.com", "Alias", "Unverifiable")]


def test_graph() -> None:
    found = graph(
        mail=OWN,
        userPrincipalName="support@contoso.onmicrosoft.com",
        proxyAddresses=[
            "smtp:Billing@Example.COM",
            "SMTP:support@example.com",
            "smtp:support@contoso.onmicrosoft.com",
            "SIP:support@example.com",
            "X500:/o=ExchangeLabs/ou=Exchange",
        ],
    )
    assert facts(found) == [
        (OWN, "Primary", "Verified"),
        ("Billing@example.com", "Alias", "Verified"),
        ("support@contoso.onmicrosoft.com", "Alias", "Verified"),
    ]
    assert found.decides == {IdentityType.PRIMARY, IdentityType.ALIAS}


def test_graph_does_not_know_the_aliases_of_personal_accounts() -> None:
    found = graph("me@outlook.com", mail="me@outlook.com", userPrincipalName="me@outlook.com")
    assert facts(found) == [("me@outlook.com", "Primary", "Verified")]
    assert found.decides == set()


def test_graph_without_a_mailbox_but_with_a_name_to_sign_in_with() -> None:
    found = graph(mail=None, userPrincipalName=OWN, proxyAddresses=[])
    assert not found.listed
    assert not found.decides


def test_a_mail_address_beside_the_proxy_addresses_is_an_alias() -> None:
    found = graph(mail="desk@example.com", proxyAddresses=["SMTP:support@example.com"])
    assert facts(found)[1:] == [("desk@example.com", "Alias", "Verified")]


@pytest.mark.parametrize(
    ("provider", "document"),
    [
        (OAuthProvider.GOOGLE, {"sendAs": [send_as("alice@example.com", isPrimary=True)]}),
        (OAuthProvider.MICROSOFT, {"mail": "alice@example.com", "proxyAddresses": []}),
        (OAuthProvider.MICROSOFT, {"userPrincipalName": "alice@example.com"}),
    ],
)
def test_the_list_of_another_mailbox_decides_nothing(
    provider: OAuthProvider, document: dict[str, Any]
) -> None:
    found = read(provider, document, OWN)
    assert isinstance(found, DiscoveryFailure)
    assert (found.reason.value, found.passing) == ("IdentityUnverifiable", False)
    assert OWN in found.message
    assert "alice" not in found.message


@pytest.mark.parametrize("provider", [OAuthProvider.GOOGLE, OAuthProvider.MICROSOFT])
@pytest.mark.parametrize("document", [{}, {"sendAs": {}, "proxyAddresses": "x", "mail": 5}])
def test_an_answer_without_addresses_is_no_list(
    provider: OAuthProvider, document: dict[str, Any]
) -> None:
    found = read(provider, document, OWN)
    assert isinstance(found, DiscoveryFailure)
    assert found.passing


def test_the_case_of_addresses_is_nothing_to_providers() -> None:
    found = gmail(send_as("Billing@example.com"), send_as("billing@EXAMPLE.com"))
    assert facts(found)[1:] == [("Billing@example.com", "Alias", "Verified")]
    assert found.find("BILLING@example.com") is found.listed[1]
    assert graph("Support@example.com", mail=OWN).mailbox == "Support@example.com"


def test_the_order_of_the_answer_is_nothing() -> None:
    entries = [send_as(f"{name}@example.com") for name in "cab"]
    assert gmail(*entries) == gmail(*reversed(entries))


def test_lists_are_bounded() -> None:
    found = gmail(*(send_as(f"a{number}@example.com") for number in range(2000)))
    assert len(found.listed) == 400


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Billing\r\nBcc: x@example.com", "BillingBcc: x@example.com"),
        ("\u202egnilliB", "gnilliB"),
        ("x" * 5000, "x" * DISPLAY_NAME_LIMIT),
        ("  Büro   Süd ", "Büro Süd"),
        ("\x00", None),
        (7, None),
    ],
)
def test_display_names_are_made_fit_for_status(given: object, shown: str | None) -> None:
    assert gmail(send_as("b@example.com", displayName=given)).listed[1].display_name == shown


NAMES = st.sampled_from(
    [
        "sendAs",
        "sendAsEmail",
        "displayName",
        "isPrimary",
        "verificationStatus",
        "treatAsAlias",
        "mail",
        "userPrincipalName",
        "proxyAddresses",
    ]
)
WORDS = st.sampled_from([OWN, f"SMTP:{OWN}", "smtp:a@b.example", "accepted", "pending", "SMTP:"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, JSON), st.sampled_from(list(OAuthProvider)[:2]))
def test_any_document(document: dict[str, Any], provider: OAuthProvider) -> None:
    found = read(provider, document, OWN)
    if isinstance(found, DiscoveryFailure):
        assert found.message.endswith(".")
        return
    addresses = [one.address.casefold() for one in found.listed]
    assert len(addresses) == len(set(addresses))
    for one in found.listed:
        TypeAdapter[str](EmailAddress).validate_python(one.address)
        assert one.display_name is None or one.display_name.isprintable()
        assert one.state is not IdentityState.REJECTED
