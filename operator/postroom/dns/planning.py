# SPDX-License-Identifier: Apache-2.0
"""From a spec to the records that must be published: pure, and the same in every view."""

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from postroom.api.resource import InvalidSpec, Problem
from postroom.api.sendingdomain import MX, SPF, DKIMRole, Purpose, SendingDomainSpec, SPFAll
from postroom.dns import dkim, dmarc, ownership
from postroom.dns.answers import RecordType
from postroom.dns.names import NAME_LIMIT
from postroom.dns.presets.complete import complete
from postroom.dns.presets.identify import must_be_alone, title_of
from postroom.dns.presets.load import preset
from postroom.dns.requirements import (
    VALUE_LIMIT,
    Behind,
    BIMIWanted,
    CNAMEWanted,
    DelegationWanted,
    DKIMKeyWanted,
    DMARCWanted,
    DomainPlan,
    MTASTSWanted,
    MXWanted,
    PlannedRecord,
    PTRWanted,
    TextWanted,
    TLSAWanted,
    TLSRPTWanted,
    Wanted,
)
from postroom.dns.spf import Network, Requirement, mechanism_for, network

__all__ = ["VALUE_LIMIT", "DomainPlan", "PlannedRecord", "complete", "plan"]

_ID_LIMIT = 100
#: The id of the derived token where it stands beside a value that was handed out.
TOKEN_ID = "ownership-token"  # noqa: S105 - the id of a record, not a secret

_Path = tuple[str | int, ...]
#: A record, and the part of the spec that asks for it.
_Made = tuple[PlannedRecord, _Path]


def plan(
    spec: SendingDomainSpec,
    namespace: str,
    ownership_keys: bytes | Sequence[bytes],
    public_keys: Mapping[str, str],
    *,
    token: bool = False,
) -> DomainPlan:
    """Work out the records of a spec, which `complete` has completed.

    `ownership_keys` make the derived token, the first of them, and accept it; without one there is
    no record for it. `token` asks for the derived token even where the spec hands a value out.
    `public_keys` are the texts that publicKeyRef led to, by selector. Raises `InvalidSpec` for a
    key or network that cannot be read, and for what does not fit into DNS.
    """
    keys = (ownership_keys,) if isinstance(ownership_keys, bytes) else tuple(ownership_keys)
    proof = ownership.tokens([key for key in keys if key], namespace, spec.domain)
    made = [
        *_ownership(spec, proof, token=token),
        *_authentication(spec, public_keys),
        *_hosts(spec),
        *_transport(spec),
        *_indicator(spec),
        *_certificates(spec),
        *_reverse(spec),
    ]
    problems = tuple(problem for planned, path in made for problem in _problems(planned, path))
    problems += (*_beside_aliases(made), *_beside_only_exchanges(made))
    if problems:
        raise InvalidSpec(problems)
    return DomainPlan(
        spec.domain,
        tuple(planned for planned, _ in made),
        spec.provider is not None and preset(spec.provider.value).people,
        tuple(sorted(profile.value for profile in spec.bulk_sender_profiles)),
    )


def _problems(made: PlannedRecord, path: _Path) -> Iterator[Problem]:
    """What DNS could not hold, or no status."""
    if len(made.name) > NAME_LIMIT:
        message = f"asks for a record at a name of more than {NAME_LIMIT} characters"
        yield Problem(("spec", *path), message)
    if len(made.value) > VALUE_LIMIT:
        message = f"asks for a record of more than {VALUE_LIMIT} characters"
        yield Problem(("spec", *path), message)


def _beside_aliases(made: Sequence[_Made]) -> Iterator[Problem]:
    """What is asked for at the name of a CNAME, which must be alone: whatever is published of the
    two, the other would have to go (RFC 1034 section 3.6.2)."""
    aliases = {record.name: record for record, _ in made if record.type is RecordType.CNAME}
    for record, path in made:
        alias = aliases.get(record.name, record)
        if (alias.type, alias.value) != (record.type, record.value):
            message = (
                f"asks for a record of type {record.type.value} at {record.name}, where "
                f"{alias.purpose.value} asks for a CNAME, which must be alone: name another"
            )
            yield Problem(("spec", *path), message)


def _beside_only_exchanges(made: Sequence[_Made]) -> Iterator[Problem]:
    """What is asked for beside an exchange that its provider takes alone only: both would stand
    there as asked for, and one of them would not work."""
    only = dict[str, PlannedRecord]()
    for record, _ in made:
        if isinstance(record.wanted, MXWanted) and record.wanted.alone:
            only.setdefault(record.name, record)
    for record, path in made:
        alone = only.get(record.name, record)
        if isinstance(record.wanted, MXWanted) and record.value != alone.value:
            message = (
                f"asks for MX {record.value} at {record.name} beside {alone.value}, which "
                f"{title_of(alone.value.partition(' ')[2])} takes only where it is alone: name one"
            )
            yield Problem(("spec", *path), message)


def _expected(
    spec: SendingDomainSpec,
    id: str,
    purpose: Purpose,
    name: str,
    kind: RecordType,
    value: str,
    wanted: Wanted,
) -> PlannedRecord:
    required = purpose in spec.required
    if isinstance(wanted, CNAMEWanted | DKIMKeyWanted):
        # A key that does not sign yet, or no more, keeps nothing from working.
        required = required and wanted.role is DKIMRole.ACTIVE
    if len(id) > _ID_LIMIT:
        digest = hashlib.sha256(id.encode()).hexdigest()[:12]
        id = f"{id[: _ID_LIMIT - 13]}-{digest}"
    return PlannedRecord(id, purpose, name, kind, value, required, wanted)


def _ownership(spec: SendingDomainSpec, proof: Sequence[str], *, token: bool) -> Iterator[_Made]:
    """The value that a provider handed out, and the derived token where it is the proof.

    `proof` are the tokens that prove control, the one to publish first.
    """
    given, challenge = spec.ownership, f"{ownership.CHALLENGE_LABEL}.{spec.domain}"
    if given.value is not None and given.value not in proof:
        if proof and ownership.is_token(given.value):
            message = (
                "is a token of postroom, but not that of this namespace and of the operator's "
                "keys: leave it out, and status names the right one"
            )
            raise InvalidSpec((Problem(("spec", "ownership", "value"), message),))
        id, purpose, name = "ownership", Purpose.OWNERSHIP, given.name or spec.domain
        wanted = TextWanted(given.value)
        made = _expected(spec, id, purpose, name, RecordType.TXT, given.value, wanted)
        yield made, ("ownership" if given.name else "domain",)
    elif proof:
        name = given.name or (challenge if given.value is None else spec.domain)
        yield _proof(spec, "ownership", name, proof), ("ownership" if given.name else "domain",)
        token = token and not ownership.speaks_for(name, spec.domain)
    if token and proof:
        yield _proof(spec, TOKEN_ID, challenge, proof), ("domain",)


def _proof(spec: SendingDomainSpec, id: str, name: str, proof: Sequence[str]) -> PlannedRecord:
    wanted = TextWanted(proof[0], tuple(proof[1:]))
    return _expected(spec, id, Purpose.OWNERSHIP, name, RecordType.TXT, proof[0], wanted)


def _dkim(spec: SendingDomainSpec, index: int, public_keys: Mapping[str, str]) -> _Made:
    selector, path = spec.dkim[index], ("dkim", index)
    id, name = f"dkim-{selector.selector}", f"{selector.selector}._domainkey.{spec.domain}"
    if selector.cname is not None:
        target = CNAMEWanted(selector.cname, Behind.KEY, selector.role)
        kind, value = RecordType.CNAME, selector.cname
        return _expected(spec, id, Purpose.DKIM, name, kind, value, target), path
    field, text = "publicKey", selector.public_key
    if text is None:
        field, text = "publicKeyRef", public_keys.get(selector.selector, "")
    key = dkim.read_expected(text)
    if isinstance(key, str):
        raise InvalidSpec((Problem(("spec", *path, field), key),))
    value, wanted = dkim.record_for(key), DKIMKeyWanted(key, selector.role)
    return _expected(spec, id, Purpose.DKIM, name, RecordType.TXT, value, wanted), path


def _authentication(spec: SendingDomainSpec, public_keys: Mapping[str, str]) -> Iterator[_Made]:
    """DKIM keys, or who else holds them, then SPF and DMARC."""
    yield from (_dkim(spec, index, public_keys) for index in range(len(spec.dkim)))
    if spec.dkim_delegation:
        servers = tuple(sorted(spec.dkim_delegation))
        id, name = "dkim-delegation", f"_domainkey.{spec.domain}"
        delegation, kind, path = DelegationWanted(servers), RecordType.NS, ("dkimDelegation",)
        yield _expected(spec, id, Purpose.DKIM, name, kind, servers[0], delegation), path
    if spec.spf is not None:
        yield _spf(spec, "spf", Purpose.SPF, spec.domain, spec.spf, ("spf",))
    if spec.dmarc is not None:
        wanted = DMARCWanted(spec.dmarc.policy, tuple(spec.dmarc.rua))
        name, value = f"_dmarc.{spec.domain}", dmarc.record_for(wanted.policy, wanted.rua)
        kind = RecordType.TXT
        yield _expected(spec, "dmarc", Purpose.DMARC, name, kind, value, wanted), ("domain",)


_ALL = {SPFAll.FAIL: "-all", SPFAll.SOFT_FAIL: "~all", SPFAll.NEUTRAL: "?all"}


def _spf(
    spec: SendingDomainSpec, id: str, purpose: Purpose, name: str, declared: SPF, path: _Path
) -> _Made:
    networks: list[Network] = []
    for field, texts in (("ip4", declared.ip4), ("ip6", declared.ip6)):
        for index, text in enumerate(texts):
            made = network(field, text)
            if made is None:
                message = f"must be an IPv{field[2]} address or network"
                raise InvalidSpec((Problem(("spec", *path, field, index), message),))
            networks.append(made)
    # Whatever is named twice is looked up twice.
    includes, once = tuple(dict.fromkeys(declared.includes)), tuple(dict.fromkeys(networks))
    wanted = Requirement(includes, once, _ALL[declared.all])
    mechanisms = [f"include:{include}" for include in wanted.includes]
    mechanisms += map(mechanism_for, wanted.networks)
    value = " ".join(["v=spf1", *mechanisms, wanted.all_term])
    return _expected(spec, id, purpose, name, RecordType.TXT, value, wanted), path


def _hosts(spec: SendingDomainSpec) -> Iterator[_Made]:
    """Who takes mail and bounces for the domain, and whose host counts clicks."""
    for index, exchange in enumerate(spec.mx):
        yield _exchange(spec, Purpose.MX, spec.domain, exchange, ("mx", index))
    back = spec.return_path
    if back is not None:
        purpose, name, path = Purpose.RETURN_PATH, f"{back.name}.{spec.domain}", ("returnPath",)
        if back.cname is not None:
            yield _alias(spec, "return-path", purpose, name, back.cname), path
        for index, exchange in enumerate(back.mx):
            yield _exchange(spec, purpose, name, exchange, (*path, "mx", index))
        if back.spf is not None:
            yield _spf(spec, "return-path-spf", purpose, name, back.spf, (*path, "spf"))
    if spec.tracking is not None:
        name = f"{spec.tracking.name}.{spec.domain}"
        made = _alias(spec, "tracking", Purpose.TRACKING, name, spec.tracking.cname)
        yield made, ("tracking",)


def _exchange(
    spec: SendingDomainSpec, purpose: Purpose, name: str, asked: MX, path: _Path
) -> _Made:
    id = f"mx-{asked.host}" if purpose is Purpose.MX else f"return-path-mx-{asked.host}"
    value = f"{asked.preference} {asked.host}"
    wanted = MXWanted(asked.preference, asked.host, must_be_alone(asked.host))
    return _expected(spec, id, purpose, name, RecordType.MX, value, wanted), path


def _alias(
    spec: SendingDomainSpec, id: str, purpose: Purpose, name: str, target: str
) -> PlannedRecord:
    wanted = CNAMEWanted(target, Behind.HOST)
    return _expected(spec, id, purpose, name, RecordType.CNAME, target, wanted)


def _transport(spec: SendingDomainSpec) -> Iterator[_Made]:
    """The policy for TLS on the way to the exchanges, and where reports about it go."""
    kind = RecordType.TXT
    if spec.mta_sts is not None:
        mode, host = spec.mta_sts.mode, spec.mta_sts.cname
        purpose, path = Purpose.MTA_STS, ("mtaSTS",)
        if host is not None:
            name = f"mta-sts.{spec.domain}"
            yield _alias(spec, "mta-sts-host", purpose, name, host), path
        exchanges = tuple(sorted(exchange.host for exchange in spec.mx))
        policy = MTASTSWanted(spec.domain, mode, exchanges)
        # Any id serves that changes with the policy (RFC 8461 section 3.1).
        text = f"{mode.value.lower()} {' '.join(exchanges)}"
        value = f"v=STSv1; id={hashlib.sha256(text.encode()).hexdigest()[:16]}"
        name = f"_mta-sts.{spec.domain}"
        yield _expected(spec, "mta-sts", purpose, name, kind, value, policy), path
    if spec.tls_rpt is not None:
        reports = TLSRPTWanted(tuple(spec.tls_rpt.rua))
        name, value = f"_smtp._tls.{spec.domain}", f"v=TLSRPTv1; rua={','.join(reports.rua)}"
        id, path = "tls-rpt", ("tlsRPT",)
        yield _expected(spec, id, Purpose.TLS_RPT, name, kind, value, reports), path


def _indicator(spec: SendingDomainSpec) -> Iterator[_Made]:
    declared = spec.bimi
    if declared is not None:
        wanted = BIMIWanted(spec.domain, declared.logo, declared.certificate)
        name = f"{declared.selector}._bimi.{spec.domain}"
        mark = f"; a={declared.certificate}" if declared.certificate else ""
        value, kind = f"v=BIMI1; l={declared.logo}{mark}", RecordType.TXT
        yield _expected(spec, "bimi", Purpose.BIMI, name, kind, value, wanted), ("bimi",)


def _certificates(spec: SendingDomainSpec) -> Iterator[_Made]:
    if spec.dane is None:
        return
    for exchange in sorted(spec.mx, key=lambda mx: mx.host):
        name, wanted = f"_{spec.dane.port}._tcp.{exchange.host}", TLSAWanted(exchange.host)
        id, kind = f"dane-{exchange.host}", RecordType.TLSA
        yield _expected(spec, id, Purpose.DANE, name, kind, "", wanted), ("dane",)


def _reverse(spec: SendingDomainSpec) -> Iterator[_Made]:
    for index, text in enumerate(spec.sending_ips):
        address = ipaddress.ip_address(text)
        name, wanted = address.reverse_pointer, PTRWanted(str(address))
        id, kind = f"reverse-{address}", RecordType.PTR
        path = ("sendingIPs", index)
        yield _expected(spec, id, Purpose.REVERSE_DNS, name, kind, "", wanted), path
