# SPDX-License-Identifier: Apache-2.0
"""All manifests that were given: what each object is, and what is wrong with it.

Nothing in a file raises: what is wrong becomes a `Complaint` with file and line, and the other
objects are filed all the same.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.fields import Model
from postroom.api.json_schema import METADATA_FIELDS
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import API_VERSION, GROUP, Key, Kind
from postroom.api.resource import InvalidSpec, Problem, parse_spec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.api.suggest import hint
from postroom.cli import file_types, manifest_files, object_names
from postroom.cli.options import ExitCode
from postroom.cli.secret_sources import secrets_made_by, why_elsewhere
from postroom.cli.yaml_documents import Complaint, Manifest, documents, template_in
from postroom.dns import planning
from postroom.reconcile.signing_in import targets

_TOP_FIELDS = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_TYPE = ("apiVersion", "kind")


@dataclass
class Manifests:
    """Everything that was read."""

    resources: dict[Key, Manifest] = field(default_factory=dict)
    secrets: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    config_maps: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    #: By namespace and name: which object's controller makes a Secret that is not here.
    made_secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    ignored: int = 0
    #: Whether only folders were named: there may be nothing of ours in a repository.
    only_folders: bool = False

    def exit_code(self, *, empty: bool) -> int:
        """How reading alone ends a verb, which may find worse: with bad input also where all of it
        is `empty` of what the verb is about, unless that was only looked for."""
        if any(not complaint.unread for complaint in self.complaints):
            return ExitCode.BAD_INPUT
        if self.complaints:
            return ExitCode.COULD_NOT_LOOK
        return ExitCode.BAD_INPUT if empty and not self.only_folders else ExitCode.READY


def load(paths: Sequence[Path], namespace: str, ignore: Sequence[str] = ()) -> Manifests:
    """Read files and directories (``-``: standard input).

    `namespace` is for objects that name none.
    """
    found = Manifests(only_folders=all(map(file_types.is_folder, paths)))
    files, problems = manifest_files.listed(paths, ignore)
    found.complaints += [
        Complaint(*problem, unread=isinstance(problem, manifest_files.Unread))
        for problem in problems
    ]
    for file in files:
        quiet = file.walked and not manifest_files.speaks_of_us(file.path)
        for manifest in documents(file.path, [] if quiet else found.complaints):
            if quiet and not all(isinstance(manifest.raw.get(name), str) for name in _TYPE):
                found.ignored += 1
                continue
            metadata = manifest.raw.get("metadata")
            if file.namespace is not None and isinstance(metadata, dict):
                # The kustomization's namespace counts, whichever the object names.
                moved = {**metadata, "namespace": file.namespace}
                manifest = replace(manifest, raw={**manifest.raw, "metadata": moved})
            _file_away(manifest, namespace, found)
    return found


def _file_away(manifest: Manifest, namespace: str, found: Manifests) -> None:
    raw = manifest.raw
    version, kind, metadata = raw.get("apiVersion"), raw.get("kind"), raw.get("metadata")
    ours = isinstance(version, str) and version.startswith(f"{GROUP}/")
    if not ours and is_meant_for_us(version, kind):
        message = f"apiVersion: must be {API_VERSION}"
        found.complaints.append(manifest.complaint(("apiVersion",), message))
        return
    if not ours and (version, kind) not in (("v1", "Secret"), ("v1", "ConfigMap")):
        if version is None or kind is None:
            complaint = manifest.complaint(
                (), "is no Kubernetes object: apiVersion or kind is missing"
            )
            found.complaints.append(complaint)
        for field_ in ("apiVersion", "kind"):
            if not isinstance(raw.get(field_) or "", str):
                message = f"{field_}: must be a text"
                found.complaints.append(manifest.complaint((field_,), message))
        own = metadata if isinstance(metadata, dict) else {}
        place = str(own.get("namespace") or namespace)
        for made in secrets_made_by(raw):
            found.made_secrets[place, made] = f"{kind} {own.get('name')}"
        found.ignored += 1
        return
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        refusals = [manifest.complaint(("metadata",), "metadata.name: is required")]
        named: tuple[str, str] | None = None
    else:
        namespace = str(metadata.get("namespace") or namespace)
        refusals = _bad_names(manifest, name, namespace)
        named = None if refusals else (namespace, name)
    found.complaints += refusals
    # Without a sound name it is read all the same: its other faults are to be mended at once.
    if ours:
        _file_resource(manifest, str(version), str(kind), named, found)
    elif kind == "Secret":
        _put(found.secrets, named, manifest, found)
        if why_elsewhere(raw) is None:
            found.complaints += _bad_values(manifest)
    else:
        _put(found.config_maps, named, manifest, found)


def is_meant_for_us(version: object, kind: object) -> bool:
    """Whether an apiVersion that is not ours is a slip: passing over it would check nothing.

    Others have kinds named like ours (a MailServer, say), under a group of their own.
    """
    if kind not in [kind_.value for kind_ in Kind] or not isinstance(version, str):
        return False
    group = version.partition("/")[0].strip().lower()
    return "postroom" in group or "/" not in version or bool(hint(group, [GROUP]))


def _file_resource(
    manifest: Manifest, version: str, kind: str, place: tuple[str, str] | None, found: Manifests
) -> None:
    if version != API_VERSION:
        message = f"apiVersion: must be {API_VERSION}"
        found.complaints.append(manifest.complaint(("apiVersion",), message))
        return
    try:
        known = Kind(kind)
    except ValueError:
        kinds = [each.value for each in Kind]
        message = f"kind: must be one of {', '.join(kinds)}{hint(kind, kinds)}"
        found.complaints.append(manifest.complaint(("kind",), message))
        return
    _put(found.resources, None if place is None else Key(known, *place), manifest, found)
    unknown = sorted(set(manifest.raw) - _TOP_FIELDS)
    for field_ in unknown:
        message = f"{field_}: is not a field of this kind{hint(field_, _TOP_FIELDS)}"
        found.complaints.append(manifest.complaint((field_,), message))
    spec, problems = manifest.raw.get("spec"), list[Problem]()
    try:
        refuse_parameters(parse_spec(known, spec))
    except InvalidSpec as error:
        problems += error.problems
    told = {problem.path for problem in problems}
    problems += [problem for problem in _without_value(spec) if problem.path not in told]
    found.complaints += [_place(manifest, problem) for problem in problems]


def _without_value(spec: object) -> Iterator[Problem]:
    """The fields of a spec that are written and null, at any depth.

    Server-side apply, and so Flux and Helm, refuses them; without it the API server drops them, so
    that `imap:` would be an account that reads no mailbox.
    """
    places: list[tuple[tuple[str | int, ...], object]] = [(("spec",), spec)]
    for place, value in places:
        if isinstance(value, dict):
            places += [((*place, name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            places += [((*place, number), inner) for number, inner in enumerate(value)]
        elif value is None and len(place) > 1:
            message = "has no value: give it one ({} where its defaults are meant), or leave it out"
            yield Problem(place, message)


def _place(manifest: Manifest, problem: Problem) -> Complaint:
    value: Any = manifest.raw
    for part in problem.path:
        inner = isinstance(value, dict | list) and (
            isinstance(part, int) == isinstance(value, list)
        )
        try:
            value = value[part] if inner else None
        except (KeyError, IndexError):
            value = None
    template = template_in(value) if isinstance(value, str) else None
    message = f"{problem.place}: {template}" if template else str(problem)
    return manifest.complaint(problem.path, message)


def _bad_names(manifest: Manifest, name: str, namespace: str) -> list[Complaint]:
    """Complain of names that the API server refuses (RFC 1123)."""
    bad = [
        manifest.complaint(("metadata", field_), f"metadata.{field_}: must be {needs}")
        for field_, needs in (
            ("name", object_names.needs_of_name(name)),
            ("namespace", object_names.needs_of_namespace(namespace)),
        )
        if needs is not None
    ]
    return [*bad, *_bad_metadata(manifest)]


def _bad_metadata(manifest: Manifest) -> Iterator[Complaint]:
    """Complain of fields of metadata that there are not, and of numbers and the like where the API
    server takes texts alone."""
    metadata = manifest.raw["metadata"]
    for field_ in sorted(metadata.keys() - METADATA_FIELDS):
        message = f"metadata.{field_}: is not a field of metadata{hint(field_, METADATA_FIELDS)}"
        yield manifest.complaint(("metadata", field_), message)
    if not isinstance(metadata.get("namespace") or "", str):
        message = "metadata.namespace: must be a text: put it in quotes"
        yield manifest.complaint(("metadata", "namespace"), message)
    for section in ("labels", "annotations"):
        entries = metadata.get(section)
        if entries is not None and not isinstance(entries, dict):
            message = f"metadata.{section}: must be a mapping of keys to texts"
            yield manifest.complaint(("metadata", section), message)
            continue
        for key, value in (entries or {}).items():
            if value is not None and not isinstance(value, str):
                message = f"metadata.{section}.{key}: must be a text: put it in quotes"
                yield manifest.complaint(("metadata", section, key), message)


def _put(shelf: dict[Any, Manifest], key: Any, manifest: Manifest, found: Manifests) -> None:
    """File a manifest under its key; without one it can be filed nowhere."""
    if key is None:
        return
    if key in shelf:
        first = shelf[key]
        message = f"is defined already in {first.file}:{first.line_of(())}"
        found.complaints.append(manifest.complaint(("metadata", "name"), message))
        return
    shelf[key] = manifest


def _bad_values(manifest: Manifest) -> list[Complaint]:
    """Complain of what the API server would refuse to keep in a Secret."""
    found = []
    for section in ("data", "stringData"):
        entries = manifest.raw.get(section)
        if entries is not None and not isinstance(entries, dict):
            message = f"{section}: must be a mapping of keys to values"
            found.append(manifest.complaint((section,), message))
            continue
        for key, value in (entries or {}).items():
            if section == "stringData" and not isinstance(value, str):
                message = f"stringData.{key}: must be a string: put it in quotes"
            elif section == "data" and (not isinstance(value, str) or decoded(value) is None):
                message = (
                    f"data.{key}: must be base64 of UTF-8 text; plain text belongs under stringData"
                )
            else:
                continue
            found.append(manifest.complaint((section, key), message))
    return found


def decoded(value: str) -> str | None:
    """Decode a value of a Secret's data; None where it is not base64 of text."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def refuse_parameters(spec: Model) -> None:
    """Raise `InvalidSpec`, as the reconcilers do, for what the provider's preset does not take."""
    match spec:
        case SendingDomainSpec():
            planning.complete(spec)
        case MailServerSpec():
            targets.smtp_target(spec)
        case EmailAccountSpec():
            if spec.provider is not None and spec.server_ref is None:
                targets.own_smtp_target(spec)
            if spec.imap is not None:
                targets.imap_target(spec, spec.imap)
