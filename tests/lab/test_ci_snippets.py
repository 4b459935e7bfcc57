# SPDX-License-Identifier: Apache-2.0
"""What is shipped for CI does what it says: GitHub's action, GitLab's job and pre-commit's hooks.

They are valid for their own schemas, and their commands are run as their YAML has them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster import forked
from cluster.guides import search_path
from loopback import own_address
from postroom.lab.lab import Lab
from unit.docs.reading import blocks

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "manifests" / "samples"
ACTION = yaml.load((ROOT / "action.yml").read_text(), Loader=yaml.CSafeLoader)
GITLAB_FILE = ROOT / "manifests" / "integrations" / "gitlab" / "postroom.gitlab-ci.yml"
GITLAB = yaml.load(GITLAB_FILE.read_text(), Loader=yaml.CSafeLoader)
HOOKS = {
    hook["id"]: hook
    for hook in yaml.load((ROOT / ".pre-commit-hooks.yaml").read_text(), Loader=yaml.CSafeLoader)
}
PAGE = [
    yaml.load(block.text, Loader=yaml.CSafeLoader)
    for block in blocks((ROOT / "docs" / "ci.md").read_text())
    if block.language == "yaml"
]
(WORKFLOW,) = (each for each in PAGE if "jobs" in each)
(INCLUDE,) = (each for each in PAGE if "include" in each)
(USE,) = (each for each in PAGE if "repos" in each)


def vendored(name: str) -> dict[str, Any]:
    """A schema that check-jsonschema carries."""
    folder = files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema: dict[str, Any] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return schema


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("github-actions", ACTION),
        ("github-workflows", WORKFLOW),
        ("gitlab-ci", GITLAB),
        ("gitlab-ci", INCLUDE),
    ],
)
def test_code_hosts_schemas_hold(name: str, document: dict[Any, Any]) -> None:
    # YAML 1.1 reads the key "on" as true, GitHub does not.
    said = {"on" if key is True else key: value for key, value in document.items()}
    schema = vendored(name)
    jsonschema.validators.validator_for(schema)(schema).validate(json.loads(json.dumps(said)))


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("validate-manifest", (ROOT / ".pre-commit-hooks.yaml").read_text()),
        ("validate-config", yaml.safe_dump(USE)),
    ],
)
def test_pre_commit_takes_the_hooks_and_their_use(command: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    program = [sys.executable, "-m", "pre_commit", command, str(tmp_path / "x.yaml")]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert {hook["id"] for repo in USE["repos"] for hook in repo["hooks"]} <= set(HOOKS)


def test_the_workflow_gives_the_action_what_it_takes_and_reads_what_it_writes() -> None:
    steps = WORKFLOW["jobs"]["check"]["steps"]
    (ours,) = (step for step in steps if "/postroom@" in step["uses"])
    assert set(ours["with"]) <= set(ACTION["inputs"])
    (upload,) = (step for step in steps if "upload-sarif" in step["uses"])
    assert upload["with"]["sarif_file"] == ours["with"]["sarif-file"]
    assert INCLUDE["include"][0]["file"] == str(GITLAB_FILE.relative_to(ROOT))
    assert set(INCLUDE["variables"]) <= set(GITLAB["variables"])


@pytest.fixture(scope="module")
def typed() -> Iterator[Path]:
    """Where our commands and python3 are."""
    with forked.typed() as place:
        yield place


@pytest.fixture
async def repository(tmp_path: Path, typed: Path) -> AsyncIterator[tuple[Path, dict[str, str]]]:
    """A repository with what is good below mail/ and what is not below broken/, and an environment
    in which the lab is the network."""
    (tmp_path / "lab").mkdir()
    async with Lab(tmp_path / "lab", address=own_address(1)) as lab:
        top = tmp_path / "top"
        for folder, names in {
            "mail": ("domains.yaml", "servers.yaml", "accounts.yaml"),
            "broken": ("broken/domain-spf-twice.yaml",),
        }.items():
            (top / folder).mkdir(parents=True)
            for name in names:
                shutil.copy(SAMPLES / name, top / folder)
        (top / "mail" / "lab-ca.yaml").write_text(lab.ca_manifest())
        said: dict[str, list[str]] = {}
        for flag in lab.reach.flags:
            name, _, value = flag.removeprefix("--").partition("=")
            said.setdefault(name, []).append(value)
        plural = {"dns-resolver": "dns_resolvers", "allow-cidr": "allow_cidrs"}
        plural |= {"allow-port": "allow_ports"}
        places = {
            f"POSTROOM_{plural.get(name, name).replace('-', '_').upper()}": ",".join(values)
            for name, values in said.items()
        }
        # The first python3 has postroom; what pip installs comes beside it, without what it needs.
        path = search_path(typed)
        # For pip 0 means that the option holds: without an environment of its own for the build.
        pip = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
        pip |= {"PIP_TARGET": str(tmp_path / "site")}
        yield top, {**os.environ, **places, **pip, "PATH": path}


async def shell(script: str, top: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a script as GitHub's runner does ``shell: bash``."""
    program = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script)
    running = await asyncio.create_subprocess_exec(
        *program,
        cwd=top,
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await running.communicate()
    assert running.returncode is not None
    return running.returncode, out.decode(), err.decode()


def filled(value: str, inputs: Mapping[str, str]) -> str:
    """Fill in what the runner does of an expression."""
    return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: inputs[found[1]], value)


def steps(inputs: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The scripts of the action with their variables; an input is never part of a script."""
    given = {name: str(what["default"]) for name, what in ACTION["inputs"].items()} | dict(inputs)
    for step in ACTION["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]
        variables = step.get("env", {})
        yield step["run"], {name: filled(value, given) for name, value in variables.items()}


async def act(
    repository: tuple[Path, dict[str, str]], inputs: Mapping[str, str]
) -> tuple[int, str, str]:
    """Run the steps of the action; return the last code, what was printed, and the outputs."""
    top, environment = repository
    output = top.parent / "output"
    output.write_text("")
    runner = {"GITHUB_ACTION_PATH": str(ROOT), "GITHUB_OUTPUT": str(output)}
    code, printed = 0, ""
    for script, variables in steps(inputs):
        if "pip install" in script:
            assert '"$GITHUB_ACTION_PATH"' in script  # run below, once
            continue
        code, out, err = await shell(script, top, {**environment, **runner, **variables})
        printed += out
        assert "Traceback" not in err
    return code, printed, output.read_text()


async def test_the_action_passes_what_is_good_and_annotates_what_is_not(
    repository: tuple[Path, dict[str, str]],
) -> None:
    top, _ = repository
    code, printed, output = await act(repository, {"paths": "mail"})
    assert (code, output) == (0, "exit-code=0\n")
    # The samples give reason for one piece of advice.
    assert re.findall(r"^::(\w+) file=([^,]+)", printed, re.MULTILINE) == [
        ("warning", "mail/domains.yaml")
    ]
    inputs = {"paths": "mail broken", "sarif-file": "a b.sarif", "junit-file": "a.xml"}
    code, printed, output = await act(repository, inputs)
    assert (code, output) == (1, "exit-code=1\n")
    assert "::error file=broken/domain-spf-twice.yaml,line=11,col=3," in printed
    assert json.loads((top / "a b.sarif").read_text())["version"] == "2.1.0"
    assert (top / "a.xml").read_text().startswith("<?xml")


async def test_what_stands_in_an_input_is_no_script(
    repository: tuple[Path, dict[str, str]],
) -> None:
    top, _ = repository
    paths = "$(touch${IFS}owned) `touch${IFS}owned` ;touch *"
    code, _, _ = await act(repository, {"paths": paths, "arguments": "--offline"})
    assert code == 2
    assert not (top / "owned").exists()


async def test_the_package_installs_as_the_action_says(
    repository: tuple[Path, dict[str, str]],
) -> None:
    top, environment = repository
    script, _ = next(steps({}))
    code, _, err = await shell(script, top, {**environment, "GITHUB_ACTION_PATH": str(ROOT)})
    assert code == 0, err
    made = top.parent / "site"
    assert (made / "bin" / "postroom").exists()
    for name in ("reconcile/status/finding_fields.yaml", "cli/formats/github.py"):
        assert (made / "postroom" / name).exists()


async def test_the_job_of_gitlab_writes_the_reports_that_it_hands_over(
    repository: tuple[Path, dict[str, str]],
) -> None:
    top, environment = repository
    job = GITLAB["postroom-check"]
    install, check = job["script"]
    assert install.endswith('pip install --quiet --disable-pip-version-check "$POSTROOM_PACKAGE"')
    for paths, code in (("mail", 0), ("mail broken", 1)):
        variables = {**GITLAB["variables"], "POSTROOM_PATHS": paths}
        found, _, err = await shell(check, top, {**environment, **variables})
        assert (found, "Traceback" in err) == (code, False)
        reports = {name: top / file for name, file in job["artifacts"]["reports"].items()}
        issues = json.loads(reports["codequality"].read_text())
        assert any(issue["severity"] == "major" for issue in issues) is bool(code)
        assert reports["junit"].read_text().startswith("<?xml")


@pytest.mark.parametrize("hook", sorted(HOOKS))
async def test_hooks_pass_what_is_good_and_stop_what_is_not(
    hook: str, repository: tuple[Path, dict[str, str]]
) -> None:
    top, environment = repository
    said = HOOKS[hook]
    assert said["pass_filenames"] is False
    script = " ".join([said["entry"], *said["args"]])
    shutil.rmtree(top / "broken")
    (top / "notes.yaml").write_text("a: {{ of another tool }}\n")
    code, out, err = await shell(script, top, environment)
    assert code == 0, out + err
    text = (top / "mail" / "domains.yaml").read_text().replace("\n  domain:", "\n  domian:", 1)
    (top / "mail" / "domains.yaml").write_text(text)
    code, _, err = await shell(script, top, environment)
    assert code == 2
    assert "spec.domian: is not a field" in err
