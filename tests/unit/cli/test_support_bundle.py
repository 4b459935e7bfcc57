# SPDX-License-Identifier: Apache-2.0
"""``postroom support-bundle``: its parts, what is missing from it, and a hunt for canaries in it.

The API server is a stand-in that has a secret in every place where one can stand.
"""

from __future__ import annotations

import errno
import json
import re
import stat
import subprocess
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.canary import Secret, leaks
from lab.canary_secrets import SHAPES, Secrets
from postroom.api.names import PART_OF_LABEL, Kind
from postroom.cli import plugin
from postroom.cli.main import app, run
from postroom.cli.support_bundle import Bundle
from postroom.controller import client
from postroom.controller.client import ApiError

_MADE = Secrets(20261129)
#: By the place where it stands.
CANARIES = {
    place: _MADE.password(number)
    for number, place in enumerate(
        (
            "spec", "annotation", "label", "manager", "unknown status", "server text",
            "foreign event", "environment", "flag", "pod annotation", "foreign log", "exception",
            "text log", "metric", "our log", "our event", "field of audit",
        )
    )
}  # fmt: skip
assert len(CANARIES) >= len(SHAPES)
C = CANARIES
POD = "postroom-5d8f-x1"


def metadata(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "mail",
        "annotations": {"postroom.dev/send-test": C["annotation"]},
        "labels": {"team": C["label"]},
        "managedFields": [{"manager": C["manager"]}],
    }


def line(**fields: Any) -> str:
    return json.dumps({"timestamp": "2026-11-21T10:00:00Z", "level": "info", **fields})


LOG = "\n".join(
    [
        line(logger="postroom.run", message=f"Refused: password={json.dumps(C['our log'])}."),
        line(logger="audit", message="Sent.", audit={"token": C["field of audit"]}),
        line(logger="kopf", message=C["foreign log"]),
        line(
            logger="postroom",
            message="A bug.",
            exception=f'Traceback:\n  File "a.py", line 3, in f\nValueError: {C["exception"]}',
        ),
        f"10:00:00 INFO    {C['text log']}",
    ]
)


class Server:
    """An API server that holds a canary wherever it can; `refused` are the paths that it denies."""

    def __init__(
        self, refused: Mapping[str, int] | None = None, restarts: int = 0, pods: int = 1
    ) -> None:
        self.refused, self.restarts, self.pods = dict(refused or {}), restarts, pods
        self.asked: list[str] = []
        self.server = "https://127.0.0.1:6443"
        #: What the objects are called.
        self.names = [metadata("one")]

    def _ask(self, path: str) -> None:
        self.asked.append(path)
        for part, status in self.refused.items():
            if part in path:
                raise ApiError(f"GET {path}", status, C["foreign event"])

    async def served_kinds(self) -> frozenset[Kind]:
        self._ask("kinds")
        return frozenset(Kind)

    async def list_whole(self, kind: Kind, namespace: str | None) -> list[Mapping[str, Any]]:
        self._ask(f"{kind.plural} in {namespace}")
        status = {
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "AuthenticationRejected"}
            ],
            "lastProbe": {"stage": "Auth", "serverText": C["server text"]},
            "somethingNew": C["unknown status"],
        }
        spec = {"host": C["spec"], "dkim": [{"publicKey": C["spec"]}]}
        return [{"metadata": each, "spec": spec, "status": status} for each in self.names]

    async def request(
        self, method: str, path: str, *, query: tuple[tuple[str, str], ...] = ()
    ) -> Mapping[str, Any]:
        assert method == "GET"
        self._ask(path)
        if path == "/version":
            return {"gitVersion": "v1.36.3", "platform": "linux/amd64", "more": C["spec"]}
        if path.endswith("/events"):
            involved = {"apiVersion": "postroom.dev/v1alpha1", "kind": "MailServer", "name": "one"}
            event = {"type": "Warning", "reason": "Refused", "involvedObject": involved}
            said = f"Refused: password={json.dumps(C['our event'])}."
            return {
                "items": [
                    {**event, "message": said, "reportingComponent": "postroom.dev/postroom"},
                    {**event, "message": C["foreign event"], "metadata": metadata("e")},
                    {**event, "involvedObject": {"apiVersion": "v1"}, "note": "of another"},
                ]
            }
        assert dict(query) == {"labelSelector": "app.kubernetes.io/part-of=postroom"}
        container = {
            "name": "postroom",
            "image": "postroom:0.1.0",
            "args": ["run", "--namespace=mail", "--spool=1Gi", f"--unknown={C['flag']}"],
            "env": [{"name": "POSTROOM_OWNERSHIP_KEY", "value": C["environment"]}],
            "ports": [{"name": "http", "containerPort": 8080}],
        }
        state = {"name": "postroom", "ready": True, "restartCount": self.restarts}
        pod = {
            "metadata": {"name": POD, "annotations": {"a": C["pod annotation"]}},
            "spec": {"containers": [container]},
            "status": {"phase": "Running", "containerStatuses": [state]},
        }
        return {"items": [pod] * self.pods}

    async def text(self, path: str, query: object = ()) -> str:
        self._ask(f"{path} {query}")
        if path.endswith("/metrics"):
            return f'postroom_objects 1\nother{{a="{C["metric"]}"}} 1\n'
        return LOG


async def collected(server: Server, namespace: str | None = None) -> Bundle:
    bundle = Bundle(server, namespace, "postroom-system", 100)
    await bundle.collect()
    return bundle


async def test_no_secret_and_no_content_is_in_it() -> None:
    bundle = await collected(Server(restarts=1))
    secrets = [Secret(place, text) for place, text in CANARIES.items()]
    for name, text in bundle.files.items():
        assert leaks(f"{name}\n{text}", secrets) == [], name
    # The hunt would find them.
    assert leaks(LOG, secrets)


async def test_what_helps_is_in_it() -> None:
    files = (await collected(Server(restarts=1))).files
    assert set(files) == {
        "README.txt",
        "versions.json",
        "events.json",
        "left-out.json",
        f"operator/{POD}/pod.json",
        f"operator/{POD}/log.txt",
        f"operator/{POD}/log-before.txt",
        f"operator/{POD}/metrics.txt",
        *(f"objects/{kind.plural}/mail/one.yaml" for kind in Kind),
    }
    server = yaml.load(files["objects/mailservers/mail/one.yaml"], Loader=yaml.CSafeLoader)
    assert server["status"]["conditions"][0]["reason"] == "AuthenticationRejected"
    assert json.loads(files["versions.json"])["cluster"]["gitVersion"] == "v1.36.3"
    assert [event.get("message", "")[:8] for event in json.loads(files["events.json"])] == [
        "Refused:",
        "",
    ]
    (container,) = json.loads(files[f"operator/{POD}/pod.json"])["containers"]
    assert container["flags"][:3] == ["run", "--namespace=mail", "--spool=1Gi"]
    assert container["environment"] == ["POSTROOM_OWNERSHIP_KEY"]
    assert json.loads(files["left-out.json"]) == []


@pytest.mark.parametrize("part", ["base", "deliver/base"])
def test_pods_of_every_part_are_found_by_the_label(part: str) -> None:
    """What the chart renders is compared with these; but its names are those of the release."""
    root = Path(__file__).resolve().parents[3]
    file = root / "manifests" / "install" / part / "deployment.yaml"
    deployment = yaml.safe_load(file.read_text("utf-8"))
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert dict([PART_OF_LABEL]).items() <= labels.items()
    template = "deployment.yaml" if part == "base" else "deliver.yaml"
    chart = (root / "charts" / "postroom" / "templates" / template).read_text("utf-8")
    assert re.search(
        r"  template:\n    metadata:\n(      .*\n)*? +\{\{- include .postroom.partOf", chart
    )


async def test_that_nothing_runs_in_a_namespace_is_told() -> None:
    bundle = await collected(Server(pods=0))
    (missing,) = json.loads(bundle.files["left-out.json"])
    assert missing["what"] == "Pods in postroom-system"
    assert "--operator-namespace" in missing["why"]


async def test_no_secret_is_asked_for_and_one_namespace_is_one() -> None:
    server = Server()
    await collected(server, "mail")
    assert not any("secret" in path for path in server.asked)
    assert "/api/v1/namespaces/mail/events" in server.asked
    assert "mailservers in mail" in server.asked
    assert (
        f"/api/v1/namespaces/postroom-system/pods/{POD}:8080/proxy/metrics ()" not in server.asked
    )
    assert any(f"{POD}%3A8080/proxy/metrics" in path for path in server.asked)
    assert not any("previous" in path for path in server.asked)


async def test_what_cannot_be_read_is_named_with_its_reason() -> None:
    bundle = await collected(Server({"/log": 403, "metrics": 503, "/events": 403}))
    assert json.loads(bundle.files["left-out.json"]) == [
        {"what": "Events", "why": "no right to read"},
        {"what": f"log of {POD}", "why": "no right to read"},
        {"what": f"metrics of {POD}", "why": "the API server answers 503"},
    ]
    assert bundle.has_objects


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()

    @asynccontextmanager
    async def connected(*_: object) -> AsyncIterator[Server]:
        yield server

    monkeypatch.setattr(client, "connected", connected)
    return server


def ended(program: Any, *arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        run(program, ["support-bundle", *arguments])
    return int(left.value.code or 0)


@pytest.mark.parametrize("program", [app, plugin.app])
def test_it_is_written_once_for_its_owner_alone(
    program: Any, served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "support.tar.gz"
    assert ended(program, "--file", str(target)) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as archive:
        names = archive.getnames()
        whole = b"".join(
            found.read() for name in names if (found := archive.extractfile(name)) is not None
        )
    assert "support/versions.json" in names
    assert all(name.startswith("support/") for name in names)
    assert leaks(whole, [Secret(place, text) for place, text in CANARIES.items()]) == []
    capsys.readouterr()
    assert ended(program, "--file", str(target)) == 2
    told = capsys.readouterr().err
    assert told.endswith(f"support-bundle: {target} exists: name another file with --file.\n")


@pytest.mark.parametrize("option", ["--namespace", "--operator-namespace"])
def test_a_namespace_that_cannot_be_is_asked_of_nobody(
    option: str, served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "support.tar.gz"
    assert ended(app, "--file", str(target), option, "../..") == 2
    assert not target.exists() and served.asked == []
    assert "no namespace is called '../..'" in capsys.readouterr().err


def test_where_nothing_can_be_read_nothing_is_written(
    served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.refused = {"": 403}
    target = tmp_path / "support.tar.gz"
    assert ended(app, "--file", str(target)) == 2
    assert not target.exists()
    assert "postroom support-bundle: nothing can be read: no right to read;" in (
        capsys.readouterr().err
    )


def test_where_nobody_answers_nobody_is_asked_again(
    served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.refused = {"": 0}
    assert ended(app, "--file", str(tmp_path / "support.tar.gz")) == 2
    assert served.asked == ["/version"]
    assert "the cluster at https://127.0.0.1:6443 does not answer" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("refused", "arguments", "said"),
    [
        ({" in ": 403}, (), "no right to read; name a namespace that you may read with -n."),
        ({" in ": 403}, ("-n", "mail"), "nothing can be read: no right to read."),
        ({" in ": 404, "/version": 403}, (), "nothing can be read: not there."),
    ],
)
def test_why_nothing_can_be_read_is_why_no_object_can(
    refused: dict[str, int],
    arguments: tuple[str, ...],
    said: str,
    served: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    served.refused = refused
    assert ended(app, "--file", str(tmp_path / "support.tar.gz"), *arguments) == 2
    assert capsys.readouterr().err.endswith(f"{said}\n")


def test_half_the_rights_are_half_a_bundle(
    served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.refused = {"mailservers in": 403, "/pods": 403, "/version": 403}
    target = tmp_path / "support.tar.gz"
    assert ended(app, "--file", str(target)) == 0
    assert "Left out: mailservers (no right to read)." in capsys.readouterr().err
    with tarfile.open(target) as archive:
        names = archive.getnames()
    assert "support/objects/sendingdomains/mail/one.yaml" in names
    assert not any("mailservers" in name or "operator/" in name for name in names)


ODD_NAMES = (
    "../../../etc/cron.d/x", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "-rf", "a\nb", "\u202ex",
    "n" * 253, "n" * 252 + "m", "A", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("file", ["support.tar.gz", "..tar.gz", "...tar.gz", ".tgz", "-.tar.gz"])
def test_it_unpacks_into_one_folder_of_its_own(file: str, served: Server, tmp_path: Path) -> None:
    served.names = [
        {"name": name, "namespace": namespace}
        for name in ODD_NAMES
        for namespace in ("mail", "../..")
    ]
    target, out = tmp_path / file, tmp_path / "out"
    out.mkdir()
    assert ended(app, "--file", str(target)) == 0
    with tarfile.open(target) as archive:
        members = archive.getmembers()
    subprocess.run(["tar", "-xzf", f"./{file}", "-C", out], cwd=tmp_path, check=True)
    assert all(member.isreg() and ".." not in member.name.split("/") for member in members)
    assert len(list(out.iterdir())) == 1
    files = [path for path in out.rglob("*") if path.is_file()]
    # None has the place of another one.
    assert len(files) == len(members) == len(Kind) * len(served.names) + 7


@pytest.mark.parametrize("place", ["", "gone/"])
def test_what_cannot_be_written_leaves_nothing(
    place: str,
    served: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    assert ended(app, "--file", f"{tmp_path}/{place}support.tar.gz") == 2
    told = capsys.readouterr().err
    assert ("is in no folder" if place else "cannot be written: No space left on device.") in told
    assert served.asked == [] or not place
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_nowhere_is_not_written_through(
    served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "support.tar.gz"
    link.symlink_to(tmp_path / "elsewhere")
    assert ended(app, "--file", str(link)) == 2
    assert "cannot be written: File exists." in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["support.tar.gz"]
    assert link.is_symlink()
