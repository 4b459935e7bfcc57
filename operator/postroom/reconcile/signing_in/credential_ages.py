# SPDX-License-Identifier: Apache-2.0
"""Since when passwords and refresh tokens are the same, and when the latter end."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from postroom.api.oauth import OAuthProvider
from postroom.api.status import CredentialAge, CredentialUse
from postroom.api.times import timestamp
from postroom.reconcile.signing_in import refresh_tokens
from postroom.reconcile.signing_in.probing import AnyCredentials
from postroom.reconcile.signing_in.references import Written
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.world import Tokens

#: How long a refresh token lives that is not replaced, where the provider says so.
_LIVES = {OAuthProvider.MICROSOFT: timedelta(days=refresh_tokens.MICROSOFT_LIFE)}


def ages_of(
    tokens: Tokens, signing_in: Iterable[AnyCredentials | None], before: Sequence[CredentialAge]
) -> list[CredentialAge]:
    """The ages of what an object signs in with, each once; `before` are those of its status."""
    found = {
        (age.use, age.secret, age.changed_at): age
        for each in signing_in
        for age in _ages(tokens, each, before)
    }
    return [found[key] for key in sorted(found)]


def _ages(
    tokens: Tokens, each: AnyCredentials | None, before: Sequence[CredentialAge]
) -> Iterator[CredentialAge]:
    if isinstance(each, TokenCredentials):
        kept_for = each.grant.kept_for
        if kept_for is None:
            written = each.written
        else:
            name = refresh_tokens.secret_name(kept_for)
            at = refresh_tokens.keeping_of(tokens, each.grant).kept_at
            written = Written(name, "", at) if at is not None else None
            if written is None:
                # After a start nobody knows until the token is needed; what was told holds.
                yield from (age for age in before if age.secret == name)
        if written is not None:
            life = _LIVES.get(each.grant.provider)
            yield CredentialAge(
                use=CredentialUse.REFRESH_TOKEN,
                secret=written.secret,
                changed_at=timestamp(written.at),
                ends_at=timestamp(written.at + life) if life is not None else None,
            )
    elif each is not None and each.written is not None:
        yield CredentialAge(
            use=CredentialUse.PASSWORD,
            secret=each.written.secret,
            changed_at=timestamp(each.written.at),
        )
