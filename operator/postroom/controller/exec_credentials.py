# SPDX-License-Identifier: Apache-2.0
"""The program that a user of a kubeconfig signs in with (`exec`), run as kubectl runs it.

The client library's way of running it waits without end, for one that asks something unseen as
well, is stuck on one that has much to say of an error, and asks it once.
"""

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from postroom.controller.impersonation import CONTROL

#: Seconds that a program has which nobody can answer, and most octets that it may print.
_PATIENCE, _LIMIT = 60.0, 2**20
#: How long before its end a token is replaced, and how long nothing is asked again after that.
_AHEAD, _PAUSE = timedelta(minutes=1), timedelta(seconds=30)
#: Fields of a cluster that a program is told of which wants to know (`provideClusterInfo`).
_OF_CLUSTER = (
    *("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data"),
    *("proxy-url", "disable-compression"),
)
#: The extension of a cluster that is for programs.
_EXTENSION = "client.authentication.k8s.io/exec"


class NoCredentials(Exception):
    """A program gave none; the text is a clause that says why, without a word that it printed."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a program gave: a token, or a certificate and its key, or all of them."""

    token: str
    certificate: str
    key: str
    ends: datetime | None

    def as_fields(self) -> dict[str, str]:
        """The same as fields of a user."""
        pair = {"client-certificate-data": self.certificate, "client-key-data": self.key}
        told = {name: base64.b64encode(pem.encode()).decode() for name, pem in pair.items() if pem}
        return told | ({"token": self.token} if self.token else {})


class CredentialProgram:
    """Runs a program, and again before what it gave ends."""

    def __init__(self, program: Mapping[str, Any], cluster: Mapping[str, Any]) -> None:
        self._program, self._cluster = program, cluster
        self._ends: datetime | None = None

    async def credentials(self) -> Credentials:
        """Run it; raises `NoCredentials`."""
        found = await _run(self._program, self._cluster)
        self._ends = found.ends
        return found

    def serve(self, configuration: Any) -> None:
        """Have a configuration of the library ask here before each request."""
        if self._ends is not None:
            configuration.refresh_api_key_hook = self._refresh

    async def _refresh(self, configuration: Any) -> None:
        now = datetime.now(UTC)
        if self._ends is None or now < self._ends - _AHEAD:
            return
        # Others go on with the token of before meanwhile.
        self._ends = now + _AHEAD + _PAUSE
        with suppress(NoCredentials):
            found = await self.credentials()
            if found.token:
                configuration.api_key["BearerToken"] = f"Bearer {found.token}"


def fault_of(program: object) -> str | None:
    """Return what is wrong with what a kubeconfig says of a program; None: nothing is."""
    if not isinstance(program, Mapping) or not all(
        isinstance(program.get(field), str) for field in ("apiVersion", "command")
    ):
        return "must have an apiVersion and a command"
    arguments, variables = program.get("args") or [], program.get("env") or []
    if not isinstance(arguments, list) or not all(isinstance(each, str) for each in arguments):
        return "must have a list of texts as args"
    if not isinstance(variables, list) or not all(
        isinstance(each, Mapping)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("value"), str)
        for each in variables
    ):
        return "must have a list of names and values, all texts, as env"
    if any("\0" in text for text in (program["command"], *arguments)):
        return "must have no zero characters"
    if program.get("interactiveMode") not in (None, "", "Never", "IfAvailable", "Always"):
        return "must have Never, IfAvailable or Always as interactiveMode"
    return None


async def _run(program: Mapping[str, Any], cluster: Mapping[str, Any]) -> Credentials:
    mode = program.get("interactiveMode") or "IfAvailable"
    interactive = mode != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if mode == "Always" and not interactive:
        raise NoCredentials("it asks something, and standard input is no terminal")
    variables = {each["name"]: each["value"] for each in program.get("env") or ()}
    told = {"KUBERNETES_EXEC_INFO": json.dumps(_question(program, cluster, interactive))}
    try:
        process = await asyncio.create_subprocess_exec(
            program["command"],
            *(program.get("args") or ()),
            env={**os.environ, **variables, **told},
            stdin=None if interactive else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            # Where somebody sees it, as kubectl does: it may say where to sign in.
            stderr=None if interactive else asyncio.subprocess.DEVNULL,
            start_new_session=not interactive,
        )
    except (OSError, ValueError):
        raise NoCredentials("it cannot be run") from None
    try:
        async with asyncio.timeout(None if interactive else _PATIENCE):
            printed = await _printed(process.stdout)
            code = await process.wait()
    except TimeoutError:
        raise NoCredentials(f"it did not end within {_PATIENCE:.0f} seconds") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                if interactive:
                    process.kill()
                else:
                    # What it started goes with it: it has a session of its own.
                    os.killpg(process.pid, signal.SIGKILL)
    if code < 0:
        raise NoCredentials(f"signal {-code} ended it")
    if code:
        raise NoCredentials(f"it ended with {code}")
    return _credentials(printed, program["apiVersion"])


async def _printed(output: asyncio.StreamReader | None) -> bytes:
    """All that a program prints, if that is not too much."""
    pieces = bytearray()
    while output is not None and (piece := await output.read(2**16)):
        pieces += piece
        if len(pieces) > _LIMIT:
            raise NoCredentials("it printed too much")
    return bytes(pieces)


def _question(
    program: Mapping[str, Any], cluster: Mapping[str, Any], interactive: bool
) -> dict[str, Any]:
    """What a program learns of us."""
    spec: dict[str, Any] = {"interactive": interactive}
    if program.get("provideClusterInfo") is True:
        spec["cluster"] = {name: cluster[name] for name in _OF_CLUSTER if name in cluster}
        authority = cluster.get("certificate-authority")
        if isinstance(authority, str) and "certificate-authority-data" not in cluster:
            with suppress(OSError):
                octets = Path(authority).read_bytes()
                spec["cluster"]["certificate-authority-data"] = base64.b64encode(octets).decode()
        for extension in cluster.get("extensions") or ():
            if isinstance(extension, Mapping) and extension.get("name") == _EXTENSION:
                spec["cluster"]["config"] = extension.get("extension")
    return {"apiVersion": program["apiVersion"], "kind": "ExecCredential", "spec": spec}


def _credentials(printed: bytes, version: str) -> Credentials:
    """What was printed, understood; raises `NoCredentials`."""
    try:
        told = json.loads(printed)
    except (ValueError, RecursionError):
        told = None
    status = told.get("status") if isinstance(told, dict) else None
    if not isinstance(status, dict) or told.get("kind") != "ExecCredential":
        status = {}
    elif told.get("apiVersion") != version:
        raise NoCredentials(f"what it printed is of another apiVersion than {version}")
    fields = (status.get(name) for name in ("token", "clientCertificateData", "clientKeyData"))
    token, certificate, key = (each if isinstance(each, str) else "" for each in fields)
    if not (token or (certificate and key)) or bool(certificate) != bool(key):
        raise NoCredentials(
            "what it printed is no ExecCredential with a token, or with a certificate and key"
        )
    if CONTROL.search(token):
        raise NoCredentials("the token that it printed is not in one line")
    return Credentials(token, certificate, key, _moment(status.get("expirationTimestamp")))


def _moment(text: object) -> datetime | None:
    """A time of RFC 3339 in any of its forms, None where it is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if moment.year == 1:
        return None  # Go's zero time, which a program writes that knows none
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
