# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver of envtest: keys that fit, the wait until it is ready, and their end.

The two programs are stand-ins: one that sleeps, and one that answers with the keys it is given.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from postroom.lab import controlplane_envtest
from postroom.lab.controlplane_envtest import EnvtestServers

ETCD = """#!{python}
import sys, time
print("etcd", *sys.argv[1:], flush=True)
time.sleep(60)
"""
API_SERVER = """#!{python}
import http.server, ssl, sys
flags = dict(flag.lstrip("-").split("=", 1) for flag in sys.argv[1:])
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200 if Handler.asked > 1 else 500)
        self.end_headers()
    def log_message(self, text, *rest):
        print(self.path, rest[1], flush=True)
server = http.server.HTTPServer((flags["bind-address"], int(flags["secure-port"])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(flags["tls-cert-file"], flags["tls-private-key-file"])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
BROKEN = """#!{python}
print("no such flag", flush=True)
"""


def servers(directory: Path, api_server: str = API_SERVER) -> EnvtestServers:
    for name, program in (("etcd", ETCD), ("kube-apiserver", api_server)):
        (directory / name).write_text(program.format(python=sys.executable))
        (directory / name).chmod(0o755)
    (directory / "state").mkdir(exist_ok=True)
    return EnvtestServers(directory, directory / "state", directory / "audit.log")


def test_it_starts_with_keys_of_its_own_and_starts_again_with_the_same(tmp_path: Path) -> None:
    running, state = servers(tmp_path), tmp_path / "state"
    kubeconfig = running.start()
    try:
        # It waited for the second answer, which was the first yes.
        assert "/readyz 500\n/readyz 200" in (state / "kube-apiserver.log").read_text()
        before = {path.name: path.read_bytes() for path in state.glob("*.crt")}
    finally:
        running.stop()
    config = yaml.load(kubeconfig.read_text(), Loader=yaml.CSafeLoader)
    assert config["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")
    assert set(before) == {"ca.crt", "server.crt", "admin.crt"}
    try:
        assert running.start() == kubeconfig
    finally:
        running.stop(kill=True)
    assert {path.name: path.read_bytes() for path in state.glob("*.crt")} == before
    assert (state / "etcd.log").read_text().count("etcd --data-dir=") == 2


def test_the_administrator_is_one_for_the_api_server(tmp_path: Path) -> None:
    running, state = servers(tmp_path), tmp_path / "state"
    try:
        config = yaml.load(running.start().read_text(), Loader=yaml.CSafeLoader)
    finally:
        running.stop()
    user = config["users"][0]["user"]
    shown = x509.load_pem_x509_certificate(Path(user["client-certificate"]).read_bytes())
    authority = x509.load_pem_x509_certificate((state / "ca.crt").read_bytes())
    shown.verify_directly_issued_by(authority)
    (group,) = shown.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert group.value == "system:masters"
    key = load_pem_private_key(Path(user["client-key"]).read_bytes(), None)
    assert key.public_key() == shown.public_key()
    for secret in (*state.glob("*.key"), state / "kubeconfig"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_one_that_does_not_get_ready_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controlplane_envtest, "_START_SECONDS", 1)
    with pytest.raises(RuntimeError, match=r"did not become ready.*\n.*no such flag"):
        servers(tmp_path, BROKEN).start()
