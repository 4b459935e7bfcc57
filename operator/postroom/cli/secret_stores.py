# SPDX-License-Identifier: Apache-2.0
"""Where `postroom check` has credentials from besides its input: a cluster, the environment, or a
folder; or nobody signs in at all."""

import os
import re
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.mailserver import MailServerSpec
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.cli.manifests import Manifests
from postroom.cli.secret_sources import what_stands_in
from postroom.reconcile.account.protocols import account_references
from postroom.reconcile.signing_in.protocol_check import server_references
from postroom.reconcile.world import LookupUnavailable, SecretContent, secret_content

#: What variables with credentials begin with.
PREFIX = "POSTROOM_SECRET__"
#: Bytes; what Kubernetes keeps in a Secret at most.
_LIMIT = 1024 * 1024
_REFERENCE = "Secret/"


def not_at_hand(sentence: str) -> LookupUnavailable:
    """Credentials that nothing is known of, for a reason that no wait mends."""
    return LookupUnavailable(sentence, Reason.CREDENTIALS_ELSEWHERE)


class SecretStore(Protocol):
    """Has Secrets that are not in the input."""

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        """Return a Secret, None if there is none; raises `LookupUnavailable`."""
        ...

    def begin_look(self) -> None:
        """Forget what an earlier look read: somebody may have mended it."""
        ...


class SecretsFrom(StrEnum):
    """The places that can be named."""

    CLUSTER = "cluster"
    ENV = "env"
    DIR = "dir"


class CannotUse(ValueError):
    """A place cannot be used for this input; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Credentialing:
    """Whether one signs in at all, and with what besides the input's Secrets."""

    withheld: bool = False
    source: SecretsFrom | None = None
    folder: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None

    def refuse(self, found: Manifests) -> None:
        """Raise `CannotUse` for an input that this place cannot be used for."""
        if self.source is SecretsFrom.ENV:
            EnvironmentSecrets(os.environ, named_secrets(found))

    @asynccontextmanager
    async def opened(self, found: Manifests) -> AsyncIterator[SecretStore | None]:
        """The place, as long as it is needed; raises `CannotUse`."""
        match self.source:
            case SecretsFrom.ENV:
                yield EnvironmentSecrets(os.environ, named_secrets(found))
            case SecretsFrom.DIR:
                yield FolderSecrets(self.folder or Path())
            case SecretsFrom.CLUSTER:
                # The library takes a second to load, which nobody else need wait for.
                from postroom.controller.client import connected
                from postroom.controller.kubeconfig import ConnectionSettingsError

                try:
                    async with connected(self.kubeconfig, self.context, "postroom-check") as api:
                        yield ClusterSecrets(api)
                except ConnectionSettingsError as error:
                    raise CannotUse(f"--secrets-from cluster: {error}.") from None
            case _:
                yield None


FROM_INPUT = Credentialing()


def named_secrets(found: Manifests) -> list[tuple[str, str]]:
    """The Secrets with credentials that the input names, by namespace and name, sorted."""
    names: set[tuple[str, str]] = set()
    for key, manifest in found.resources.items():
        try:
            spec = parse_spec(key.kind, manifest.raw.get("spec"))
        except InvalidSpec:
            continue
        references: Iterable[str] = ()
        match spec:
            case MailServerSpec():
                references = server_references(spec)
            case EmailAccountSpec():
                references = account_references(spec)
        for reference in references:
            if reference.startswith(_REFERENCE):
                names.add((key.namespace, reference.removeprefix(_REFERENCE)))
    return sorted(names)


class _Variables(Mapping[str, Masked]):
    """The keys of one Secret, each in a variable of its own; an empty one is none."""

    def __init__(self, environment: Mapping[str, str], prefix: str) -> None:
        self._environment, self._prefix = environment, prefix

    def __getitem__(self, key: str) -> Masked:
        value = self._environment.get(self._prefix + _upper(key), "")
        if not _is_text(value):
            raise KeyError(key)
        return Masked(value)

    def __iter__(self) -> Iterator[str]:
        for name, value in sorted(self._environment.items()):
            if name.startswith(self._prefix) and _is_text(value):
                yield name.removeprefix(self._prefix).lower()

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _is_text(value: str) -> bool:
    """Whether a variable holds anything, and all of it in UTF-8, as of a Secret no other counts."""
    return bool(value) and not any("\udc80" <= character <= "\udcff" for character in value)


class EnvironmentSecrets:
    """Secrets in variables ``POSTROOM_SECRET__<NAMESPACE>__<NAME>__<KEY>``, in capital letters and
    with ``_`` for ``-`` and ``.``.

    An empty variable is none: that is what CI makes of a secret that it does not hand out, such as
    to a pull request from a fork. Raises `CannotUse` where two Secrets have the same variables, as
    the one's password must not go to the other's server.
    """

    def __init__(
        self, environment: Mapping[str, str], names: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._environment = environment
        owners = sorted({(_prefix(*name), "/".join(name)) for name in names})
        for (beginning, other), (prefix, mine) in pairwise(owners):
            # That of the one may also begin those of the other: mail/a has a key b--c, mail/a--b c.
            if prefix.startswith(beginning):
                raise CannotUse(
                    f"--secrets-from env: the Secrets {other} and {mine} would have the same "
                    "variables: rename one of them, or use --secrets-from dir."
                )

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        prefix = _prefix(namespace, name)
        data = _Variables(self._environment, prefix)
        if not data:
            raise not_at_hand(
                f"Secret {name} is not in the environment, so that its credentials are not tried: "
                f"set {prefix}USERNAME and {prefix}PASSWORD, or what else its keys are."
            )
        _refuse_what_stands_in(name, data)
        return SecretContent(name, f"{namespace}/{name}", "", data, None)

    def begin_look(self) -> None:
        """See `SecretStore`; variables stay as they are."""


def _prefix(namespace: str, name: str) -> str:
    return f"{PREFIX}{_upper(namespace)}__{_upper(name)}__"


def _upper(text: str) -> str:
    return re.sub(r"[^A-Z0-9_]", "_", text.upper())


class FolderSecrets:
    """Secrets in files ``<NAMESPACE>/<NAME>/<KEY>``, as a Secret is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        try:
            data = dict(self._keys(self._folder / namespace / name))
        except OSError as error:
            raise not_at_hand(
                f"Secret {name} cannot be read from the folder of --secrets-dir "
                f"({error.strerror}), so that its credentials are not tried."
            ) from None
        if not data:
            raise not_at_hand(
                f"Secret {name} is not in the folder of --secrets-dir, so that its credentials "
                f"are not tried: put each key of it into a file {namespace}/{name}/KEY."
            )
        _refuse_what_stands_in(name, data)
        return SecretContent(name, f"{namespace}/{name}", "", data, None)

    def begin_look(self) -> None:
        """See `SecretStore`; files are read each time."""

    def _keys(self, folder: Path) -> Iterator[tuple[str, Masked]]:
        """What is text; hidden entries are how a volume keeps its versions. Raises `OSError` for
        what is there and cannot be read: that is no verdict on the credentials."""
        try:
            entries = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            # A pipe would be waited for.
            if entry.name.startswith(".") or not stat.S_ISREG(entry.stat().st_mode):
                continue
            with entry.open("rb") as stream:
                content = stream.read(_LIMIT + 1)
            with suppress(UnicodeDecodeError):
                if len(content) <= _LIMIT:
                    yield entry.name, Masked(content.decode("utf-8"))


def _refuse_what_stands_in(name: str, data: Mapping[str, Masked]) -> None:
    """Raise `LookupUnavailable` for values that are nobody's credential, and must not be sent."""
    why = what_stands_in((key, data[key].reveal()) for key in data)
    if why is not None:
        raise not_at_hand(
            f"What --secrets-from has of Secret {name} {why}: its credentials are not tried."
        )


class SecretReader(Protocol):
    """The part of `postroom.controller.client.Cluster` that is needed here."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, object] | None: ...


@dataclass
class ClusterSecrets:
    """Secrets of a cluster, read by name, each once in a look."""

    api: SecretReader
    _read: dict[tuple[str, str], SecretContent | None] = field(default_factory=dict)

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        from postroom.controller.client import ApiError

        if (namespace, name) in self._read:
            return self._read[namespace, name]
        try:
            raw = await self.api.secret(namespace, name)
        except ApiError as error:
            raise not_at_hand(_why_not(error.status, namespace, name)) from None
        content = None if raw is None else secret_content(raw)
        self._read[namespace, name] = content
        return content

    def begin_look(self) -> None:
        """See `SecretStore`."""
        self._read.clear()


def _why_not(status: int, namespace: str, name: str) -> str:
    match status:
        case 401:
            return (
                f"Secret {name} could not be read: the credentials of your kubeconfig are refused, "
                "or have ended; its credentials are not tried."
            )
        case 403:
            return (
                f"Secret {name} could not be read: your kubeconfig's user may not get secrets in "
                f"namespace {namespace}; its credentials are not tried."
            )
        case _:
            return (
                f"Secret {name} could not be read: the API server of your kubeconfig does not "
                "answer as it should; its credentials are not tried."
            )
