# SPDX-License-Identifier: Apache-2.0
"""Every finding is shown at the field that it is about; no code of the catalogues is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.field_paths import path_of
from postroom.api.findings import Finding, Severity
from postroom.api.names import Kind
from postroom.api.status import CommonStatus
from postroom.dns.finding_codes import Code
from postroom.mail import finding_meanings
from postroom.mail.replies.causes import Cause
from postroom.reconcile.status.finding_fields import field_of, placed
from postroom.reconcile.status.outcome import Outcome
from rows import over

DOMAIN, SERVER, ACCOUNT = Kind.SENDING_DOMAIN, Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT
REFERENCE = {"name": "x"}
FULL: dict[Kind, dict[str, Any]] = {
    DOMAIN: {
        "domain": "example.com",
        "ownership": {"value": "x"},
        "spf": {"includes": ["a.example"]},
        "dkim": [{"selector": "a", "cname": "b"}, {"selector": "c", "cname": "d"}],
        "dkimDelegation": ["ns.example"],
        "dmarc": {"policy": "reject", "rua": ["mailto:a@example.com"]},
        "mx": [{"host": "mx1.example"}, {"host": "mx2.example"}],
        "returnPath": {"name": "b", "mx": [{"host": "mx3.example"}], "spf": {}},
        "tracking": {"name": "t", "cname": "u"},
        "mtaSTS": {"mode": "enforce"},
        "tlsRPT": {"rua": ["mailto:a@example.com"]},
        "bimi": {"logo": "https://example.com/a.svg"},
        "dane": {"port": 25},
        "sendingIPs": ["192.0.2.1", "192.0.2.2"],
        "bulkSenderProfiles": ["Gmail"],
        "publish": {"via": "ExternalDNS"},
        "suspend": True,
    },
    SERVER: {
        "host": "smtp.example.com",
        "port": 587,
        "tls": {"mode": "StartTLS", "caBundleRef": REFERENCE, "serverName": "x"},
        "credentialsRef": REFERENCE,
        "oauth": {"clientID": "x", "tenant": "y", "clientSecretRef": REFERENCE},
        "default": True,
        "limits": {"daily": 5},
    },
    ACCOUNT: {
        "address": "a@example.com",
        "serverRef": REFERENCE,
        "credentialsRef": REFERENCE,
        "imap": {
            "host": "imap.example.com",
            "port": 993,
            "tls": {"caBundleRef": REFERENCE},
            "credentialsRef": REFERENCE,
            "mailbox": "INBOX",
        },
        "identities": [{"address": "b@example.com"}, {"address": "c@example.com"}],
        "consumer": {"name": "x"},
        "binding": {"secretName": "x"},
        "fallbackSender": "d@example.com",
        "sendLimits": {"daily": 5, "window": {}, "rampUp": {}},
        "sync": {"backfillDays": 9},
        "forwarding": {"receiverRef": REFERENCE},
        "roundTrip": {"receiverRef": REFERENCE},
        "connection": "Disconnected",
        "default": True,
    },
}


def found(code: str, subject: str = "", field: str = "", message: str = "It is so.") -> Finding:
    return Finding(
        code=code, severity=Severity.ERROR, subject=subject, field=field, message=message
    )


def at(kind: Kind, code: str, subject: str = "", field: str = "", **spec: Any) -> str:
    return field_of(found(code, subject, field), kind, {"spec": spec or FULL[kind]})


@pytest.mark.parametrize(
    ("kind", "code", "subject", "field"),
    [
        (DOMAIN, "DKIM_MISSING", "dkim-c", "spec.dkim[1]"),
        (DOMAIN, "DKIM_MISSING", "dkim-gone", "spec.dkim"),
        (DOMAIN, "DKIM_DELEGATION_MISSING", "dkim-delegation", "spec.dkimDelegation"),
        (DOMAIN, "MX_MISSING", "mx-mx2.example", "spec.mx[1]"),
        (DOMAIN, "MX_MISSING", "return-path-mx-mx3.example", "spec.returnPath.mx[0]"),
        (DOMAIN, "SPF_MISSING", "spf", "spec.spf"),
        (DOMAIN, "SPF_MISSING_INCLUDE", "spf", "spec.spf.includes"),
        (DOMAIN, "SPF_MISSING", "return-path-spf", "spec.returnPath.spf"),
        (DOMAIN, "DMARC_POLICY_WEAK", "dmarc", "spec.dmarc.policy"),
        (DOMAIN, "DMARC_RUA_MISSING", "dmarc", "spec.dmarc.rua"),
        (DOMAIN, "DMARC_MISSING", "dmarc", "spec.dmarc"),
        (DOMAIN, "REVERSE_MISSING", "reverse-192.0.2.2", "spec.sendingIPs[1]"),
        (DOMAIN, "OWNERSHIP_MISSING", "ownership", "spec.ownership"),
        (DOMAIN, "MTA_STS_MISSING", "mta-sts", "spec.mtaSTS"),
        (DOMAIN, "PUBLISH_NOT_ENABLED", "spf", "spec.publish"),
        (DOMAIN, "DOMAIN_NXDOMAIN", "", "spec.domain"),
        (DOMAIN, "LOOKUP_FAILED", "SPFVerified", "spec.spf"),
        (SERVER, "CONNECTION_REFUSED", "SMTP", "spec.port"),
        (SERVER, "HOST_NOT_FOUND", "SMTP", "spec.host"),
        (SERVER, "HOST_MISSPELLED", "SMTP host", "spec.host"),
        (SERVER, "PORT_NOT_SERVED", "SMTP port", "spec.port"),
        (SERVER, "CERTIFICATE_UNTRUSTED", "SMTP", "spec.tls.caBundleRef"),
        (SERVER, "CERTIFICATE_NAME_MISMATCH", "SMTP", "spec.tls.serverName"),
        (SERVER, "START_TLS_NOT_OFFERED", "SMTP", "spec.tls.mode"),
        (SERVER, "AUTHENTICATION_REJECTED", "SMTP", "spec.credentialsRef"),
        (SERVER, "OAUTH_TENANT_UNKNOWN", "SMTP", "spec.oauth.tenant"),
        (SERVER, "OAUTH_CLIENT_SECRET_EXPIRED", "SMTP", "spec.oauth.clientSecretRef"),
        (SERVER, "SUPERSEDED", "default", "spec.default"),
        (ACCOUNT, "CONNECTION_REFUSED", "IMAP", "spec.imap.port"),
        (ACCOUNT, "CERTIFICATE_UNTRUSTED", "IMAP", "spec.imap.tls.caBundleRef"),
        (ACCOUNT, "AUTHENTICATION_REJECTED", "IMAP", "spec.imap.credentialsRef"),
        (ACCOUNT, "AUTHENTICATION_REJECTED", "SMTP", "spec.credentialsRef"),
        (ACCOUNT, "MAILBOX_NOT_FOUND", "IMAP", "spec.imap.mailbox"),
        (ACCOUNT, "MAIL_SERVER_NOT_FOUND", "ReferencesResolved", "spec.serverRef"),
        (ACCOUNT, "SENDING_DOMAIN_NOT_FOUND", "domain", "spec.address"),
        (ACCOUNT, "IDENTITY_REJECTED", "c@example.com", "spec.identities[1]"),
        (ACCOUNT, "RAMP_UP_IDLE", "sendLimits.rampUp", "spec.sendLimits.rampUp"),
        (ACCOUNT, "SEND_LIMIT_ABOVE_SERVER", "sendLimits.daily", "spec.sendLimits.daily"),
        (ACCOUNT, "DISCONNECTED", "connection", "spec.connection"),
        (ACCOUNT, "CONSUMER_CONFLICT", "ReferencesResolved", "spec.consumer"),
        (ACCOUNT, "BACKFILL_LARGE", "", "spec.sync.backfillDays"),
    ],
)
def test_findings_and_their_fields(kind: Kind, code: str, subject: str, field: str) -> None:
    assert at(kind, code, subject) == field


def test_the_field_that_the_verdict_names_goes_first() -> None:
    named = "spec.imap.credentialsRef"
    assert at(ACCOUNT, "SECRET_NOT_FOUND", "ReferencesResolved", named) == named
    assert at(DOMAIN, "PUBLIC_KEY_INVALID", "ReferencesResolved", "spec.dkim[1]") == "spec.dkim[1]"
    # What this object has not, such as a field of another, is none: the rules say it.
    for other in ("spec.gone", "spec.imap.gone", "the default of this namespace", "metadata.name"):
        assert at(ACCOUNT, "MAIL_SERVER_NOT_FOUND", "", other) == "spec.serverRef"


def test_a_sentence_is_never_read_for_a_field() -> None:
    message = "Secret x (spec.imap.credentialsRef) does not exist: set spec.address."
    finding = found("SECRET_NOT_FOUND", "ReferencesResolved", message=message)
    assert field_of(finding, ACCOUNT, {"spec": FULL[ACCOUNT]}) == "spec.credentialsRef"


def test_every_finding_of_a_status_gets_its_field() -> None:
    findings = [
        found("AUTHENTICATION_REJECTED", "IMAP"),
        found("SECRET_NOT_FOUND", "x", "spec.gone"),
    ]
    status = EmailAccountStatus(findings=findings)
    raw = {"spec": FULL[ACCOUNT]}
    outcome = placed(ACCOUNT, raw, Outcome(status, None))
    assert [each.field for each in outcome.status.findings] == [  # type: ignore[union-attr]
        "spec.imap.credentialsRef",
        "spec.credentialsRef",
    ]
    # Once more changes nothing, and costs no copy.
    assert placed(ACCOUNT, raw, outcome) is outcome
    for other in (None, CommonStatus(), EmailAccountStatus()):
        kept = Outcome(other, None)
        assert placed(ACCOUNT, raw, kept) is kept


def test_what_a_provider_brings_along_is_shown_at_the_provider() -> None:
    spec = {"domain": "a.example", "provider": "Fastmail"}
    for code, subject in [
        ("SPF_MISSING", "spf"),
        ("DKIM_MISSING", "dkim-fm1"),
        ("MX_NULL", "mx-a"),
    ]:
        assert at(DOMAIN, code, subject, **spec) == "spec.provider"
    assert at(SERVER, "CONNECTION_REFUSED", "SMTP", provider="Gmail") == "spec.provider"


#: Whose findings are about the domain itself, its zone or its names.
_OF_THE_DOMAIN = {
    code.value
    for code in Code
    if code.value.split("_")[0]
    in {"NAME", "SUBDOMAIN", "WRONG", "IDN", "TYPE", "CNAME", "WILDCARD", "ENT", "VALUE", "DOMAIN"}
    or code.value.split("_")[0]
    in {
        "LOOKUP",
        "RESOLVER",
        "STALE",
        "NS",
        "LAME",
        "DELEGATION",
        "DNSSEC",
        "SERVFAIL",
        "TCP",
        "TOO",
    }
    or code.value.split("_")[0] in {"EDNS", "SPLIT", "PUBLIC", "PRIVATE", "TTL", "FIX"}
}


@over([code.value for code in Code])
def test_every_code_of_dns_has_a_field_of_its_own(code: str) -> None:
    assert (at(DOMAIN, code) == "spec.domain") == (code in _OF_THE_DOMAIN)


@over([*(cause.name for cause in Cause), *finding_meanings.catalogue()])
def test_every_code_of_mail_has_a_field_that_is_there(code: str) -> None:
    for kind, subject in ((SERVER, "SMTP"), (ACCOUNT, "SMTP"), (ACCOUNT, "IMAP")):
        assert at(kind, code, subject).startswith("spec.")


@given(
    kind=st.sampled_from(list(Kind)),
    code=st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True),
    subject=st.text(max_size=20),
    field=st.text(alphabet="spec.dkim[0]imap \n😀", max_size=40),
    raw=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["spec", "dkim", "mx", "imap", "0", ""]), inner)
        ),
        max_leaves=8,
    ),
)
def test_whatever_the_manifest_is_the_field_is_one_of_it(
    kind: Kind, code: str, subject: str, field: str, raw: Any
) -> None:
    finding = found(code, subject, field)
    value: Any = {"spec": raw}
    for step in path_of(field_of(finding, kind, value)):
        value = value[step]
