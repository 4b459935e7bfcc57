# SPDX-License-Identifier: Apache-2.0
"""Completing a spec by what its provider's preset asks for: what the spec says itself wins."""

from typing import Any

from pydantic import ValidationError

from postroom.api.resource import InvalidSpec, Problem
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns.presets.resolve import resolve
from postroom.dns.presets.values import PresetExchange, PresetValues


def complete(spec: SendingDomainSpec) -> SendingDomainSpec:
    """Return the spec with the records of its provider declared; raises `InvalidSpec`."""
    if spec.provider is None:
        return spec
    found = resolve(spec.provider.value, spec.parameters, spec.domain)
    if not isinstance(found, PresetValues):
        raise InvalidSpec(
            tuple(
                Problem(
                    ("spec", "parameters", problem.parameter)
                    if problem.parameter
                    else ("spec", "provider"),
                    problem.sentence,
                )
                for problem in found
            )
        )
    given = spec.model_dump(by_alias=True, mode="json", exclude_none=True)
    given.pop("require", None)
    try:
        made = SendingDomainSpec.model_validate(_declared(given, found))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        message = f"with the records of {spec.provider.value} {first['msg']}"
        raise InvalidSpec((Problem(("spec", *first["loc"]), message),)) from None
    undeclared = [
        requirement for requirement in spec.require or () if requirement not in made.declared
    ]
    if undeclared:
        message = f"names {undeclared[0].value}, which neither the spec nor its provider declares"
        raise InvalidSpec((Problem(("spec", "require"), message),))
    return made.model_copy(update={"require": spec.require})


def _declared(given: dict[str, Any], found: PresetValues) -> dict[str, Any]:
    """Lay the spec over the preset, field by field; lists grow, single fields are kept."""
    made = dict(given)
    includes, exchanges, path = found.spf_includes, found.mx, found.return_path
    if path is not None and "returnPath" not in made:
        if path.name == "@":
            # Bounces come back to the domain itself, so that its own records are meant.
            includes, exchanges = (*includes, *path.spf_includes), exchanges or path.mx
        elif path.cname:
            made["returnPath"] = {"name": path.name, "cname": path.cname}
        else:
            made["returnPath"] = {"name": path.name, "mx": _exchanges(path.mx)}
            if path.spf_includes:
                made["returnPath"]["spf"] = {"includes": list(path.spf_includes)}
    if includes:
        spf = dict(made.get("spf") or {})
        spf["includes"] = list(dict.fromkeys([*spf.get("includes", ()), *includes]))
        made["spf"] = spf
    own = made.get("dkim", [])
    selectors = {entry["selector"] for entry in own}
    made["dkim"] = own + [
        {"selector": key.selector, "cname": key.cname}
        if key.cname
        else {"selector": key.selector, "publicKey": key.public_key}
        for key in found.dkim
        if key.selector not in selectors
    ]
    if exchanges and not made.get("mx"):
        made["mx"] = _exchanges(exchanges)
    if found.tracking and "tracking" not in made:
        first = found.tracking[0]
        made["tracking"] = {"name": first.name, "cname": first.cname}
    if found.ownership is not None and not (made.get("ownership") or {}).get("value"):
        name, domain = found.ownership.name, made["domain"]
        place = domain if name == "@" else f"{name}.{domain}"
        made["ownership"] = {"name": place, "value": found.ownership.value}
    if found.dmarc_required and "dmarc" not in made:
        made["dmarc"] = {"policy": found.dmarc_policy or "none"}
    return made


def _exchanges(exchanges: tuple[PresetExchange, ...]) -> list[dict[str, Any]]:
    return [{"host": exchange.host, "preference": exchange.preference} for exchange in exchanges]
