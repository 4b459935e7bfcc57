# SPDX-License-Identifier: Apache-2.0
"""Names of hosts: what they led to, and slips of the keyboard in them."""


class AliasedAddresses(tuple[str, ...]):
    """The addresses of a host that is an alias (a CNAME): they are another name's.

    What is granted to a host for its name, it is not granted for where its name leads.
    """

    __slots__ = ()


def is_one_slip_from(left: str, right: str) -> bool:
    """Whether one letter was mistyped, left out or added, or two were swapped."""
    if left == right or abs(len(left) - len(right)) > 1:
        return False
    if len(left) != len(right):
        short, long = sorted((left, right), key=len)
        return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))
    pairs = list(zip(left, right, strict=True))
    at = [index for index, (letter, other) in enumerate(pairs) if letter != other]
    swapped = len(at) == 2 and at[1] == at[0] + 1 and pairs[at[0]] == pairs[at[1]][::-1]
    return len(at) == 1 or swapped
