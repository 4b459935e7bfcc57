# SPDX-License-Identifier: Apache-2.0
"""Who applies again what stands changes nothing: the installation with all its components.

kubectl compares what was applied, what is to be and what stands, and so does Argo CD. Both take a
list without keys as a whole: an entry into which the API server puts a default would be a change
at each apply, and a difference that Argo CD shows for ever. What users apply of ours is held to
the same in test_yaml_of_pages.py.
"""

from pathlib import Path

import yaml

from lab.helm import kustomized
from lab.test_components import INSTALL, components, made
from postroom.lab.controlplane import ControlPlane

#: kubectl replaces its selector each time, by the same (patchStrategy: replace).
_ALWAYS = "poddisruptionbudget.policy/"


def test_an_installation_that_is_applied_again_is_unchanged(
    installed: ControlPlane, tmp_path: Path
) -> None:
    parts = components("cluster")
    objects = made(tmp_path / "again", "cluster", parts, namePrefix="again-")
    objects += [*kustomized(INSTALL / "tenants"), *kustomized(INSTALL / "in-use")]
    own = [each for each in objects if each["kind"] != "Namespace"]
    assert {"StatefulSet", "NetworkPolicy", "ClusterRole"} < {each["kind"] for each in own}
    assert sum(each["kind"] == "ValidatingAdmissionPolicy" for each in own) == 8
    text = yaml.safe_dump_all(own)
    try:
        installed.kubectl("apply", "-f", "-", input=text)
        again = installed.kubectl("apply", "-f", "-", input=text).stdout.splitlines()
    finally:
        installed.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", input=text)
    assert len(again) == len(own)
    changed = [line for line in again if not line.endswith(" unchanged")]
    assert [line for line in changed if not line.startswith(_ALWAYS)] == []
