# SPDX-License-Identifier: Apache-2.0
"""Kinds of refusals that were taken for another, each with neighbours that must stay apart.

An independent author's replies (batch 17 of ``data/replies.tsv``) showed them; per line the stage,
the reply, its cause, and whether it stays so until somebody acts.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.replies import (
    Cause,
    Circumstances,
    Meaning,
    Stage,
    meaning_of_imap,
    meaning_of_smtp,
)
from rows import over

Line = tuple[Stage, str, Cause, bool]

PERMANENCE: list[Line] = [
    (Stage.DATA, "554 5.2.252 SendAsDenied; b@example.com not allowed to send as s@example.com; "
     "Failed to process message due to a permanent exception with message Cannot submit message.",
     Cause.SENDER_NOT_PERMITTED, True),
    (Stage.DATA, "554 5.2.252 SendAsDenied; failed to process message: access denied",
     Cause.SENDER_NOT_PERMITTED, True),
    (Stage.DATA, "554 Could not process the message due to a permanent error",
     Cause.MESSAGE_REJECTED, True),
    (Stage.DATA, "554 Permanent system failure", Cause.MESSAGE_REJECTED, True),
    (Stage.DATA, "554 Failed to process message", Cause.SEND_TEMPORARY_FAILURE, False),
    (Stage.DATA, "554 Unable to process message: internal error",
     Cause.SEND_TEMPORARY_FAILURE, False),
    (Stage.DATA, "554 5.2.252 SendAsDenied; permanent exception, try again in 10 minutes",
     Cause.SENDER_NOT_PERMITTED, False),
    (Stage.DATA, "550 5.7.705 Access denied, tenant has exceeded threshold",
     Cause.SENDING_BLOCKED, True),
    (Stage.MAIL, "550 5.7.705 Access denied, tenant has exceeded threshold, try again later",
     Cause.SENDING_BLOCKED, False),
]  # fmt: skip
OLD_TLS: list[Line] = [
    (Stage.AUTH, "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client "
     "to support TLS 1.2.", Cause.TLS_HANDSHAKE_FAILED, True),
    (Stage.AUTH, "535 TLS 1.0 is no longer supported", Cause.TLS_HANDSHAKE_FAILED, True),
    (Stage.MAIL, "550 5.7.1 TLSv1.1 is deprecated, please upgrade", Cause.TLS_HANDSHAKE_FAILED,
     True),
    (Stage.AUTH, "535 Your TLS version is too old", Cause.TLS_HANDSHAKE_FAILED, True),
    (Stage.AUTH, "NO This server requires TLS 1.2", Cause.TLS_HANDSHAKE_FAILED, True),
    (Stage.AUTH, "NO TLSv1.2 or newer is required", Cause.TLS_HANDSHAKE_FAILED, True),
    (Stage.AUTH, "NO Outdated TLS version", Cause.TLS_HANDSHAKE_FAILED, True),
    (Stage.AUTH, "NO Minimum TLS version is 1.2", Cause.TLS_HANDSHAKE_FAILED, True),
    (Stage.AUTH, "535 TLS is required", Cause.AUTH_REQUIRES_TLS, True),
    (Stage.AUTH, "535 SMTP is not in this plan, please upgrade", Cause.PLAN_INSUFFICIENT, True),
    (Stage.AUTH, "535 Please upgrade your account", Cause.PLAN_INSUFFICIENT, True),
    (Stage.AUTH, "535 Upgrade your plan to use mail apps", Cause.PLAN_INSUFFICIENT, True),
    (Stage.MAIL, "550 Upgrade to the business plan to connect a device", Cause.PLAN_INSUFFICIENT,
     True),
]  # fmt: skip
LAYERS: list[Line] = [
    (Stage.AUTH, "NO Login only available under a layer", Cause.AUTH_REQUIRES_TLS, True),
    (Stage.AUTH, "NO A security layer is required", Cause.AUTH_REQUIRES_TLS, True),
    (Stage.AUTH, "NO Plaintext needs a protection layer", Cause.AUTH_REQUIRES_TLS, True),
    (Stage.AUTH, "535 5.7.8 No login without a security layer", Cause.AUTH_REQUIRES_TLS, True),
    (Stage.AUTH, "NO Login failed", Cause.AUTHENTICATION_FAILED, True),
]
SUBSCRIPTIONS: list[Line] = [
    (Stage.AUTH, "535 Account not subscribed to SES", Cause.ACCOUNT_NOT_ACTIVATED, True),
    (Stage.AUTH, "535 Your account is not signed up for this service",
     Cause.ACCOUNT_NOT_ACTIVATED, True),
    (Stage.AUTH, "535 5.7.8 User is not enrolled", Cause.ACCOUNT_NOT_ACTIVATED, True),
    (Stage.AUTH, "535 You have not signed up for the mail service", Cause.ACCOUNT_NOT_ACTIVATED,
     True),
    (Stage.MAIL, "554 Customer not yet onboarded", Cause.ACCOUNT_NOT_ACTIVATED, True),
    (Stage.AUTH, "535 The access key id is not subscribed to the service",
     Cause.ACCOUNT_NOT_ACTIVATED, True),
    (Stage.AUTH, "535 No active subscription", Cause.PLAN_INSUFFICIENT, True),
    (Stage.AUTH, "535 The account needs a subscription for the service",
     Cause.PLAN_INSUFFICIENT, True),
    (Stage.AUTH, "535 User not registered", Cause.AUTHENTICATION_FAILED, True),
    (Stage.RCPT, "550 You are not subscribed to this mailing list", Cause.SEND_REFUSED, True),
]  # fmt: skip
GREETED: list[Line] = [
    (Stage.CAPABILITIES, "501 Syntactically invalid EHLO argument(s)",
     Cause.CLIENT_NAME_REJECTED, True),
    (Stage.CAPABILITIES, "501 Syntactically invalid HELO argument(s)",
     Cause.CLIENT_NAME_REJECTED, True),
    (Stage.CAPABILITIES, "501 5.0.0 Invalid domain name", Cause.CLIENT_NAME_REJECTED, True),
    (Stage.CAPABILITIES, "550 Illegal hostname", Cause.CLIENT_NAME_REJECTED, True),
    (Stage.CAPABILITIES, "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)",
     Cause.CLIENT_NAME_REJECTED, True),
    (Stage.CAPABILITIES, "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified "
     "hostname", Cause.CLIENT_NAME_REJECTED, True),
    (Stage.RCPT, "550 5.7.1 <x>: Helo command rejected: Host not found",
     Cause.CLIENT_NAME_REJECTED, True),
    (Stage.CAPABILITIES, "501 5.0.0 ehlo requires domain address", Cause.CLIENT_NAME_REJECTED,
     True),
    (Stage.CAPABILITIES, "501 No", Cause.CLIENT_NAME_REJECTED, True),
    (Stage.CAPABILITIES, "500 Unknown command", Cause.AUTH_NOT_OFFERED, True),
    (Stage.CAPABILITIES, "502 5.5.2 Error: command not recognized", Cause.AUTH_NOT_OFFERED, True),
    (Stage.CAPABILITIES, "504 Command parameter not implemented", Cause.AUTH_NOT_OFFERED, True),
    (Stage.CAPABILITIES, "550 No", Cause.GREETING_REJECTED, True),
    (Stage.CAPABILITIES, "554 5.7.1 Go away", Cause.GREETING_REJECTED, True),
    (Stage.CAPABILITIES, "554 5.7.1 Message blocked due to spam content in the message.",
     Cause.MESSAGE_SUSPECTED, True),
    (Stage.CAPABILITIES, "550 Your IP is blocked", Cause.BLOCK_LISTED, True),
    (Stage.CAPABILITIES, "554 192.0.2.1 is listed at bl.example.org", Cause.BLOCK_LISTED, True),
    (Stage.CAPABILITIES, "550 Too busy, try again later", Cause.SERVER_BUSY, False),
]  # fmt: skip
STATED: list[Line] = [
    (Stage.GREETING, "554-gmx.net Nemesis ESMTP Service not available\n554-No SMTP service\n"
     "554 Bad DNS PTR resource record.", Cause.CLIENT_NAME_REJECTED, True),
    (Stage.GREETING, "554-web.de Nemesis ESMTP Service not available\n554-No SMTP service\n"
     "554 IP address is block listed.", Cause.BLOCK_LISTED, True),
    (Stage.GREETING, "554-mail Service not available\n554 No SMTP service",
     Cause.GREETING_REJECTED, True),
    (Stage.GREETING, "554 Your host is listed: service unavailable", Cause.BLOCK_LISTED, True),
    (Stage.DATA, "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this "
     "IP", Cause.CLIENT_NOT_ALLOWED, True),
    (Stage.GREETING, "554 Service not available", Cause.SERVER_BUSY, False),
    (Stage.GREETING, "554 Service unavailable, no reverse DNS found, try again later",
     Cause.CLIENT_NAME_REJECTED, False),
    (Stage.AUTH, "535 Authentication service unavailable", Cause.AUTH_TEMPORARY_FAILURE, False),
    (Stage.AUTH, "NO Directory server not available", Cause.AUTH_TEMPORARY_FAILURE, False),
    (Stage.GREETING, "554 IP=192.0.2.1 - A problem occurred. Ask your postmaster for help or to "
     "contact tosa@rx.t-online.de to clarify. (BL)", Cause.BLOCK_LISTED, True),
]  # fmt: skip
BLOCKED_FOR_LOGINS: list[Line] = [
    (Stage.GREETING, "BYE [ALERT] IP address 192.0.2.1 is blocked due to too many failed login "
     "attempts", Cause.TOO_MANY_LOGINS, False),
    (Stage.GREETING, "BYE Too many authentication failures from your address",
     Cause.TOO_MANY_LOGINS, False),
    (Stage.GREETING, "554 192.0.2.1 banned after repeated login failures", Cause.TOO_MANY_LOGINS,
     False),
    (Stage.GREETING, "554 Your host is blocked: brute force detected", Cause.TOO_MANY_LOGINS,
     False),
    (Stage.CAPABILITIES, "550 Blocked because of too many wrong passwords",
     Cause.TOO_MANY_LOGINS, False),
    (Stage.MAIL, "550 Your IP was blocked because of multiple failed sign-ins",
     Cause.TOO_MANY_LOGINS, False),
    # Several that failed are a block, one is this very sign-in.
    (Stage.MAIL, "550 Access denied: repeated invalid logins", Cause.TOO_MANY_LOGINS, False),
    (Stage.MAIL, "554 Refused because of failed logins", Cause.TOO_MANY_LOGINS, False),
    (Stage.MAIL, "554 Access denied after many failed authentications", Cause.TOO_MANY_LOGINS,
     False),
    (Stage.AUTH, "535 Login denied: wrong password attempts", Cause.TOO_MANY_LOGINS, False),
    (Stage.AUTH, "535 Sign-in refused: earlier failures", Cause.TOO_MANY_LOGINS, False),
    (Stage.MAIL, "550 access denied - invalid login", Cause.AUTH_NOT_ACCEPTED, True),
    (Stage.MAIL, "550 5.7.1 Access denied, wrong password", Cause.AUTH_NOT_ACCEPTED, True),
    (Stage.RCPT, "550 Rejected, bad login", Cause.AUTH_NOT_ACCEPTED, True),
    (Stage.DATA, "550 Message refused: login failed", Cause.AUTH_NOT_ACCEPTED, True),
    (Stage.MAIL, "550 5.7.1 Sender rejected: failed authentication", Cause.SENDER_NOT_PERMITTED,
     True),
    (Stage.MAIL, "550 Rejected: invalid login domain", Cause.SEND_REFUSED, True),
    (Stage.GREETING, "554 Access denied - invalid login", Cause.GREETING_REJECTED, True),
    (Stage.AUTH, "535 Access denied - invalid login", Cause.AUTHENTICATION_FAILED, True),
    (Stage.AUTH, "535 Login denied: bad password", Cause.AUTHENTICATION_FAILED, True),
    (Stage.AUTH, "535 Login rejected: wrong password", Cause.AUTHENTICATION_FAILED, True),
    (Stage.AUTH, "NO Access denied: incorrect password", Cause.AUTHENTICATION_FAILED, True),
    (Stage.AUTH, "NO Authentication refused: failed login", Cause.AUTHENTICATION_FAILED, True),
    (Stage.AUTH, "535 Invalid login or account disabled", Cause.ACCOUNT_DISABLED, True),
    (Stage.GREETING, "554 192.0.2.1 is blocked", Cause.BLOCK_LISTED, True),
    (Stage.GREETING, "554 Your IP is listed by zen.spamhaus.org", Cause.BLOCK_LISTED, True),
    (Stage.GREETING, "421 Too many connections from your host", Cause.TOO_MANY_CONNECTIONS, False),
    (Stage.DATA, "550 Rejected: multiple authentication failures (SPF, DKIM, DMARC)",
     Cause.SENDER_UNAUTHENTICATED, True),
]  # fmt: skip
NAMED: list[Line] = [
    (Stage.MAIL, "503 Error: need EHLO and AUTH first !", Cause.AUTH_NOT_ACCEPTED, True),
    (Stage.MAIL, "503 Send AUTH first", Cause.AUTH_NOT_ACCEPTED, True),
    (Stage.MAIL, "503 5.5.1 AUTH command first", Cause.AUTH_NOT_ACCEPTED, True),
    (Stage.MAIL, "550 AUTH before MAIL", Cause.AUTH_NOT_ACCEPTED, True),
    (Stage.MAIL, "503 5.5.1 Error: send HELO/EHLO first", Cause.PROTOCOL_ERROR, False),
    (Stage.RCPT, "559 Invalid rcptto [@sm080201]", Cause.RECIPIENT_REJECTED, True),
    (Stage.RCPT, "550 rcpt to refused", Cause.RECIPIENT_REJECTED, True),
    (Stage.RCPT, "553 Bad RCPT TO address", Cause.RECIPIENT_REJECTED, True),
    (Stage.RCPT, "550 Delivery is not allowed to this address.", Cause.RECIPIENT_REJECTED, True),
    (Stage.RCPT, "550 You are not allowed to send to this address", Cause.RECIPIENT_REJECTED, True),
    (Stage.RCPT, "550 5.7.1 Not permitted to send to this group", Cause.RECIPIENT_REJECTED, True),
    (Stage.MAIL, "550 Not allowed to send from this address", Cause.SENDER_NOT_PERMITTED, True),
    (Stage.RCPT, "550 No", Cause.SEND_REFUSED, True),
]
KINDS = [*PERMANENCE, *OLD_TLS, *LAYERS, *SUBSCRIPTIONS, *GREETED, *STATED, *BLOCKED_FOR_LOGINS,
         *NAMED]  # fmt: skip


def judged(stage: Stage, reply: str) -> Meaning:
    about = Circumstances(stage)
    if reply[0].isdigit():
        text = "\n".join(line[4:] for line in reply.split("\n"))
        return meaning_of_smtp(int(reply[:3]), text, about)
    result, _, text = reply.partition(" ")
    return meaning_of_imap(text, result, about)


@over(KINDS)
def test_a_kind_is_told_from_its_neighbours(kind: tuple[Stage, str, Cause, bool]) -> None:
    stage, reply, cause, stays = kind
    found = judged(stage, reply)
    assert (found.cause, found.conclusive) == (cause, stays), found


@given(
    st.sampled_from(("1.0", "1.1", "1.0 and 1.1", "1.0 or TLS 1.1", "v1.0")),
    st.sampled_from(("not supported", "no longer accepted", "deprecated", "disabled")),
    st.sampled_from(("client", "browser", "software", "mail program")),
    st.sampled_from((535, 550, 554)),
)
def test_an_old_version_of_tls_is_no_matter_of_plan_or_password(
    version: str, lost: str, what: str, code: int
) -> None:
    found = meaning_of_smtp(code, f"TLS {version} is {lost}. Please upgrade your {what}.")
    assert found.cause is Cause.TLS_HANDSHAKE_FAILED, found


@given(
    st.sampled_from(("process", "deliver", "accept", "handle")),
    st.sampled_from(("a permanent exception", "a permanent error", "missing permissions")),
    st.sampled_from(("", "Try again in 10 minutes.", "Please try again later.")),
)
def test_permanence_outranks_inability_unless_a_time_is_named(
    verb: str, why: str, added: str
) -> None:
    said = f"5.2.252 SendAsDenied; failed to {verb} message due to {why}. {added}"
    assert meaning_of_smtp(554, said, Circumstances(Stage.DATA)).conclusive is not bool(added)
