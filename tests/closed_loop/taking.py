# SPDX-License-Identifier: Apache-2.0
"""What a fix takes away: the user's zones before and after it, beside what its finding says.

Whatever else a domain publishes stands there too: none of it is of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from closed_loop.loop import APEX, OTHER_KEY, Case, Stage, apply_to, panels, stage_of
from dnsworld.clock import run
from dnsworld.fixes import settle
from dnsworld.hosts import DNSHost
from dnsworld.rdata import presentation, type_of, value_text
from postroom.api.findings import Finding, FixAction
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.verifying.verify import verify

Record = tuple[str, str, str]

#: What no spec here names, and what mail, certificates and other services may need.
BYSTANDERS: tuple[Record, ...] = (
    (APEX, "TXT", "google-site-verification=h7qYv3rbqk0uQvDq1J8w2kXw"),
    (APEX, "TXT", "MS=ms73914462"),
    (APEX, "AAAA", "2001:db8::99"),
    (APEX, "CAA", '0 issue "letsencrypt.org"'),
    (f"old._domainkey.{APEX}", "TXT", f"v=DKIM1; k=rsa; p={OTHER_KEY}"),
    (f"_acme-challenge.{APEX}", "TXT", "pB0kqv3sLwQ7t9xF5mZr1aYd"),
    (f"default._bimi.{APEX}", "TXT", f"v=BIMI1; l=https://www.{APEX}/logo.svg"),
    (f"_smtp._tls.{APEX}", "TXT", f"v=TLSRPTv1; rua=mailto:tls@{APEX}"),
    (f"_25._tcp.{APEX}", "TLSA", f"3 1 1 {'5a' * 32}"),
    (f"shop.{APEX}", "CNAME", "shops.elsewhere.net"),
    (f"intern.{APEX}", "MX", "10 mx1.mailprovider.net"),
    (f"intern.{APEX}", "TXT", "v=spf1 ip4:203.0.113.7 -all"),
)


@dataclass(frozen=True)
class Taking:
    """What a fix removed and added, all that stands there after it, and the finding that said so;
    None where there was no fix."""

    gone: tuple[Record, ...]
    new: tuple[Record, ...]
    after: tuple[Record, ...]
    finding: Finding | None


def taking(case: Case) -> Taking:
    """Play a case up to its fix, beside bystanders."""
    return run(_play(case))


async def _play(case: Case) -> Taking:
    stage = stage_of(case)
    for name, kind, value in BYSTANDERS:
        if not stage.zone.types_at(name) or name == APEX:
            stage.zone.add(name, kind, value)
    address = stage.world.resolver_address
    asker = DnsAsker([(address.address, address.port)], transport=stage.world.transport)
    await settle(stage.world, DNSHost(stage.world, stage.zone))
    case.mistake(stage)
    report = await verify(stage.plan, asker)
    await asker.close()
    root = next((finding for finding in report.findings if finding.subject == case.record), None)
    before = set(_records(stage))
    # What somebody else does is not of the fix.
    left = case.advice or root is None or root.fix is None
    if left or root.fix.action is FixAction.EXTERNAL:
        return Taking((), (), (), None)
    unusable = await apply_to(stage, case, root)
    assert not unusable, unusable
    after = set(_records(stage))
    return Taking(
        tuple(sorted(before - after)), tuple(sorted(after - before)), tuple(sorted(after)), root
    )


def _records(stage: Stage) -> Iterator[Record]:
    for panel in panels(stage):
        for name, kind, data in panel.zone.records():
            number = type_of(kind)
            yield name, kind, value_text(number, data) or presentation(number, data)
