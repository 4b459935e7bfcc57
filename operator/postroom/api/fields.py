# SPDX-License-Identifier: Apache-2.0
"""Field types shared by the kinds: each carries its bounds, pattern and CEL rules into the CRD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

#: The JSON schema extension in which the API server finds CEL rules.
RULES = "x-kubernetes-validations"


def rule(
    expression: str, message: str, *, field_path: str = "", forbidden: bool = False
) -> dict[str, Any]:
    """Return one CEL rule in the form of ``x-kubernetes-validations``.

    `message` is the sentence that kubectl shows; `field_path` (``.a.b``) names the place.
    """
    built: dict[str, Any] = {"rule": expression, "message": message}
    if field_path:
        built["fieldPath"] = field_path
    if forbidden:
        built["reason"] = "FieldValueForbidden"
    return built


def rules(*all_rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``json_schema_extra`` that carries these CEL rules."""
    return {RULES: [dict(one) for one in all_rules]}


class Model(BaseModel):
    """Base of all that users write or read: camelCase on the wire, nothing unknown accepted."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


#: Durations in the schema; Go's parser, which CEL uses, reads the same.
DURATION_PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
_DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")


def parse_duration(text: object) -> timedelta:
    """Parse ``72h``, ``1h30m`` or ``45s``; raises `ValueError` on anything else."""
    if isinstance(text, timedelta):
        return text
    if (
        not isinstance(text, str)
        or not text
        or len(text) > 16
        or not (match := _DURATION.match(text))
    ):
        raise ValueError("must be a duration such as 45s, 5m, 1h30m or 72h")
    hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def format_duration(value: timedelta) -> str:
    """Write a duration the way users do: ``1h30m``; the inverse of `parse_duration`."""
    total = int(value.total_seconds())
    hours, rest = divmod(total, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [
        f"{hours}h" * bool(hours),
        f"{minutes}m" * bool(minutes),
        f"{seconds}s" * bool(seconds),
    ]
    return "".join(parts) or "0s"


def _bounded_duration(shortest: str, longest: str, *, zero: bool = False) -> Any:
    """Build a duration type with bounds that hold in pydantic and, as CEL, in the API server."""
    least, most = parse_duration(shortest), parse_duration(longest)
    sentence = f"must be a duration from {shortest} to {longest}" + (", or 0s" if zero else "")

    def check(value: object) -> timedelta:
        duration = parse_duration(value)
        if not (least <= duration <= most or (zero and duration == timedelta())):
            raise ValueError(sentence)
        return duration

    bounds = f"duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')"
    if zero:
        bounds = f"duration(self) == duration('0s') || ({bounds})"
    schema = {
        "type": "string",
        "maxLength": 16,
        "pattern": DURATION_PATTERN,
        RULES: [rule(f"self != '' && ({bounds})", sentence)],
    }
    return Annotated[
        timedelta, BeforeValidator(check), PlainSerializer(format_duration), WithJsonSchema(schema)
    ]


#: How often a resource is checked.
Interval = _bounded_duration("1m", "24h")
#: How long the first success may take before the resource counts as stalled; 0s: for ever.
Deadline = _bounded_duration("1m", "720h", zero=True)

_NO_ADDRESS = "must be a DNS name, not an IP address: TLS verifies names"


def _not_an_address(host: str) -> str:
    if re.fullmatch(r"[0-9.]+", host):
        raise ValueError(_NO_ADDRESS)
    return host


_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST_PATTERN = rf"^{_HOST_LABEL}(\.{_HOST_LABEL})*$"

#: A fully qualified name in A-label form, lowercase, without trailing dot, of two labels or more.
DomainName = Annotated[
    str,
    StringConstraints(min_length=3, max_length=253, pattern=rf"^({_HOST_LABEL}\.)+{_HOST_LABEL}$"),
]
#: A DNS owner name or CNAME target: like a domain name, but underscores are legal in its labels.
RecordName = Annotated[
    str, StringConstraints(min_length=3, max_length=253, pattern=rf"^({_LABEL}\.)+{_LABEL}$")
]
#: A host to connect to: a DNS name of one label or more; never an IP literal, whose certificate
#: no public authority would vouch for.
HostName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=_HOST_PATTERN),
    AfterValidator(_not_an_address),
    # Written out: pydantic drops the pattern where a rule stands beside it.
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": 253,
            "pattern": _HOST_PATTERN,
            RULES: [rule("!self.matches('^[0-9.]+$')", _NO_ADDRESS)],
        }
    ),
]
#: The name of an object in the same namespace.
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
]
#: A key in the data of a Secret or ConfigMap.
DataKey = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
]
#: An addr-spec of RFC 5321 in dot-atom form with an A-label domain.
EmailAddress = Annotated[
    str,
    StringConstraints(
        min_length=3,
        max_length=254,
        pattern=(
            r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
            rf"@({_HOST_LABEL}\.)+{_HOST_LABEL}$"
        ),
    ),
]


class ObjectReference(Model):
    """Names an object of a known kind in the same namespace."""

    name: ObjectName = Field(description="Name of the object in this namespace.")


class SecretKeyReference(Model):
    """Names one key of a Secret in the same namespace."""

    name: ObjectName = Field(description="Name of the Secret in this namespace.")
    key: DataKey = Field(description="Key in the Secret's data.")
