# SPDX-License-Identifier: Apache-2.0
"""Causes at the zone's name servers: old versions, lame or silent ones, a wrong delegation."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from postroom.api.findings import Finding
from postroom.dns import answers
from postroom.dns.diagnosis.dns_hosts import hosts_of
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding, question
from postroom.dns.judging.fixes import external, wait

#: The codes of what `sound` tells of.
OF_NAME_SERVERS = frozenset({Code.EDNS_BROKEN, Code.LAME, Code.NS_NOT_ASKED, Code.NS_UNREACHABLE})
_SERIALS = 2**32
#: A list of servers that is as long as this may have been cut.
_SERVERS_LIMIT = 8
_Families = Mapping[str, frozenset[answers.RecordType]]


def findings(
    zone: answers.Zone,
    serials: Sequence[answers.ServerAnswer],
    versions: Sequence[answers.ServerAnswer],
    delegation: answers.Delegation | answers.Answer | None,
    families: _Families,
    *,
    heard: bool,
) -> Iterator[Finding]:
    """Yield what is wrong; `heard`: the way to name servers is open, so that silence counts."""
    yield from _versions(serials)
    above = delegation.servers if isinstance(delegation, answers.Delegation) else ()
    listed = [
        *serials,
        *(server for server in above if server.nameserver not in zone.nameservers),
    ]
    lame = _names(listed, is_lame)
    if lame:
        alone = len(lame) == 1
        verb, them, answer = ("is", "it", "answers") if alone else ("are", "them", "answer")
        message = (
            f"{_listed(lame)} {verb} named for the zone {zone.apex}, but {answer} nothing "
            f"for it, so that some look-ups are late or fail: have {them} serve the zone, or take "
            f"{them} out of the name servers at the registrar and in the zone."
        )
        made = finding(Code.LAME, "domain", message, external())
        only = replace(zone, nameservers=(lame[0],))
        yield made.model_copy(update={"ask": question(zone.apex, answers.RecordType.SOA, only)})
    if heard:
        silent = _names(listed, lambda server: server.answer.outcome is answers.Outcome.TIMEOUT)
        silent += _names(listed, has_no_address)
        if silent:
            message = (
                f"Not every name server answers: {_why(sorted(silent), listed, families)}. Some "
                "look-ups are late or fail: mend it, or take it out of the name servers at the "
                "registrar and in the zone."
            )
            yield finding(Code.NS_UNREACHABLE, "domain", message, external())
    denied = _names(listed, is_denied)
    if denied:
        yield finding(Code.NS_NOT_ASKED, "domain", not_asked(zone.apex, denied), external())
    without = _names([*listed, *versions], _lacks_edns)
    if without:
        message = (
            f"{_listed(without)} {'does' if len(without) == 1 else 'do'} not understand EDNS, "
            "which resolvers use: long answers may be lost."
        )
        yield finding(Code.EDNS_BROKEN, "domain", message, external())
    yield from _delegation(zone, delegation)


def unserved(
    serials: Sequence[answers.ServerAnswer], families: _Families, *, kept: bool
) -> tuple[Code, str] | None:
    """Return the code and the message where not one name server serves the zone; `kept`: the
    resolver still has records of it."""
    serials = [serial for serial in serials if not is_denied(serial)]
    if not serials or is_served(serials):
        return None
    names = [serial.nameserver for serial in serials]
    seen = "Nobody sees its records"
    if kept:
        seen = (
            "Only resolvers that asked before, such as postroom's, still see its records, and only "
            "until their caches expire"
        )
    if any(map(is_lame, serials)):
        message = (
            f"None of the name servers serves the zone: {_listed(names)}. {seen}: "
            "set up the zone there, or name the servers that have it at the registrar."
        )
        return Code.LAME, message
    message = (
        f"No name server answers: {_why(names, serials, families)}. {seen}: mend "
        "them, or name others at the registrar."
    )
    return Code.NS_UNREACHABLE, message


def not_asked(apex: str, names: Sequence[str]) -> str:
    """The message on name servers that may not be asked, the same whatever is at their addresses.

    Which kind of address it is stays unsaid, too: whoever names servers must learn nothing of the
    network that we are in.
    """
    have = "has" if len(names) == 1 else "have"
    return (
        f"{_listed(names)}, named for the zone {apex}, {have} only addresses that are not reached "
        "from the internet, or that postroom may not ask: give public addresses to the name "
        "servers. If the zone is a private one, have the operator's --allow-cidr name their range."
    )


def is_denied(seen: answers.ServerAnswer) -> bool:
    """Whether a server was not asked because its addresses may not be dialled."""
    return seen.answer.outcome is answers.Outcome.DENIED


def _lacks_edns(seen: answers.ServerAnswer) -> bool:
    return answers.EDNS_NOT_UNDERSTOOD in seen.answer.errors


def sound(serials: Sequence[answers.ServerAnswer]) -> bool:
    """Whether every server of the zone answers for it, with EDNS."""
    return all(serial.answer.conclusive and not _lacks_edns(serial) for serial in serials)


def is_served(serials: Sequence[answers.ServerAnswer]) -> bool:
    """Whether some server of the zone answers for it."""
    return any(serial.answer.conclusive for serial in serials)


def is_lame(seen: answers.ServerAnswer) -> bool:
    """Whether a server answered, but not for the zone."""
    return seen.answer.server is not None and seen.answer.outcome in (
        answers.Outcome.REFUSED,
        answers.Outcome.SERVER_FAILURE,
    )


def has_no_address(seen: answers.ServerAnswer) -> bool:
    """Whether a server could not be asked, because its name leads nowhere."""
    return seen.answer.server is None and seen.answer.outcome is answers.Outcome.SERVER_FAILURE


def older(serials: Sequence[answers.ServerAnswer]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the servers with the newest version of the zone, and those with an older one.

    Serials are compared as RFC 1982 section 3.2 says.
    """
    known = {
        server.nameserver: int(server.answer.values[0])
        for server in serials
        if server.answer.values and server.answer.values[0].isdecimal()
    }

    def overtakes(serial: int) -> int:
        return sum(0 < (serial - other) % _SERIALS < _SERIALS // 2 for other in known.values())

    newest = max(sorted(set(known.values())), key=overtakes, default=0)
    ahead = tuple(sorted(name for name, serial in known.items() if serial == newest))
    return ahead, tuple(sorted(name for name, serial in known.items() if serial != newest))


def _versions(serials: Sequence[answers.ServerAnswer]) -> Iterator[Finding]:
    ahead, behind = older(serials)
    if not behind:
        return
    hosts = hosts_of([*ahead, *behind])
    why, fix = "the transfer between them lags, or they belong to two DNS hosts", wait()
    todo = (
        "Wait for the transfer; if that does not end it, mend the transfer, or take those that are "
        "no longer used out of the name servers at the registrar."
    )
    if len(hosts) > 1:
        named = " and ".join(host.name for host in hosts)
        why = f"they belong to several DNS hosts ({named})"
        todo = (
            "Take those of the host that is no longer used out of the name servers at the "
            "registrar, or have one host take the zone from the other."
        )
        fix = external()
    # By their serials: of two hosts with a zone of their own each, neither need be the older.
    which = "another" if len(hosts) > 1 else "another, older"
    message = (
        f"{_listed(behind)} {'has' if len(behind) == 1 else 'have'} {which} version of the zone "
        f"than {_listed(ahead)}: {why}. Who asks them sees other records. {todo}"
    )
    yield finding(Code.NS_INCONSISTENT, "domain", message, fix)


def _delegation(
    zone: answers.Zone, delegation: answers.Delegation | answers.Answer | None
) -> Iterator[Finding]:
    if isinstance(delegation, answers.Answer):
        if delegation.outcome is answers.Outcome.NX_DOMAIN and delegation.authoritative:
            message = (
                f"The zone above says that {zone.apex} does not exist: the registration has ended, "
                "or the zone is a private one. Others see nothing of it: renew or register the "
                "domain, or correct spec.domain."
            )
            yield finding(Code.DOMAIN_NXDOMAIN, "domain", message, external())
        return
    if delegation is None or len(zone.nameservers) >= _SERVERS_LIMIT:
        return
    above, below = set(delegation.nameservers), set(zone.nameservers)
    if above == below or len(above) >= _SERVERS_LIMIT:
        return
    parts = []
    if above - below:
        parts.append(
            f"only the zone {delegation.parent or '.'} above names {_listed(sorted(above - below))}"
        )
    if below - above:
        parts.append(f"only the zone itself names {_listed(sorted(below - above))}")
    message = f"The name servers of {zone.apex} are not the same everywhere: {'; '.join(parts)}."
    yield finding(Code.DELEGATION_MISMATCH, "domain", message, external())


def _names(
    serials: Iterable[answers.ServerAnswer], matches: Callable[[answers.ServerAnswer], bool]
) -> list[str]:
    return sorted({serial.nameserver for serial in serials if matches(serial)})


def _why(names: Sequence[str], serials: Iterable[answers.ServerAnswer], families: _Families) -> str:
    """The state of each silent name server: without address, on IPv6 only, or just silent."""
    homeless = {serial.nameserver for serial in serials if has_no_address(serial)}
    said = []
    for name in names:
        if name in homeless:
            said.append(f"{name} has no address")
        elif families.get(name) == frozenset({answers.RecordType.AAAA}):
            said.append(f"{name} has only IPv6 addresses and is not reached")
        else:
            said.append(f"{name} is silent")
    return ", ".join(said)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
