# SPDX-License-Identifier: Apache-2.0
"""What a process that stays loads at its start, by what is there afterwards: each is a process of
its own, which has no kubeconfig and ends once everything is imported. And what the
plugin of kubectl does not load."""

from __future__ import annotations

import gc
import json
import os
import ssl
import subprocess
import sys
from typing import Any

import pytest

from postroom.cli import loading

#: What other verbs need, an option that is off by default, or only tests.
NOT_NEEDED = (
    "dns.resolver",
    "jinja2",
    "nats",
    "postroom.cli.check",
    "postroom.lab",
    "postroom.report",
    "pytest",
    "rich",
    "unittest",
    "urllib3",
    "uvloop",
)
#: Passes of the collector until the program begins: this test's own imports.
FIRST = 5
#: What reads specs, data files and metadata of packages.
NOT_FOR_HELP = ("email", "importlib.metadata", "pydantic", "yaml")
#: What looks at domains and servers, and at a cluster.
NOT_THE_PLUGINS = (
    "aiohttp",
    "dns",
    "kopf",
    "kubernetes",
    "postroom.controller",
    "postroom.dns.judging",
    "postroom.mail.probes",
    "postroom.reconcile.engine",
)
PROGRAM = """
import gc, json, ssl, sys

gone_through, turns = [], gc.get_threshold()
frozen, passes = gc.freeze, []


def passing(phase, info):
    if phase == "start":
        passes.append(info["generation"])
    if phase == "start" and info["generation"] == 2:
        gone_through.append(len(gc.get_objects()))


def freeze():
    frozen()
    passes.append("set aside")


gc.callbacks.append(passing)
gc.freeze = freeze
from postroom.cli.entry import postroom

sys.argv = ["postroom", {verb!r}, "--kubeconfig=/nowhere/config"]
try:
    postroom()
except SystemExit as ended:
    code = ended.code

import aiohttp.connector
from postroom.api.data_files import Row


def rows(base):
    for row in base.__subclasses__():
        yield row
        yield from rows(row)


def trusted(context):
    return context.cert_store_stats()["x509_ca"]


print(json.dumps({{
    "code": code,
    "ran": "postroom.controller.lifecycle" in sys.modules,
    "modules": [name for name in {names!r} if name in sys.modules],
    "gone through": gone_through,
    "set aside": gc.get_freeze_count(),
    "passes before": passes[: passes.index("set aside")],
    "works": gc.isenabled(),
    "thresholds": [turns, gc.get_threshold()],
    "rows": len(list(rows(Row))),
    "built": [row.__name__ for row in rows(Row) if row.__pydantic_complete__],
    "trusted by aiohttp": trusted(aiohttp.connector._SSL_CONTEXT_VERIFIED),
    "trusted": trusted(ssl.create_default_context()),
}}))
"""


@pytest.fixture(scope="module", params=["run", "deliver"])
def loaded(request: pytest.FixtureRequest) -> dict[str, Any]:
    program = PROGRAM.format(verb=request.param, names=NOT_NEEDED)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, timeout=300
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["code"], found["ran"]) == (1, True), done.stderr
    return found


def test_what_a_process_does_not_need_is_not_loaded(loaded: dict[str, Any]) -> None:
    assert loaded["modules"] == []


def test_the_collector_does_not_go_through_modules(loaded: dict[str, Any]) -> None:
    assert loaded["set aside"] > 50_000
    assert sum(loaded["gone through"]) < loaded["set aside"] / 2
    assert len(loaded["passes before"]) <= FIRST, "while modules become more"
    before, after = loaded["thresholds"]
    assert loaded["works"] and before == after, "it works as ever from then on"


def test_the_collector_works_for_a_verb_that_loads_nothing_more() -> None:
    program = (
        "import gc, sys\nfrom postroom.cli.entry import postroom\n"
        "sys.argv = ['postroom', 'crds', '--help']\n"
        "try:\n    postroom()\nexcept SystemExit:\n    print(gc.isenabled())"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "True"


def test_what_reads_data_files_is_built_with_the_first_file(loaded: dict[str, Any]) -> None:
    assert loaded["rows"] > 30
    assert loaded["built"] == []


def test_the_authorities_of_the_system_are_read_by_who_asks_for_them(
    loaded: dict[str, Any],
) -> None:
    assert loaded["trusted by aiohttp"] == 0
    assert loaded["trusted"] == ssl.create_default_context().cert_store_stats()["x509_ca"]


@pytest.mark.parametrize("bundle", [None, "", "/etc/ssl/our.pem"])
def test_all_is_as_before_where_an_import_fails(
    bundle: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if bundle is not None:
        monkeypatch.setenv("SSL_CERT_FILE", bundle)
    before = gc.isenabled(), gc.get_threshold(), dict(os.environ)
    with pytest.raises(ModuleNotFoundError), loading.for_good():
        import postroom.no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert (gc.isenabled(), gc.get_threshold(), dict(os.environ)) == before


@pytest.mark.parametrize(
    ("module", "names"),
    [("main", NOT_FOR_HELP), ("kubectl_completion", NOT_THE_PLUGINS)],
    ids=["the verbs of postroom", "kubectl postroom"],
)
def test_a_list_of_verbs_costs_nothing_of_what_they_load(
    module: str, names: tuple[str, ...]
) -> None:
    program = (
        f"import sys, postroom.cli.{module}\n"
        f"print(*(name for name in {names!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, timeout=300
    )
    assert done.stdout.strip() == ""
