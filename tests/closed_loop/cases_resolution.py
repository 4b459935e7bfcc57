# SPDX-License-Identifier: Apache-2.0
"""Faults on the way to the records: servers, delegation, caches, DNSSEC, the resolver."""

from __future__ import annotations

from collections.abc import Callable

from closed_loop.loop import APEX, DOMAIN, SUBDOMAIN, Case, Mistake, Outsider, Stage
from dnsworld.message import Query
from dnsworld.names import name_of
from dnsworld.rdata import type_of
from dnsworld.server import Edns, Lame, NameServer
from dnsworld.zone import Zone
from postroom.api.findings import Fix

_MX = "mx-mx1.mailprovider.net"
_LAG = 400.0


def _servers(stage: Stage) -> list[NameServer]:
    return stage.world.servers_of(APEX)


def _for_some(change: Callable[[NameServer], object], *which: int) -> Mistake:
    """Do something to some of the name servers; and let the resolver see it."""

    def act(stage: Stage) -> None:
        servers = _servers(stage)
        for number in which:
            change(servers[number])
        stage.world.resolver.flush()

    return act


def _by_outsider(change: Callable[[NameServer], object]) -> Outsider:
    def act(stage: Stage, fix: Fix) -> None:
        for server in _servers(stage):
            change(server)
        stage.world.resolver.flush()

    return act


def _lame(how: Lame | None) -> Callable[[NameServer], object]:
    return lambda server: server.make_lame(APEX, how)


def _dead(is_dead: bool) -> Callable[[NameServer], object]:
    return lambda server: setattr(server, "dead", is_dead)


def _edns(how: Edns) -> Callable[[NameServer], object]:
    return lambda server: setattr(server, "edns", how)


def _about_all(
    code: str, name: str, mistake: Mistake, outsider: Outsider | None = None, domain: str = APEX
) -> Case:
    return Case(f"{code}: {name}", DOMAIN, None, code, mistake, outsider=outsider, domain=domain)


# Versions -----------------------------------------------------------------------------------------


def _second_lags(stage: Stage) -> None:
    """A record is changed while one server keeps the old version for a while."""
    _servers(stage)[1].hold(APEX, stage.world.now() + _LAG)
    stage.zone.add(APEX, "TXT", "another record")


def _second_lacks(id: str, servers: int = 1) -> Mistake:
    """A record is published, but some of the servers have a copy without it, of the same serial."""

    def act(stage: Stage) -> None:
        one = stage.record(id)
        for server in _servers(stage)[:servers]:
            copy = server.hold(APEX, stage.world.now() + _LAG)
            copy.remove(one.name, one.type.value)
            copy.serial = stage.zone.serial - 1
            copy.bump()

    return act


def _late(id: str) -> Mistake:
    """The resolver has asked before the record was there."""

    def act(stage: Stage) -> None:
        one = stage.record(id)
        stage.unpublish(id)
        _ask_resolver(stage, one.name, one.type.value)
        stage.zone.add(one.name, one.type.value, one.value)

    return act


def _changed(id: str, before: str) -> Mistake:
    """The resolver has asked while another value was there."""

    def act(stage: Stage) -> None:
        one = stage.record(id)
        stage.unpublish(id)
        stage.zone.add(one.name, one.type.value, before)
        _ask_resolver(stage, one.name, one.type.value)
        stage.zone.remove(one.name, one.type.value, before)
        stage.zone.add(one.name, one.type.value, one.value)

    return act


def _ask_resolver(stage: Stage, name: str, kind: str) -> None:
    """Somebody else asks the resolver, which knows nothing yet."""
    stage.world.resolver.flush()
    query = Query(name_of(name), type_of(kind), recursion_desired=True)
    stage.world.resolver.answer(query, stage.world.now())


# Delegation ---------------------------------------------------------------------------------------


def _extra_at_parent(stage: Stage) -> None:
    """The registrar names a server that the zone does not, and that does not serve it."""
    names = [server.name for server in _servers(stage)]
    stage.world.delegate(APEX, [*names, "ns9.forgotten.net"])


def _extra_that_serves(stage: Stage) -> None:
    names = [server.name for server in _servers(stage)]
    stage.world.nameserver("ns3.dnshost.example").serve(stage.zone)
    stage.world.delegate(APEX, [*names, "ns3.dnshost.example"])


def _same_at_parent(stage: Stage, fix: Fix) -> None:
    stage.world.delegate(APEX, stage.zone.values(APEX, "NS"))
    stage.world.resolver.flush()


def _only_in_zone(stage: Stage) -> None:
    stage.world.nameserver("ns3.dnshost.example").serve(stage.zone)
    stage.zone.add(APEX, "NS", "ns3.dnshost.example")
    stage.world.resolver.flush()


def _without_address(stage: Stage) -> None:
    """A server is named by the zone and the registrar, but its name leads nowhere."""
    names = [*stage.zone.values(APEX, "NS"), "ns3.dnshost.example"]
    stage.world.nameserver("ns3.dnshost.example", [])
    stage.world.delegate(APEX, names)
    stage.zone.add(APEX, "NS", "ns3.dnshost.example")
    stage.world.resolver.flush()


def _removed_again(stage: Stage, fix: Fix) -> None:
    stage.zone.remove(APEX, "NS", "ns3.dnshost.example")
    _same_at_parent(stage, fix)


def _only_ipv6(stage: Stage) -> None:
    server = stage.world.nameserver("ns3.dnshost.example", ["2001:db8::53"])
    server.serve(stage.zone)
    server.dead = True
    names = [*stage.zone.values(APEX, "NS"), "ns3.dnshost.example"]
    stage.world.delegate(APEX, names)
    stage.zone.add(APEX, "NS", "ns3.dnshost.example")
    stage.world.resolver.flush()


def _undelegated(stage: Stage) -> None:
    stage.world.delegate(APEX, [])
    stage.world.resolver.flush()


def _vanishing(stage: Stage) -> None:
    """The registration has ended; resolvers still know the zone. One server fails besides."""
    stage.world.delegate(APEX, [])
    _servers_by_name(stage)[0].make_lame(APEX, Lame.REFUSED)


def _servers_by_name(stage: Stage) -> list[NameServer]:
    return [stage.world.nameserver(name) for name in stage.zone.values(APEX, "NS")]


def _registered(stage: Stage, fix: Fix) -> None:
    for server in _servers_by_name(stage):
        server.make_lame(APEX, None)
    stage.world.delegate(APEX, stage.zone.values(APEX, "NS"))
    stage.world.resolver.flush()


def _parked(*names: str) -> Mistake:
    """The registrar has put other name servers in the place of the owner's."""

    def act(stage: Stage) -> None:
        parked = Zone(APEX, primary=names[0])
        for name in names:
            parked.add(APEX, "NS", name)
            stage.world.nameserver(name).serve(parked)
        parked.add(APEX, "A", "203.0.113.80")
        stage.world.delegate(APEX, names)
        stage.world.resolver.flush()

    return act


# DNSSEC and the resolver --------------------------------------------------------------------------


def _bogus(error: int) -> Mistake:
    def act(stage: Stage) -> None:
        stage.world.sign(APEX, error)
        stage.world.resolver.flush()

    return act


def _without_ds(stage: Stage, fix: Fix) -> None:
    stage.world.remove_ds(APEX)
    stage.world.resolver.flush()


def _bogus_and_missing(stage: Stage) -> None:
    stage.unpublish("dmarc")
    _bogus(6)(stage)


def _publish_and_sign(stage: Stage, fix: Fix) -> None:
    one = stage.record("dmarc")
    stage.zone.add(one.name, one.type.value, one.value)
    _without_ds(stage, fix)


def _private(*names: str) -> Mistake:
    """The resolver has a zone of its own, with these name servers; none: the public ones."""

    def act(stage: Stage) -> None:
        servers = names or tuple(stage.zone.values(APEX, "NS"))
        private = Zone(APEX, primary="primary.corp.example")
        for name in servers:
            private.add(APEX, "NS", name)
            if names:
                stage.world.nameserver(name).serve(private)
        private.add(APEX, "A", "10.1.2.3")
        stage.world.resolver.serve_locally(private)

    return act


def _public_again(stage: Stage, fix: Fix) -> None:
    stage.world.resolver._local.clear()
    stage.world.resolver.flush()


# Answers ------------------------------------------------------------------------------------------


def _long_and_no_tcp(stage: Stage) -> None:
    for number in range(8):
        stage.zone.add(APEX, "TXT", f"verification-{number}={'x' * 200}")
    for server in _servers(stage):
        server.tcp_blocked = True
    stage.world.resolver.flush()


def _tcp_open(stage: Stage, fix: Fix) -> None:
    for server in _servers(stage):
        server.tcp_blocked = False
    stage.world.resolver.flush()


def _denies_what_is_empty(stage: Stage) -> None:
    for server in _servers(stage):
        server.empty_is_nxdomain = True
    stage.unpublish("dkim-s1")
    one = stage.record("dkim-s1")
    stage.panel().add(stage.label("dkim-s1"), one.type.value, one.value)
    stage.world.resolver.denies_below = True
    _ask_resolver(stage, f"_domainkey.{APEX}", "TXT")


def _denies_no_more(stage: Stage, fix: Fix) -> None:
    for server in _servers(stage):
        server.empty_is_nxdomain = False
    stage.world.resolver.flush()


def _crowded(id: str, count: int, length: int) -> Mistake:
    """Verifications of this and that were never taken away."""

    def act(stage: Stage) -> None:
        for number in range(count):
            stage.zone.add(stage.record(id).name, "TXT", f"v{number:03}={'x' * length}")
        stage.world.resolver.flush()

    return act


def _cleared(id: str) -> Outsider:
    def act(stage: Stage, fix: Fix) -> None:
        record = stage.record(id)
        stage.zone.replace(record.name, "TXT", record.value)

    return act


_EVERY_LAMENESS = (Lame.REFUSED, Lame.SERVFAIL, Lame.NOT_AUTHORITATIVE, Lame.UPWARD)
_RECORDS = ("ownership", "dkim-k1", "dkim-s1", "spf", "dmarc", _MX, "return-path")

CASES: tuple[Case, ...] = (
    *(
        Case(f"STALE_NEGATIVE: {id}", id, "Propagating", "STALE_NEGATIVE", _late(id))
        for id in ("dkim-k1", "dkim-s1", "dmarc", "return-path", "ownership", "tracking")
    ),
    *(
        Case(f"STALE_POSITIVE: {id}", id, "Propagating", "STALE_POSITIVE", _changed(id, before))
        for id, before in (
            ("dkim-k1", "k1.dkim.elsewhere.net"),
            ("dmarc", "v=DMARC1; p=none"),
            ("spf", "v=spf1 -all"),
            (_MX, "10 mail.elsewhere.net"),
            ("return-path", "bounces.elsewhere.net"),
        )
    ),
    _about_all("NS_INCONSISTENT", "a transfer lags", _second_lags),
    *(
        Case(f"NS_INCONSISTENT: {id}", id, "Propagating", "NS_INCONSISTENT", _second_lacks(id))
        for id in _RECORDS
    ),
    *(
        _about_all(
            "LAME",
            f"one server, {how.name}",
            _for_some(_lame(how), 1),
            _by_outsider(_lame(None)),
        )
        for how in _EVERY_LAMENESS
    ),
    *(
        _about_all(
            "LAME",
            f"every server, {how.name}",
            _for_some(_lame(how), 0, 1),
            _by_outsider(_lame(None)),
        )
        for how in (Lame.REFUSED, Lame.SERVFAIL)
    ),
    *(
        Case(
            f"TOO_MANY_RECORDS: {count} texts ({id})",
            id,
            "Unknown",
            "TOO_MANY_RECORDS",
            _crowded(id, count, length),
            outsider=_cleared(id),
        )
        for id in ("dmarc", "spf")
        for count, length in ((101, 10), (300, 10), (90, 200))
    ),
    _about_all("LAME", "only at the registrar", _extra_at_parent, _same_at_parent),
    _about_all(
        "LAME",
        "of a subdomain",
        _for_some(_lame(Lame.REFUSED), 0),
        _by_outsider(_lame(None)),
        SUBDOMAIN,
    ),
    _about_all(
        "NS_UNREACHABLE", "one server", _for_some(_dead(True), 0), _by_outsider(_dead(False))
    ),
    _about_all(
        "NS_UNREACHABLE", "every server", _for_some(_dead(True), 0, 1), _by_outsider(_dead(False))
    ),
    _about_all("NS_UNREACHABLE", "no address", _without_address, _removed_again),
    _about_all("NS_UNREACHABLE", "only IPv6", _only_ipv6, _removed_again),
    _about_all("DELEGATION_MISMATCH", "only in the zone", _only_in_zone, _removed_again),
    _about_all("DELEGATION_MISMATCH", "only at the registrar", _extra_that_serves, _same_at_parent),
    _about_all("DOMAIN_NXDOMAIN", "not delegated", _undelegated, _registered),
    _about_all("DOMAIN_NXDOMAIN", "subdomain of such", _undelegated, _registered, SUBDOMAIN),
    _about_all("DOMAIN_NXDOMAIN", "known to caches only", _vanishing, _registered),
    _about_all(
        "DOMAIN_PARKED",
        "for sale",
        _parked("ns1.sedoparking.com", "ns2.sedoparking.com"),
        _registered,
    ),
    _about_all(
        "DOMAIN_PARKED",
        "expired",
        _parked("ns1.domainhasexpired.com", "ns2.domainhasexpired.com"),
        _registered,
    ),
    _about_all(
        "DOMAIN_PARKED",
        "held",
        _parked("failed-whois-verification.namecheap.com", "other.namecheap.com"),
        _registered,
    ),
    *(
        _about_all("DNSSEC_BOGUS", f"error {error}", _bogus(error), _without_ds)
        for error in (6, 7, 9, 10)
    ),
    _about_all("DNSSEC_BOGUS", "of a subdomain", _bogus(9), _without_ds, SUBDOMAIN),
    _about_all("DNSSEC_BOGUS", "with a record missing", _bogus_and_missing, _publish_and_sign),
    _about_all("SPLIT_HORIZON", "the same servers", _private(), _public_again),
    _about_all("SPLIT_HORIZON", "servers of its own", _private("ns.corp.example"), _public_again),
    _about_all("TCP_BLOCKED", "a long answer", _long_and_no_tcp, _tcp_open),
    *(
        _about_all(
            "EDNS_BROKEN",
            how.name,
            _for_some(_edns(how), 0, 1),
            _by_outsider(_edns(Edns.UNDERSTOOD)),
        )
        for how in (Edns.FORMERR, Edns.BADVERS, Edns.DROPPED)
    ),
    _about_all("ENT_NXDOMAIN_BROKEN", "above keys", _denies_what_is_empty, _denies_no_more),
)
