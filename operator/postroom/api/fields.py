# SPDX-License-Identifier: Apache-2.0
"""Field types shared by the kinds: each carries its bounds, pattern and CEL rules into the CRD."""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import idna
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function, str_schema

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


def rules(*all_rules: Mapping[str, Any]) -> Callable[[JsonDict], None]:
    """Return a ``json_schema_extra`` that adds these CEL rules to those of the type.

    A plain mapping would replace them: pydantic lays it over the schema of the type.
    """

    def add(schema: JsonDict) -> None:
        before = schema.get(RULES)
        # A new list: that of the type is shared by all its fields.
        schema[RULES] = [*(before if isinstance(before, list) else ()), *map(dict, all_rules)]

    return add


class Model(BaseModel):
    """Base of all that users write or read: camelCase on the wire, nothing unknown accepted."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


def no_entries() -> list[Any]:
    """Make the default of a list: of ``list`` itself pydantic asks at length what it takes."""
    return []


#: When a pattern is first used, and not looked for among those of `re` each time.
_compiled = functools.cache(re.compile)


@dataclass(frozen=True, slots=True)
class Text:
    """Annotates a string with one pattern, which users never see: they read `sentence`.

    The schema carries the pattern as a CEL rule, because the API server answers a mismatch of
    ``pattern`` with the expression itself. `also` (Python) and `also_rule` (CEL) say the same and
    ask for what no pattern can. The pattern must be anchored, free of double quotes, and legal in
    RE2 but for ``\\uXXXX``, which is translated. `mend` turns what is often written into what is
    meant, which is offered where it would be taken.
    """

    pattern: str
    sentence: str
    longest: int
    shortest: int | None = None
    also: Callable[[str], bool] | None = None
    also_rule: str = ""
    mend: Callable[[str], str] | None = None

    def check(self, value: str) -> str:
        """Return `value`; raises `ValueError` with the sentence if it is none of these."""
        if not self._fits(value):
            meant = self.mend(value) if self.mend is not None else value
            hint = f": did you mean {meant}?" if self._fits(meant) else ""
            raise ValueError(self.sentence + hint)
        return value

    def _fits(self, value: str) -> bool:
        return bool(
            _compiled(self.pattern).fullmatch(value)
            and len(value) <= self.longest
            and (self.also is None or self.also(value))
        )

    def __get_pydantic_core_schema__(
        self, source: type[str], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        bounded = str_schema(strict=True, min_length=self.shortest, max_length=self.longest)
        return no_info_after_validator_function(self.check, bounded)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        more = f" && ({self.also_rule})" if self.also_rule else ""
        return {**handler(schema), RULES: [rule(_matches(self.pattern) + more, self.sentence)]}


_WIDE = re.compile(r"\\u([0-9a-f]{4})")


def _matches(pattern: str) -> str:
    """Write a pattern as a CEL expression; RE2 writes ``\\x{2028}`` for ``\\u2028``."""
    return 'self.matches(r"' + _WIDE.sub(r"\\x{\1}", pattern) + '")'


#: Durations in the schema; Go's parser, which CEL uses, reads the same. So few digits cannot
#: overflow, neither there nor here.
DURATION_PATTERN = r"^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$"
_DURATION = re.compile(DURATION_PATTERN)
DURATION_LENGTH = 16
#: What could not be written the way it is read.
_TOO_LONG = timedelta(hours=10_000)


def parse_duration(text: object) -> timedelta:
    """Parse ``72h``, ``1h30m`` or ``45s``; raises `ValueError` on anything else."""
    if isinstance(text, timedelta):
        return text
    return _duration_of(text if isinstance(text, str) else "")


@functools.lru_cache(maxsize=256)
def _duration_of(text: str) -> timedelta:
    """Parse a duration; nearly all objects have the same few."""
    match = _DURATION.fullmatch(text)
    if not match or not 0 < len(match[0]) <= DURATION_LENGTH:
        raise ValueError("must be a duration such as 45s, 5m, 1h30m or 72h")
    hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in match.groups())
    duration = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if duration >= _TOO_LONG:
        raise ValueError("must be a duration of less than 10000h")
    return duration


def format_duration(value: timedelta) -> str:
    """Write a duration the way users do: ``1h30m``; the inverse of `parse_duration`."""
    minutes, seconds = divmod(int(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = zip((hours, minutes, seconds), "hms", strict=True)
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _bounded_duration(shortest: str, longest: str, example: str, *, zero: str = "") -> Any:
    """Build a duration type with bounds that hold in pydantic and, as CEL, in the API server.

    `zero` says what 0s means, where it is allowed.
    """
    least, most = parse_duration(shortest), parse_duration(longest)
    or_zero = f"; or 0s {zero}" if zero else ""
    sentence = f"must be a duration from {shortest} to {longest}, such as {example}{or_zero}"

    def check(value: object) -> timedelta:
        try:
            duration = parse_duration(value)
        except ValueError:
            raise ValueError(sentence) from None
        if not (least <= duration <= most or (zero and duration == timedelta())):
            raise ValueError(sentence)
        return duration

    bounds = f"duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')"
    if zero:
        bounds = f"duration(self) == duration('0s') || {bounds}"
    expression = f"self != '' && {_matches(DURATION_PATTERN)} && ({bounds})"
    schema = {
        "type": "string",
        # As JSON Schema calls a timedelta; `schema` takes the mark off again.
        "format": "duration",
        "maxLength": DURATION_LENGTH,
        RULES: [rule(expression, sentence)],
    }
    return Annotated[
        timedelta, BeforeValidator(check), PlainSerializer(format_duration), WithJsonSchema(schema)
    ]


#: How often a resource is checked.
Interval = _bounded_duration("1m", "24h", "5m or 1h30m")
#: How often a message is sent: mail servers count each of them.
MessageInterval = _bounded_duration("6h", "168h", "6h or 24h")
#: How long the first success may take before the resource counts as stalled; 0s: for ever.
Deadline = _bounded_duration("1m", "720h", "15m or 72h", zero="to wait for ever")

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
HOST_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
#: No top-level domain begins with a digit, but the end of every IPv4 address does.
TOP_LABEL = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
#: A domain name: its labels, of which there are two or more.
DOMAIN = rf"({HOST_LABEL}\.)+{TOP_LABEL}"


def _as_a_labels(name: str) -> str:
    """Write a domain name as DNS has it (RFC 5891): A-labels, lowercase, without trailing dot."""
    bare = name.strip().rstrip(".")
    try:
        return idna.encode(bare, uts46=True).decode("ascii").lower()
    except (UnicodeError, idna.IDNAError):
        # An underscore is no letter of a host, but legal in DNS.
        return ".".join(map(_as_a_labels, bare.split("."))) if "." in bare else bare.lower()


def as_address(text: str) -> str:
    """Take the address out of ``Name <local@DOMAIN>``, its domain as DNS has it."""
    address = text.strip().removeprefix("mailto:")
    if address.endswith(">"):
        address = address[:-1].rpartition("<")[2]
    local_part, at, domain = address.rpartition("@")
    return f"{local_part}{at}{_as_a_labels(domain)}"


def as_host(text: str) -> str:
    """Take the host out of a URL or of ``host:port``."""
    return _as_a_labels(text.strip().rpartition("://")[2].partition("/")[0].partition(":")[0])


#: A fully qualified name in A-label form, lowercase, without trailing dot, of two labels or more.
DomainName = Annotated[
    str,
    Text(
        rf"^{DOMAIN}$",
        "must be a domain name such as send.example.com: lowercase, without trailing dot, "
        "non-ASCII labels as xn--...",
        longest=253,
        mend=_as_a_labels,
    ),
]
#: A DNS owner name or CNAME target: like a domain name, but underscores are legal in its labels.
RecordName = Annotated[
    str,
    Text(
        rf"^({_LABEL}\.)+{TOP_LABEL}$",
        "must be a DNS name such as k1._domainkey.example.com: lowercase, complete, without "
        "trailing dot",
        longest=253,
        mend=_as_a_labels,
    ),
]
#: One or more labels below a domain.
RecordLabel = Annotated[
    str,
    Text(
        rf"^{_LABEL}(\.{_LABEL})*$",
        "must be a name below the domain such as bounce: lowercase, without the domain itself",
        longest=63,
    ),
]
#: A host to connect to: a DNS name of one label or more; never an IP literal, whose certificate
#: no public authority would vouch for.
HostName = Annotated[
    str,
    Text(
        rf"^({HOST_LABEL}\.)*{TOP_LABEL}$",
        "must be a DNS name such as smtp.example.com, not an IP address (TLS verifies names): "
        "lowercase, without port or trailing dot",
        longest=253,
        mend=as_host,
    ),
]
#: A TCP port; and true or false. Strict: the API server takes neither "587" nor "yes" either.
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Switch = Annotated[bool, Field(strict=True)]
#: The name of an object in the same namespace.
ObjectName = Annotated[
    str,
    Text(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "must be the name of an object: lowercase letters, digits, '-' and '.'",
        longest=253,
    ),
]
#: A key in the data of a Secret or ConfigMap.
DataKey = Annotated[
    str,
    Text(
        r"^[-._a-zA-Z0-9]+$",
        "must be a key of the object's data: letters, digits, '-', '_' and '.'",
        longest=253,
    ),
]
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#: Longest local part (RFC 5321 section 4.5.3.1.1).
_LOCAL_PART_LIMIT = 64
#: What labels of other scripts are made of, roughly: which of them are legal is for IDNA to say.
_LETTERS = r"a-z\u00df-\u1fff\u2c00-\ud7ff"
_ANY_END = rf"([{_LETTERS}0-9-]{{0,61}}[{_LETTERS}0-9])?"
_ANY_DOMAIN = rf"([{_LETTERS}0-9]{_ANY_END}\.)+[{_LETTERS}]{_ANY_END}"


def _address(domain: str) -> Text:
    """Addresses at a domain of this pattern."""
    return Text(
        rf"^{_ATOM}(\.{_ATOM})*@{domain}$",
        "must be an email address such as support@example.com: its domain lowercase, no display "
        f"name, 1 to {_LOCAL_PART_LIMIT} ASCII characters before the @ (no SMTPUTF8), and no =?",
        longest=254,
        # Atoms may hold what readers of a header take for an encoded-word (RFC 2047).
        also=lambda address: address.index("@") <= _LOCAL_PART_LIMIT and "=?" not in address,
        also_rule=f"self.indexOf('@') <= {_LOCAL_PART_LIMIT} && !self.contains('=?')",
        mend=as_address,
    )


def _with_a_labels(address: str) -> str:
    """Write an address as DNS and SMTP have it: U-labels become A-labels (RFC 5890 section 2.3).

    Nothing is mapped, so that one text means one domain to every reader of it.
    """
    local_part, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        written = f"{local_part}@{idna.encode(domain, strict=True).decode('ascii')}"
    except UnicodeError:
        written = ""
    if not is_email_address(written):
        meant = as_address(address)
        hint = f": did you mean {meant}?" if is_email_address(meant) else ""
        raise ValueError("must have a domain that IDNA 2008 (RFC 5891) allows" + hint)
    return written


#: An addr-spec of RFC 5321 in dot-atom form with an A-label domain.
EmailAddress = Annotated[str, _address(DOMAIN)]
#: The same, but its domain may be written in U-labels; what is parsed has A-labels.
InternationalAddress = Annotated[str, _address(_ANY_DOMAIN), AfterValidator(_with_a_labels)]


def is_email_address(text: str) -> bool:
    """Whether a text that no schema has seen is an `EmailAddress`."""
    try:
        _ADDRESS.validate_python(text)
    except ValidationError:
        return False
    return True


_ADDRESS: TypeAdapter[str] = TypeAdapter(EmailAddress)

#: For a class of characters: controls (C0, DEL, C1), line and paragraph separators, and what turns
#: text round or hides in it without being part of any script.
UNPRINTED = (
    r"\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069"
    r"\ufeff\ufff9-\ufffb"
)
#: The display-name before an address (RFC 5322 section 3.4), as people read it. Commas, dots and
#: brackets belong to names ("Miller, Jane", "Example Inc. (Support)"), and whoever writes them into
#: a header must quote them anyway. What makes an address of a name, ends a quoted string or is
#: decoded by readers has no place in one.
DisplayName = Annotated[
    str,
    Text(
        rf"^[^<>@\x22\\{UNPRINTED}]+$",
        "must be a name as people read it: without <, >, @, double quotes, backslashes, =? "
        "(encoded-words), line breaks and other control characters",
        longest=128,
        also=lambda name: "=?" not in name,
        also_rule="!self.contains('=?')",
    ),
]


class ObjectReference(Model):
    """Names an object of a known kind in the same namespace."""

    name: ObjectName = Field(description="Name of the object in this namespace.")


class SecretKeyReference(Model):
    """Names one key of a Secret in the same namespace."""

    name: ObjectName = Field(description="Name of the Secret in this namespace.")
    key: DataKey = Field(description="Key in the Secret's data.")
