# SPDX-License-Identifier: Apache-2.0
"""Why a provider hands out no list, and what to do: from the answer to a `DiscoveryFailure`.

An outage is never a refusal, and a refusal to hand out the list is none of an identity.
"""

from collections.abc import Iterator, Mapping

from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.identities.asking import ApiReply
from postroom.mail.identities.values import DiscoveryFailure
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.grant import Grant

#: What Google says of a request that came too soon, with status 403 as well as 429.
_THROTTLES = frozenset(
    {
        "ratelimitexceeded",
        "userratelimitexceeded",
        "dailylimitexceeded",
        "quotaexceeded",
        "rate_limit_exceeded",
        "resource_exhausted",
    }
)
_API_DISABLED = frozenset({"accessnotconfigured", "service_disabled"})
_SCOPE_MISSING = frozenset({"insufficientpermissions", "access_token_scope_insufficient"})
#: Statuses below 500 that say "not now" rather than "no".
_PASSING_STATUSES = frozenset({408, 425})
_WORDS_LIMIT, _WORD_LIMIT = 16, 64


def failure_of(reply: ApiReply | NoAnswer, grant: Grant) -> DiscoveryFailure:
    """Why an answer that is no list came instead of one. Never raises."""
    if isinstance(reply, NoAnswer):
        return DiscoveryFailure(
            Reason.IDENTITY_UNVERIFIABLE if reply.denied else Reason.PROBE_INCONCLUSIVE,
            reply.sentence,
            passing=not reply.denied,
        )
    name = _NAMES[grant.provider]
    words = frozenset(_words(reply.document))
    status = reply.status
    if status == 429 or (status == 403 and words & _THROTTLES):
        return _passing(f"{name} asks for fewer requests: wait.", reply)
    if status >= 500 or status in _PASSING_STATUSES:
        return _passing(f"{name} is not available now: wait.", reply)
    if status == 401:
        message = f"{name} does not take a token that has just been handed out."
        return DiscoveryFailure(Reason.OAUTH_TOKEN_REJECTED, message)
    if grant.provider is OAuthProvider.GOOGLE:
        return _google(status, words, grant, reply)
    if status == 403:
        message = f"Microsoft Graph refuses the list. {_graph_permission(grant)}"
        return DiscoveryFailure(Reason.OAUTH_SCOPE_MISSING, message)
    if status == 404:
        return DiscoveryFailure(
            Reason.IDENTITY_UNVERIFIABLE,
            f"Microsoft Graph knows no user with the principal name {grant.subject}: what this "
            "mailbox may send as cannot be read.",
        )
    return _unexpected("Microsoft Graph", reply)


def no_token(failure: TokenFailure, grant: Grant) -> DiscoveryFailure:
    """Why there is no token to ask with."""
    message = failure.message
    if failure.conclusive and grant.provider is OAuthProvider.MICROSOFT:
        message = f"There is no token for Microsoft Graph. {_graph_permission(grant)} {message}"
    return DiscoveryFailure(
        Reason(failure.reason.value),
        message,
        passing=not failure.conclusive,
        retry_after=failure.retry_after,
    )


_NAMES = {
    OAuthProvider.GOOGLE: "The Gmail API",
    OAuthProvider.MICROSOFT: "Microsoft Graph",
    OAuthProvider.GENERIC: "The provider",
}


def _google(status: int, words: frozenset[str], grant: Grant, reply: ApiReply) -> DiscoveryFailure:
    if words & _API_DISABLED:
        return DiscoveryFailure(
            Reason.IDENTITY_UNVERIFIABLE,
            "The Gmail API is off in the Google Cloud project of the OAuth client: enable it there "
            "under APIs & Services.",
        )
    if words & _SCOPE_MISSING:
        return DiscoveryFailure(
            Reason.OAUTH_SCOPE_MISSING,
            "The token may not read the Gmail settings: it must carry https://mail.google.com/. "
            "Sign in again, or have the delegation grant that scope.",
        )
    if status == 404 or "failedprecondition" in words or "failed_precondition" in words:
        return DiscoveryFailure(
            Reason.IDENTITY_UNVERIFIABLE,
            f"Gmail is not on for {grant.subject}: have an administrator turn the service on.",
        )
    if status == 403:
        return DiscoveryFailure(
            Reason.IDENTITY_UNVERIFIABLE,
            "The Gmail API refuses the list: have an administrator of the organisation permit it "
            "for this client.",
        )
    return _unexpected("The Gmail API", reply)


def _graph_permission(grant: Grant) -> str:
    """Name the permission that the list needs."""
    if grant.flow is OAuthFlow.REFRESH_TOKEN:
        return "Consent to the delegated permission User.Read of Microsoft Graph."
    return (
        "Add the application permission User.Read.All of Microsoft Graph, and have an "
        "administrator consent."
    )


def _passing(message: str, reply: ApiReply) -> DiscoveryFailure:
    return DiscoveryFailure(
        Reason.PROBE_INCONCLUSIVE, message, passing=True, retry_after=reply.retry_after
    )


def _unexpected(name: str, reply: ApiReply) -> DiscoveryFailure:
    """A redirect, a page of a proxy, an answer of another time."""
    return _passing(f"{name} answers with what is no list: check the way to it.", reply)


def _words(document: Mapping[str, object] | None) -> Iterator[str]:
    """The reasons in an error document of Google, in its old form and its new, lowercase."""
    error = (document or {}).get("error")
    if not isinstance(error, dict):
        return
    said: list[object] = [error.get("status")]
    for name in ("errors", "details"):
        listed = error.get(name)
        if isinstance(listed, list):
            entries = listed[:_WORDS_LIMIT]
            said.extend(entry.get("reason") for entry in entries if isinstance(entry, dict))
    for word in said:
        if isinstance(word, str) and len(word) <= _WORD_LIMIT:
            yield word.lower()
