# SPDX-License-Identifier: Apache-2.0
"""Owners of children in tests that have no objects."""

from postroom.controller.children import Owner


def always_there(namespace: str, owner: Owner) -> bool:
    """Whoever a child is for."""
    return True
