# SPDX-License-Identifier: Apache-2.0
"""Which names objects and namespaces may have (Kubernetes: DNS subdomain and label, RFC 1123).

Whatever else is asked for under a name is another place of the API, or none.
"""

import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NAME = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_LABEL_LIMIT, _NAME_LIMIT = 63, 253
_ENDS = "with a letter or digit at both ends"


def needs_of_name(text: str) -> str | None:
    """What the name of an object must be, as a clause after "must be", where this is none."""
    rule = f"lowercase letters, digits, '-' and '.', {_ENDS} of each part"
    return _needs(text, _NAME_LIMIT, _NAME, rule)


def needs_of_namespace(text: str) -> str | None:
    """The same of a namespace."""
    return _needs(text, _LABEL_LIMIT, _LABEL, f"lowercase letters, digits and '-', {_ENDS}")


def _needs(text: str, limit: int, form: re.Pattern[str], rule: str) -> str | None:
    if len(text) > limit:
        return f"at most {limit} characters, and has {len(text)}"
    return None if form.fullmatch(text) else rule
