# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver as two processes, from the binaries that envtest users have already."""

import http.client
import os
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postroom.lab.operator_process import end, free_port

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}
_START_SECONDS = 60


class EnvtestServers:
    """Runs the two binaries with envtest's flags on free loopback ports."""

    def __init__(self, binaries: Path, directory: Path, audit_log: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._audit_log = audit_log
        self._etcd_port, self._peer_port, self._port = (free_port() for _ in range(3))
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> Path:
        """Start both; the keys and data of an earlier start are used again."""
        kubeconfig = self._directory / "kubeconfig"
        if not kubeconfig.exists():
            _write_keys(self._directory)
            _write_kubeconfig(kubeconfig, self._directory, self._port)
            policy = yaml.safe_dump(_AUDIT_POLICY)
            (self._directory / "audit-policy.yaml").write_text(policy)
        client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._peer_port))
        self._run(
            "etcd",
            [
                f"--data-dir={self._directory / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
            ],
        )
        keys = self._directory
        self._run(
            "kube-apiserver",
            [
                f"--etcd-servers={client}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self._port}",
                f"--tls-cert-file={keys / 'server.crt'}",
                f"--tls-private-key-file={keys / 'server.key'}",
                f"--client-ca-file={keys / 'ca.crt'}",
                f"--service-account-issuer=https://127.0.0.1:{self._port}",
                f"--service-account-key-file={keys / 'server.key'}",
                f"--service-account-signing-key-file={keys / 'server.key'}",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none",
                f"--audit-policy-file={keys / 'audit-policy.yaml'}",
                f"--audit-log-path={self._audit_log}",
                "--audit-log-mode=blocking",
                # Whoever counts requests would miss those in a file that was rotated.
                "--audit-log-maxsize=100000",
            ],
        )
        self._wait_until_ready()
        return kubeconfig

    def stop(self, *, kill: bool = False) -> None:
        for process in reversed(self._processes):
            end(process, kill=kill)
        self._processes.clear()

    def _run(self, name: str, flags: list[str]) -> None:
        with (self._directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - binaries that the user named
                [str(self._binaries / name), *flags], stdout=log, stderr=log, env=os.environ
            )
        self._processes.append(process)

    def _wait_until_ready(self) -> None:
        context = ssl.create_default_context(cafile=str(self._directory / "ca.crt"))
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=context)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == http.HTTPStatus.OK:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.1)
        tail = (self._directory / "kube-apiserver.log").read_text(errors="replace")[-2000:]
        self.stop(kill=True)
        raise RuntimeError(f"kube-apiserver did not become ready within a minute:\n{tail}")


def _write_keys(directory: Path) -> None:
    """Make an authority, the server's certificate and the administrator's."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postroom-test-authority")])
    own = _builder(authority, authority, authority_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    _write(directory, "ca", own.sign(authority_key, hashes.SHA256()), authority_key)

    server_key = ec.generate_private_key(ec.SECP256R1())
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = _builder(server, authority, server_key.public_key()).add_extension(
        names, critical=False
    )
    _write(directory, "server", certificate.sign(authority_key, hashes.SHA256()), server_key)

    admin_key = ec.generate_private_key(ec.SECP256R1())
    admin = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
            x509.NameAttribute(NameOID.COMMON_NAME, "admin"),
        ]
    )
    certificate = _builder(admin, authority, admin_key.public_key())
    _write(directory, "admin", certificate.sign(authority_key, hashes.SHA256()), admin_key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
    )


def _write(
    directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    pem = serialization.Encoding.PEM
    (directory / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / f"{name}.key"
    path.touch(mode=0o600)
    path.write_bytes(private)


def _write_kubeconfig(path: Path, keys: Path, port: int) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "postroom",
        "clusters": [
            {
                "name": "postroom",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority": str(keys / "ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": "admin",
                "user": {
                    "client-certificate": str(keys / "admin.crt"),
                    "client-key": str(keys / "admin.key"),
                },
            }
        ],
        "contexts": [{"name": "postroom", "context": {"cluster": "postroom", "user": "admin"}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
