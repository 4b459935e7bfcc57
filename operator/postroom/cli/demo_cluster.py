# SPDX-License-Identifier: Apache-2.0
"""The story of ``postroom demo`` with the operator on a real control plane, through kubectl."""

import asyncio
import json
import tempfile
from pathlib import Path

from postroom.api.names import Kind
from postroom.api.resource import parse_status
from postroom.cli import demo_story
from postroom.lab import operator_process
from postroom.lab.controlplane import ControlPlane, ControlPlaneUnavailable, external, obtain
from postroom.lab.lab import Lab

_RESOURCE = (
    "sendingdomain",
    demo_story.SENDING_DOMAIN.name,
    "-n",
    demo_story.SENDING_DOMAIN.namespace,
)


async def tell_on_cluster(
    narrator: demo_story.Narrator, address: str, kubeconfig: Path | None
) -> None:
    """Tell the story; raises `DemoFailed`."""
    narrator.chapter("A real control plane: etcd and kube-apiserver on loopback.")
    try:
        plane = external(kubeconfig) if kubeconfig else obtain(narrator.line)
        with plane:
            await _Story(narrator, plane).tell(address)
    except (ControlPlaneUnavailable, operator_process.OperatorFailed, AssertionError) as error:
        raise demo_story.DemoFailed(str(error)) from None


class _Story:
    def __init__(self, narrator: demo_story.Narrator, plane: ControlPlane) -> None:
        self._narrator, self._plane = narrator, plane

    async def _kubectl(self, *args: str, quiet: bool = False, check: bool = True) -> str:
        """Run kubectl as a user would, and show command and answer."""
        answer = await asyncio.to_thread(self._plane.kubectl, *args, check=check)
        if not quiet:
            self._narrator.line(f"$ kubectl {' '.join(args)}\n{answer.stdout.rstrip()}")
        return answer.stdout

    async def tell(self, address: str) -> None:
        with tempfile.TemporaryDirectory(prefix="postroom-demo-") as scratch:
            directory = Path(scratch)
            async with Lab(directory / "lab", address=address) as lab:
                # All but the Deployment: the operator runs beside us.
                root = operator_process.ROOT
                await self._kubectl("apply", "--server-side", "-k", str(root / "crds"), quiet=True)
                for part in (
                    "base/namespace",
                    "base/serviceaccount",
                    "base/leases",
                    "cluster/rbac",
                ):
                    file = root / "manifests" / "install" / f"{part}.yaml"
                    await self._kubectl("apply", "-f", str(file), quiet=True)
                flags = (*lab.reach.flags, "--regression-confirmation=2s", "--log-format=text")
                kubeconfig = operator_process.service_account_kubeconfig(self._plane, directory)
                operator = operator_process.OperatorProcess(kubeconfig, directory, flags)
                self._narrator.chapter("postroom run, with a ServiceAccount and RBAC of its own.")
                await asyncio.to_thread(operator.start)
                try:
                    await self._tell_turns(lab, directory)
                finally:
                    await asyncio.to_thread(operator.stop)
                    await self._kubectl(
                        "delete", "-k", str(demo_story.SAMPLES), "--wait=false", quiet=True
                    )
        self._narrator.chapter("Verified again. Operator, lab and control plane stop.")

    async def _tell_turns(self, lab: Lab, directory: Path) -> None:
        """From YAML to verified truth, a record that breaks, and the fix that mends it."""
        self._narrator.chapter("The samples are applied; YAML becomes verified truth.")
        await self._kubectl("apply", "-k", "manifests/samples")
        ca = directory / "lab-ca.yaml"
        ca.write_text(lab.ca_manifest(("mail",)))
        await self._kubectl("apply", "-f", str(ca), quiet=True)
        for kind in Kind:
            await self._kubectl(
                *("wait", "--for=condition=Ready", kind.plural, "--all", "-n", "mail"),
                "--timeout=60s",
            )
        await self._kubectl("get", "postroom", "-n", "mail")
        await demo_story.break_record(self._narrator, lab)
        await demo_story.until(self._is_ready, False, "the break is noticed")
        await self._kubectl("get", *_RESOURCE)
        shown = (
            "jsonpath={range .status.findings[*]}{.severity}: {.code}{'\\n'}{.message}{'\\n'}{end}"
        )
        await self._kubectl("get", *_RESOURCE, "-o", shown)
        stored = json.loads(await self._kubectl("get", *_RESOURCE, "-o", "json", quiet=True))
        self._narrator.chapter("The fix that the finding names is applied to the zone.")
        demo_story.apply_fix(
            self._narrator, lab, parse_status(demo_story.SENDING_DOMAIN.kind, stored["status"])
        )
        await demo_story.until(self._is_ready, True, "the fix works")
        await self._kubectl("get", *_RESOURCE)

    async def _is_ready(self) -> bool:
        """Request a check now, as ``kubectl postroom verify`` does, and read the verdict."""
        token = f"postroom.dev/requested-at={asyncio.get_running_loop().time()}"
        await self._kubectl("annotate", "--overwrite", *_RESOURCE, token, quiet=True)
        await asyncio.sleep(1)
        path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        return await self._kubectl("get", *_RESOURCE, "-o", path, quiet=True) == "True"
