# SPDX-License-Identifier: Apache-2.0
"""``postroom support-bundle``: what somebody needs who is asked why it does not work.

One archive with statuses, Events, metrics, the end of the log and versions. What each part shows is
in `postroom.cli.support_parts`; a part that cannot be had is named with its reason.
"""

import hashlib
import io
import json
import platform
import re
import tarfile
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import typer.main
import yaml

from postroom.api.names import GROUP, PART_OF_LABEL, Kind
from postroom.cli import file_types, plugin_options, support_parts, usage
from postroom.cli.cluster import PluginError, refuse_names
from postroom.cli.options import say
from postroom.cli.plugin_options import ContextOption, KubeconfigOption
from postroom.log import visible

Answer = TypeVar("Answer")

#: Why a part is left out, where more is made of it.
_SILENT, _DENIED = "no answer", "no right to read"
#: Characters of a name of ours in a path: with an ending it is no longer than file systems take.
_LONGEST = 200
#: The label of our Pods in every way of installing them: the chart calls them as its release, and
#: `postroom deliver` has Pods of its own.
_PODS = ("labelSelector", "=".join(PART_OF_LABEL))
_README = """What this archive has:

versions.json   versions of postroom and of the cluster
objects/        who each object is, and its status; specs, annotations and labels are left out
events.json     Events about these objects; in words where postroom wrote them
operator/       Pods of the operator and of postroom deliver: images, flags, restarts; the end of
                their logs; metrics
left-out.json   what could not be read, and why

No Secret was read. Names of domains, hosts, addresses and objects are in it: look before you hand
it on.
"""


def support_bundle(
    command: typer.Context,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Where to write it; default: a name with the date."),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Objects of one namespace; default: all."),
    ] = None,
    operator_namespace: Annotated[
        str, typer.Option(help="Where the operator runs.")
    ] = "postroom-system",
    log_lines: Annotated[
        int, typer.Option(min=0, help="So many lines from the end of each log.")
    ] = 2000,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Collect what is needed to find out why something does not work, without any secret.

    Statuses, Events, metrics, the end of the operator's log, and versions. Specs, Secrets,
    annotations and the words of others are left out. Look at it before you hand it on.
    """
    now = datetime.now(UTC)
    target = file or Path(f"postroom-support-{now:%Y%m%dT%H%M%SZ}.tar.gz")

    async def collect() -> None:
        from postroom.controller.client import connected
        from postroom.controller.kubeconfig import ConnectionSettingsError

        for place in filter(None, (namespace, operator_namespace)):
            refuse_names(place)
        if file_types.is_there(target) or not file_types.is_folder(target.parent):
            why = "exists" if file_types.is_there(target) else "is in no folder"
            raise PluginError(f"{target} {why}: name another file with --file.")
        try:
            async with connected(kubeconfig, context, "postroom-support") as api:
                bundle = Bundle(api, namespace, operator_namespace, log_lines)
                await bundle.collect()
        except ConnectionSettingsError as error:
            raise PluginError(f"{error}.") from None
        if not bundle.has_objects:
            raise PluginError(bundle.why_nothing())
        _write(target, bundle.files, now)
        for part in bundle.left_out:
            say(f"Left out: {part['what']} ({part['why']}).", errors=True)
        say(f"{target}: {len(bundle.files)} files. Look at it before you hand it on.")

    plugin_options.edge(collect(), command.command_path)


class Bundle:
    """The files of a bundle, by name, and what is missing."""

    def __init__(self, api: Any, namespace: str | None, operator: str, log_lines: int) -> None:
        self._api, self._namespace = api, namespace
        self._operator, self._log_lines = operator, log_lines
        self.files: dict[str, str] = {"README.txt": _README}
        self.left_out: list[dict[str, str]] = []
        self.has_objects = False

    async def collect(self) -> None:
        """Read all parts, one after the other; raises `PluginError` where nobody answers."""
        await self._versions()
        await self._objects()
        await self._events()
        await self._pods()
        self._put("left-out.json", self.left_out)

    def why_nothing(self) -> str:
        """The sentence where no object could be read."""
        plurals = {kind.plural for kind in Kind}
        why = next(part["why"] for part in self.left_out if part["what"] in plurals)
        one = "; name a namespace that you may read with -n"
        return f"nothing can be read: {why}{one if why == _DENIED and not self._namespace else ''}."

    async def _tried(self, what: str, asked: Awaitable[Answer]) -> Answer | None:
        """An answer; None where it is refused, which is noted."""
        from postroom.controller.client import ApiError

        try:
            return await asked
        except ApiError as error:
            # The server's message may quote what was asked or sent.
            why = {0: _SILENT, 401: "not signed in", 403: _DENIED, 404: "not there"}
            told = why.get(error.status, f"the API server answers {error.status}")
            self.left_out.append({"what": what, "why": told})
            return None

    def _put(self, name: str, content: Any) -> None:
        self.files[name] = json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    async def _versions(self) -> None:
        told = await self._tried("version of the API server", self._api.request("GET", "/version"))
        if any(part["why"] == _SILENT for part in self.left_out):
            # Each further question would be waited for as long.
            server = self._api.server
            raise PluginError(f"the cluster at {server} does not answer: check the kubeconfig.")
        served = await self._tried("kinds that are served", self._api.served_kinds())
        known = ("gitVersion", "platform")
        self._put(
            "versions.json",
            {
                "program": usage.version("postroom"),
                "python": platform.python_version(),
                "cluster": {name: str(told[name]) for name in known if told and name in told},
                "served": sorted(kind.value for kind in served or ()),
            },
        )

    async def _objects(self) -> None:
        for kind in Kind:
            found = await self._tried(kind.plural, self._api.list_whole(kind, self._namespace))
            self.has_objects |= found is not None
            for raw in found or ():
                shown = support_parts.object_shown(kind, raw)
                owner, name = (shown["metadata"].get(part) for part in ("namespace", "name"))
                place = f"{_part(owner)}/{_part(name)}"
                text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000)
                self.files[f"objects/{kind.plural}/{place}.yaml"] = text

    async def _events(self) -> None:
        from postroom.controller import api_paths
        from postroom.controller.events import CONTROLLER

        path = api_paths.core(self._namespace, "events")
        found = await self._listed("Events", path)
        ours = [
            support_parts.event_shown(raw, CONTROLLER)
            for raw in found
            if str((raw.get("involvedObject") or {}).get("apiVersion")).startswith(f"{GROUP}/")
        ]
        self._put("events.json", ours)

    async def _listed(
        self, what: str, path: str, *query: tuple[str, str]
    ) -> list[Mapping[str, Any]]:
        answer = await self._tried(what, self._api.request("GET", path, query=query))
        items = (answer or {}).get("items")
        return [item for item in items or () if isinstance(item, Mapping)]

    async def _pods(self) -> None:
        from postroom.controller import api_paths

        known = _flags()
        path = api_paths.core(self._operator, "pods")
        what, known_gaps = f"Pods in {self._operator}", len(self.left_out)
        pods = await self._listed(what, path, _PODS)
        if not pods and len(self.left_out) == known_gaps:
            why = "there are none of postroom; say where they run by --operator-namespace"
            self.left_out.append({"what": what, "why": why})
        for raw in pods:
            shown = support_parts.pod_shown(raw, known)
            name = str(shown["metadata"].get("name"))
            place = f"operator/{_part(name)}"
            self._put(f"{place}/pod.json", shown)
            where = api_paths.core(self._operator, "pods", name)
            restarted = any(state["restarts"] for state in shown["states"])
            await self._log(name, where, place, restarted=restarted)
            for port in _health_ports(raw):
                metrics = (
                    f"{api_paths.core(self._operator, 'pods', f'{name}:{port}')}/proxy/metrics"
                )
                text = await self._tried(f"metrics of {name}", self._api.text(metrics))
                if text is not None:
                    self.files[f"{place}/metrics.txt"] = support_parts.metrics_shown(text)

    async def _log(self, name: str, where: str, place: str, *, restarted: bool) -> None:
        """The end of the log, and of the one before a restart where there was one."""
        lines = ("tailLines", str(self._log_lines))
        wanted = [(f"log of {name}", "log.txt", [lines])]
        if restarted:
            before = [lines, ("previous", "true")]
            wanted.append((f"earlier log of {name}", "log-before.txt", before))
        for what, file, query in wanted:
            text = await self._tried(what, self._api.text(f"{where}/log", query))
            if text is not None:
                self.files[f"{place}/{file}"] = support_parts.log_shown(text)


def _flags() -> frozenset[str]:
    """The flags of what runs in our Pods, none of which is a secret by itself: keys and credentials
    come in files."""
    from postroom.cli.deliver import deliver
    from postroom.cli.run import run

    known = set[str]()
    for verb in (run, deliver):
        program = typer.Typer()
        program.command()(verb)
        for parameter in typer.main.get_command(program).params:
            known.update((*parameter.opts, *parameter.secondary_opts))
    return frozenset(known)


def _health_ports(pod: Mapping[str, Any]) -> list[int]:
    """The ports that our Pods call http."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    ports = [port for container in containers for port in container.get("ports") or ()]
    return [int(port["containerPort"]) for port in ports if port.get("name") == "http"][:1]


def _part(name: object) -> str:
    """A name as one part of a path, wherever it is unpacked: no other folder, and not too long."""
    said = str(name)
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", said).lstrip(".")[:_LONGEST]
    if plain and plain == said:
        return plain
    return f"{plain}-{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _write(target: Path, files: Mapping[str, str], now: datetime) -> None:
    """Write the archive for its owner alone; names in it begin with that of the archive."""
    top = _part(target.name.removesuffix(".tar.gz").removesuffix(".tgz"))
    try:
        target.touch(mode=0o600, exist_ok=False)
        try:
            with tarfile.open(target, "w:gz") as archive:
                for name, text in sorted(files.items()):
                    content = visible(text, kept="\n\t").encode("utf-8", "replace")
                    entry = tarfile.TarInfo(f"{top}/{name}")
                    entry.size, entry.mtime, entry.mode = len(content), int(now.timestamp()), 0o600
                    archive.addfile(entry, io.BytesIO(content))
        except BaseException:
            # Half an archive is none.
            target.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PluginError(f"{target} cannot be written: {error.strerror}.") from None
