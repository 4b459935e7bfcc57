# SPDX-License-Identifier: Apache-2.0
"""Reading manifests: every complaint names file and line, and nothing in a file raises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.cli.manifests import Manifests, load

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
    return [f"{one.line}: {one.message}" for one in found.complaints]


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
    ],
)
def test_complaints_name_the_line(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    said = complaints(tmp_path, GOOD.replace(*change))
    assert any(one.startswith(complaint) for one in said), said


def test_one_bad_object_does_not_hide_the_others(tmp_path: Path) -> None:
    bad = GOOD.replace("good", "bad").replace("send.example.com", "x")
    found = read(tmp_path, f"{bad}---\n{GOOD}")
    assert {key.name for key in found.resources} == {"bad", "good"}
    assert [one.line for one in found.complaints] == [6]


def test_the_same_object_twice(tmp_path: Path) -> None:
    assert complaints(tmp_path, f"{GOOD}---\n{GOOD}")[0].startswith("11: is defined already in")


def test_lists_keep_their_lines(tmp_path: Path) -> None:
    inner = "".join(f"    {line}\n" for line in GOOD.replace("send.example.com", "x").splitlines())
    text = f"apiVersion: v1\nkind: List\nitems:\n  - {inner.strip()}\n"
    assert complaints(tmp_path, text)[0].startswith("9: spec.domain")


def test_secrets_must_be_base64(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  password: hunter2!\n"
    said = complaints(tmp_path, text)
    assert said == ["5: data.password: must be base64 of UTF-8 text"]
    assert "hunter2" not in "".join(said)


def test_directories_are_read_whole_or_as_their_kustomization_says(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "sub" / "b.yml").write_text(GOOD.replace("good", "other"))
    (tmp_path / "README.md").write_text("no YAML: [")
    assert len(load([tmp_path], "default").resources) == 2
    (tmp_path / "kustomization.yaml").write_text("resources: [sub]\n")
    assert [key.name for key in load([tmp_path], "default").resources] == ["other"]


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
