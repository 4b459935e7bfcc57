# SPDX-License-Identifier: Apache-2.0
"""The sentences about a test message: what was seen, and what to do about it."""

from postroom.api.findings import Finding, Severity
from postroom.mail.round_trip.authentication import Authentication
from postroom.mail.round_trip.authentication_results import Outcome

#: Characters of a message of a `Finding`.
_LIMIT = 1024


def spam(recipient: str, judged: Authentication | None) -> Finding:
    """It lies among spam."""
    failing = judged is not None and any(
        outcome is not None and outcome.failing
        for outcome in (judged.spf, judged.dkim, judged.dmarc)
    )
    fix = (
        "mend what the receiver says about SPF, DKIM and DMARC, then mark a test message as not "
        "spam"
        if failing
        else "mark a test message as not spam there, and have the receiver allow the sender"
    )
    return _finding(
        "DELIVERED_TO_SPAM",
        Severity.WARNING,
        f"The test message to {recipient} was delivered to the junk folder: {fix}.",
    )


def rewritten(sender: str, received: str) -> Finding:
    """It arrived from another sender; `received` is empty where it is no readable address."""
    seen = received or "something that is no address"
    return _finding(
        "SENDER_REWRITTEN",
        Severity.WARNING,
        f"The test message was sent from {sender} and arrived from {seen}: the server replaces "
        "senders that it does not know. Register the address with the provider as one that this "
        "account may send as.",
    )


def reply_to_dropped(declared: str) -> Finding:
    """It arrived without the Reply-To that it was sent with."""
    return _finding(
        "REPLY_TO_DROPPED",
        Severity.WARNING,
        f"The test message was sent with Reply-To {declared} and arrived without: answers go to "
        "the sender. Have the server that mail is sent through, and whatever passes it on, leave "
        "the field alone.",
    )


def reply_to_changed(declared: str, received: str) -> Finding:
    """Answers would go elsewhere; both are empty where there is no readable address."""
    sent = f"with Reply-To {declared}" if declared else "without Reply-To"
    seen = received or "something that is no address"
    return _finding(
        "REPLY_TO_CHANGED",
        Severity.WARNING,
        f"The test message was sent {sent} and arrived with {seen} there, which is where answers "
        "go: find the server or rule on the way that writes it, and switch that off.",
    )


def undelivered(recipient: str, *, bounced: bool) -> Finding:
    """It did not arrive in time, or came back."""
    message = (
        f"The test message to {recipient} came back as undeliverable: read the report in the "
        "mailbox, and mend what it names."
        if bounced
        else f"The server took the test message to {recipient} over, but it did not arrive within "
        "10 minutes: look for it in the server's log and queue, and for filters that move or drop "
        "it."
    )
    return _finding("NOT_DELIVERED", Severity.ERROR, message)


def late(recipient: str) -> Finding:
    """It takes longer than it should."""
    return _finding(
        "DELIVERY_DELAYED",
        Severity.WARNING,
        f"The test message to {recipient} has not arrived within 2 minutes: a queue, or "
        "greylisting by the receiver, holds it back. Nothing to do unless it stays so.",
    )


def archived(recipient: str) -> Finding:
    """A filter keeps it out of the mailbox that is read."""
    return _finding(
        "ARCHIVED_BY_FILTER",
        Severity.WARNING,
        f"The test message to {recipient} was delivered, but only among all mail: a filter of the "
        "mailbox archives it. Remove the filter if other messages should be seen.",
    )


def looping(recipient: str) -> Finding:
    """Something answers test messages, or sends them round."""
    return _finding(
        "MAIL_LOOP",
        Severity.WARNING,
        f"Something answers the test messages to {recipient} or sends them on again: switch off "
        "automatic replies for them, and rules that send mail back to this mailbox.",
    )


def authentication_findings(judged: Authentication | None) -> tuple[Finding, ...]:
    """What the receiver did not like, worst first; no result, or none, is no failure."""
    if judged is None:
        return ()
    found = (
        _failure(
            "DMARC_FAILED_AT_RECEIVER", Severity.ERROR, "DMARC", judged.dmarc, judged.dmarc_domain
        ),
        _failure("SPF_FAILED_AT_RECEIVER", Severity.WARNING, "SPF", judged.spf, judged.spf_domain),
        _failure(
            "DKIM_FAILED_AT_RECEIVER", Severity.WARNING, "DKIM", judged.dkim, judged.dkim_domain
        ),
    )
    return tuple(finding for finding in found if finding is not None)


#: What it means that a method fails, and what to do, where the result says no more.
_FAILS = {
    "DMARC": "neither SPF nor DKIM passes for the domain of the sender. Sign with a key of that "
    "domain, or send with a return path in it, as the SendingDomain lists",
    "SPF": "its record does not authorise the server that delivered. Publish the SPF record that "
    "the SendingDomain lists, or add that server to it",
    "DKIM": "the signature does not fit the published key, or a server on the way changed the "
    "message. Publish the key that the SendingDomain lists",
}
#: What cannot be interpreted says nothing of who may send (RFC 8601 section 2.7).
_UNREADABLE = {
    "DMARC": "the record there cannot be interpreted. Publish the DMARC record that the "
    "SendingDomain lists, and no other beside it",
    "SPF": "the record there has an error, stands beside another, or takes too many lookups. "
    "Publish the SPF record that the SendingDomain lists",
    "DKIM": "the key there is missing or no key, or the signature cannot be read. Publish the key "
    "that the SendingDomain lists, and have the server that signs use its selector",
}


def _failure(
    code: str, severity: Severity, method: str, outcome: Outcome | None, domain: str | None
) -> Finding | None:
    if outcome is None or not outcome.failing:
        return None
    said = _said(method, outcome, domain)
    return _finding(code, severity, f"The receiver of the test message says that {said}.")


def _said(method: str, outcome: Outcome, domain: str | None) -> str:
    """What a failing result says, and what to do about it."""
    if outcome is Outcome.PERMANENT_ERROR:
        return f"{method} cannot be evaluated{_for(domain)} (permerror): {_UNREADABLE[method]}"
    if outcome is Outcome.POLICY:
        why = "such as one on short keys or old algorithms" if method == "DKIM" else "of its own"
        return (
            f"it takes no {method}{_for(domain)} by a rule {why} (policy). Read what it writes "
            "beside the result, and ask who runs it"
        )
    return f"{method} fails{_for(domain)}: {_FAILS[method]}"


def _for(domain: str | None) -> str:
    return f" for {domain}" if domain else ""


def _finding(code: str, severity: Severity, message: str) -> Finding:
    return Finding(code=code, severity=severity, message=message[:_LIMIT])
