# SPDX-License-Identifier: Apache-2.0
"""No secret shows in what the operator makes of hostile servers on a real API server.

Covers: status, Events, the log with every logger of ours and of the libraries at DEBUG, the metrics
and the page of the operator as users install it, with passwords that hostile SMTP and IMAP servers
repeat in each of their answers, refresh tokens and client secrets that a token endpoint repeats,
and the ownership key. How much was said and repeated is held to a floor.
"""

from __future__ import annotations

import asyncio
import json
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from cluster.api_client import apply, service_account_kubeconfig
from cluster.forked import plugin
from cluster.lab_process import LabProcess
from cluster.objects import KINDS, eventually, hello, is_judged, objects
from lab.canary import Secret, leaks
from lab.canary_secrets import Secrets
from lab.canary_servers import IMAP, IMAP_ERRANDS, SMTP, SMTP_ERRANDS, Row
from lab.canary_watch import each_once
from lab.canary_world import ADDRESS, Ports
from lab.canary_world import objects as mail_objects
from lab.hostile import Hostile, Step
from lab.mail_probing import context
from lab.token_server import GOOGLE_PATH, HOST, Scripted, TokenServer
from loopback import own_address
from postroom.cli.options import Output
from postroom.cli.record_output import RecordFormat
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

REFUSED = "AUTHENTICATION_REJECTED"
#: What the lab has there for all others.
DMARC = '"v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com"'
#: What would steer a terminal: a title of its window, a screen that is wiped, a line written over.
STEERING, _END = b"\x1b]0;owned\x07\x1b[2J\xc2\x9b31m\xe2\x80\xae owned\x08", b"\r\n"
#: What servers do, by the name of the account that meets them.
ROWS: dict[str, tuple[Row, Row]] = {
    "refused": (SMTP["refuses in lines"], IMAP["refuses"]),
    "greeted": (SMTP["refuses in the greeting"], IMAP["sends away"]),
    "not-known": (SMTP["refuses EHLO"], IMAP["greets with it"]),
    "offered": (SMTP["offers it"], IMAP["offers it"]),
    "talked-of": (SMTP_ERRANDS["250 to QUIT"], IMAP_ERRANDS["talks of it"]),
    "steered": (
        lambda _: (b"554 5.7.1 " + STEERING + _END, "close"),
        lambda _: (b"* BYE " + STEERING + _END, "close"),
    ),
}


#: Runs the operator with every logger at DEBUG, whatever it and its libraries set, and with every
#: callback held to be slow: the debug mode of asyncio prints those, and what their tasks yielded.
#: Who asks for one account as often as the plugin has formats waits for none of them.
_LOUD = """
import asyncio, logging, runpy
def loud(self, level):
    self.level = logging.DEBUG
    self.manager._clear_cache()
logging.Logger.setLevel = loud
begin = asyncio.BaseEventLoop.__init__
def impatient(self):
    begin(self)
    self.slow_callback_duration = 0.0
asyncio.BaseEventLoop.__init__ = impatient
from postroom.controller import request_limit
assert request_limit.EVERY > 0.5
request_limit.EVERY = 0.5
runpy.run_module("postroom", run_name="__main__", alter_sys=True)
"""
#: What there must have been for a hunt to prove something: lines of the log, loggers that they are
#: of, and answers of servers that repeat a secret.
_LINES, _LOGGERS, _ECHOES = 90, 5, 6


class HostileElsewhere(Hostile):
    """A server at an address that is not that of the API server, which is never dialled; `said`
    is what it said."""

    address = own_address(6)
    said: list[bytes]

    async def _play(
        self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if callable(step):
            step = step(self.received[-1])
        if isinstance(step, bytes):
            self.said.append(step)
        await super()._play(step, reader, writer)

    async def __aenter__(self) -> Self:
        self.said = []
        context = self._context if self._implicit else None
        self._server = await asyncio.start_server(self._accept, self.address, 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self


class Servers:
    """Hostile servers and a token endpoint, in a thread of their own."""

    def __init__(self, made: Secrets) -> None:
        self.tokens = TokenServer(address=own_address(5))
        self.passwords = {name: made.password(at) for at, name in enumerate(ROWS)}
        self.oauth = {"client": made.password(1), "refresh": made.token()}
        self.running: dict[str, tuple[HostileElsewhere, HostileElsewhere]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = AsyncExitStack()

    async def _start(self) -> None:
        await self._stack.enter_async_context(self.tokens)
        text = json.dumps(self.oauth)
        document = {"error": "invalid_grant", "error_description": text, "error_uri": text}
        self.tokens.script.extend([Scripted(400, document)] * 50)
        for name, rows in ROWS.items():
            hostile = [
                HostileElsewhere(*row(self.passwords[name]), context=context(), implicit=True)
                for row in rows
            ]
            for one in hostile:
                await self._stack.enter_async_context(one)
            self.running[name] = (hostile[0], hostile[1])

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)

    def echoes(self) -> int:
        """How many answers repeated the secret of whom they were for."""
        told = len(self.tokens.forms)
        for name, pair in self.running.items():
            secret = self.passwords[name].encode()
            told += sum(secret in answer for server in pair for answer in server.said)
        return told

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    @property
    def flags(self) -> tuple[str, ...]:
        ports = [one.port for pair in self.running.values() for one in pair]
        return (
            f"--allow-token-host={HOST}",
            f"--allow-cidr={self.tokens.address}/32",
            f"--allow-cidr={HostileElsewhere.address}/32",
            *(f"--allow-port={port}" for port in [self.tokens.port, *ports]),
        )

    def manifests(self) -> list[dict[str, Any]]:
        """A server, an account and a Secret for each row, and one account with tokens."""
        made: dict[tuple[str, str], dict[str, Any]] = {}
        for name, (smtp, imap) in self.running.items():
            login = {name: {"username": ADDRESS, "password": self.passwords[name]}}
            spec: dict[str, Any] = {
                "address": f"{name}@example.com",
                "credentialsRef": {"name": name},
                "serverRef": {"name": name},
            }
            made |= _named(name, mail_objects(Ports(smtp.port, imap.port), login, spec))
        smtp, imap = self.running["talked-of"]
        oauth = {
            "provider": "Generic",
            "clientID": "postroom",
            "subject": ADDRESS,
            "scopes": ["mail"],
            "tokenURL": self.tokens.url(GOOGLE_PATH),
            "clientSecretRef": {"name": "oauth", "key": "client"},
            "refreshTokenRef": {"name": "oauth", "key": "refresh"},
            "caBundleRef": {"name": "ca"},
        }
        spec = {"oauth": oauth, "serverRef": {"name": "tokens"}}
        ports = Ports(smtp.port, imap.port)
        made |= _named("tokens", mail_objects(ports, {"oauth": self.oauth}, spec))
        made["SendingDomain", "hello"] = json.loads(hello(dmarc={"policy": "none"}))
        # What others refer to comes first.
        return sorted(made.values(), key=lambda one: "spec" in one)


def _named(name: str, made: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Objects by kind and name, where those of our kinds have this name."""
    found = {}
    for one in made:
        metadata: dict[str, Any] = {"name": name if "spec" in one else one["metadata"]["name"]}
        if one["kind"] == "EmailAccount":
            metadata["annotations"] = {"postroom.dev/send-test": "1", "postroom.dev/backfill": "1"}
        found[one["kind"], metadata["name"]] = {**one, "metadata": metadata}
    return found


@pytest.fixture
def servers(lab: LabProcess) -> Iterator[Servers]:
    made = Servers(Secrets(700))
    made.start()
    lab.put("example.com", "login", "A", made.tokens.address)
    lab.put("example.com", "mail", "A", HostileElsewhere.address)
    # Two records of DMARC, and what is wrong with them is quoted.
    text = "".join(f"\\{octet:03d}" for octet in STEERING)
    told = [f'"v=DMARC1; p=none; rua=mailto:{word}{text}"' for word in ("a", "b")]
    lab.put("example.com", "_dmarc.send", "TXT", *told)
    yield made
    made.stop()
    # The zone is that of all tests.
    lab.put("example.com", "_dmarc.send", "TXT", DMARC)


def run_loudly(process: OperatorProcess) -> None:
    """Have a process that is not started yet say all that it can."""
    process._command[1:3] = ["-X", "dev", "-c", _LOUD]


def told_by_kubectl(
    plane: ControlPlane, namespace: str, directory: Path, account: str
) -> Iterator[tuple[str, str]]:
    """What each command of the plugin tells, and what it writes."""
    page, bundle = directory / "report.html", directory / "support.tgz"
    commands: list[tuple[str, ...]] = [
        *(("sync", account, f"--output={output}") for output in Output),
        # A message in five minutes: there is one on its way that was asked for before.
        ("test", account, "--timeout=1"),
        *(("backfill", account, f"--output={output}") for output in Output),
        *(("records", f"--output={form}") for form in RecordFormat),
        ("records", "--missing"),
        *(("status", f"--output={output}") for output in Output),
        ("status", account),
        *(("verify", account, f"--output={output}") for output in Output),
        ("report",),
        ("report", "--json"),
        ("report", f"--html={page}"),
        ("support-bundle", f"--file={bundle}"),
    ]
    for command in commands:
        ran = plugin(plane, *command, "-n", namespace)
        told = ran.stdout + ran.stderr
        assert told, command
        yield f"kubectl postroom {' '.join(command)}", told
    yield "the page of a report", page.read_text()
    with tarfile.open(bundle) as archive:
        for name in archive.getnames():
            if (found := archive.extractfile(name)) is not None:
                yield f"{name} of a bundle", found.read().decode()


def answer_of(running: OperatorProcess, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}{path}", timeout=60) as said:
        return str(said.read().decode())


def test_no_secret_shows(
    installed: ControlPlane, lab: LabProcess, servers: Servers, namespace: str, tmp_path: Path
) -> None:
    made = Secrets(701)
    key = tmp_path / "key"
    key.write_text(made.core(40))
    secrets = [
        *(Secret(f"password of {name}", text) for name, text in servers.passwords.items()),
        *(Secret(name, text) for name, text in servers.oauth.items()),
        Secret("ownership key", key.read_text()),
    ]
    flags = (
        *(*lab.reach.flags, *servers.flags),
        *(f"--ownership-key-file={key}", "--log-level=debug", "--ui"),
    )
    kubeconfig = service_account_kubeconfig(installed, tmp_path)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": servers.manifests()})
    running = OperatorProcess(kubeconfig, tmp_path, flags)
    run_loudly(running)
    with running:
        apply(installed, _in(namespace, text), namespace)
        eventually(lambda: all(map(is_judged, objects(installed, namespace))), "all are judged")
        eventually(lambda: servers.echoes() >= _ECHOES, "servers repeat what they were told")
        eventually(lambda: REFUSED in answer_of(running, "/ui"), "the page tells of a refusal")
        metrics, page = answer_of(running, "/metrics"), answer_of(running, "/ui")
        told = dict(told_by_kubectl(installed, namespace, tmp_path, "emailaccount/talked-of"))
    for place, seen in told.items():
        assert "no kind of postroom" not in seen, place
        steering = {mark for mark in seen if not mark.isprintable() and mark != "\n"}
        assert (place, steering) == (place, set())
    shown = installed.kubectl("get", f"{KINDS},events", "-n", namespace, "-o", "json").stdout
    assert "AuthenticationRejected" in shown
    assert '"kind": "Event"' in shown
    assert "postroom_condition" in metrics
    assert REFUSED in page
    assert "AuthenticationRejected" in told["kubectl postroom status --output=json"]
    assert "lastBackfill" in told["kubectl postroom backfill emailaccount/talked-of --output=json"]
    # Where it shows, it is seen, as DNS writes it; no fix keeps an address like it.
    assert r"\027]0;owned" in told["kubectl postroom status --output=table"]
    assert "v=DMARC1" in told["kubectl postroom records --output=bind"]
    for place, seen in {
        **told,
        "status and Events": shown,
        "log": each_once(running.log.read_text()),
        "metrics": metrics,
        "page": page,
    }.items():
        assert (place, leaks(seen, secrets)) == (place, [])
    lines = running.log.read_text().splitlines()
    loggers = {json.loads(line)["logger"].split(".")[0] for line in lines if line.startswith("{")}
    assert len(lines) >= _LINES
    assert len(loggers) >= _LOGGERS, sorted(loggers)
    assert all(smtp.connections for smtp, _ in servers.running.values())
    assert servers.running["talked-of"][1].connections
    assert servers.oauth["refresh"] in {form["refresh_token"] for form in servers.tokens.forms}


def _in(namespace: str, text: str) -> str:
    return text.replace('"namespace": "mail"', f'"namespace": "{namespace}"')
