# SPDX-License-Identifier: Apache-2.0
"""Publishing beside the fixes that status names: neither takes away what stands, and both say the
same of it.

Covers, for records of others with whatever tags, terms and further records: what is as it must be
is left to whoever published it; nothing is handed over where anything stands; the value that status
has is the one that its fix names; what stands otherwise is done by that fix; and what the operator
handed over is withdrawn before others mend it by hand.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.findings import Finding, FixAction
from postroom.api.sendingdomain import RecordState, SendingDomainStatus
from postroom.dns.answers import Outcome
from postroom.dns.judging.fixes import as_removed
from unit.dns.dkim_keys import rsa_base64, rsa_numbers
from unit.reconcile.domain.test_publishing import DOMAIN, PUBLISHED, World
from unit.reconcile.tenants import verdict

KEY = rsa_base64(rsa_numbers())
OTHER_KEY = rsa_base64(rsa_numbers(seed=2))
MX, MAIL = "mx.provider.example", f"mailto:d@{DOMAIN}"
_THERE = (RecordState.VALID, RecordState.PROPAGATING)


class Kind(NamedTuple):
    """A kind of record: what the spec asks for, where it stands, and what others may have there."""

    purpose: str
    spec: dict[str, Any]
    name: str
    type: str
    id: str
    texts: tuple[str, ...]


KINDS = (
    Kind("DKIM", {"dkim": [{"selector": "k1", "publicKey": KEY}]}, f"k1._domainkey.{DOMAIN}", "TXT",
         "dkim-k1",
         (f"v=DKIM1; k=rsa; p={KEY}", f"v=DKIM1; k=rsa; t=s; n=hello; p={KEY}",
          f"v=DKIM1; s=email; t=s; p={KEY}", f"v=DKIM1; h=sha1; t=s; p={KEY}",
          f"v=DKIM1; k=rsa; t=y; p={OTHER_KEY}", f"k=rsa; t=s; p={KEY}")),
    Kind("DMARC", {"dmarc": {"policy": "none", "rua": [MAIL]}}, f"_dmarc.{DOMAIN}", "TXT", "dmarc",
         (f"v=DMARC1; p=none; rua={MAIL}", f"v=DMARC1; p=none; rua={MAIL}; fo=1; ruf={MAIL}",
          f"v=DMARC1; p=none; adkim=s; ruf={MAIL}", f"v=DMARC1; p=reject; sp=none; rua={MAIL}",
          "v=DMARC1; p=")),
    Kind("SPF", {"spf": {"ip4": ["192.0.2.1"]}}, DOMAIN, "TXT", "spf",
         ("v=spf1 ip4:192.0.2.1 ~all", "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.1 -all",
          "v=spf1 ip4:198.51.100.1 -all", "v=spf1 a ip4:192.0.2.1 -all", "MS=ms1")),
    Kind("MX", {"mx": [{"host": MX, "preference": 10}]}, DOMAIN, "MX", f"mx-{MX}",
         (f"10 {MX}", f"5 {MX}", "20 other.provider.example")),
    Kind("TLSRPT", {"tlsRPT": {"rua": [MAIL]}}, f"_smtp._tls.{DOMAIN}", "TXT", "tls-rpt",
         (f"v=TLSRPTv1; rua={MAIL}", f"v=TLSRPTv1; rua={MAIL},mailto:u@{DOMAIN}",
          f"v=TLSRPTv1; rua=mailto:u@{DOMAIN}")),
    Kind("BIMI", {"bimi": {"logo": f"https://{DOMAIN}/l.svg"}}, f"default._bimi.{DOMAIN}", "TXT",
         "bimi",
         (f"v=BIMI1; l=https://{DOMAIN}/l.svg", f"v=BIMI1; l=https://{DOMAIN}/l.svg; avp=brand",
          f"v=BIMI1; l=https://{DOMAIN}/other.svg; a=")),
)  # fmt: skip


def looked_at(kind: Kind, texts: list[str]) -> tuple[World, SendingDomainStatus]:
    world = World()
    world.prove("a", DOMAIN)
    for host in (MX, "other.provider.example"):
        world.zone.records[host, "A"] = ["192.0.2.9"]
    if texts:
        world.zone.records[kind.name, kind.type] = texts
    publish = {"via": "ExternalDNS", "records": [kind.purpose], "apex": True}
    status = world.run(world.add("a", **{"domain": DOMAIN, "publish": publish, **kind.spec}))
    return world, status


def told(status: SendingDomainStatus, id: str) -> tuple[list[Finding], list[Finding]]:
    """What is told of a record: of publishing it, and of itself."""
    about = [found for found in status.findings if found.subject == id]
    publishing = [found for found in about if found.code.startswith("PUBLISH")]
    return publishing, [found for found in about if found not in publishing]


@given(data=st.data())
def test_what_others_published_is_left_and_mended_by_its_fix_alone(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    texts = data.draw(st.lists(st.sampled_from(kind.texts), min_size=1, max_size=2, unique=True))
    world, status = looked_at(kind, texts)
    # Whoever has something there keeps it.
    assert not world.shelf
    publishing, own = told(status, kind.id)
    record = next(record for record in status.records if record.id == kind.id)
    fixes = [found.fix for found in own if found.fix is not None and found.fix.value]
    if fixes:
        assert (fixes[0].name, fixes[0].value) == (record.name, record.value)
    else:
        removed = {gone.value for found in own if found.fix for gone in found.fix.remove}
        assert as_removed(record.value) not in removed
    elsewhere = all(f.fix is None or f.fix.action is FixAction.EXTERNAL for f in own)
    if record.state in _THERE:
        assert publishing == []
        assert verdict(status, PUBLISHED) == ("True", "EndpointApplied")
    elif not elsewhere:
        assert verdict(status, PUBLISHED) == ("False", "Conflict")
        (refused,) = publishing
        assert refused.fix is not None
        mends = any(f.fix is not None and f.fix.action is not FixAction.CREATE for f in own)
        assert (own[0].code in refused.fix.instruction) is mends
        assert "by hand" in refused.fix.instruction


@pytest.mark.parametrize("kind", KINDS, ids=[kind.purpose for kind in KINDS])
def test_nothing_there_is_handed_over_as_the_fix_has_it(kind: Kind) -> None:
    world, status = looked_at(kind, [])
    publishing, own = told(status, kind.id)
    assert [found.code for found in publishing] == ["PUBLISH_AWAITED"]
    fix = next(found.fix for found in own if found.fix is not None)
    assert (fix.action, fix.value) == (FixAction.CREATE, status.records[-1].value)
    (handed,) = world.shelf or ()
    assert (handed.name, handed.type) == (fix.name, fix.type)
    assert handed.targets[0].strip('"').replace('" "', "") == fix.value


def test_a_key_record_keeps_its_tags_in_what_status_has() -> None:
    strict = f"v=DKIM1; k=rsa; t=s; n=hello; p={KEY}"
    status = looked_at(KINDS[0], [strict])[1]
    assert status.records[-1].value == strict


def test_what_was_handed_over_is_withdrawn_before_it_is_mended_by_hand() -> None:
    kind = KINDS[2]
    world, _ = looked_at(kind, [])
    world.sync()
    key = next(iter(world.objects))
    settled = world.run(key)
    assert verdict(settled, PUBLISHED) == ("True", "EndpointApplied")
    (there,) = world.zone.records[DOMAIN, "TXT"]
    world.zone.records[DOMAIN, "TXT"] = [there, "v=spf1 ip4:198.51.100.1 -all"]
    world.run(key)
    status = world.run(key)
    (awaited,), own = told(status, "spf")
    assert [found.code for found in own] == ["SPF_MULTIPLE"]
    assert awaited.fix is not None
    assert "Before you do by hand what SPF_MULTIPLE says" in awaited.fix.instruction
    assert "spec.publish.records" in awaited.fix.instruction


def test_a_look_that_fails_leaves_what_is_known_of_a_key_record() -> None:
    strict = f"v=DKIM1; k=rsa; t=s; p={KEY}"
    world, _ = looked_at(KINDS[0], [strict])
    world.zone.failing[KINDS[0].name] = Outcome.TIMEOUT
    status = world.run(next(iter(world.objects)))
    assert status.records[-1].value == strict
