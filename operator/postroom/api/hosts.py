# SPDX-License-Identifier: Apache-2.0
"""What the name of a host led to."""

from __future__ import annotations


class AliasedAddresses(tuple[str, ...]):
    """The addresses of a host that is an alias (a CNAME): they are another name's.

    What is granted to a host for its name, it is not granted for where its name leads.
    """

    __slots__ = ()
