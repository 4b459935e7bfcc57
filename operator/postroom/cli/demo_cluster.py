# SPDX-License-Identifier: Apache-2.0
"""The story of ``postroom demo`` with the operator on a real control plane, through kubectl."""

import asyncio
import ipaddress
import json
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postroom.api.names import Kind
from postroom.api.resource import parse_status
from postroom.cli import demo_inbound, demo_story
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
            await _Story(narrator, plane, is_ours=kubeconfig is None).tell(address)
    except (ControlPlaneUnavailable, operator_process.OperatorFailed, AssertionError) as error:
        raise demo_story.DemoFailed(str(error)) from None


#: Where Services may be on a control plane of ours, whose network is this machine's loopback.
_SERVICES = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "ServiceCIDR",
    "metadata": {"name": "loopback"},
    "spec": {"cidrs": ["127.0.0.0/24"]},
}
_WORKER = "postroom-deliver"


class _Story:
    def __init__(
        self, narrator: demo_story.Narrator, plane: ControlPlane, *, is_ours: bool
    ) -> None:
        self._narrator, self._plane, self._is_ours = narrator, plane, is_ours

    async def _kubectl(self, *args: str, quiet: bool = False, check: bool = True) -> str:
        """Run kubectl as a user would, and show command and answer."""
        answer = await asyncio.to_thread(self._plane.kubectl, *args, check=check)
        if not quiet:
            self._narrator.line(f"$ kubectl {shlex.join(args)}\n{answer.stdout.rstrip()}")
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
                    await self._tell_inbound(lab, directory)
                finally:
                    await asyncio.to_thread(operator.stop)
                    await self._kubectl(
                        "delete", "-k", str(demo_story.SAMPLES), "--wait=false", quiet=True
                    )
        self._narrator.chapter("That is all. Operator, lab and control plane stop.")

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
            'jsonpath={range .status.findings[*]}{.severity}: {.code}{"\\n"}{.message}{"\\n"}{end}'
        )
        await self._kubectl("get", *_RESOURCE, "-o", shown)
        stored = json.loads(await self._kubectl("get", *_RESOURCE, "-o", "json", quiet=True))
        self._narrator.chapter("The fix that the finding names is applied to the zone.")
        demo_story.apply_fix(
            self._narrator, lab, parse_status(demo_story.SENDING_DOMAIN.kind, stored["status"])
        )
        await demo_story.until(self._is_ready, True, "the fix works")
        await self._kubectl("get", *_RESOURCE)
        self._narrator.chapter("Verified again.")

    async def _tell_inbound(self, lab: Lab, directory: Path) -> None:
        """A mail becomes a ticket of an application, and the answer lands in the same one."""
        host = lab.reach.address
        if self._is_ours:
            await self._apply(_SERVICES)
        if not await self._may_have(host):
            self._narrator.line(
                "  What follows needs a Service that leads to this machine, which there is not on "
                "this cluster:\n  `postroom demo` shows how a mail becomes a ticket."
            )
            return
        install = operator_process.ROOT / "manifests" / "install" / "deliver"
        for part in ("base/serviceaccount", "base/leases", "cluster/rbac"):
            await self._kubectl("apply", "-f", str(install / f"{part}.yaml"), quiet=True)
        await self._kubectl("apply", "-f", str(demo_inbound.signing_key(directory)), quiet=True)
        async with demo_inbound.running_receiver(directory, host) as application:
            self._narrator.chapter("Now an application is to get what arrives:")
            where = {"name": demo_inbound.SERVICE, "namespace": demo_inbound.ACCOUNT.namespace}
            leads = {"clusterIP": host, "ports": [{"port": application.port}]}
            await self._apply(
                {"apiVersion": "v1", "kind": "Service", "metadata": where, "spec": leads}
            )
            deliver = demo_inbound.asked_of(self._narrator, application)
            account = ("emailaccount", demo_inbound.ACCOUNT.name, "-n", where["namespace"])
            change = json.dumps({"spec": {"inbound": {"deliver": deliver}}})
            await self._kubectl("patch", *account, "--type=merge", "-p", change, quiet=True)
            (directory / "deliver").mkdir()
            kubeconfig = operator_process.service_account_kubeconfig(
                self._plane, directory / "deliver", _WORKER
            )
            leader = f"--leader-election-namespace={operator_process.NAMESPACE}"
            flags = (*lab.reach.network_flags, "--leader-election", leader, "--log-format=text")
            worker = operator_process.OperatorProcess(kubeconfig, directory, flags, "deliver")
            self._narrator.chapter("postroom deliver, with a ServiceAccount and RBAC of its own.")
            await asyncio.to_thread(worker.start)
            try:
                waits = ("wait", "--for=condition=InboundDelivering", *account, "--timeout=60s")
                await self._kubectl(*waits)
                await demo_inbound.two_mails_arrive(self._narrator, lab, application)
            finally:
                await asyncio.to_thread(worker.stop)
            await self._kubectl("get", *account, "-o", "jsonpath={.status.inbound}")

    async def _apply(self, resource: Mapping[str, Any]) -> None:
        text = json.dumps(resource)
        await asyncio.to_thread(self._plane.kubectl, "apply", "-f", "-", input=text)

    async def _may_have(self, address: str) -> bool:
        """Whether a Service may have an address of this machine's."""
        shown = ("servicecidrs", "-o", "jsonpath={.items[*].spec.cidrs[*]}")
        found = await self._kubectl("get", *shown, quiet=True, check=False)
        wanted = ipaddress.ip_address(address)
        return any(wanted in ipaddress.ip_network(each) for each in found.split())

    async def _is_ready(self) -> bool:
        """Request a check now, as ``kubectl postroom verify`` does, and read the verdict."""
        token = f"postroom.dev/requested-at={asyncio.get_running_loop().time()}"
        await self._kubectl("annotate", "--overwrite", *_RESOURCE, token, quiet=True)
        await asyncio.sleep(1)
        path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        return await self._kubectl("get", *_RESOURCE, "-o", path, quiet=True) == "True"
