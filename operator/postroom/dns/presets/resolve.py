# SPDX-License-Identifier: Apache-2.0
"""From a provider's name and parameters to the records of one domain: pure but for the files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from postroom.api.presets import ParameterProblem, fill, placeholders, unknown_parameters
from postroom.dns.names import can_be_asked
from postroom.dns.presets import model
from postroom.dns.presets.load import preset, providers
from postroom.dns.presets.values import (
    PresetExchange,
    PresetKey,
    PresetOwnership,
    PresetReturnPath,
    PresetTracking,
    PresetValues,
)

#: A public key of 8192 bits; nothing that a provider issues is longer.
PARAMETER_LIMIT = 2048
_KEY = re.compile(r"(?:^|;)\s*p=([^;]*)")


@dataclass(frozen=True, slots=True)
class PresetRecord:
    """A record of a preset with its templates filled in; `host` is relative to the domain."""

    record: model.RecordRow
    host: str
    value: str


def resolve(
    provider: str, parameters: Mapping[str, str], domain: str
) -> PresetValues | tuple[ParameterProblem, ...]:
    """Work out what a provider asks for, or say what is wrong with the parameters.

    `domain` is the sending domain as A-labels in lowercase. Problems come in the order of the
    preset's parameters, unknown ones last and sorted. Raises `InvalidData` where the preset's own
    file is broken.
    """
    if provider not in providers():
        return (ParameterProblem(None, f"has no preset {provider[:40]!r}"),)
    chosen = preset(provider)
    given = {
        name: value if (parameter := chosen.parameter(name)) is None else parameter.tidied(value)
        for name, value in parameters.items()
    }
    if problems := tuple(_problems(chosen, given, domain)):
        return problems
    records = tuple(filled(chosen, given, domain))
    return tuple(_misfits(records, domain)) or _values(provider, records)


def filled(
    chosen: model.Preset, parameters: Mapping[str, str], domain: str
) -> Iterator[PresetRecord]:
    """Yield the records that these valid parameters ask for."""
    names = model.derived(domain)
    values = _with_defaults(chosen, parameters, names)
    for record in chosen.records:
        if not _is_asked(record, values):
            continue
        known = values | names
        yield PresetRecord(record, fill(record.host, known), fill(record.value, known))


def _with_defaults(
    chosen: model.Preset, given: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, str]:
    """Add the defaults: first those that depend on nothing, on which the others may depend."""
    values = dict(given)
    for parameter in sorted(
        chosen.parameters, key=lambda candidate: candidate.default_by is not None
    ):
        default = parameter.default_for(values, names[model.DOMAIN])
        if parameter.name not in given and default:
            values[parameter.name] = fill(default, names)
    return values


def _problems(
    chosen: model.Preset, given: Mapping[str, str], domain: str
) -> Iterator[ParameterProblem]:
    for parameter in chosen.parameters:
        # What was given, and makes no record without this parameter.
        partners = (
            other
            for record in chosen.records
            if parameter.name in record.depends_on
            for other in record.depends_on
            if other in given
        )
        partner = next(partners, None)
        if parameter.name in given:
            value = given[parameter.name]
            if len(value) > PARAMETER_LIMIT or not parameter.accepts(value):
                sentence = f"must {parameter.wanted}: {_lead(parameter)}"
                yield ParameterProblem(parameter.name, sentence)
        elif parameter.required:
            yield ParameterProblem(parameter.name, f"is required: {_lead(parameter)}")
        elif parameter.optional and partner:
            sentence = f"is required together with {partner}: {_lead(parameter)}"
            yield ParameterProblem(parameter.name, sentence)
        elif (why := _without_default(chosen, parameter, given, domain)) is not None:
            sentence = f"is required where {why}: {_lead(parameter)}"
            yield ParameterProblem(parameter.name, sentence)
    for group in chosen.one_of:
        count = sum(name in given for name in group)
        if count != 1:
            how = "one of these must be given" if not count else "only one of these may be given"
            yield ParameterProblem(group[0], f"{how}: {', '.join(group)}")
    yield from unknown_parameters(chosen, given)


def _without_default(
    chosen: model.Preset, parameter: model.Parameter, given: Mapping[str, str], domain: str
) -> str | None:
    """The condition that leaves a needed parameter without a default; None where there is none."""
    by, hindrance = parameter.default_by, parameter.no_default_for
    values = _with_defaults(chosen, given, model.derived(domain))
    if parameter.name in values:
        return None
    asked = (record for record in chosen.records if _is_asked(record, values))
    if not any(parameter.name in record.placeholders for record in asked):
        return None
    if hindrance is not None and hindrance.holds(domain):
        return hindrance.words
    return f"{by.parameter} is {values.get(by.parameter, '')[:40]}" if by is not None else None


def _is_asked(record: model.RecordRow, values: Mapping[str, str]) -> bool:
    """Whether a record is asked for with these parameters."""
    return (
        all(name in values for name in record.depends_on)
        and all(values.get(name) == value for name, value in record.when.items())
        and record.unless not in values
    )


def _lead(parameter: model.Parameter) -> str:
    """Write the description as the end of a sentence."""
    text = parameter.description.removesuffix(".")
    second = text[1:2]
    return text if second.isupper() else text[0].lower() + text[1:]


def _misfits(records: tuple[PresetRecord, ...], domain: str) -> Iterator[ParameterProblem]:
    """What DNS could not hold, and which record would stand twice."""
    taken: set[str] = set()
    for record in records:
        owner = domain if record.host == "@" else f"{record.host}.{domain}"
        names = [owner]
        if record.record.match in (
            model.Match.TARGET,
            model.Match.EXCHANGE,
            model.Match.SPF_AUTHORISES,
        ):
            names.append(re.split(r"[ :]", record.value)[-1])
        # The parameter that made it what it is, one of its name before one of its value.
        row = record.record
        makers = placeholders(row.host) - model.DERIVED or placeholders(row.value) - model.DERIVED
        culprit = min(makers, default=None)
        if not all(map(can_be_asked, names)):
            yield ParameterProblem(
                culprit, f"makes a name of {record.record.role} too long for DNS"
            )
        if record.record.match in (model.Match.KEY, model.Match.TARGET):
            if owner in taken:
                yield ParameterProblem(culprit, f"repeats a name: {record.host} is taken already")
            taken.add(owner)


def _values(provider: str, records: tuple[PresetRecord, ...]) -> PresetValues:
    by_role = {
        role: [record for record in records if record.record.role is role] for role in model.Role
    }
    spf, dmarc = by_role[model.Role.SPF], by_role[model.Role.DMARC]
    owned = by_role[model.Role.OWNERSHIP]
    keys = list[PresetKey]()
    for entry in by_role[model.Role.DKIM]:
        selector, required = entry.host.removesuffix("._domainkey"), entry.record.required
        if entry.record.match is model.Match.TARGET:
            keys.append(PresetKey(selector, entry.value, None, None, required))
        else:
            found = _KEY.search(entry.value)
            key = found[1] if found else ""
            keys.append(PresetKey(selector, None, key, entry.value, required))
    bounces, return_path = by_role[model.Role.RETURN_PATH], None
    if bounces:
        by_match = {
            match: [record for record in bounces if record.record.match is match]
            for match in model.Match
        }
        aliases = by_match[model.Match.TARGET]
        return_path = PresetReturnPath(
            name=bounces[0].host,
            cname=aliases[0].value if aliases else None,
            mx=tuple(_exchange(entry) for entry in by_match[model.Match.EXCHANGE]),
            spf_includes=tuple(_include(entry) for entry in by_match[model.Match.SPF_AUTHORISES]),
            required=any(entry.record.required for entry in bounces),
        )
    return PresetValues(
        provider=provider,
        spf_includes=tuple(_include(entry) for entry in spf),
        dkim=tuple(keys),
        return_path=return_path,
        mx=tuple(_exchange(entry) for entry in by_role[model.Role.MX]),
        tracking=tuple(
            PresetTracking(entry.host, entry.value, entry.record.required)
            for entry in by_role[model.Role.TRACKING]
        ),
        ownership=(
            PresetOwnership(owned[0].host, owned[0].value, owned[0].record.required)
            if owned
            else None
        ),
        dmarc_required=any(entry.record.required for entry in dmarc),
        dmarc_policy=dmarc[0].value.rpartition("p=")[2] if dmarc else None,
    )


def _include(entry: PresetRecord) -> str:
    return entry.value.removeprefix("include:")


def _exchange(entry: PresetRecord) -> PresetExchange:
    preference, _, host = entry.value.partition(" ")
    return PresetExchange(host, int(preference), entry.record.required)
