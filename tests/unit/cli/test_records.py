# SPDX-License-Identifier: Apache-2.0
"""`postroom records` without a network: input, outputs, exit codes, and words on mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.cli.main import main
from postroom.dns.ownership import challenge
from unit.dns.domains import RSA
from unit.dns.publishing_readers import (
    Fact,
    from_cloudflare,
    from_dns_endpoints,
    from_google,
    from_route53,
    from_zone_file,
)

DOMAIN = "send.example.com"
KEY = "an-ownership-key-of-tests"
SPEC: dict[str, Any] = {
    "domain": DOMAIN,
    "spf": {"includes": ["spf.provider.net"]},
    "dkim": [
        {"selector": "k1", "cname": "k1.provider.net"},
        {"selector": "s1", "publicKeyRef": {"name": "dkim", "key": "public"}},
    ],
    "dmarc": {"policy": "none"},
    "mx": [{"host": "mx.provider.net"}],
    "require": ["Ownership", "DKIM"],
}


def sending_domain(name: str = "one", **more: Any) -> dict[str, Any]:
    spec = {key: value for key, value in {**SPEC, **more}.items() if value is not None}
    metadata = {"name": name, "namespace": "mail"}
    return {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": "SendingDomain",
        "metadata": metadata,
        "spec": spec,
    }


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "dkim",
        "namespace": "mail",
        "annotations": {"postroom.dev/allow": "dkim-public-key"},
    },
    "stringData": {"public": RSA},
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write objects to a file; the ownership key stands in the environment."""
    monkeypatch.setenv("POSTROOM_OWNERSHIP_KEY", KEY)

    def put(*objects: dict[str, Any], name: str = "domain.yaml") -> str:
        path = tmp_path / name
        path.write_text(yaml.safe_dump_all(objects, sort_keys=False))
        return str(path)

    return put


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["records", *arguments])
    code = ended.value.code
    said = capsys.readouterr()
    return int(code or 0), said.out, said.err


def wanted() -> set[Fact]:
    name, token = challenge(KEY.encode(), "mail", DOMAIN)
    text = {
        name: token,
        DOMAIN: "v=spf1 include:spf.provider.net ~all",
        f"s1._domainkey.{DOMAIN}": f"v=DKIM1; k=rsa; p={RSA}",
        f"_dmarc.{DOMAIN}": "v=DMARC1; p=none",
    }
    return {(name, "TXT", value.encode()) for name, value in text.items()}


def texts(found: set[Fact]) -> set[Fact]:
    return {one for one in found if one[1] == "TXT"}


def test_the_table(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, write(sending_domain(), SECRET))
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[1] == ["NAME", "TYPE", "PURPOSE", "REQUIRED", "VALUE"]
    key = next(row for row in rows if row[0] == f"s1._domainkey.{DOMAIN}")
    assert key[1:4] == ["TXT", "DKIM", "yes"]
    # Whole, on one line: it is there to be copied.
    assert key[-1] == f"p={RSA}"
    assert [DOMAIN, "MX", "MX", "no", "10", "mx.provider.net"] in rows


def test_names_are_as_the_dns_host_wants_them_where_the_zone_is_known(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, write(sending_domain(), SECRET), "--zone=example.com.")
    assert out.splitlines()[0] == "Zone example.com"
    listed, told = out.splitlines()[2:-2], out.splitlines()[-2:]
    assert {line.split()[0] for line in listed} == {
        "_postroom-challenge.send",
        "k1._domainkey.send",
        "s1._domainkey.send",
        "send",
        "_dmarc.send",
    }
    assert [line.split()[0] for line in told] == ["send.example.com", "_dmarc.send.example.com"]
    assert all("do not replace it nor add a second: merge the two" in line for line in told)


@pytest.mark.parametrize(
    ("arguments", "reader"),
    [
        (["bind"], from_zone_file),
        (["dnsendpoint"], from_dns_endpoints),
        (["terraform"], from_cloudflare),
        (["terraform", "--terraform-provider=route53"], from_route53),
        (["terraform", "--terraform-provider=google"], from_google),
    ],
)
def test_every_format_says_the_same(
    write: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], reader: Any
) -> None:
    file = write(sending_domain(), SECRET)
    code, out, err = run(capsys, file, "--zone=example.com", "-o", *arguments)
    assert (code, err) == (0, "")
    found = reader(out)
    assert texts(found) == wanted()
    assert {(name, kind) for name, kind, _ in found - texts(found)} == {
        (f"k1._domainkey.{DOMAIN}", "CNAME"),
        (DOMAIN, "MX"),
    }


def test_octodns(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(sending_domain(), SECRET)
    code, out, _ = run(capsys, file, "--zone=example.com", "-o", "octodns", "--ttl=300")
    document = yaml.load(out, Loader=yaml.CSafeLoader)
    assert code == 0
    assert document["_dmarc.send"] == {"ttl": 300, "type": "TXT", "value": "v=DMARC1\\; p=none"}
    assert [one["type"] for one in document["send"]] == ["MX", "TXT"]


def test_a_whole_zone(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(sending_domain(), SECRET)
    flags = ("--zone=example.com", "-o", "bind", "--nameserver=ns1.example.net.")
    code, out, _ = run(capsys, file, *flags)
    assert code == 0
    assert texts(from_zone_file(out, whole=True)) == wanted()


def test_a_domain_without_a_file(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("Send.Example.com.", "-n", "mail", "-o", "bind")
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    name, token = challenge(KEY.encode(), "mail", DOMAIN)
    assert from_zone_file(out) == {(name, "TXT", token.encode())}


def test_domains_in_a_directory_share_the_zones_that_hold_them(
    write: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plain = {"dkim": None, "require": None}
    write(sending_domain("one", **plain), name="one.yaml")
    write(sending_domain("two", domain="example.com", **plain), name="two.yaml")
    write(sending_domain("three", domain="example.net", **plain), name="three.yml")
    code, out, err = run(capsys, str(tmp_path), "-o", "bind")
    assert (code, err) == (0, "")
    origins = [line for line in out.splitlines() if line.startswith("$ORIGIN")]
    assert sorted(origins) == ["$ORIGIN example.com.", "$ORIGIN example.net."]
    code, out, err = run(capsys, str(tmp_path), "-o", "octodns")
    assert (code, out) == (2, "")
    assert "octoDNS has one file per zone" in err


def test_a_record_of_another_zone_is_named(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    plain: dict[str, Any] = {"dkim": None, "require": None, "dmarc": None, "mx": None}
    ownership = {"value": "x=y"}
    other = sending_domain("two", domain="example.org", spf=None, ownership=ownership, **plain)
    file = write(sending_domain(**plain), other)
    code, out, err = run(capsys, file, "-o", "bind", "--zone=example.com")
    assert code == 0
    assert "x=y" not in out
    assert "example.org is not in the zone example.com. Publish there" in err
    assert err.endswith('TXT "x=y"\n')


def test_a_secret_that_is_not_declared_public_is_not_read(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    undeclared = {**SECRET, "metadata": {"name": "dkim", "namespace": "mail"}}
    said = fails(capsys, write(sending_domain(), undeclared))
    assert "Secret dkim (spec.dkim[1].publicKeyRef) is not declared public" in said
    assert RSA[:16] not in said


def test_a_public_key_may_stand_in_a_config_map(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = {"kind": "ConfigMap", "name": "dkim", "key": "public"}
    holder = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dkim", "namespace": "mail"},
        "data": {"public": RSA},
    }
    keys = [{"selector": "s1", "publicKeyRef": reference}]
    code, out, _ = run(capsys, write(sending_domain(dkim=keys), holder), "-o", "terraform")
    assert code == 0
    assert RSA[:64] in out


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_mistakes_have_file_and_line(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(sending_domain())
    assert f"{file}:15: spec.dkim[1].publicKeyRef: the input has no Secret dkim" in fails(
        capsys, file
    )
    file = write(sending_domain(dkim=[{"selector": "s1", "publicKey": "A" * 44}]))
    assert f"{file}:13: spec.dkim[0].publicKey: " in fails(capsys, file)
    file = write(sending_domain(domain="-"))
    assert f"{file}:7: spec.domain: must be a domain name" in fails(capsys, file)
    assert "there is no SendingDomain in the input" in fails(capsys, write(SECRET))
    assert "there is no such file" in fails(capsys, "nowhere/domain.yaml")
    assert "there is no such file" in fails(capsys, "domain.yaml")


def test_two_records_that_rule_each_other_out(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    other = sending_domain("two", dkim=None, spf={"includes": ["other.net"]}, require=None)
    file = write(sending_domain("one", dkim=None, require=None), other)
    said = fails(capsys, file)
    assert f"{file}:21: " in said
    assert f"asks for a TXT record at {DOMAIN} of which there may be only one" in said


def test_a_provider_is_enough(capsys: pytest.CaptureFixture[str], write: Any) -> None:
    code, out, _ = run(capsys, DOMAIN, "--provider=Fastmail", "-o", "bind")
    assert code == 0
    found = from_zone_file(out)
    assert {name for name, kind, _ in found if kind == "CNAME"} == {
        f"fm{number}._domainkey.{DOMAIN}" for number in (1, 2, 3)
    }
    assert (DOMAIN, "TXT", b"v=spf1 include:spf.messagingengine.com ~all") in found
    assert "--set" in fails(capsys, DOMAIN, "--provider=AmazonSES", "--set=region=eu-west-1")


@pytest.mark.parametrize(("verb", "more"), [("check", ["--offline"]), ("records", [])])
def test_no_provider_is_said_alike_to_each_verb(
    verb: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([verb, "domain.invalid", "--provider", "None", *more])
    assert "must be one of" not in capsys.readouterr().err


def test_what_only_others_know_is_said(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(sending_domain(dkim=None, require=None, sendingIPs=["192.0.2.7"]))
    code, out, err = run(capsys, file, "-o", "bind")
    assert code == 0
    assert "PTR" not in out
    assert "There must also be a PTR at 7.2.0.192.in-addr.arpa" in err


def test_flags_that_do_not_fit(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(sending_domain(), SECRET)
    assert "go with a domain" in fails(capsys, file, "--provider=Mailgun")
    assert "--set takes KEY=VALUE" in fails(capsys, DOMAIN, "--set=region")
    assert "given twice" in fails(capsys, DOMAIN, "--set=a=1", "--set=a=2")
    assert "--provider: must be one of" in fails(capsys, DOMAIN, "--provider=Nobody")
    assert "DOMAIN: must be a domain name" in fails(capsys, "no_where.-example.com")
    assert "correct --zone" in fails(capsys, file, "--zone=example.org")
    assert "--dns-resolver" in fails(capsys, file, "--live", "--dns-resolver=nowhere")


def test_a_token_without_the_operators_key_is_warned_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("POSTROOM_OWNERSHIP_KEY", raising=False)
    code, out, err = run(capsys, DOMAIN)
    assert code == 0
    assert "give --ownership-key-file" in err
    key = tmp_path / "key"
    key.write_text(KEY)
    code, with_key, err = run(capsys, DOMAIN, f"--ownership-key-file={key}", "-n", "mail")
    assert (code, err) == (0, "")
    assert challenge(KEY.encode(), "mail", DOMAIN)[1] in with_key
    assert with_key != out


@pytest.mark.parametrize("output", ["table", "bind", "terraform", "dnsendpoint", "octodns"])
def test_whoever_did_not_look_is_told_to_merge(
    write: Any, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    _, out, _ = run(capsys, write(sending_domain(), SECRET), "--zone=example.com", "-o", output)
    assert out.count("if there is one at this name already, do not replace it") == 2
