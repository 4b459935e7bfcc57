# SPDX-License-Identifier: Apache-2.0
"""No secret shows in what `postroom deliver` makes of a mailbox on a real API server.

Covers: passwords that IMAP servers repeat with each of their answers, or as they refuse them; the
key that messages are signed with, signatures and each part of a message, which the application
repeats before it takes one; in the worker's log with every logger at DEBUG and asyncio in its debug
mode, in its metrics, in names of its files, in status and Events, and with `kubectl postroom`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cluster import services
from cluster.api_client import apply, service_account_kubeconfig
from cluster.forked import plugin
from cluster.lab_process import LabProcess
from cluster.mail_worker import ACCOUNT
from cluster.objects import KINDS, eventually
from cluster.test_canary_operator import HostileElsewhere, run_loudly
from lab.canary import Secret, leaks
from lab.canary_secrets import Secrets
from lab.canary_servers import IMAP, SMTP, Row
from lab.canary_watch import each_once
from lab.hostile import Step
from lab.mail_probing import AUTHORITY, HOST, context
from lab.test_canary_deliver import Mail, mailbox
from loopback import own_address
from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

#: What there must have been for a hunt to prove something.
_LINES = 300
#: The MailServer that all accounts send through.
SERVER = "sends"


@contextmanager
def serving(*steps: Step) -> Iterator[HostileElsewhere]:
    """A server in a thread of its own."""
    server = HostileElsewhere(*steps, context=context(), implicit=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(60)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


class Application(ThreadingHTTPServer):
    """Repeats all that it is told, and the key that it knows, before it takes a message.

    `files` are the names in the worker's directory while it was asked.
    """

    def __init__(self, key: str, place: Path) -> None:
        self.key, self.place = key, place
        self.refusing = [500, 401, 429]
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[bytes] = []
        self.files: list[str] = []
        super().__init__((own_address(34), 0), _Repeating)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join(60)
            self.server_close()


class _Repeating(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        application = self.server
        assert isinstance(application, Application)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        application.posts.append((dict(self.headers), body))
        application.files += [str(path) for path in application.place.rglob("*")]
        if not application.refusing:
            application.taken.append(body)
            self.send_response(204)
            self.end_headers()
            return
        words = " ".join([application.key, *map(str, self.headers.values())]) + body.decode()
        line = words.replace("\r", "").replace("\n", " ")[:6000]
        self.send_response(application.refusing.pop(0), line)
        for name in ("WWW-Authenticate", "Set-Cookie", "X-Echo"):
            self.send_header(name, line)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(words.encode())))
        self.end_headers()
        self.wfile.write(words.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def manifests(ports: dict[str, int], application: int, passwords: dict[str, str], key: str) -> str:
    """Accounts whose mail goes to a Service, by name, and all that they name."""
    logins = {
        name: {"username": f"{name}@example.com", "password": password}
        for name, password in passwords.items()
    }
    secrets = {**logins, "hook": {"current": f"whsec_{key}"}}
    made: list[dict[str, object]] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
        for name, data in secrets.items()
    ]
    bundle = {"ca.crt": AUTHORITY.cert_pem.bytes().decode()}
    made.append(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": bundle}
    )
    tls = {"mode": "Implicit", "caBundleRef": {"name": "ca"}}
    for name, port in ports.items():
        server = {"host": HOST, "port": port, "tls": tls, "credentialsRef": {"name": name}}
        if name == SERVER:
            spec: dict[str, object] = {**server, "default": True}
            about = {"apiVersion": API_VERSION, "kind": "MailServer", "metadata": {"name": name}}
            made.append({**about, "spec": spec})
            continue
        deliver = {
            "service": {"name": "tickets", "port": application, "path": "/mail"},
            "signingKeyRef": {"name": "hook"},
            "start": "Backfill",
        }
        spec = {
            "address": f"{name}@example.com",
            "imap": server,
            "inbound": {"deliver": deliver},
            "sync": {"backfillDays": 60},
        }
        account = {"apiVersion": API_VERSION, "kind": "EmailAccount", "metadata": {"name": name}}
        made.append({**account, "spec": spec})
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": made})


def test_no_secret_shows_of_the_worker(
    rights: ControlPlane,
    lab: LabProcess,
    namespace: str,
    tmp_path: Path,
) -> None:
    made = Secrets(720)
    key = base64.b64encode(made.core(32).encode()).decode()
    mail = Mail.of(made, 2)
    now = f"{datetime.now(UTC):%d-%b-%Y %H:%M:%S} +0000"
    rows: dict[str, Row] = {
        "it": lambda password: mailbox(password, mail, now),
        **{name: IMAP[row] for name, row in (("refused", "refuses"), ("sent-away", "sends away"))},
        SERVER: SMTP["refuses in lines"],
    }
    passwords = {name: made.password(at) for at, name in enumerate(rows, 3)}
    secrets = [Secret(f"password of {name}", text) for name, text in passwords.items()]
    secrets.append(Secret("signing key", key))
    secrets += [Secret(f"{name} of the message", text) for name, text in mail.hidden.items()]
    lab.put("example.com", "mail", "A", HostileElsewhere.address)
    place = tmp_path / "worker"
    place.mkdir()  # the operator's kubeconfig is beside it
    application = Application(key, place)
    host, port = str(application.server_address[0]), int(application.server_address[1])
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(serving(*row(passwords[name]))) for name, row in rows.items()
        }
        stack.enter_context(application.at_work())
        services.expose(rights, namespace, "tickets", host, port)
        text = manifests({name: run.port for name, run in servers.items()}, port, passwords, key)
        apply(rights, text, namespace)
        flags = (
            f"--allow-cidr={HostileElsewhere.address}/32",
            f"--allow-cidr={host}/32",
            *(f"--allow-port={run.port}" for run in servers.values()),
        )
        operator = OperatorProcess(
            service_account_kubeconfig(rights, tmp_path), tmp_path, (*lab.reach.flags, *flags)
        )
        worker = OperatorProcess(
            service_account_kubeconfig(rights, place, ACCOUNT),
            place,
            (
                *(*lab.reach.network_flags, *flags),
                *(f"--namespace={namespace}", f"--spool-dir={place}", "--log-level=debug"),
            ),
            "deliver",
        )
        run_loudly(worker)
        with operator, worker:
            eventually(lambda: bool(application.taken), "it is taken", 180)
            eventually(
                lambda: all(run.connections for run in servers.values()), "all are asked", 120
            )
            metrics = worker.metrics()
            said = [plugin(rights, "status", *more, "-n", namespace) for more in ([], ["eacc/it"])]
        files = [*application.files, *(str(path) for path in place.rglob("*"))]
    assert application.taken[0] == mail.octets
    for number, (head, _) in enumerate(application.posts):
        signature = {name.lower(): value for name, value in head.items()}["webhook-signature"]
        secrets.append(Secret(f"signature {number}", signature.rpartition(",")[2]))
    seen = rights.kubectl("get", f"{KINDS},events", "-n", namespace, "-o", "json").stdout
    log = worker.log.read_text()
    places = {
        "kubectl postroom": "\n".join(done.stdout + done.stderr for done in said),
        "status and Events": seen,
        "log of the worker": each_once(log),
        "log of the operator": operator.log.read_text(),
        "metrics": metrics,
        "names of files": "\n".join(files),
    }
    for name, shown in places.items():
        assert (name, leaks(shown, secrets)) == (name, [])
    assert len(log.splitlines()) >= _LINES
    assert "postroom_deliver_delivered" in metrics
    assert len(application.posts) > len(application.taken)
    for name, run in servers.items():
        assert any(passwords[name].encode() in said for said in run.said), name
