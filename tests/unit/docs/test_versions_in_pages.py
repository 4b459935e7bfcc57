# SPDX-License-Identifier: Apache-2.0
"""What pages say that an installation needs is what the chart demands."""

import re

import pytest
import yaml

from unit.docs.reading import PAGES, ROOT, name_of

CHART = yaml.load((ROOT / "charts/postroom/Chart.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader)


#: Where another version is told of than is needed.
_TOLD = {"docs/upgrading.md", "CHANGELOG.md"}
_NAMED = re.compile(r"Kubernetes(?:\s|#)+(\d+\.\d+)(?:\s|#)+(?:or|and)(?:\s|#)+later")


def least() -> str:
    found = re.fullmatch(r">=(\d+\.\d+)\.0-0", CHART["kubeVersion"])
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", ["docs/install.md", "docs/helm.md"])
def test_the_pages_of_installing_name_the_kubernetes_that_the_chart_demands(page: str) -> None:
    assert _NAMED.findall((ROOT / page).read_text("utf-8")) == [least()]


def test_nothing_names_an_older_one_for_a_part_of_it() -> None:
    texts = [
        *(page for page in PAGES if name_of(page) not in _TOLD),
        *(ROOT / "manifests").rglob("*.yaml"),
        *(ROOT / "operator/postroom").rglob("*.yaml"),
    ]
    named = {name_of(text): _NAMED.findall(text.read_text("utf-8")) for text in texts}
    assert {name: found for name, found in named.items() if {*found} - {least()}} == {}


def test_the_kubernetes_that_tests_run_on_is_that_of_the_control_plane() -> None:
    pinned = (ROOT / "tests/cluster/controlplane/go.mod").read_text("utf-8")
    (minor,) = re.findall(r"^\tk8s\.io/kubernetes v(\d+\.\d+)\.\d+$", pinned, re.M)
    page = (ROOT / "docs/evaluating.md").read_text("utf-8")
    assert re.findall(r"On which Kubernetes\? \| (\d+\.\d+) or later", page) == [least()]
    assert re.findall(r"a real control plane of (\d+\.\d+)", page) == [minor]


@pytest.mark.parametrize(
    ("page", "claim", "program"),
    [
        ("README.md", r"Go (\d+\.\d+) for the control plane", "controlplane"),
        ("CONTRIBUTING.md", r"\(Go (\d+\.\d+), which", "consumers"),
        ("CONTRIBUTING.md", r"which (\d+\.\d+) fetches by itself", "controlplane"),
    ],
)
def test_the_go_that_a_page_names_is_that_of_the_program(
    page: str, claim: str, program: str
) -> None:
    module = (ROOT / "tests/cluster" / program / "go.mod").read_text("utf-8")
    assert re.findall(claim, (ROOT / page).read_text("utf-8")) == re.findall(
        r"^go (\d+\.\d+)\.\d+$", module, re.M
    )
