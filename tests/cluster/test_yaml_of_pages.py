# SPDX-License-Identifier: Apache-2.0
"""A real API server takes every resource of ours that a page shows, those of the reference too, and
what is applied again is what stands: for kubectl, and so for Argo CD, which compares as it does."""

from typing import Any

import yaml

from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT
from unit.docs.reading import PAGES, blocks, name_of


def shown() -> list[dict[str, Any]]:
    """Every resource of ours in any page, under a name of its own that tells where it stands."""
    found: list[dict[str, Any]] = []
    for page in PAGES:
        for block in blocks(page.read_text("utf-8")):
            for document in (
                yaml.load_all(block.text, Loader=yaml.CSafeLoader)
                if block.language == "yaml"
                else ()
            ):
                if isinstance(document, dict) and document.get("apiVersion") == API_VERSION:
                    place = name_of(page).removesuffix(".md").replace("/", "-").lower()
                    name = f"{place}-{block.line}-{len(found)}"
                    found.append({**document, "metadata": {"name": name, "namespace": "default"}})
    return found


def test_the_api_server_takes_every_resource_that_a_page_shows(installed: ControlPlane) -> None:
    resources = shown()
    assert len(resources) > 40
    done = installed.kubectl(
        *("create", "--dry-run=server", "--validate=strict", "-f", "-"),
        input=yaml.safe_dump_all(resources),
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.count("created (server dry run)") == len(resources)


def test_what_is_applied_again_changes_nothing(installed: ControlPlane, namespace: str) -> None:
    """A list of a custom resource is compared as a whole: an item into which the API server puts
    what nobody wrote would be a difference for ever."""
    samples = yaml.load_all(
        installed.kubectl("kustomize", str(ROOT / "manifests" / "samples")).stdout,
        Loader=yaml.CSafeLoader,
    )
    ours = [each for each in samples if each["apiVersion"] == API_VERSION] + shown()
    for each in ours:
        each["metadata"]["namespace"] = namespace
    text = yaml.safe_dump_all(ours)
    assert "selector" in text and "identities" in text and "returnPath" in text
    installed.kubectl("apply", "-f", "-", input=text)
    again = installed.kubectl("apply", "-f", "-", input=text).stdout.splitlines()
    assert len(again) == len(ours)
    assert [line for line in again if not line.endswith(" unchanged")] == []
