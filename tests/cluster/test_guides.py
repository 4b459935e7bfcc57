# SPDX-License-Identifier: Apache-2.0
"""Every guide of docs/guides is followed on the real API server, with the lab's DNS and servers.

Covers: each page from its first block to its last, after those that it builds on; that incoming
mail becomes tickets, and nothing comes twice over restarts of the worker; that the harness
names page and line of what is not true, and takes nothing for true that it does not understand.
"""

from __future__ import annotations

import json
import os
import shutil
import smtplib
import ssl
import subprocess
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dns.query
import dns.rcode
import dns.update
import dns.zone
import pytest
import yaml

from cluster import forked, mail_worker, services
from cluster.api_client import create_namespace, delete_namespace, service_account_kubeconfig
from cluster.guides import GUIDES, GuideError, Reader, builds_on, matches, search_path, steps_of
from cluster.lab_process import LabProcess
from cluster.mail_worker import TicketsProcess, worker_rights
from cluster.objects import eventually
from loopback import own_address
from postroom.lab import operator_process
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import OWNERSHIP_KEY_FILE, PASSWORDS, SUBMISSION_PORT
from postroom.lab.operator_process import ROOT, OperatorProcess

#: From the last to the first, as no reader goes: what a page stands on is what it links, and no
#: page may leave anything behind that another one trips over.
PAGES = sorted((path for path in GUIDES.glob("*.md") if path.name != "README.md"), reverse=True)
NAMESPACE = "guides"


def publish_in(lab: LabProcess, text: str) -> None:
    """Put the records of a zone file in the place of all of their names and types."""
    zone = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
    update = dns.update.UpdateMessage("example.com")
    for name, rdataset in zone.iterate_rdatasets():
        update.replace(name, rdataset)
    answer = dns.query.tcp(update, lab.reach.address, port=lab.reach.dns_port, timeout=60)
    assert answer.rcode() == dns.rcode.NOERROR
    time.sleep(1.1)  # the TTL of what was there


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader works."""
    return tmp_path_factory.mktemp("guides")


@pytest.fixture(scope="module")
def tickets(directory: Path) -> Iterator[TicketsProcess]:
    """The application that a guide hands mail to."""
    process = TicketsProcess(own_address(24), directory)
    with process.running():
        yield process


@pytest.fixture(scope="module")
def worker(
    installed: ControlPlane, lab: LabProcess, directory: Path, tickets: TicketsProcess
) -> Iterator[OperatorProcess]:
    """`postroom deliver`, with the rights that users install."""
    scratch = directory / "worker"
    scratch.mkdir()
    with worker_rights(installed, scratch):
        kubeconfig = service_account_kubeconfig(installed, scratch, mail_worker.ACCOUNT)
        flags = (
            *lab.reach.network_flags,
            f"--allow-cidr={tickets.address}/32",
            f"--namespace={NAMESPACE}",
            f"--spool-dir={scratch}",
            # As in a Pod: without a Lease nobody can know that it is at work.
            *("--leader-election", f"--leader-election-namespace={operator_process.NAMESPACE}"),
        )
        with OperatorProcess(kubeconfig, scratch, flags, "deliver") as process:
            yield process


@pytest.fixture(scope="module")
def typed() -> Iterator[Path]:
    """Where the commands are that a reader types; the page of the start has them real."""
    with forked.typed() as place:
        yield place


@pytest.fixture(scope="module")
def reader(
    installed: ControlPlane,
    lab: LabProcess,
    directory: Path,
    tickets: TicketsProcess,
    worker: OperatorProcess,
    typed: Path,
) -> Iterator[Reader]:
    """One reader for all pages, in a namespace of their own, with an operator that runs."""
    kubeconfig = yaml.load(installed.kubeconfig.read_text(), Loader=yaml.CSafeLoader)
    for context in kubeconfig["contexts"]:
        context["context"]["namespace"] = NAMESPACE
    (directory / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    authority = next(yaml.load_all(lab.manifest.read_text(), Loader=yaml.CSafeLoader))
    del authority["metadata"]["namespace"]
    (directory / "lab-ca.yaml").write_text(yaml.safe_dump(authority))
    commands = directory / "commands"
    commands.mkdir()
    (commands / "kubectl").symlink_to(installed.kubectl_path)
    environment = {
        "PATH": search_path(typed, commands),
        "KUBECONFIG": str(directory / "kubeconfig"),
        "LAB": lab.reach.address,
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "POSTROOM_DNS_RESOLVERS": f"{lab.reach.address}:{lab.reach.dns_port}",
        "POSTROOM_DNS_AUTHORITATIVE_PORT": str(lab.reach.dns_port),
        "POSTROOM_ALLOW_CIDRS": f"{lab.reach.address}/32",
        "POSTROOM_ALLOW_PORTS": "2587,2465,2993",
        "POSTROOM_OWNERSHIP_KEY_FILE": str(OWNERSHIP_KEY_FILE),
    }
    operator = OperatorProcess(
        service_account_kubeconfig(installed, directory), directory, lab.reach.flags
    )
    create_namespace(installed, NAMESPACE)
    # A checkout, and the way to Pods, of which there is none here.
    (directory / "postroom").symlink_to(ROOT)
    services.expose(installed, NAMESPACE, "tickets", tickets.address, tickets.port)
    with operator:
        yield Reader(directory, environment, lambda text: publish_in(lab, text))
    delete_namespace(installed, NAMESPACE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_guide_is_true(reader: Reader, page: Path) -> None:
    reader.follow(page)


def test_mail_of_the_guide_is_a_ticket_and_a_restart_repeats_nothing(
    reader: Reader, worker: OperatorProcess, tickets: TicketsProcess, lab: LabProcess
) -> None:
    reader.follow(GUIDES / "incoming-mail.md")
    asked = (1, f"{NAMESPACE}/support", "ann@example.net", "The printer")
    eventually(lambda: tickets.messages() == [asked], "a ticket")
    certificate = (reader.directory / "lab-ca.crt").read_text()
    post(lab, certificate, "Ben <ben@example.net>", "<1@example.net>")
    answer = (1, f"{NAMESPACE}/support", "Ben <ben@example.net>", "Re: The printer")
    eventually(lambda: tickets.messages() == [asked, answer], "its answer")

    # What comes while nobody carries it waits in the mailbox.
    assert worker.stop() == 0, worker.tail()
    stored = inbound_of(reader)
    post(lab, certificate, "Cleo <cleo@example.net>", "<1@example.net>")
    worker.start()
    eventually(lambda: len(tickets.messages()) == 3, "it comes")
    assert worker.stop() == 0, worker.tail()
    worker.start()
    assert inbound_of(reader)["cursors"][0]["uid"] == stored["cursors"][0]["uid"] + 1
    assert [ticket for ticket, *_ in tickets.messages()] == [1, 1, 1]
    assert tickets.posts == ["204"] * 3


def inbound_of(reader: Reader) -> Any:
    """What status has of incoming mail."""
    command = ("kubectl", "get", "emailaccount", "support", "-o", "jsonpath={.status.inbound}")
    environment = {**os.environ, **reader.environment}
    return json.loads(subprocess.run(command, env=environment, capture_output=True).stdout)


def post(lab: LabProcess, certificate: str, sender: str, answers: str) -> None:
    """Send an answer to the account's address, as anybody in the lab may."""
    message = EmailMessage()
    message["From"], message["Subject"] = sender, "Re: The printer"
    message["In-Reply-To"] = answers
    message.set_content("With water?")
    trusting = ssl.create_default_context(cadata=certificate)
    trusting.check_hostname = False  # it is that of smtp.mail.example.org
    with smtplib.SMTP(lab.reach.address, SUBMISSION_PORT, timeout=60) as client:
        client.starttls(context=trusting)
        client.login("support@send.example.com", PASSWORDS["support@send.example.com"])
        client.send_message(message, "ann@example.net", ["support@send.example.com"])


def test_the_index_and_the_readme_link_every_guide() -> None:
    index = (GUIDES / "README.md").read_text()
    assert all(f"]({page.name})" in index for page in PAGES)
    assert "](docs/guides/README.md)" in (GUIDES.parents[1] / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_guide_has_what_a_reader_looks_for(page: Path) -> None:
    headings = [line[3:] for line in page.read_text().splitlines() if line.startswith("## ")]
    assert headings == [
        "What you have",
        "The YAML",
        "The commands",
        "What you read in status",
        "If it is not so",
    ]
    assert steps_of(page)
    assert page.name not in builds_on(page)


@pytest.mark.parametrize(
    ("shows", "output", "is_so"),
    [
        ("a  b", "a b\n", True),
        ("a", "a\nb\n", False),
        ("a\n...", "a\nb\nc\n", True),
        ("...\nc", "a\nb\nc\n", True),
        ("...\nb", "a\nb\nc\n", False),
        ("a ... c", "a 1 2 c\n", True),
        ("a ... c", "a\nc\n", False),
        ("...", "", True),
        ("a.b", "axb\n", False),
        ("a", "", False),
    ],
)
def test_what_a_page_shows_is_all_that_comes(shows: str, output: str, is_so: bool) -> None:
    assert matches(tuple(shows.splitlines()), output) is is_so


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\n```console\n$ echo a\nb\n```\n", "page.md:3: `echo a` ended with 0"),
        ("```console\n$ true\n$ false\n```\n", "page.md:3: `false` ended with 1"),
        ("```console\n$ false\n$ echo $?\n0\n```\n", "page.md:3: `echo $?` ended with 0"),
        ("```console\na\n```\n", "page.md:2: what is shown comes before any command"),
        ("```yaml\na: b\n```\n", "page.md:2: the first line must be # NAME.yaml"),
        ("```sh\ntrue\n```\n", "page.md:2: a block of sh"),
        ("\n```console\n$ true\n", "page.md:3: the block does not end"),
    ],
)
def test_what_is_not_true_is_told_by_page_and_line(tmp_path: Path, text: str, message: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(GuideError) as caught:
        Reader(tmp_path, {}, lambda _: None).follow(page)
    assert str(caught.value).startswith(message)


def test_a_page_is_followed_after_those_that_it_builds_on(tmp_path: Path) -> None:
    assert shutil.which("bash")
    earlier, later = tmp_path / "earlier.md", tmp_path / "later.md"
    earlier.write_text("```yaml\n# made.yaml\na: b\n```\n")
    later.write_text(
        "# Later\n\n## What you have\n\n[earlier](earlier.md)\n\n"
        "## The commands\n\n```console\n$ cat made.yaml | \\\n    tail -1\na: b\n```\n"
    )
    Reader(tmp_path, {}, lambda _: None).follow(later)
