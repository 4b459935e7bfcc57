# SPDX-License-Identifier: Apache-2.0
"""From a spec to the records that must be published: pure, and the same in every view."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from postroom.api.resource import InvalidSpec, Problem
from postroom.api.sendingdomain import (
    SPF,
    DMARCPolicy,
    Purpose,
    SendingDomainSpec,
    SPFAll,
)
from postroom.dns import dkim, dmarc, ownership
from postroom.dns.answers import RecordType
from postroom.dns.names import NAME_LIMIT
from postroom.dns.spf import Network, Requirement, mechanism_for, network

#: Longest value that is handed out for publishing: more fits into no status, nor a DNS answer.
VALUE_LIMIT = 4096
_ID_LIMIT = 100


@dataclass(frozen=True, slots=True)
class TextWanted:
    """A TXT record with this exact text."""

    text: str


@dataclass(frozen=True, slots=True)
class AliasWanted:
    """A CNAME to this target, behind which a DKIM key stands."""

    target: str


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """A DKIM key record with this key."""

    key: dkim.PublicKey


@dataclass(frozen=True, slots=True)
class PolicyWanted:
    """A DMARC record that is at least as strict and reports to these addresses."""

    policy: DMARCPolicy
    rua: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExchangeWanted:
    """An MX record."""

    preference: int
    host: str


Wanted = TextWanted | AliasWanted | KeyWanted | Requirement | PolicyWanted | ExchangeWanted


@dataclass(frozen=True, slots=True)
class Expected:
    """One record that must be published; `value` is what to publish where nothing is there yet."""

    id: str
    purpose: Purpose
    name: str
    type: RecordType
    value: str
    required: bool
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """A domain and the records that it must have."""

    domain: str
    records: tuple[Expected, ...]

    @property
    def exchanges(self) -> tuple[ExchangeWanted, ...]:
        """All mail exchanges that are required."""
        wanted = (one.wanted for one in self.records)
        return tuple(one for one in wanted if isinstance(one, ExchangeWanted))


def plan(
    spec: SendingDomainSpec, namespace: str, ownership_key: bytes, public_keys: Mapping[str, str]
) -> DomainPlan:
    """Work out the records of a spec.

    `public_keys` are the texts that publicKeyRef led to, by selector. Raises `InvalidSpec` for a
    key or network that cannot be read, and for what does not fit into DNS.
    """
    made = [_ownership(spec, namespace, ownership_key)]
    made += [_dkim(spec, index, public_keys) for index in range(len(spec.dkim))]
    made += _sender_policy(spec) + _report_policy(spec)
    made += [_exchange(spec, index) for index in range(len(spec.mx))]
    problems = tuple(problem for one, path in made for problem in _problems(one, path))
    if problems:
        raise InvalidSpec(problems)
    return DomainPlan(spec.domain, tuple(one for one, _ in made))


_Path = tuple[str | int, ...]
#: A record, and the part of the spec that asks for it.
_Made = tuple[Expected, _Path]


def _problems(made: Expected, path: _Path) -> Iterator[Problem]:
    """Say what DNS could not hold, or no status."""
    if len(made.name) > NAME_LIMIT:
        message = f"asks for a record at a name of more than {NAME_LIMIT} characters"
        yield Problem(("spec", *path), message)
    if len(made.value) > VALUE_LIMIT:
        message = f"asks for a record of more than {VALUE_LIMIT} characters"
        yield Problem(("spec", *path), message)


def _expected(
    spec: SendingDomainSpec,
    id: str,
    purpose: Purpose,
    name: str,
    kind: RecordType,
    value: str,
    wanted: Wanted,
) -> Expected:
    return Expected(id, purpose, name, kind, value, purpose in spec.required, wanted)


def _ownership(spec: SendingDomainSpec, namespace: str, key: bytes) -> _Made:
    name, value = ownership.challenge(key, namespace, spec.domain)
    if spec.ownership.value is not None:
        name, value = spec.domain, spec.ownership.value
    name = spec.ownership.name or name
    wanted = TextWanted(value)
    made = _expected(spec, "ownership", Purpose.OWNERSHIP, name, RecordType.TXT, value, wanted)
    return made, ("ownership" if spec.ownership.name else "domain",)


def _dkim(spec: SendingDomainSpec, index: int, public_keys: Mapping[str, str]) -> _Made:
    selector, path = spec.dkim[index], ("dkim", index)
    id, name = f"dkim-{selector.selector}", f"{selector.selector}._domainkey.{spec.domain}"
    if selector.cname is not None:
        target = AliasWanted(selector.cname)
        kind, value = RecordType.CNAME, selector.cname
        return _expected(spec, id, Purpose.DKIM, name, kind, value, target), path
    field, text = "publicKey", selector.public_key
    if text is None:
        field, text = "publicKeyRef", public_keys.get(selector.selector, "")
    key = dkim.read_expected(text)
    if isinstance(key, str):
        raise InvalidSpec((Problem(("spec", *path, field), key),))
    value = dkim.record_for(key)
    made = _expected(spec, id, Purpose.DKIM, name, RecordType.TXT, value, KeyWanted(key))
    return made, path


def _sender_policy(spec: SendingDomainSpec) -> list[_Made]:
    if spec.spf is None:
        return []
    wanted = _requirement(spec.spf)
    includes = [f"include:{one}" for one in wanted.includes]
    networks = [mechanism_for(one) for one in wanted.networks]
    value = " ".join(["v=spf1", *includes, *networks, wanted.all_term])
    made = _expected(spec, "spf", Purpose.SPF, spec.domain, RecordType.TXT, value, wanted)
    return [(made, ("spf",))]


def _report_policy(spec: SendingDomainSpec) -> list[_Made]:
    if spec.dmarc is None:
        return []
    wanted = PolicyWanted(spec.dmarc.policy, tuple(spec.dmarc.rua))
    name, value = f"_dmarc.{spec.domain}", dmarc.record_for(wanted.policy, wanted.rua)
    made = _expected(spec, "dmarc", Purpose.DMARC, name, RecordType.TXT, value, wanted)
    return [(made, ("domain",))]


def _exchange(spec: SendingDomainSpec, index: int) -> _Made:
    asked = spec.mx[index]
    id, value = f"mx-{asked.host}", f"{asked.preference} {asked.host}"
    if len(id) > _ID_LIMIT:
        digest = hashlib.sha256(asked.host.encode()).hexdigest()[:12]
        id = f"{id[: _ID_LIMIT - 13]}-{digest}"
    wanted = ExchangeWanted(asked.preference, asked.host)
    made = _expected(spec, id, Purpose.MX, spec.domain, RecordType.MX, value, wanted)
    return made, ("mx", index)


_ALL = {SPFAll.FAIL: "-all", SPFAll.SOFT_FAIL: "~all", SPFAll.NEUTRAL: "?all"}


def _requirement(spec: SPF) -> Requirement:
    networks: list[Network] = []
    for field, texts in (("ip4", spec.ip4), ("ip6", spec.ip6)):
        for index, text in enumerate(texts):
            made = network(field, text)
            if made is None:
                message = f"must be an IPv{field[2]} address or network"
                raise InvalidSpec((Problem(("spec", "spf", field, index), message),))
            networks.append(made)
    return Requirement(tuple(spec.includes), tuple(networks), _ALL[spec.all])
