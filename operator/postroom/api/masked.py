# SPDX-License-Identifier: Apache-2.0
"""A string that must never be shown: passwords and tokens travel in this type only."""

from typing import NoReturn


class Masked:
    """Holds a secret string; every way of printing it shows ``***``.

    Not a ``str`` subclass, so that formatting, joining, JSON and pickling cannot leak it by
    accident. `reveal` is the only way out; call it where the bytes go on the wire.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Masked(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Masked) and other._value == self._value

    # A hash would be derived from the secret, and would travel in dict orders and dumps.
    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a masked value cannot be serialised")
