# SPDX-License-Identifier: Apache-2.0
"""From a provider's name and parameters to endpoints and usernames of one address."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from postroom.api.mailserver import TLSMode
from postroom.api.presets import ParameterProblem, fill, unknown_parameters
from postroom.mail.presets import model
from postroom.mail.presets.load import preset, providers

#: Nothing that a host name is made of is longer.
PARAMETER_LIMIT = 253


@dataclass(frozen=True, slots=True)
class PresetEndpoint:
    """Where to connect, and how it is secured."""

    host: str
    port: int
    tls: TLSMode


@dataclass(frozen=True, slots=True)
class PresetLimit:
    """A documented limit: sizes in bytes, else messages, recipients or connections.

    A `raisable` one holds only for those without a plan, or whom the provider has not checked yet.
    """

    name: model.LimitName
    value: int
    scope: str
    source: str
    checked: date
    raisable: bool = False


@dataclass(frozen=True, slots=True)
class MailPreset:
    """What a provider offers for one address.

    The first endpoint of each protocol is the one to use; `imap` is empty where there is none. A
    username is None where only the user knows it. `replies_as` is the provider that the catalogue
    of replies is to be asked for.
    """

    provider: str
    title: str
    replies_as: str
    smtp: tuple[PresetEndpoint, ...]
    imap: tuple[PresetEndpoint, ...]
    smtp_username: str | None
    imap_username: str | None
    ways: tuple[model.SignInWay, ...]
    imap_ways: tuple[model.SignInWay, ...]
    oauth: model.OAuthProvider | None
    limits: tuple[PresetLimit, ...]
    notes: tuple[str, ...]

    def limit(self, name: model.LimitName) -> int | None:
        """Return a limit's value; None where the provider documents none."""
        return next((limit.value for limit in self.limits if limit.name is name), None)


def resolve(
    provider: str, parameters: Mapping[str, str], address: str | None
) -> MailPreset | tuple[ParameterProblem, ...]:
    """Work out what a provider offers, or say what is wrong with the parameters.

    `provider` may be an alias. `address` is the account's, None for a server without one: then
    usernames that follow from it are None too. Problems come in the order of the preset's
    parameters, unknown ones last and sorted. Raises `InvalidData` where the preset's own file is
    broken.
    """
    try:
        chosen = preset(provider)
    except KeyError:
        known = ", ".join(providers())
        sentence = f"there is no preset {provider[:40]!r}: choose one of {known}"
        return (ParameterProblem(None, sentence),)
    problems: list[ParameterProblem] = []
    for parameter in chosen.parameters:
        lead = parameter.description.removesuffix(".")
        value = parameters.get(parameter.name)
        if value is None and parameter.default is None:
            problems.append(ParameterProblem(parameter.name, f"is required: {lead}"))
        elif value is not None and not (len(value) <= PARAMETER_LIMIT and parameter.accepts(value)):
            problems.append(ParameterProblem(parameter.name, f"must {parameter.wanted}: {lead}"))
    problems += unknown_parameters(chosen, parameters)
    if problems:
        return tuple(problems)
    values = {
        parameter.name: parameter.default for parameter in chosen.parameters if parameter.default
    } | dict(parameters)
    return MailPreset(
        provider=chosen.name,
        title=chosen.title,
        replies_as=chosen.replies_as,
        smtp=tuple(_endpoints(chosen.smtp, values)),
        imap=tuple(_endpoints(chosen.imap, values)),
        smtp_username=_username(chosen.smtp_username, address),
        imap_username=_username(chosen.imap_username, address) if chosen.imap_username else None,
        ways=chosen.ways,
        imap_ways=(chosen.imap_ways or chosen.ways) if chosen.imap else (),
        oauth=chosen.oauth,
        limits=tuple(
            PresetLimit(
                limit.name, limit.value, limit.scope, limit.source, limit.checked, limit.raisable
            )
            for limit in chosen.limits
        ),
        notes=chosen.notes,
    )


def _endpoints(
    rows: tuple[model.EndpointRow, ...], values: Mapping[str, str]
) -> Iterator[PresetEndpoint]:
    for row in rows:
        if all(values.get(name) == value for name, value in row.when.items()):
            yield PresetEndpoint(fill(row.host, values), row.port, row.tls)


def _username(rule: model.Username, address: str | None) -> str | None:
    if rule.form is model.UsernameForm.FIXED:
        return rule.value
    if address is None or rule.form is model.UsernameForm.ISSUED:
        return None
    if rule.form is model.UsernameForm.ADDRESS:
        return address
    local_part, _, domain = address.rpartition("@")
    return local_part if domain.lower() in rule.domains else None
