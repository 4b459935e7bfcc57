# SPDX-License-Identifier: Apache-2.0
"""Quotas as GETQUOTAROOT tells of them (RFC 9208), and what capabilities tell of limits."""

from __future__ import annotations

import pytest

from postroom.mail.imap.quota import append_limit_in, offers_quota, quotas
from postroom.mail.report import Quota


@pytest.mark.parametrize(
    ("lines", "octets", "messages"),
    [
        ([b'QUOTA "" (STORAGE 10 512)'], Quota(10240, 524288), None),
        ([b"QUOTA {0}", b"", b" (MESSAGE 7 9 STORAGE 0 1)"], Quota(0, 1024), Quota(7, 9)),
        ([b"QUOTA a (STORAGE 1 10)", b"QUOTA b (STORAGE 9 10)"], Quota(9216, 10240), None),
        ([b'QUOTA "" (STORAGE 10 0)'], None, None),
        ([b'QUOTA "" ()'], None, None),
        ([b'QUOTA "" (STORAGE -1 5)', b'QUOTA "" (STORAGE 1)'], None, None),
        ([b'QUOTA "" (STORAGE 1 999999999999999999)'], Quota(1024, 2**63 - 1), None),
    ],
)
def test_quotas(lines: list[bytes], octets: Quota | None, messages: Quota | None) -> None:
    assert quotas(lines) == (octets, messages)


def test_what_capabilities_tell_of_limits() -> None:
    assert offers_quota({"QUOTA=RES-STORAGE"})
    assert not offers_quota({"QUOTASET"})
    assert append_limit_in({"APPENDLIMIT=35651584", "IDLE"}) == 35651584
    assert append_limit_in({"APPENDLIMIT", "APPENDLIMIT=x"}) is None
