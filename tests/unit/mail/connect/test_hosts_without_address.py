# SPDX-License-Identifier: Apache-2.0
"""A host without an address: who misspelt it, or that the resolver is to be doubted."""

from __future__ import annotations

import pytest

from postroom.api.mailserver import TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Deadlines, Dialler, Failure
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.presets.load import preset, providers
from postroom.mail.report import Endpoint

WHOLE = sorted(
    {host for name in providers() for host in preset(name).known_hosts() if "{" not in host}
)


async def nowhere(host: str) -> tuple[str, ...]:
    return ()


async def said_of(host: str) -> str:
    with pytest.raises(Failure) as failure:
        await Dialler(DialPolicy(), nowhere, Deadlines()).dial(
            Endpoint(host, 587, next(iter(TLSMode)), host, None, "mail")
        )
    assert failure.value.reason is Reason.HOST_NOT_FOUND
    return failure.value.message


@pytest.mark.parametrize("host", WHOLE)
async def test_a_name_that_is_known_is_not_blamed(host: str) -> None:
    said = await said_of(host)
    assert "correct the name" not in said
    assert "look at the resolver and the network" in said


@pytest.mark.parametrize("host", ["smtp.example.org", "smtp.gmial.com", "mail.gmail.com"])
async def test_any_other_name_may_be_wrong(host: str) -> None:
    assert (await said_of(host)).endswith("correct the name of the host.")


async def test_the_free_part_of_a_known_name_may_be_wrong() -> None:
    said = await said_of("email-smtp.eu-wset-1.amazonaws.com")
    assert "what it is made of, such as the region" in said
