# SPDX-License-Identifier: Apache-2.0
"""What the demo's last act stands on: one signing key for both sides, and the receiver at work.

The act itself: `tests/lab/test_demo.py`.
"""

from pathlib import Path

import pytest

from postroom.cli import demo_inbound
from postroom.cli.demo_story import DemoFailed
from postroom.cli.manifests import load
from postroom.delivery import signing
from postroom.reconcile.world import secret_content


def test_both_sides_have_the_same_new_key(tmp_path: Path) -> None:
    found = load([demo_inbound.signing_key(tmp_path)], "default")
    assert found.complaints == []
    secret = secret_content(found.secrets["mail", "tickets-hook"].raw)
    key = secret.data["current"].reveal()
    assert (tmp_path / "keys" / "current").read_text() == key
    signing.parse_key(key)
    (tmp_path / "other").mkdir()
    demo_inbound.signing_key(tmp_path / "other")
    assert (tmp_path / "other" / "keys" / "current").read_text() != key


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_the_receiver_stands_behind_the_service_until_the_act_ends(tmp_path: Path) -> None:
    demo_inbound.signing_key(tmp_path)
    async with demo_inbound.running_receiver(tmp_path) as application:
        service = await application.service("mail", "tickets")
        assert service["spec"]["ports"] == [{"port": application.port}]
        assert application.tickets() == []
        assert runs(application.pid)
    assert not runs(application.pid)


async def test_a_receiver_that_does_not_start_ends_the_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_inbound, "RECEIVER", tmp_path / "none.py")
    with pytest.raises(DemoFailed, match="examples/tickets does not start"):
        async with demo_inbound.running_receiver(tmp_path):
            pass
