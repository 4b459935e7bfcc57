# SPDX-License-Identifier: Apache-2.0
"""A scan fetches every header field that conclusions are drawn from: what it leaves out would look
as if a server on the way had dropped it."""

from postroom.mail.imap import scan
from postroom.mail.round_trip import FIELD_NAMES


def test_every_field_that_is_judged_is_fetched() -> None:
    assert {name.upper() for name in FIELD_NAMES} <= set(scan.FIELDS.split())
