# SPDX-License-Identifier: Apache-2.0
"""What presets of providers have in common, for DNS and for mail: rows, parameters, templates.

A preset is data: each has a YAML file of its own. Templates in it hold ``{parameter}``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self, TypeVar

from pydantic import Field, StringConstraints, model_validator

from postroom.api.data_files import InvalidData, Row, names, read

#: The folder of a package that holds its presets.
_FOLDER = "providers"
PLACEHOLDER = re.compile(r"\{([a-z][A-Za-z0-9]*)\}")

ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9]{1,31}$")]
ProviderName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{1,39}$")]
#: Public documents only, so that whoever doubts a row can read it there.
Source = Annotated[str, StringConstraints(pattern=r"^https://[^ ]+$", max_length=300)]
Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z<].*\.$", max_length=300)]
Expression = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """What is wrong with one parameter; None stands for the preset as a whole.

    The sentence continues the parameter's name: "must look like eu-west-1".
    """

    parameter: str | None
    sentence: str


class BaseParameter(Row):
    """What a provider issues, or offers as a choice. The pattern holds for the whole value."""

    name: ParameterName
    description: Sentence
    pattern: Expression
    example: Annotated[str, Field(min_length=1)]
    default: str | None = None
    enum: tuple[str, ...] = ()

    @property
    def wanted(self) -> str:
        """What a value must be, as the end of "must ..."."""
        return f"be one of {', '.join(self.enum)}" if self.enum else f"look like {self.example}"

    def accepts(self, value: str) -> bool:
        """Whether a value can be one of this parameter."""
        fits = re.fullmatch(self.pattern, value) is not None
        return fits and (not self.enum or value in self.enum)

    def defaults(self) -> Sequence[str]:
        """Every value that it may have without being given."""
        return [self.default] if self.default is not None else []

    @model_validator(mode="after")
    def _accepts_its_own(self) -> Self:
        compiled(self.pattern)
        for sample in (self.example, *self.enum, *self.defaults()):
            if not self.accepts(sample):
                raise ValueError(f"the pattern and enum do not accept {sample!r}")
        return self


class BasePreset(Row):
    """A provider, and what it needs to be told."""

    name: ProviderName
    title: Annotated[str, Field(min_length=1, max_length=60)]
    documentation: Source
    parameters: tuple[BaseParameter, ...] = ()

    def problems(self) -> Iterator[str]:
        """What does not fit together in its parts; the first is told."""
        yield from ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({parameter.name for parameter in self.parameters}) < len(self.parameters):
            raise ValueError("a parameter is described twice")
        for problem in self.problems():
            raise ValueError(problem)
        return self


PresetT = TypeVar("PresetT", bound=BasePreset)


def preset_names(package: str) -> tuple[str, ...]:
    """The providers that a package has presets for, sorted; none of the files is read."""
    return names(package, _FOLDER)


def read_preset(package: str, provider: str, model: type[PresetT]) -> PresetT:
    """Read the preset of a provider; raises `InvalidData`."""
    path = f"{_FOLDER}/{provider}.yaml"
    found = read(package, path, model)
    if found.name != provider:
        raise InvalidData(f"{path}: name: must be that of the file, {provider}")
    return found


def unknown_parameters(preset: BasePreset, given: Mapping[str, str]) -> Iterator[ParameterProblem]:
    """A problem for each parameter that is given and that the preset does not have, sorted."""
    known = sorted(parameter.name for parameter in preset.parameters)
    for name in sorted(set(given) - set(known)):
        has = f"it has {', '.join(known)}" if known else "it has none"
        yield ParameterProblem(name[:40], f"is no parameter of {preset.name}: {has}")


def placeholders(template: str) -> frozenset[str]:
    """The names of a template's placeholders."""
    return frozenset(PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into the placeholders of a template; raises `KeyError` where one is missing."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern; raises `ValueError` with a sentence for the data's author."""
    try:
        return re.compile(pattern)
    except re.error as problem:
        raise ValueError(f"pattern is no regular expression: {problem}") from None
