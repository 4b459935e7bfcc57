# SPDX-License-Identifier: Apache-2.0
"""What pages say that an installation needs is what the chart demands."""

import re

import pytest
import yaml

from unit.docs.reading import ROOT

CHART = yaml.load((ROOT / "charts/postroom/Chart.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader)


@pytest.mark.parametrize("page", ["docs/install.md", "docs/helm.md"])
def test_the_pages_of_installing_name_the_kubernetes_that_the_chart_demands(page: str) -> None:
    least = re.fullmatch(r">=(\d+\.\d+)\.0-0", CHART["kubeVersion"])
    assert least is not None
    text = (ROOT / page).read_text("utf-8")
    assert re.findall(r"Kubernetes (\d+\.\d+) or later", text) == [least[1]]
