# SPDX-License-Identifier: Apache-2.0
"""Records as a status lists them, which is what kubectl postroom prints: states, and what is
missing, undecided or not there yet."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.sendingdomain import Purpose
from postroom.cli.cluster import PluginError
from postroom.cli.plugin import domains
from postroom.cli.record_output import Layout, RecordFormat, text_for
from postroom.cli.status_records import show_status_records
from postroom.dns.answers import RecordType
from postroom.dns.publishing.records import PublishedRecord, ZoneRecords
from postroom.dns.texts.presentation import CannotPublish
from unit.dns.publishing_readers import from_zone_file

DOMAIN = "send.example.com"
BIND = Layout(RecordFormat.BIND)


def record(id: str, kind: str, value: str, state: str, name: str = DOMAIN) -> dict[str, Any]:
    return {
        "id": id,
        "purpose": "SPF" if value.startswith("v=spf1") else "MX",
        "name": name,
        "hostLabel": "send",
        "type": kind,
        "value": value,
        "required": True,
        "state": state,
        "observed": [],
    }


SPF_TEXT = "v=spf1 include:a.example.net -all"
VALID_MX = record("mx", "MX", "10 mx.example.net", "Valid")


def domain(*records: dict[str, Any], zone: str | None = "example.com") -> dict[str, Any]:
    status = {
        "conditions": [],
        "records": list(records),
        "zone": zone,
        "findings": [
            {
                "code": "SPF_MISSING",
                "severity": "Error",
                "subject": "spf",
                "message": "There is none.",
            }
        ],
    }
    return {"metadata": {"name": "one"}, "spec": {"domain": DOMAIN}, "status": status}


def spf(state: str) -> dict[str, Any]:
    return record("spf", "TXT", SPF_TEXT, state)


def test_the_table_shows_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_status_records([domain(spf("Missing"), VALID_MX)], Layout(), missing=False)
    title, header, first, second = capsys.readouterr().out.splitlines()
    assert title == "Zone example.com"
    assert header.split() == ["NAME", "TYPE", "PURPOSE", "REQUIRED", "STATE", "VALUE"]
    assert first.split() == ["send", "TXT", "SPF", "yes", "Missing", *SPF_TEXT.split()]
    assert second.split() == ["send", "MX", "MX", "yes", "Valid", "10", "mx.example.net"]


def test_without_a_zone_names_are_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_status_records([domain(VALID_MX, zone=None)], Layout(), missing=False)
    title, _, row = capsys.readouterr().out.splitlines()
    assert (title, row.split()[0]) == (DOMAIN, DOMAIN)


def test_only_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_status_records([domain(spf("Missing"), VALID_MX)], BIND, missing=True)
    out = capsys.readouterr().out
    assert from_zone_file(out) == {(DOMAIN, "TXT", SPF_TEXT.encode())}
    assert "; SPF, required: There is none.\n" in out
    assert not show_status_records([domain(VALID_MX)], BIND, missing=True)
    assert capsys.readouterr().out == ""
    assert not show_status_records([domain(VALID_MX)], Layout(), missing=True)
    assert capsys.readouterr().out == "Nothing is missing.\n"


@pytest.mark.parametrize("layout", [Layout(), BIND])
def test_what_is_published_and_fails_elsewhere_is_named_and_not_listed(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {**spf("Wrong"), "observed": [SPF_TEXT]}
    one = domain(broken, VALID_MX)
    one["status"]["findings"][0]["fix"] = {"action": "External"}
    assert show_status_records([one], layout, missing=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert f"nothing is to be published for the TXT at {DOMAIN}" in said.err
    assert "There is none." in said.err
    # What is missing beside it is listed all the same, and without --missing both are.
    one["status"]["records"][1] = {**VALID_MX, "state": "Missing"}
    assert show_status_records([one], BIND, missing=True)
    out = capsys.readouterr().out
    assert [kind for _, kind, _ in from_zone_file(out)] == ["MX"]
    assert SPF_TEXT not in out
    assert show_status_records([one], BIND, missing=False)
    assert SPF_TEXT in capsys.readouterr().out


def test_what_could_not_be_looked_at_is_not_guessed() -> None:
    # Publishing the bare record would take away what is there.
    with pytest.raises(CannotPublish, match="could not be asked for the TXT at send"):
        show_status_records([domain(spf("Unknown"))], BIND, missing=False)
    with pytest.raises(CannotPublish, match="could not be asked for the MX"):
        show_status_records([domain({**VALID_MX, "state": "Unknown"})], Layout(), missing=True)


@pytest.mark.parametrize("format", [RecordFormat.OCTODNS, RecordFormat.DNSENDPOINT])
def test_what_is_kept_for_others_is_marked_at_the_head(format: RecordFormat) -> None:
    ours = PublishedRecord(DOMAIN, RecordType.TXT, SPF_TEXT, purpose=Purpose.SPF)
    other = PublishedRecord(DOMAIN, RecordType.TXT, "verify=1\ninjected: x")
    text = text_for([ZoneRecords("example.com", (ours, other))], Layout(format))
    marks = [line for line in text.splitlines() if "there already, kept" in line]
    assert marks == [f'# there already, kept: {DOMAIN} TXT "verify=1\\010injected: x"']
    assert not [line for line in text.splitlines() if line.startswith("injected")]
    alone = text_for([ZoneRecords("example.com", (ours,))], Layout(format))
    assert "kept" not in alone


def test_a_domain_that_was_not_looked_at_yet() -> None:
    statuses: list[dict[str, Any] | None] = [None, {}, {"records": []}]
    for status in statuses:
        with pytest.raises(CannotPublish, match="one has no records in its status yet"):
            show_status_records([{**domain(), "status": status}], BIND, missing=False)


def test_a_value_that_only_others_know_is_still_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reverse = record("reverse", "PTR", "", "Missing", name="7.2.0.192.in-addr.arpa")
    assert show_status_records([domain(reverse, VALID_MX)], BIND, missing=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "There must also be a PTR at 7.2.0.192.in-addr.arpa" in said.err


def test_a_delegation_names_all_servers(capsys: pytest.CaptureFixture[str]) -> None:
    name = f"_domainkey.{DOMAIN}"
    one = domain(record("dkim-delegation", "NS", "a.example.net", "Missing", name=name))
    one["spec"]["dkimDelegation"] = ["b.example.net", "a.example.net"]
    assert show_status_records([one], BIND, missing=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if " NS " in line] == [
        "a.example.net.",
        "b.example.net.",
    ]


def test_names_of_domains() -> None:
    assert [name for _, name in domains(["one", "sdom/two"])] == ["one", "two"]
    assert [name for _, name in domains([])] == [None]
    with pytest.raises(PluginError, match="has no DNS records"):
        domains(["emailaccount/one"])


@pytest.mark.parametrize("part", ["records", "findings"])
@pytest.mark.parametrize("change", [{"future": 1}, {"state": "Future", "severity": "Future"}])
def test_what_is_understood_in_part_alone_is_not_published(
    part: str, change: dict[str, Any]
) -> None:
    """A record may be missing then, or what a fix leaves as it is."""
    told = domain(VALID_MX, spf("Missing"))
    told["status"][part][-1] |= change
    with pytest.raises(CannotPublish, match="newer than this postroom"):
        show_status_records([told], BIND, missing=False)


def test_what_else_a_status_tells_keeps_no_record_from_being_published(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = domain(spf("Missing"))
    told["status"] |= {"future": 1, "conditions": [{"type": "Future"}]}
    assert show_status_records([told], BIND, missing=False)
    assert SPF_TEXT in capsys.readouterr().out
