# SPDX-License-Identifier: Apache-2.0
"""The plugins for k9s: each runs a verb of the plugin that there is, on what it is offered for.

That k9s' own schema takes them, and that the commands work, is shown by
tests/cluster/test_integrations.py.
"""

import subprocess
from pathlib import Path

import pytest
import typer.main

from k9s import PLUGINS, command
from postroom.api.names import Kind
from postroom.cli.plugin import app

EACH = pytest.mark.parametrize("name", PLUGINS["plugins"])
VARIABLES = {
    "NAMESPACE": "mail",
    "NAME": "support",
    "CONTEXT": "admin@cluster $(touch here)",
    "KUBECONFIG": "/home/me/$(touch here)/a:/b c",
    "RESOURCE_NAME": "emailaccounts",
}
VERBS = typer.main.get_command(app)


@EACH
def test_a_plugin_runs_a_verb_with_its_options(name: str) -> None:
    shell, flag, script, zero, kubeconfig, verb, *arguments = command(name, VARIABLES)
    assert (shell, flag, zero, kubeconfig) == ("sh", "-c", "postroom", VARIABLES["KUBECONFIG"])
    assert script.endswith('; kubectl postroom "$@" 2>&1 | less -R -K')
    known = VERBS.commands[verb]  # type: ignore[attr-defined]
    parsed = known.make_context(verb, arguments).params
    assert (parsed["namespace"], parsed["context"]) == ("mail", VARIABLES["CONTEXT"])
    target = parsed.get("names") or [parsed["name"]]
    assert target == ["emailaccounts/support"]


@EACH
@pytest.mark.parametrize(("own", "given"), [("/own", "/theirs"), ("/own", ""), (None, "")])
def test_the_cluster_is_the_one_that_k9s_shows(
    name: str, own: str | None, given: str, tmp_path: Path
) -> None:
    """k9s hands on its --kubeconfig, else what KUBECONFIG is, which may be nothing."""
    (tmp_path / "kubectl").write_text('#!/bin/sh\necho "[$KUBECONFIG] $*"\n')
    (tmp_path / "less").write_text("#!/bin/sh\ncat\n")
    for program in ("kubectl", "less"):
        (tmp_path / program).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    environment |= {"KUBECONFIG": own} if own is not None else {}
    press = command(name, {**VARIABLES, "KUBECONFIG": given or own or ""})
    ran = subprocess.run(
        press, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    verb = PLUGINS["plugins"][name]["args"][4]
    words = f"postroom {verb} emailaccounts/support --namespace=mail"
    assert ran.stdout == f"[{given or own or ''}] {words} --context={VARIABLES['CONTEXT']}\n"
    assert not (tmp_path / "here").exists()


def test_what_asks_for_something_is_not_offered_where_k9s_only_reads() -> None:
    reads = {"status", "records"}
    for plugin in PLUGINS["plugins"].values():
        assert plugin.get("dangerous", False) is (plugin["args"][4] not in reads)


@EACH
def test_nothing_of_an_object_or_context_is_read_by_the_shell(name: str) -> None:
    script = PLUGINS["plugins"][name]["args"][1]
    assert not any(f"${variable}" in script for variable in VARIABLES)


def test_keys_are_taken_once_and_sending_asks_first() -> None:
    plugins = PLUGINS["plugins"].values()
    assert len({plugin["shortCut"] for plugin in plugins}) == len(plugins)
    assert {plugin["args"][4] for plugin in plugins if plugin["confirm"]} == {"test"}
    everything = {kind.plural for kind in Kind}
    for plugin in plugins:
        assert {*plugin["scopes"]} <= everything
    assert all(
        {*PLUGINS["plugins"][f"postroom-{verb}"]["scopes"]} == everything
        for verb in ("status", "verify")
    )
