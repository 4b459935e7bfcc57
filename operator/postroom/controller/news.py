# SPDX-License-Identifier: Apache-2.0
"""Which object a line of a watch is about, and in which version, without decoding the line.

Most events at work are echoes of our own writes, whose answers have told the version already: what
such an event shows is what stands in the cache. Decoding it all the same was a twentieth of what
convergence took.
"""

import re
from typing import NamedTuple

#: An API server writes the members of an object of a custom resource by their names, in this order
#: and without blanks; what looks different is decoded.
_MODIFIED = b'{"type":"MODIFIED","object":{'
_VERSION = b'"resourceVersion":'
_TEXT = rb'"([^"\\]+)"'
_NAMED = re.compile(
    rb'"name":%s,"namespace":%s,"resourceVersion":%s,"uid":%s' % (_TEXT, _TEXT, _TEXT, _TEXT)
)


class Seen(NamedTuple):
    """An object in one version. Of one object, equal versions are the same content: another write,
    whoever's, has another one."""

    name: str
    namespace: str
    version: str
    uid: str


def modified(line: bytes) -> Seen | None:
    """Return which object has been modified, and that its version is now this; None: the line is
    about something else, or must be decoded to know.

    A quote within a text of JSON has a backslash before it, so that no text holds the names that
    are looked for with the quote and the colon behind them. Members of other objects may have these
    names, such as an annotation called ``resourceVersion``: where there is a second one, none of
    them is taken for the version.
    """
    if not line.startswith(_MODIFIED) or line.count(_VERSION) != 1:
        return None
    found = _NAMED.search(line)
    if found is None:
        return None
    try:
        return Seen(*(part.decode() for part in found.groups()))
    except UnicodeDecodeError:
        return None
