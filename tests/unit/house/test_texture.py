# SPDX-License-Identifier: Apache-2.0
"""What is counted in the syntax trees, on files of a few lines."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from house import texture
from house.texture import PACKAGE, Source

Files = Callable[..., None]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Files:
    """Make the program consist of these files, named by their places in it."""

    def build(**texts: str) -> None:
        made = tuple(
            Source(PACKAGE / f"{name.replace('__', '/')}.py", text) for name, text in texts.items()
        )
        monkeypatch.setattr(texture, "sources", lambda: made)

    return build


def names(places: list[str]) -> list[str]:
    return [place.split(" ", 1)[1] for place in places]


def test_uses_of_a_private_helper_are_counted_in_its_file(house: Files) -> None:
    house(
        dns__a="def _twice(): ...\ndef _once(): ...\nclass A:\n  def _never(self): ...\n"
        "  def go(self): _twice(); _twice(); self._once()\n",
        dns__b="def f(x): x._never()\n",
    )
    assert {place.split()[1]: uses for place, uses in texture.private_helpers().items()} == {
        "_twice": 2,
        "_once": 1,
        "_never": 0,
    }


def test_lines_of_imports_are_all_lines_of_the_statement(house: Files) -> None:
    house(dns__a="import a\nfrom b import (\n  c,\n  d,\n)\nx = 1\n")
    assert (texture.import_lines(), texture.lines()) == (5, 6)


def test_long_files_and_functions(house: Files) -> None:
    house(
        dns__long="x = 1\n" * 401,
        dns__fits="x = 1\n" * 400,
        dns__f="def f():\n" + "    x = 1\n" * 60 + "def g():\n" + "    x = 1\n" * 59,
    )
    assert texture.long_files() == ["operator/postroom/dns/long.py: 401 lines"]
    assert names(texture.long_functions()) == ["f: 61 lines"]


def test_a_class_name_with_two_homes_in_a_package(house: Files) -> None:
    house(
        dns__a="class Look: ...\nclass Own: ...",
        dns__b="class _Look: ...",
        mail__c="class Own: ...",
    )
    look = "Look in operator/postroom/dns/a.py, operator/postroom/dns/b.py"
    assert texture.colliding_classes() == [f"dns: {look}"]
    assert [place.split()[1] for place in texture.repeated_classes()] == ["Look", "Own"]


def test_a_name_that_the_glossary_defends_is_none(
    house: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    house(dns__a="class Look: ...", dns__b="class Look: ...")
    monkeypatch.setattr(texture, "defended_words", lambda: {"Look"})
    assert texture.colliding_classes() == []


def test_loops_over_one(house: Files) -> None:
    house(
        dns__a="for one in x: ...\nfor a in x: ...\n[one for one, b in x]\n"
        "async def f():\n  async for one in x: ...\n{a: b for a, b in one}\n"
    )
    assert (len(texture.loops_over_one()), len(texture.loops())) == (3, 5)


def test_openings_of_docstrings(house: Files) -> None:
    house(
        dns__a='def f():\n  """Say what."""\ndef g():\n  """Saying so."""\ndef h(): ...\n'
        'class A:\n  """Say more."""\n'
    )
    assert names(texture.docstrings_beginning("Say")) == ["f", "A"]


def test_functions_that_nobody_mentions(house: Files) -> None:
    house(
        dns__a="from x import app, Base\n"
        "def used(): ...\ndef unused(): used()\n"
        "@app.command()\ndef verb(): ...\n"
        "class Foreign(Base):\n  def called_by_the_library(self): ...\n"
        "class Child(Foreign):\n  def called_too(self): ...\n"
        "class Ours:\n  @property\n  def value(self): ...\n  def _own(self): ...\n"
        "x = Foreign, Child, Ours\n",
        cli__check="def check(): ...\ndef other(): ...\n",
        dns__b="from a import unused\n",
    )
    assert names(texture.unused_functions()) == ["unused", "value", "other"]


def test_names_that_are_bound_twice(house: Files) -> None:
    house(
        dns__a="A = 1\nB, C = 2, 3\nx: int\nx = 1\nA: int = 4\n"
        "class D:\n  A = 1\n  C = 2\n  C = 3\n"
        "def f():\n  y = 1\n  y = 2\nC += (1,)\nA.b = 1\nE = [B for B in C]\n(B, F) = 5, 6\n",
    )
    assert sorted(names(texture.names_bound_twice())) == ["A", "B", "C"]


def test_no_name_of_the_program_is_bound_twice() -> None:
    assert texture.names_bound_twice() == []


def test_what_is_kept_is_there_and_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = texture.KEPT
    monkeypatch.setattr(texture, "KEPT", {})
    unused = {re.sub(r":\d+ ", " ", place) for place in texture.unused_functions()}
    assert kept.keys() <= unused


def test_fields_that_nobody_reads(house: Files) -> None:
    house(
        dns__a="@dataclass(frozen=True)\nclass A:\n  read: int\n  matched: int\n  unread: int\n"
        "class B(NamedTuple):\n  never: int\n"
        "class Model(BaseModel):\n  field: int\n"
        "def f(a, b):\n  a.unread = 1\n  match b:\n    case A(matched=x): return a.read\n"
        "A(read=1, matched=2, unread=3)\n"
    )
    assert names(texture.unread_fields()) == ["A.unread", "B.never"]


def test_a_test_carries_the_name_of_its_module(
    house: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = ["unit/dns/test_a", "unit/dns/test_b_hostile", "lab/test_smtp_e", "unit/test_f"]
    files = [texture.ROOT / "tests" / f"{name}.py" for name in tests]
    monkeypatch.setattr(texture, "_test_files", lambda: files)
    work = "def work(): return 1"
    promise = "class P(Protocol):\n  def work(self):\n    'What it does.'\n    ..."
    house(
        dns__a=work,
        dns__b=work,
        mail__smtp__e=work,
        dns__f=work,
        mail__a=work,
        dns__g="X = 1",
        mail__p=promise,
    )
    found = [
        place.removeprefix("operator/postroom/") for place in texture.modules_without_their_test()
    ]
    assert found == ["dns/f.py", "mail/a.py"]
