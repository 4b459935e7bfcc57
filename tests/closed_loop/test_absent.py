# SPDX-License-Identifier: Apache-2.0
"""What is said to be absent is absent: each kind of record among others that stand at its name."""

from __future__ import annotations

import pytest

from closed_loop.loop import APEX, OWN_KEY, Stage, healthy
from dnsworld.clock import run
from postroom.api.findings import Finding
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.verifying.verify import verify

SPEC: dict[str, object] = {
    "tlsRPT": {"rua": ["mailto:tls@example.com"]},
    "mtaSTS": {"mode": "Testing"},
    "bimi": {"logo": "https://example.com/l.svg"},
    "dkim": [{"selector": "s1", "publicKey": OWN_KEY}],
}
TEXTS = ("ownership", "dkim-s1", "spf", "dmarc", "tls-rpt", "mta-sts", "bimi")
ALIASES = ("tracking", "return-path")
LED_TO = f"textual.{APEX}"


def _look(id: str, where: str, kind: str, value: str) -> tuple[Stage, Finding]:
    """Put another record in the place of one, at its name or at a wildcard beside it."""

    async def look() -> tuple[Stage, Finding]:
        stage = healthy(APEX, **SPEC)
        record = stage.record(id)
        stage.zone.add(LED_TO, "TXT", "hello")
        stage.unpublish(id)
        name = record.name if where == "there" else f"*.{record.name.partition('.')[2]}"
        stage.zone.add(name, kind, value)
        address = stage.world.resolver_address
        asker = DnsAsker([(address.address, address.port)], transport=stage.world.transport)
        report = await verify(stage.plan, asker)
        await asker.close()
        return stage, next(one for one in report.findings if one.subject == id)

    return run(look())


OTHERS = [
    ("there", "TXT", "hello, world"),
    ("there", "TXT", "other-site=4f9a0c17b2d84e66"),
    ("there", "A", "192.0.2.3"),
    ("there", "CNAME", f"www.{APEX}"),
    ("there", "CNAME", LED_TO),
    ("beside", "TXT", "parked"),
]


@pytest.mark.parametrize(
    ("id", "where", "kind", "value"),
    [
        (id, *other)
        for id in (*TEXTS, *ALIASES)
        for other in OTHERS
        # Nothing else than a text may be added to the domain itself, nor a CNAME to a CNAME.
        if not (id == "spf" and (other[0] == "beside" or other[1] == "CNAME"))
        and not (id in ALIASES and other[1] == "CNAME")
    ],
)
def test_what_is_said_to_be_absent_is(id: str, where: str, kind: str, value: str) -> None:
    stage, told = _look(id, where, kind, value)
    record = stage.record(id)
    there = stage.world.truth(record.name, record.type.value)
    if there:
        assert f"no {record.type.value} at {record.name}" not in told.message, told.message
    assert "token of postroom" not in told.message


def test_a_foreign_token_of_postroom_is_one() -> None:
    _, told = _look("ownership", "there", "TXT", f"postroom-verification={'a' * 32}")
    assert "holds a token of postroom" in told.message
