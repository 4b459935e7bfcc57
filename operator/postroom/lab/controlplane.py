# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes control plane on loopback, for cluster tests and ``postroom demo --cluster``.

Three sources, in this order: the cluster of ``POSTROOM_TEST_KUBECONFIG``; the binaries of
``KUBEBUILDER_ASSETS`` (as controller-runtime's envtest uses them); the Go module in
``tests/cluster/controlplane`` of a checkout, built once into a cache directory.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from postroom.lab.controlplane_build import find_or_build_binaries
from postroom.lab.controlplane_envtest import EnvtestServers
from postroom.lab.operator_process import end, free_port

Progress = Callable[[str], None]

_STOP_SECONDS = 30
#: What kubectl says where it has no schemas, and seconds until it is asked again.
_NO_SCHEMAS, _PAUSES = "failed to download openapi", (0.5, 1.0, 2.0, 4.0, 8.0)


class ControlPlaneUnavailable(Exception):
    """There is no control plane to be had; the text is one sentence that says what to do."""


class Servers(Protocol):
    """The processes of a control plane, which outlive neither their starter nor `stop`."""

    def start(self) -> Path:
        """Start and return the administrator's kubeconfig once the API server is ready."""
        ...

    def stop(self, *, kill: bool = False) -> None: ...


class ControlPlane:
    """A running control plane, and kubectl for it.

    `kubectl_path` is the program. `has_controllers` tells whether namespaces are deleted and
    children collected; `audit_log` is None where the API server is not ours.
    """

    def __init__(
        self,
        servers: Servers | None,
        kubectl: Path,
        *,
        kubeconfig: Path | None = None,
        audit_log: Path | None = None,
        has_controllers: bool = True,
        scratch: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self._servers = servers
        self.kubectl_path = kubectl
        self._scratch = scratch
        self.audit_log = audit_log
        self.has_controllers = has_controllers
        self.kubeconfig = kubeconfig or Path(os.devnull)
        # It ends before its garbage would be worth a look: a fifth of what it takes.
        self._kubectl_environment = {"GOGC": "off"}
        if scratch is not None:
            # For hours it believes what it was told of the kinds at an address, and another cluster
            # may have been there.
            self._kubectl_environment["KUBECACHEDIR"] = str(Path(scratch.name) / "kubectl-cache")
        #: What was read of the audit log, and how many bytes of it.
        self._audited: list[dict[str, Any]] = []
        self._audit_read = 0
        #: From when until when the API server was away or not ready, for each restart.
        self.outages: list[tuple[datetime, datetime]] = []

    def start(self) -> Self:
        """Start the servers, unless the cluster is somebody else's."""
        if self._servers is not None:
            self.kubeconfig = self._servers.start()
        return self

    def stop(self) -> None:
        """Stop what was started, and remove its data."""
        if self._servers is not None:
            self._servers.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def restart(self, *, kill: bool = False) -> None:
        """Restart the API server on the same data, port and keys."""
        if self._servers is None:
            raise ControlPlaneUnavailable("a cluster that is not ours cannot be restarted.")
        began = datetime.now(UTC)
        self._servers.stop(kill=kill)
        self._servers.start()
        self.outages.append((began, datetime.now(UTC)))

    def kubectl(
        self, *args: str, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator; with `check`, a failure raises with its output.

        Before `apply` writes anything it asks for the schemas, which an API server that is busy
        making them refuses for a moment: then all of it is done again.
        """
        for pause in (*_PAUSES, None):
            done = subprocess.run(  # noqa: S603 - our own binary, arguments of our own
                [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}", *args],
                input=input,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
                env={**self._kubectl_environment, **os.environ},
            )
            lacks_schemas = done.returncode != 0 and _NO_SCHEMAS in done.stderr
            if pause is None or args[:1] != ("apply",) or not lacks_schemas:
                break
            time.sleep(pause)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(args)} failed: {done.stderr or done.stdout}")
        return done

    def audit_events(self) -> list[dict[str, Any]]:
        """Return every request that the API server has answered, oldest first."""
        if self.audit_log is None or not self.audit_log.exists():
            return []
        # It grows by megabytes a minute, and is asked for after every test: each line is read once.
        with self.audit_log.open("rb") as log:
            log.seek(self._audit_read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._audit_read += len(line)
                if line.rstrip().endswith(b"}"):
                    self._audited.append(json.loads(line))
        return list(self._audited)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class EmbeddedServers:
    """The Go binary: etcd, API server and two controllers in one process."""

    def __init__(self, binary: Path, directory: Path, audit_log: Path) -> None:
        self._binary = binary
        self._directory = directory
        self._audit_log = audit_log
        # Chosen here, so that nobody has it while the API server is restarted.
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Path:
        log = self._directory / "controlplane.log"
        with log.open("a") as stderr:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary
                [
                    str(self._binary),
                    f"--state-dir={self._directory / 'state'}",
                    f"--audit-log={self._audit_log}",
                    f"--port={self._port}",
                    f"--parent-pid={os.getpid()}",
                ],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                # It would grow to a gigabyte after some ten thousand writes. Below that it looks
                # for garbage when there is more of it: a sixth less of CPU, for 200 MiB.
                env={"GOMEMLIMIT": "1500MiB", "GOGC": "300", **os.environ},
            )
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        kubeconfig = self._process.stdout.readline().strip()
        if not kubeconfig:
            self._process.wait(timeout=_STOP_SECONDS)
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise ControlPlaneUnavailable(f"the control plane did not start:\n{tail}")
        return Path(kubeconfig)

    def stop(self, *, kill: bool = False) -> None:
        if self._process is None:
            return
        end(self._process, kill=kill)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


def obtain(progress: Progress) -> ControlPlane:
    """Prepare a control plane from the first source there is; `start` it to use it.

    Raises `ControlPlaneUnavailable`. `progress` receives lines for people.
    """
    named = os.environ.get("POSTROOM_TEST_KUBECONFIG")
    if named:
        return external(Path(named))
    scratch = tempfile.TemporaryDirectory(prefix="postroom-controlplane-")
    directory = Path(scratch.name)
    audit_log = directory / "audit.log"
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        binaries = Path(assets).expanduser()
        for name in ("etcd", "kube-apiserver", "kubectl"):
            if not (binaries / name).exists():
                raise ControlPlaneUnavailable(f"KUBEBUILDER_ASSETS has no {name}: {binaries}")
        return ControlPlane(
            EnvtestServers(binaries, directory, audit_log),
            binaries / "kubectl",
            audit_log=audit_log,
            has_controllers=False,
            scratch=scratch,
        )
    found = find_or_build_binaries(progress)
    if isinstance(found, str):
        scratch.cleanup()
        raise ControlPlaneUnavailable(found)
    return ControlPlane(
        EmbeddedServers(found / "controlplane", directory, audit_log),
        found / "kubectl",
        audit_log=audit_log,
        scratch=scratch,
    )


def external(kubeconfig: Path) -> ControlPlane:
    """Use a cluster that is somebody else's; raises `ControlPlaneUnavailable` without kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ControlPlaneUnavailable("a cluster was named, but there is no kubectl on the PATH.")
    return ControlPlane(None, Path(kubectl), kubeconfig=kubeconfig.expanduser())
