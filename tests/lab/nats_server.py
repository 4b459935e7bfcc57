# SPDX-License-Identifier: Apache-2.0
"""A real server of NATS (Debian package nats-server) with JetStream, on loopback.

With POSTROOM_REQUIRE_NATS=1 its absence is a failure.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import nats
import nkeys
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

STREAM, BUCKET = "MAIL", "mail"


@contextmanager
def nats_server(directory: Path, more: str = "", *, port: int = -1) -> Iterator[int]:
    """Run a server with what a configuration says besides; yields its port."""
    program = shutil.which("nats-server")
    if program is None:
        reason = "nats-server is not here (Debian: nats-server)"
        if os.environ.get("POSTROOM_REQUIRE_NATS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    configuration = directory / "nats.conf"
    store = directory / "store"
    configuration.write_text(
        f'host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: "{store}" }}\n{more}\n'
    )
    for old in directory.glob("*.ports"):
        old.unlink()
    command = (program, "-c", str(configuration), "--ports_file_dir", str(directory))
    with (directory / "nats.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield _port_of(directory, server)
        finally:
            server.terminate()
            server.wait(60)


def _port_of(directory: Path, server: subprocess.Popen[bytes]) -> int:
    """The port that a server says it listens on, once it does."""
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        for file in directory.glob("*.ports"):
            if text := file.read_text():
                return int(json.loads(text)["nats"][0].rpartition(":")[2])
        time.sleep(0.02)
    pytest.fail(f"nats-server does not start: {(directory / 'nats.log').read_text()[-2000:]}")


@asynccontextmanager
async def administrator(url: str, **options: Any) -> AsyncIterator[tuple[Client, JetStreamContext]]:
    """A connection as an administrator has it."""
    client = await nats.connect(url, allow_reconnect=False, **options)
    try:
        yield client, client.jetstream()
    finally:
        await client.close()


class Realm:
    """An operator of NATS with one account, and credentials of users of it, as nsc makes them."""

    def __init__(self) -> None:
        self._operator = _key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account, self._system = (_key(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(2))

    @property
    def configuration(self) -> str:
        """The part of a server's configuration that trusts this operator."""
        operator = _token(self._operator, self._operator, {"type": "operator", "version": 2})
        accounts = ", ".join(
            f"{_name(account)}: {self._described(account, storage)}"
            for account, storage in ((self._account, -1), (self._system, 0))
        )
        return (
            f"operator: {operator}\nresolver: MEMORY\nsystem_account: {_name(self._system)}\n"
            f"resolver_preload: {{ {accounts} }}"
        )

    def _described(self, account: Any, storage: int) -> str:
        unlimited = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
        stored = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), storage)
        limits = dict.fromkeys(unlimited, -1) | {"wildcards": True, **stored}
        return _token(self._operator, account, {"type": "account", "version": 2, "limits": limits})

    def credentials(self, path: Path, **claims: Any) -> Path:
        """Write a file of credentials of a new user."""
        user = _key(nkeys.PREFIX_BYTE_USER)
        unlimited = dict.fromkeys(("subs", "data", "payload"), -1)
        token = _token(self._account, user, {"type": "user", "version": 2, **unlimited, **claims})
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n"
            "------END USER NKEY SEED------\n"
        )
        return path


def _key(prefix: int) -> Any:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(secrets.token_bytes(32), prefix)))


def _name(key: Any) -> str:
    return str(key.public_key.decode())


def _token(issuer: Any, subject: Any, claims: Mapping[str, Any]) -> str:
    """A token as servers of NATS read it (JWT of the version 2, ed25519-nkey)."""
    said = {"iat": int(time.time()), "iss": _name(issuer), "sub": _name(subject), "nats": claims}
    said["jti"] = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    head = _written(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    signed = f"{head}.{_written(json.dumps(said).encode())}"
    return f"{signed}.{_written(issuer.sign(signed.encode()))}"


def _written(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
