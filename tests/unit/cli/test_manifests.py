# SPDX-License-Identifier: Apache-2.0
"""Reading manifests: every complaint names file and line, and nothing in a file raises."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.api import crd
from postroom.api.names import Key, Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.cli.manifests import Manifests, is_meant_for_us, load

GOOD = """\
apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata:
  name: good
spec:
  domain: send.example.com
"""


def read(directory: Path, text: str | bytes, name: str = "a.yaml") -> Manifests:
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load([path], "default")


def complaints(directory: Path, text: str) -> list[str]:
    found = read(directory, text)
    return [f"{complaint.line}: {complaint.message}" for complaint in found.complaints]


def test_a_good_file(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert list(found.resources) == [Key(Kind.SENDING_DOMAIN, "default", "good")]
    assert found.complaints == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("  domain: send.example.com", "  domain: [x"), "7: is not YAML: "),
        (("send.example.com", "Send.example.com"), "6: spec.domain: must be a domain name"),
        (("send.example.com", "7"), "6: spec.domain: must be"),
        (
            ("  domain: send.example.com", "  domian: x.example.com"),
            "6: spec.domian: is not a field",
        ),
        (("v1alpha1", "v2"), "1: apiVersion: must be postroom.dev/v1alpha1"),
        (("kind: SendingDomain", "kind: SendDomain"), "2: kind: must be one of SendingDomain, "),
        (("  name: good", "  namespace: x"), "3: metadata.name: is required"),
        (("metadata:", "metadata: &a\n  more: *b"), "4: is not YAML: found undefined alias"),
        (("spec:", "extra: 1\nspec:"), "5: extra: is not a field of this kind"),
        (("  domain: ", "  domain: a.example.com\n  domain: "), "7: spec.domain is given twice"),
        (("kind: SendingDomain\n", ""), "1: kind: must be one of"),
        (("spec:\n  domain: send.example.com", "spec: 5"), "5: spec: must be a mapping"),
        (("spec:", "spec:\n  provider: Mailgnu"), "6: spec.provider: must be one of"),
        (
            ("spec:", "spec:\n  provider: Mailgun\n  parameters: {region: Mars}"),
            "7: spec.parameters.region: must be one of",
        ),
        (
            ("spec:", "spec:\n  provider: Mailgun\n  parameters:\n    regoin: EU"),
            "8: spec.parameters.regoin: is no parameter of Mailgun",
        ),
        (("name: good", "name: Good_One"), "4: metadata.name: must be lowercase letters"),
        (
            ("name: good", f"name: {'a' * 254}"),
            "4: metadata.name: must be at most 253 characters, and has 254",
        ),
        (("name: good", "name: a..b"), "4: metadata.name: must be"),
        (("name: good", "name: a-"), "4: metadata.name: must be"),
        (
            ("name: good", "name: good\n  namespace: a.b"),
            "5: metadata.namespace: must be lowercase letters, digits and '-'",
        ),
        (("name: good", "name: good\n  namespace: Mail"), "5: metadata.namespace: must be"),
        (("  domain:", "\tdomain:"), "6: has a tab where YAML wants spaces"),
        (("send.example.com", "{{ .Values.domain }}"), "6: looks like a template ({{"),
        (("send.example.com", '"{{ domain }}"'), "6: spec.domain: looks like a template ({{ dom"),
        (("send.example.com", "${DOMAIN}"), "6: spec.domain: looks like a template (${DOMAIN}"),
        (("spec:", "{{- if .Values.mail }}\nspec:"), "5: looks like a template"),
    ],
)
def test_complaints_name_the_line(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    said = complaints(tmp_path, GOOD.replace(*change))
    assert any(one.startswith(complaint) for one in said), said


@pytest.mark.parametrize("name", ["name: Good_One", "labels: {a: b}"])
def test_a_wrong_name_hides_no_other_fault(tmp_path: Path, name: str) -> None:
    said = complaints(tmp_path, GOOD.replace("name: good", name).replace("spec:", "spec:\n  x: 1"))
    assert [one.partition(": ")[2].partition(":")[0] for one in said] == ["metadata.name", "spec.x"]


#: What is written, for which field of which kind, and what is offered.
MEANT = [
    ("SendingDomain", "domain: bücher.example", "did you mean xn--bcher-kva.example?"),
    ("SendingDomain", "domain: Send.Example.COM.", "did you mean send.example.com?"),
    ("SendingDomain", "domain: a.example\n  provider: Mailgnu", "did you mean Mailgun?"),
    ("SendingDomain", "domain: a.example\n  provider: fastmail", "did you mean Fastmail?"),
    ("SendingDomain", "domain: a.example\n  provider: SES", "did you mean AmazonSES?"),
    ("SendingDomain", "domain: a.example\n  provider: Office365", "did you mean Microsoft365?"),
    ("SendingDomain", "domain: a.example\n  dkimm: []", "did you mean dkim?"),
    (
        "SendingDomain",
        "domain: a.example\n  dkim: [{selectr: a, cname: b.example}]",
        "did you mean selector?",
    ),
    ("SendingDomain", "domain: a.example\n  dmarc: {policy: Reject}", "did you mean reject?"),
    ("SendingDomain", "domain: a.example\n  spf: {include: [b.example]}", "did you mean includes?"),
    ("MailServer", "provider: O365", "did you mean Microsoft365?"),
    ("MailServer", "provider: sendgrid", "did you mean SendGrid?"),
    ("MailServer", "host: SMTP.example.com", "did you mean smtp.example.com?"),
    ("MailServer", "host: smtps://smtp.example.com:465", "did you mean smtp.example.com?"),
    ("MailServer", "hostname: smtp.example.com", "did you mean host?"),
    ("MailServer", "host: smtp.example.com\n  tls: {mode: starttls}", "did you mean StartTLS?"),
    ("MailServer", "host: smtp.example.com\n  tls: {mode: SSL}", "did you mean Implicit?"),
    (
        "MailServer",
        "host: smtp.example.com\n  credentialsRef: {naem: x}",
        "did you mean name?",
    ),
    ("EmailAccount", "address: Desk <desk@Example.com>", "did you mean desk@example.com?"),
    ("EmailAccount", "adress: desk@example.com", "did you mean address?"),
    ("EmailAccount", "serverRef: {name: s, ns: x}", "did you mean namespace?"),
    ("EmailAccount", "serverRef: {name: s, namespce: x}", "did you mean namespace?"),
    ("EmailAccount", "domainPolicy: Mandatory", "did you mean Required?"),
    ("EmailAccount", "domainPolicy: None", "did you mean IfDeclared?"),
    ("EmailAccount", "owner: {email: ops@example.com}", "did you mean contact?"),
    ("EmailAccount", "owner: {name: ops}", "did you mean team?"),
    ("EmailAccount", "purpose: Sales", "did you mean NewBusiness?"),
    ("EmailAccount", "ai: {enabled: false}", "did you mean inbound?"),
    ("EmailAccount", "inbound: {ai: {behavior: none}}", "did you mean Disabled?"),
    ("EmailAccount", "technicalAddress: a@b.example", "did you mean forwarding?"),
    ("EmailAccount", "receiverRef: {name: b}", "did you mean forwarding?"),
    ("EmailAccount", "forwarding: {to: b@c.example}", "did you mean technicalAddress?"),
    ("EmailAccount", "sendLimits: {perDay: 5}", "did you mean daily?"),
    ("EmailAccount", "sendLimits: {perHour: 5}", "did you mean hourly?"),
    ("EmailAccount", "secretName: x", "did you mean binding?"),
    ("MailServer", "host: a.example\n  allowedNamespaces: {from: Selector}", "did you mean Names?"),
    ("SendingDomain", "domain: a.example\n  externalDNS: true", "did you mean publish?"),
    (
        "SendingDomain",
        "domain: a.example\n  receivers: [Gmail]",
        "did you mean bulkSenderProfiles?",
    ),
    (
        "SendingDomain",
        "domain: a.example\n  publish: {via: external-dns, records: [DKIM]}",
        "must be 'ExternalDNS': did you mean ExternalDNS?",
    ),
    (
        "SendingDomain",
        "domain: a.example\n  publish: {via: ExternalDNS, records: [TLSA]}",
        "'MTASTS', 'TLSRPT' or 'BIMI'",
    ),
    (
        "EmailAccount",
        "forwarding: {receiverRef: {name: b, namespace: c}}",
        "what is named here stands in the namespace of the object itself",
    ),
    (
        "EmailAccount",
        "credentialsRef: {name: b, namespace: c}",
        "what is named here stands in the namespace of the object itself",
    ),
    ("EmailAccount", "serverRef: s", "must be a mapping of fields: name, namespace"),
    ("EmailAccount", "binding: true", "must be a mapping of fields: secretName, default"),
    (
        "EmailAccount",
        "sendLimits: 50",
        "must be a mapping of fields: daily, hourly, window, rampUp",
    ),
    (
        "SendingDomain",
        "domain: a.example\n  dkim: [k1]",
        "dkim[0]: must be a mapping of fields such as selector, cname, publicKey, publicKeyRef",
    ),
    (
        "SendingDomain",
        "domain: a.example\n  publish: {via: ExternalDNS, records: []}",
        "must have at least 1 entry",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "offered"), MEANT)
def test_what_was_meant_is_offered(tmp_path: Path, kind: str, spec: str, offered: str) -> None:
    text = GOOD.replace("SendingDomain", kind).replace("domain: send.example.com", spec)
    assert any(complaint.endswith(offered) for complaint in complaints(tmp_path, text))


def test_nothing_is_offered_for_what_resembles_nothing(tmp_path: Path) -> None:
    text = GOOD.replace("domain: send", "zzyzx: 1\n  domain: send")
    assert complaints(tmp_path, text) == ["6: spec.zzyzx: is not a field of this kind"]


def test_a_kind_that_is_nearly_one_is_offered(tmp_path: Path) -> None:
    said = complaints(tmp_path, GOOD.replace("SendingDomain", "sendingdomain"))
    assert said[0].endswith("did you mean SendingDomain?")


#: Values of every wrong type, put at every field.
WRONG: list[object] = [None, 7, -1, 7.5, True, "x", "", [], ["x"], {}, {"x": 1}, [[]], "x" * 5000]
_PYDANTIC = re.compile(
    r"Input should|valid (string|integer|dictionary|list|boolean)|instance of|dictionary|pydantic|"
    r"(?<!')\bNone\b(?!')|NoneType|\bdict\b|\bstr\b|\bint\b|\bbool\b|Extra inputs|Field required|"
    r"should match|\^|\(\?|Value error|type=",
)


def _fields(schema: dict[str, Any]) -> Iterator[tuple[str | int, ...]]:
    for name, inner in schema.get("properties", {}).items():
        yield (name,)
        yield from ((name, *rest) for rest in _fields(inner))
        if inner.get("type") == "array":
            yield from ((name, 0, *rest) for rest in _fields(inner["items"]))


def _with(place: tuple[str | int, ...], value: object) -> object:
    for part in reversed(place):
        value = [value] if isinstance(part, int) else {part: value}
    return value


@pytest.mark.parametrize("kind", list(Kind))
def test_no_sentence_speaks_of_python(kind: Kind) -> None:
    version = crd.definition(kind)["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    places = list(_fields(schema))
    assert len(places) > 10
    for place in places:
        for value in WRONG:
            try:
                parse_spec(kind, _with(place, value))
            except InvalidSpec as error:
                for problem in error.problems:
                    assert not _PYDANTIC.search(problem.message), (place, value, problem)
                    assert problem.message[0].islower(), problem


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("spf:", "spec.spf: has no value"),
        ("dmarc: {policy: }", "spec.dmarc.policy: must be"),
        (
            "dkim: [{selector: k1, cname: k1.example.net, publicKey: }]",
            "spec.dkim[0].publicKey: has",
        ),
        ("provider: null", "spec.provider: has no value"),
    ],
)
def test_a_field_without_a_value_is_refused_once(tmp_path: Path, fields: str, told: str) -> None:
    """As by server-side apply; without that the API server drops it, and nobody learns of it."""
    found = read(tmp_path, f"{GOOD.rstrip()}\n  {fields}\n")
    (complaint,) = found.complaints
    assert complaint.message.startswith(told)
    assert complaint.line == len(GOOD.rstrip().splitlines()) + 1
    assert found.exit_code(empty=False) == 2


def test_one_bad_object_does_not_hide_the_others(tmp_path: Path) -> None:
    bad = GOOD.replace("good", "bad").replace("send.example.com", "x")
    found = read(tmp_path, f"{bad}---\n{GOOD}")
    assert {key.name for key in found.resources} == {"bad", "good"}
    assert [complaint.line for complaint in found.complaints] == [6]


BAD = GOOD.replace("name: good", "name: bad").replace("send.example.com", "b_d")


@pytest.mark.parametrize(
    ("broken", "line"),
    [(" a: [\n", 9), ('a: "x\n', 9), ("b: [}\n", 8), ("a: b: c\n", 8), ("- a\nb: 1\n", 9)],
)
def test_a_document_that_is_no_yaml_does_not_hide_those_behind_it(
    tmp_path: Path, broken: str, line: int
) -> None:
    found = read(tmp_path, f"{GOOD}---\n{broken}---\n{BAD}")
    assert list(found.resources) == [
        Key(Kind.SENDING_DOMAIN, "default", "good"),
        Key(Kind.SENDING_DOMAIN, "default", "bad"),
    ]
    first, second = found.complaints
    assert first.message.startswith("is not YAML: ")
    assert first.line == line
    assert second.message.startswith("spec.domain: must be a domain name")
    assert second.line == 7 + broken.count("\n") + 1 + 6


def test_thousands_of_broken_documents_are_not_gone_through(tmp_path: Path) -> None:
    found = read(tmp_path, "a: [\n---\n" * 100_000 + GOOD)
    assert len(found.complaints) == 21
    assert found.complaints[-1].message.endswith("the rest is not read")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (GOOD.encode("utf-16"), "1: is UTF-16, as"),
        (b"\xfe\xff" + GOOD.encode("utf-16-be"), "1: is UTF-16, as"),
        (GOOD.encode("utf-16-le"), "1: is UTF-16, as"),
        (GOOD.encode() + b"# caf\xe9\n", "7: is not UTF-8 text: save the file as UTF-8"),
        (GOOD.encode() + b"# \x00\n", "7: holds U+0000, which YAML does not allow"),
        (GOOD.encode() + b"# \x1b[0m\n", "7: holds U+001B, which YAML does not allow"),
    ],
)
def test_what_is_no_text_of_yaml_is_named_with_its_line(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (found,) = read(tmp_path, content).complaints
    assert f"{found.line}: {found.message}".startswith(complaint)


def test_marks_and_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert (len(found.resources), found.complaints) == (1, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apiVersion: v1\nkind: List\nitems: 5\n", ["3: items: must be a list of objects"]),
        ("apiVersion: v1\nkind: List\n", ["1: items: must be a list of objects"]),
        (
            "apiVersion: v1\nkind: List\nitems:\n- 5\n- {}\n",
            [
                "4: items[0]: is no Kubernetes object: it must be a mapping",
                "5: is no Kubernetes object: apiVersion or kind is missing",
            ],
        ),
        (
            "apiVersion: postroom.dev/v1alpha1\nkind: SendingDomainList\nitems:\n- 7\n",
            ["4: items[0]: is no Kubernetes object: it must be a mapping"],
        ),
        ("apiVersion: 1\nkind: 2\n", ["1: apiVersion: must be a text", "2: kind: must be a text"]),
    ],
)
def test_what_is_in_a_list_is_not_passed_over(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert complaints(tmp_path, text) == expected


@pytest.mark.parametrize("kind", ["List", "SendingDomainList"])
def test_a_list_within_a_list(tmp_path: Path, kind: str) -> None:
    def nested(text: str) -> str:
        lines = text.splitlines()
        listed = "".join(f"  {line}\n" for line in lines)
        return f"apiVersion: v1\nkind: {kind}\nitems:\n-{listed[1:]}"

    assert complaints(tmp_path, nested(nested(BAD)))[0].startswith("12: spec.domain: must be")


@pytest.mark.parametrize(
    ("version", "ours"),
    [
        ("postroom.dev", True),
        ("v1alpha1", True),
        ("postrom.dev/v1alpha1", True),
        ("postroom.io/v1", True),
        ("Postroom.dev/v1alpha1", True),
        ("mail.example.org/v1", False),
        ("apps/v1", False),
    ],
)
def test_a_slip_in_our_group_is_no_object_of_others(
    tmp_path: Path, version: str, ours: bool
) -> None:
    found = read(tmp_path, GOOD.replace("postroom.dev/v1alpha1", version))
    told = [complaint.message for complaint in found.complaints]
    assert told == (["apiVersion: must be postroom.dev/v1alpha1"] if ours else [])


@pytest.mark.parametrize(
    ("kustomization", "complaint"),
    [
        ("resources: []\ncomponents: [x]\n", "2: says components, which is not applied here"),
        ("resources: []\n\nresources: [a.yaml]\n", "3: says resources twice: say it once"),
        ("kind: Kustomization\nresources: [https://x/y]\n", "2: says the remote resource"),
        ("namePrefix: x\nsecretGenerator: [{name: a}]\n", "1: says namePrefix, secretGenerator"),
    ],
)
def test_what_a_kustomization_says_besides_is_told_with_its_line(
    tmp_path: Path, kustomization: str, complaint: str
) -> None:
    (tmp_path / "kustomization.yaml").write_text(kustomization)
    (found,) = load([tmp_path], "default").complaints
    assert f"{found.line}: {found.message}".startswith(complaint)


def test_the_same_object_twice(tmp_path: Path) -> None:
    assert complaints(tmp_path, f"{GOOD}---\n{GOOD}")[0].startswith("11: is defined already in")


def test_lists_keep_their_lines(tmp_path: Path) -> None:
    inner = "".join(f"    {line}\n" for line in GOOD.replace("send.example.com", "x").splitlines())
    text = f"apiVersion: v1\nkind: List\nitems:\n  - {inner.strip()}\n"
    assert complaints(tmp_path, text)[0].startswith("9: spec.domain")


def test_secrets_must_be_base64(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  password: hunter2!\n"
    said = complaints(tmp_path, text)
    assert said == [
        "5: data.password: must be base64 of UTF-8 text; plain text belongs under stringData"
    ]
    assert "hunter2" not in "".join(said)


def test_directories_are_read_whole_or_as_their_kustomization_says(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "sub" / "b.yml").write_text(GOOD.replace("good", "other"))
    (tmp_path / "README.md").write_text("no YAML: [")
    assert len(load([tmp_path], "default").resources) == 2
    (tmp_path / "kustomization.yaml").write_text("resources: [sub]\n")
    assert [key.name for key in load([tmp_path], "default").resources] == ["other"]


def read_directory(directory: Path, kustomization: str) -> tuple[list[str], list[str]]:
    (directory / "kustomization.yaml").write_text(kustomization)
    found = load([directory], "default")
    return [key.name for key in found.resources], [str(complaint) for complaint in found.complaints]


@pytest.mark.parametrize(
    "more",
    [
        "namespace: [other]",
        "namePrefix: x-",
        "nameSuffix: -x",
        "patches: [{path: p.yaml}]",
        "patchesStrategicMerge: [p.yaml]",
        "patchesJson6902: [{path: p.yaml}]",
        "components: [../c]",
        "bases: [../b]",
        "commonAnnotations: {a: b}",
        "commonLabels: {a: b}",
        "labels: [{pairs: {a: b}}]",
        "secretGenerator: [{name: s}]",
        "configMapGenerator: [{name: c}]",
        "replacements: [{path: r.yaml}]",
        "transformers: [t.yaml]",
        "generators: [g.yaml]",
        "helmCharts: [{name: c}]",
        "somethingNew: 1",
    ],
)
def test_a_kustomization_is_read_whole_or_not_at_all(tmp_path: Path, more: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    names, said = read_directory(tmp_path, f"resources: [a.yaml]\n{more}\n")
    assert names == []
    (complaint,) = said
    field = more.partition(":")[0]
    said_so = f"says {field}, which is" if field != "namespace" else "says a namespace that is no"
    assert said_so in complaint
    assert f"`kubectl kustomize {tmp_path}` into `postroom check -`" in complaint


@pytest.mark.parametrize("more", ["images: [{name: a}]", "metadata: {name: x}", "namespace: ''"])
def test_what_changes_none_of_our_resources_is_no_obstacle(tmp_path: Path, more: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    assert read_directory(tmp_path, f"resources: [a.yaml]\n{more}\n") == (["good"], [])


@pytest.mark.parametrize(
    "text", ["resources: [", "[]", "resources: 5", "resources: [7]", "\x00", "resources: [a: b]"]
)
def test_a_kustomization_that_cannot_be_read_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    names, said = read_directory(tmp_path, text)
    assert names == []
    assert len(said) == 1


@pytest.mark.parametrize(
    "remote", ["https://example.com/a.yaml", "github.com/a/b", "git@example.com:a/b", "a/b?ref=v1"]
)
def test_what_is_elsewhere_is_not_fetched(tmp_path: Path, remote: str) -> None:
    names, said = read_directory(tmp_path, f"resources: ['{remote}']\n")
    assert (names, "remote resource" in said[0]) == ([], True)


def test_an_overlay_and_its_base_are_read_once(tmp_path: Path) -> None:
    for name, text in {"base": "resources: [a.yaml]", "overlay": "resources: [../base]"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "kustomization.yaml").write_text(text)
    (tmp_path / "base" / "a.yaml").write_text(GOOD)
    found = load([tmp_path], "default")
    assert (len(found.resources), found.complaints) == (1, [])


def test_a_kustomization_puts_all_into_its_namespace_and_the_outer_one_counts(
    tmp_path: Path,
) -> None:
    (tmp_path / "base").mkdir()
    placed = GOOD.replace("name: good", "name: placed\n  namespace: elsewhere")
    (tmp_path / "base" / "a.yaml").write_text(f"{GOOD}---\n{placed}")
    (tmp_path / "base" / "kustomization.yaml").write_text("namespace: inner\nresources: [a.yaml]")
    assert {key.namespace for key in load([tmp_path / "base"], "default").resources} == {"inner"}
    (tmp_path / "kustomization.yaml").write_text("namespace: outer\nresources: [base]")
    found = load([tmp_path], "default")
    assert {(key.name, key.namespace) for key in found.resources} == {
        ("good", "outer"),
        ("placed", "outer"),
    }
    assert found.complaints == []


def test_a_kustomization_that_lists_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    assert read_directory(tmp_path, "resources: [., a.yaml, '../" + tmp_path.name + "']\n") == (
        ["good"],
        [],
    )


def test_a_directory_that_links_to_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(load([tmp_path], "default").resources) == 1


def test_pipes_and_devices_are_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(GOOD))
    writer.start()
    found = load([pipe, Path("/dev/null")], "default")
    writer.join(5)
    assert [key.name for key in found.resources] == ["good"]
    assert found.complaints == []


def test_what_is_not_there(tmp_path: Path) -> None:
    found = load([tmp_path / "none.yaml"], "default")
    assert "there is no such file or directory" in str(found.complaints[0])


def test_alias_bombs_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "repeats itself by aliases" in complaints(tmp_path, "\n".join(lines))[0]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_raise(tmp_path: Path, content: bytes) -> None:
    read(tmp_path, content)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(GOOD)), st.text(max_size=6))
def test_no_edit_of_a_good_file_raises(tmp_path: Path, place: int, inserted: str) -> None:
    read(tmp_path, (GOOD[:place] + inserted + GOOD[place:]).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("end", ["17:00", '"17:00"', "'17:00'", "24:00"])
def test_times_of_day_are_texts_with_and_without_quotation_marks(tmp_path: Path, end: str) -> None:
    text = (
        "apiVersion: postroom.dev/v1alpha1\nkind: EmailAccount\nmetadata: {name: desk}\n"
        "spec: {address: desk@example.com, sendLimits: {window: {timeZone: UTC, end: "
        f"{end}" + "}}}\n"
    )
    found = read(tmp_path, text)
    assert found.complaints == []
    (stored,) = found.resources.values()
    assert stored.raw["spec"]["sendLimits"]["window"]["end"] == end.strip("'\"")


@pytest.mark.parametrize(
    ("version", "kind", "meant"),
    [
        ("v1", "SendingDomain", True),
        ("postroom.io/v1", "MailServer", True),
        ("postrom.dev/v1alpha1", "EmailAccount", True),
        ("other.example.com/v1", "MailServer", False),
        ("v1", "Secret", False),
        (1, "SendingDomain", False),
    ],
)
def test_a_slip_in_the_version_is_told_from_others_kinds(
    version: object, kind: object, meant: bool
) -> None:
    assert is_meant_for_us(version, kind) is meant


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ("namespace: 12", "metadata.namespace: must be a text"),
        ("labels: {a: 1}", "metadata.labels.a: must be a text"),
        ("annotations: {a: true}", "metadata.annotations.a: must be a text"),
        ("labels: [a]", "metadata.labels: must be a mapping"),
        ("nmaespace: mail", "metadata.nmaespace: is not a field of metadata: did you mean namesp"),
        ("Labels: {a: b}", "metadata.Labels: is not a field of metadata: did you mean labels?"),
    ],
)
def test_of_metadata_what_the_api_server_refuses_is_refused(
    tmp_path: Path, metadata: str, says: str
) -> None:
    (complaint,) = complaints(tmp_path, GOOD.replace("name: good", f"name: good\n  {metadata}"))
    assert complaint.startswith(f"5: {says}")
    for fine in ("labels:", "labels: {a: }", "annotations: {a: '1'}", "managedFields: [{}]"):
        assert complaints(tmp_path, GOOD.replace("name: good", f"name: good\n  {fine}")) == []


def test_no_name_that_others_chose_begins_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "a\n::stop-commands::x"
    folder.mkdir()
    hostile = GOOD + '  "b\\n::error::x": 1\n'
    (folder / "a.yaml").write_text(hostile)
    (folder / "b.yaml").write_text(hostile)
    found = load([folder], "default").complaints
    assert len(found) == 3
    assert all(str(complaint).isprintable() for complaint in found)
