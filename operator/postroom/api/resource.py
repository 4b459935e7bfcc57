# SPDX-License-Identifier: Apache-2.0
"""From a raw object, as the API server or a YAML file holds it, to typed values, and why not."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from postroom.api import names
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.field_paths import written
from postroom.api.fields import Model
from postroom.api.mailserver import MailServerSpec, MailServerStatus
from postroom.api.sendingdomain import SendingDomainSpec, SendingDomainStatus
from postroom.api.status import CommonStatus
from postroom.api.stored import readable
from postroom.api.suggest import hint

SpecT = TypeVar("SpecT", bound=Model, covariant=True)
StatusT = TypeVar("StatusT", bound=CommonStatus, covariant=True)
ModelT = TypeVar("ModelT", bound=Model)

#: Nearly all are dicts, for which the abstract class alone would be asked by a call of Python.
MAPPINGS = (dict, Mapping)

#: Longest token of a request, and longest address, in characters; so many of a longer token tell it
#: from others that begin as it does.
_TOKEN_LIMIT, _ADDRESS_LIMIT, _DIGEST = 128, 320, 16

SPECS: dict[names.Kind, type[Model]] = {
    names.Kind.SENDING_DOMAIN: SendingDomainSpec,
    names.Kind.MAIL_SERVER: MailServerSpec,
    names.Kind.EMAIL_ACCOUNT: EmailAccountSpec,
}
STATUSES: dict[names.Kind, type[CommonStatus]] = {
    names.Kind.SENDING_DOMAIN: SendingDomainStatus,
    names.Kind.MAIL_SERVER: MailServerStatus,
    names.Kind.EMAIL_ACCOUNT: EmailAccountStatus,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a spec: where (``spec.tls.mode``) and what."""

    path: tuple[str | int, ...]
    message: str

    @property
    def place(self) -> str:
        """The path in the notation of kubectl: ``spec.dkim[0].selector``."""
        return written(self.path) or "object"

    @property
    def sentence(self) -> str:
        """The problem with the mark that a sentence ends in, as status shows it."""
        return str(self) if self.message.endswith("?") else f"{self}."

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class InvalidSpec(ValueError):
    """The spec cannot be understood; `problems` names every place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of an object's metadata that postroom reads."""

    name: str
    namespace: str
    uid: str
    generation: int
    resource_version: str
    creation_timestamp: str
    requested_at: str | None
    send_test: str | None = None
    send_test_to: str | None = None
    backfill: str | None = None

    @property
    def requests(self) -> tuple[str | None, ...]:
        """Everything that somebody asks for without a change of spec."""
        return self.requested_at, self.send_test, self.send_test_to, self.backfill

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Metadata:
        """Read metadata leniently: what is absent or of a wrong type becomes empty."""
        return _remembered_metadata(raw) if isinstance(raw, Kept) else cls._read(raw)

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> Metadata:
        generation = raw.get("generation")
        told = cls(
            name=str(raw.get("name") or ""),
            namespace=str(raw.get("namespace") or ""),
            uid=str(raw.get("uid") or ""),
            generation=generation if isinstance(generation, int) else 0,
            resource_version=str(raw.get("resourceVersion") or ""),
            creation_timestamp=str(raw.get("creationTimestamp") or ""),
            requested_at=None,
        )
        if not (annotations := raw.get("annotations")):
            return told  # as of nearly all
        asked = names.REQUESTED_AT_ANNOTATIONS
        tokens = [_shortened(f"{annotations[key]}") for key in asked if annotations.get(key)]
        return replace(
            told,
            requested_at=_shortened(",".join(tokens)) or None,
            send_test=_token(annotations, names.SEND_TEST_ANNOTATION),
            send_test_to=_text(annotations, names.SEND_TEST_TO_ANNOTATION)[:_ADDRESS_LIMIT] or None,
            backfill=_token(annotations, names.BACKFILL_ANNOTATION),
        )


def annotations_read(found: object) -> dict[str, str]:
    """Return what is read of an object's annotations: of those of others nothing, and of each of
    ours as much as one may hold."""
    if not found or not isinstance(found, MAPPINGS):
        return {}
    return {
        name: str(found[name])[:_ADDRESS_LIMIT]
        if name == names.SEND_TEST_TO_ANNOTATION
        else _shortened(str(found[name]))
        for name in names.REQUEST_ANNOTATIONS
        if found.get(name) is not None
    }


def _shortened(token: str) -> str:
    """A token of at most so many characters, which another one makes another."""
    if len(token) <= _TOKEN_LIMIT:
        return token
    told = hashlib.sha256(token.encode(errors="replace")).hexdigest()[:_DIGEST]
    return f"{token[: _TOKEN_LIMIT - _DIGEST - 1]}~{told}"


def _text(annotations: Mapping[str, Any], key: str) -> str:
    return str(annotations.get(key) or "")


def _token(annotations: Mapping[str, Any], key: str) -> str | None:
    return _shortened(_text(annotations, key)) or None


@dataclass(frozen=True, slots=True)
class Resource(Generic[SpecT, StatusT]):
    """One object of this group, typed."""

    kind: names.Kind
    metadata: Metadata
    spec: SpecT
    #: The stored status, as far as it can be understood; a default one where none is stored.
    status: StatusT

    @property
    def key(self) -> names.Key:
        return names.Key(self.kind, self.metadata.namespace, self.metadata.name)


AnyResource = Resource[Model, CommonStatus]
SendingDomain = Resource[SendingDomainSpec, SendingDomainStatus]
MailServer = Resource[MailServerSpec, MailServerStatus]
EmailAccount = Resource[EmailAccountSpec, EmailAccountStatus]


def parse(kind: names.Kind, raw: Mapping[str, Any]) -> AnyResource:
    """Type a raw object; raises `InvalidSpec` with every problem of its spec."""
    return Resource(
        kind=kind,
        metadata=Metadata.of(raw.get("metadata") or {}),
        spec=parse_spec(kind, raw.get("spec")),
        status=parse_status(kind, raw.get("status")),
    )


class Kept(dict[str, Any]):
    """Metadata, a spec or a status that is kept as it came and never changed: many ask what it
    means, so that the answer is remembered while they do."""

    __slots__ = ()
    # By identity: equal ones mean the same, and are merely understood twice.
    __hash__ = object.__hash__  # type: ignore[assignment]


def parse_spec(kind: names.Kind, raw: object) -> Model:
    """Type a raw spec; raises `InvalidSpec`."""
    if not isinstance(raw, MAPPINGS):
        raise InvalidSpec((Problem(("spec",), "must be a mapping of the fields of this kind"),))
    try:
        return _typed(SPECS[kind], raw)
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, SPECS[kind])) from None


def parse_status(kind: names.Kind, raw: object) -> CommonStatus:
    """Type a stored status; what of it cannot be understood counts as never written."""
    model = STATUSES[kind]
    return _typed(model, raw) if isinstance(raw, MAPPINGS) else model()


def _typed(model: type[ModelT], raw: Mapping[str, Any]) -> ModelT:
    if isinstance(raw, Kept):
        remembered = _remembered_longer if model in _RELIED_ON else _remembered
        return cast("ModelT", remembered(model, raw))
    return _understood(model, raw)


def _understood(model: type[ModelT], raw: Mapping[str, Any]) -> ModelT:
    try:
        return model.model_validate(raw, by_name=False, by_alias=True)
    except ValidationError:
        if not issubclass(model, CommonStatus):
            raise
    return readable(model, raw) or model()


#: Enough for what is being evaluated; what is understood takes several times as much memory as
#: what came, so that more is not kept. Accounts stand on domains and servers: those that they take
#: turns with are understood once for all of them, and are fewer.
_REMEMBERED, _REMEMBERED_LONGER = 128, 1024
_RELIED_ON = frozenset({SendingDomainSpec, SendingDomainStatus, MailServerSpec, MailServerStatus})


@functools.lru_cache(maxsize=_REMEMBERED)
def _remembered_metadata(raw: Kept) -> Metadata:
    return Metadata._read(raw)


@functools.lru_cache(maxsize=_REMEMBERED)
def _remembered(model: type[Model], raw: Kept) -> Model:
    return _understood(model, raw)


@functools.lru_cache(maxsize=_REMEMBERED_LONGER)
def _remembered_longer(model: type[Model], raw: Kept) -> Model:
    return _understood(model, raw)


def problems_of(error: ValidationError, model: type[Model]) -> tuple[Problem, ...]:
    """Put pydantic's errors into sentences; never repeats the value, which may be a secret."""
    problems = []
    # What is missing may be there under a misspelt name, which is told first.
    for detail in sorted(error.errors(), key=lambda each: each["type"] == "missing"):
        # Parts that pydantic adds for validators are no fields.
        fields = [part for part in detail["loc"] if not ("[" in str(part) or "(" in str(part))]
        problems.append(Problem(("spec", *fields), sentence(detail, model)))
    return tuple(problems)


#: What a value must be, by the type of pydantic's error: its own words name Python's types.
_TYPES = {
    "string_type": "must be text",
    "int_type": "must be a whole number, without quotation marks",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false, without quotation marks",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "none_required": "must be left out",
    "recursion_loop": "must not refer to itself",
}
#: Most fields of a mapping that a sentence names.
_FEW = 4
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def sentence(detail: Any, model: type[Model]) -> str:
    """What pydantic found, in our words; the value itself is not repeated."""
    context, kind = detail.get("ctx") or {}, detail["type"]
    match kind:
        case "extra_forbidden":
            *place, unknown = detail["loc"]
            return f"is not a field of this kind{_instead(str(unknown), fields_at(place, model))}"
        case "model_type" | "model_attributes_type":
            return f"must be a mapping of fields{_some_of(fields_at(detail['loc'], model))}"
        case "missing":
            return "is required"
        case "string_too_long" | "too_long":
            return f"must have at most {_count(context.get('max_length'), detail)}"
        case "string_too_short" | "too_short":
            return f"must have at least {_count(context.get('min_length'), detail)}"
        case "enum" | "literal_error":
            given, expected = detail.get("input"), str(context.get("expected"))
            choices = re.findall(r"'([^']*)'", expected)
            meant = hint(given, choices) if isinstance(given, str) else ""
            return f"must be {'one of ' if len(choices) > 1 else ''}{expected}{meant}"
        case "value_error":
            return str(context.get("error"))
        case _ if kind in _BOUNDS:
            word, bound = _BOUNDS[kind]
            return f"must be {word} {context.get(bound)}"
        case _:
            return _TYPES.get(kind, "is not a value that this field takes")


def _count(number: Any, detail: Any) -> str:
    text = detail["type"].startswith("string")
    if number == 1:
        return "1 character" if text else "1 entry"
    return f"{number} {'characters' if text else 'entries'}"


def _instead(unknown: str, fields: Sequence[str]) -> str:
    """The end of a sentence about a field that is none: why not, or what was meant."""
    if unknown == "namespace" and "name" in fields:
        return ": what is named here stands in the namespace of the object itself"
    return hint(unknown, fields)


def _some_of(fields: Sequence[str]) -> str:
    """The end of a sentence that names the fields of a mapping, the first of many."""
    if not fields:
        return ""
    return f"{':' if len(fields) <= _FEW else ' such as'} {', '.join(fields[:_FEW])}"


def fields_at(place: Sequence[str | int], model: type[Model]) -> list[str]:
    """Return the names that are legal at a place, as they are written in YAML."""
    here: type[BaseModel] = model
    for part in place:
        if isinstance(part, int):
            continue
        found = next(
            (info for name, info in here.model_fields.items() if part in (name, info.alias)), None
        )
        inner = next(_models_in(found.annotation), None) if found is not None else None
        if inner is None:
            return []
        here = inner
    return [info.alias or name for name, info in here.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type is made of, such as that of ``list[DKIMSelector] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
