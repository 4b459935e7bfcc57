# SPDX-License-Identifier: Apache-2.0
"""The alerts by promtool: they are rules, they fire and do not fire as their cases say, each case
can fail, and what /metrics says is what Prometheus reads.

promtool is that of Debian (package prometheus), fetched where apt-get can; with
POSTROOM_REQUIRE_PROMTOOL=1 its absence is a failure.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from lab.promtool import each_alone, promtool
from postroom.api.names import Key, Kind
from postroom.metrics import Metrics
from scrapes import scraped, told_of

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "manifests" / "integrations" / "prometheus"
RULES, CASES = "rules.yaml", "rules.test.yaml"
ALERTS = re.findall(r"- alert: (\w+)", (PROMETHEUS / RULES).read_text())


def asked(*arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [promtool(), *arguments]
    return subprocess.run(command, cwd=PROMETHEUS, input=given, capture_output=True, timeout=300)


def failing(directory: Path, pattern: str, instead: str) -> set[str]:
    """The cases that fail once the rules are changed."""
    told = yaml.load((PROMETHEUS / CASES).read_text(), Loader=yaml.CSafeLoader)
    changed = re.sub(pattern, instead, (PROMETHEUS / RULES).read_text())
    ran = each_alone(directory, changed, told["tests"], told["evaluation_interval"])
    assert ran.returncode == 1, ran
    return set(re.findall(r"alertname: (\w+)", ran.stdout + ran.stderr))


def test_the_rules_are_rules() -> None:
    ran = asked("check", "rules", "--lint-fatal", RULES)
    assert (ran.returncode, f"{len(ALERTS)} rules found" in ran.stdout.decode()) == (0, True), ran


def test_they_fire_and_do_not_fire_as_the_cases_say() -> None:
    ran = asked("test", "rules", CASES)
    assert ran.returncode == 0, ran


def test_each_case_notices_an_alert_that_never_fires(tmp_path: Path) -> None:
    assert failing(tmp_path, r"for: \w+", "for: 1000d") == set(ALERTS)


def test_each_case_notices_an_alert_that_does_not_wait(tmp_path: Path) -> None:
    assert failing(tmp_path, r"for: \w+", "for: 0s") == set(ALERTS)


def test_what_is_at_rest_is_noticed(tmp_path: Path) -> None:
    """Without its exception each alert that has one tells of the suspended object of its case."""
    pattern = r'unless on \(kind, namespace, name\) postroom_condition\{type="Suspended"\} == 1'
    groups = re.split(r"- alert: ", (PROMETHEUS / RULES).read_text())[1:]
    excepting = {rule.split("\n", 1)[0] for rule in groups if re.search(pattern, rule)}
    assert len(excepting) == 14
    assert failing(tmp_path, pattern, "") == excepting


async def test_what_metrics_say_is_what_prometheus_reads() -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "False", "reason": 'Odd "\\\n'}],
        "lastCheckTime": "2026-01-01T00:00:00Z",
        "findings": [{"code": "PASSWORD_OLD", "severity": "Info"}],
        "sendPlan": {"daily": 5, "dailyFrom": "Provider"},
    }
    metrics = Metrics()
    metrics.reconcile_errors.labels(kind="MailServer").inc()
    stored = {Key(Kind.EMAIL_ACCOUNT, "mail", "a"): {"status": status}}
    metrics.observe_objects(told_of(stored).pieces)
    ran = asked("check", "metrics", given=(await scraped(metrics)).encode())
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_without_promtool_the_variable_makes_it_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POSTROOM_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("POSTROOM_REQUIRE_PROMTOOL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Debian package prometheus"):
        promtool()
    monkeypatch.setenv("POSTROOM_REQUIRE_PROMTOOL", "1")
    with pytest.raises(pytest.fail.Exception, match="Debian package prometheus"):
        promtool()
