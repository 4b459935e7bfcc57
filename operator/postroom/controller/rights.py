# SPDX-License-Identifier: Apache-2.0
"""The rights at the API server that are missing: which they are, and what to grant."""

from collections.abc import Iterable

from postroom.api.names import GROUP

#: For whoever may ask the API server neither whose a token is nor what its user may do.
TO_REVIEW = (
    "grant this service account create on tokenreviews of authentication.k8s.io and on "
    "subjectaccessreviews of authorization.k8s.io"
)


def to_kinds(verb: str, plurals: Iterable[str], namespaces: Iterable[str | None] = ()) -> str:
    """The right to do something with kinds of ours, in some namespaces or in all, and with what it
    is granted."""
    kinds, named = ", ".join(plurals), [each for each in namespaces if each is not None]
    where = f"in namespace {', '.join(named)}" if named else "in all namespaces"
    return (
        f"the right to {verb} {kinds} {where}: grant this service account get, list and watch on "
        f"{kinds} of {GROUP}"
    )
