# SPDX-License-Identifier: Apache-2.0
"""Whom a user of a kubeconfig asks as (`as`, `as-uid`, `as-groups`, `as-user-extra`).

The headers are those of Kubernetes' user impersonation, which the client library does not know:
without them everything would be asked with the rights of the user itself.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

#: What no header may hold.
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_USER, _UID, _GROUPS, _EXTRA = "as", "as-uid", "as-groups", "as-user-extra"
FIELDS = (_USER, _UID, _GROUPS, _EXTRA)
#: What the name of a header may have beside letters, digits and ``_.-~`` (RFC 9110), but for the
#: percent sign, which escapes.
_IN_NAMES = "!#$&'*+^`|"


def headers_of(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The headers that say whom a user, of whom nothing is wrong, asks as; () for itself."""
    if _USER not in user:
        return ()
    uid = (("Impersonate-Uid", user[_UID]),) if _UID in user else ()
    groups = (("Impersonate-Group", group) for group in user.get(_GROUPS, ()))
    extra = (
        (f"Impersonate-Extra-{quote(key.lower(), safe=_IN_NAMES)}", value)
        for key, values in user.get(_EXTRA, {}).items()
        for value in values
    )
    return (("Impersonate-User", user[_USER]), *uid, *groups, *extra)


def faults_of(user: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with each field, as a clause that begins with its name."""
    for field in (_USER, _UID):
        if field in user and not _is_text(user[field]):
            yield f"{field} must be text in one line"
    if _GROUPS in user and not _are_texts(user[_GROUPS]):
        yield f"{_GROUPS} must be a list of texts in one line"
    extra = user.get(_EXTRA, {})
    if not isinstance(extra, Mapping) or not all(
        _is_text(key) and _are_texts(values) for key, values in extra.items()
    ):
        yield f"{_EXTRA} must be a mapping of names to lists of texts in one line"
    if _USER not in user:
        alone = next((field for field in (_UID, _GROUPS, _EXTRA) if user.get(field)), None)
        if alone is not None:
            yield f"{alone} is nobody's without {_USER}: name the user in {_USER}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and not CONTROL.search(value)


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(map(_is_text, values))
