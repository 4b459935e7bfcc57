# SPDX-License-Identifier: Apache-2.0
"""A SendingDomain that flags describe, for those who have no file yet, beside those of files."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from postroom.api.names import API_VERSION, Key, Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.cli import completion, manifests
from postroom.cli.file_types import is_there
from postroom.cli.manifest_files import SUFFIXES
from postroom.cli.manifests import Manifests
from postroom.cli.record_plans import FLAGS, complaint
from postroom.cli.yaml_documents import Complaint, Manifest
from postroom.dns.names import canonical

#: What is said for no provider at all, where one would be guessed.
NO_PROVIDER = "none"

ProviderOption = Annotated[
    str | None,
    typer.Option(
        help="Email provider whose records DOMAIN needs.", autocompletion=completion.providers
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Value that the provider issued for the account: KEY=VALUE."),
]


_NAMED_ALONE = (
    "there is no such file; a domain is named alone, and several are SendingDomains in a file"
)


class BadFlag(ValueError):
    """Flags do not fit together; the text is one sentence."""


def is_domain(targets: Sequence[str]) -> bool:
    """Whether a domain was named, and no files.

    What exists is a path, and so is what looks like a manifest; else one name is a domain.
    """
    first = targets[0]
    is_path = first == "-" or "/" in first or first.lower().endswith(SUFFIXES)
    plain = "." not in first.strip(".")
    return not (len(targets) > 1 or is_path or plain or is_there(Path(first)))


def read(
    targets: Sequence[str],
    namespace: str,
    provider: str | None,
    parameters: Sequence[str],
    ignore: Sequence[str] = (),
) -> Manifests:
    """Read what is to be worked on, or build the SendingDomain that flags describe.

    Raises `BadFlag`.
    """
    if not is_domain(targets):
        if provider is not None or parameters:
            raise BadFlag(
                "--provider and --set go with a domain: files say spec.provider and "
                "spec.parameters."
            )
        found = manifests.load([Path(target) for target in targets if target], namespace, ignore)
        if not all(targets):
            # A variable that is not set: `Path` would take it for the folder that we are in.
            found.complaints.append(Complaint('""', 0, "there is no such file or directory"))
        astray = {target for target in targets if is_domain([target])}
        found.complaints[:] = [
            replace(each, message=_NAMED_ALONE) if each.file in astray else each
            for each in found.complaints
        ]
        return found
    kind, domain = Kind.SENDING_DOMAIN, canonical(targets[0])
    spec: dict[str, object] = {"domain": domain}
    if provider is not None and provider.lower() != NO_PROVIDER:
        spec["provider"] = provider
    pairs: dict[str, str] = {}
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if not (name and equals):
            raise BadFlag(f"--set takes KEY=VALUE, not {parameter!r}.")
        if name in pairs:
            raise BadFlag(f"--set {name} is given twice.")
        pairs[name] = value
    if pairs:
        spec["parameters"] = pairs
    metadata = {"name": domain, "namespace": namespace}
    raw = {"apiVersion": API_VERSION, "kind": kind.value, "metadata": metadata, "spec": spec}
    manifest = Manifest(FLAGS, raw, {})
    found = Manifests(resources={Key(kind, namespace, domain): manifest})
    try:
        parse_spec(kind, spec)
    except InvalidSpec as error:
        found.complaints += [complaint(manifest, problem) for problem in error.problems]
    return found


def complain_of_parameters(found: Manifests) -> None:
    """Add what a provider does not take of the values, where they come from flags."""
    for key, manifest in found.resources.items():
        if manifest.file == FLAGS and not found.complaints:
            try:
                manifests.refuse_parameters(parse_spec(key.kind, manifest.raw["spec"]))
            except InvalidSpec as error:
                found.complaints += [complaint(manifest, problem) for problem in error.problems]


def what_to_publish(domain: str, provider: str | None, parameters: Sequence[str]) -> str:
    """The command that lists what DNS lacks of such a domain, to be copied."""
    flags = [("--provider", provider)] if provider is not None else []
    flags += [("--set", parameter) for parameter in parameters]
    words = ["postroom", "records", domain, *(word for flag in flags for word in flag), "--missing"]
    return shlex.join(words)
