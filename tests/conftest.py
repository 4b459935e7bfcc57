# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from patient import PatientLoop
from properties import bound_examples, multiply_examples
from reports import spare_reports

# Those of tests are, by themselves: what theirs compare is told as well where they fail.
pytest.register_assert_rewrite("closed_loop", "cluster", "lab", "soak", "unit")

# Images for containers often set it, as the Makefile says: each process of pytest would compile all
# tests, which is two fifths of collecting, and each that a test starts all of us.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

#: How many times as many examples as otherwise, for those who look for faults; each time others.
_FUZZ = "POSTROOM_FUZZ"
# How fast examples are made and run tells about the machine and what else it does, not about us.
# A run can be repeated: who changes one thing shall not be told of another that chance brought up.
settings.register_profile(
    "postroom",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=100,
    derandomize=_FUZZ not in os.environ,
)
settings.load_profile("postroom")
#: What `make test-unit` tries properties on: few examples, also of those that ask for more.
QUICK = "quick"
settings.register_profile(QUICK, settings.get_profile("postroom"), max_examples=10)

#: New containers before the collector looks among them, of which few are garbage in a test; the
#: older ones have their turns as ever.
_YOUNG = 20_000
_began = count()
HERE = Path(__file__).parent
#: Where tests are that start servers.
_ROOMS = ("lab", "cluster")
#: Files that ask how long something takes, or whose servers answer by the clock: beside others they
#: would measure those. Not those whose deadlines are seconds of a patient loop (tests/patient.py).
_BY_THE_CLOCK = {
    "test_asking_hostile",
    "test_asking_https",
    "test_asking_sockets",
    "test_asking_views",
    "test_canary_engine",
    "test_dns_resolver",
    "test_mail_bench",
}
#: What takes long, the longest first: whoever begins it last ends long after all others. What
#: computes stands among what waits, so that processors have something to do while that does.
_LONG = (
    "cluster/faults/test_crowds.py",
    "cluster/faults/test_api_server.py",
    "cluster/test_guides.py",
    "cluster/test_deliver_faults.py",
    "cluster/test_resilience.py",
    "cluster/faults/test_silence.py",
    "lab/test_report_page.py",
    "cluster/test_canary_operator.py",
    "cluster/faults/test_around_it.py",
    "cluster/test_upgrade.py",
    "cluster/test_operator.py",
    "cluster/test_publishing.py",
    "cluster/faults/test_worker.py",
    "lab/test_chart.py",
    "cluster/test_chart.py",
    "cluster/test_in_use.py",
    "cluster/test_tenants_moved.py",
    "cluster/test_canary_deliver.py",
    "lab/test_mail_real_clients.py",
    "cluster/test_deliver.py",
    "cluster/test_disconnection.py",
    "lab/test_dovecot_penalty.py",
    "cluster/test_demo_cluster.py",
    "lab/test_canary_dns.py",
    "cluster/test_messages.py",
    "cluster/test_fencing.py",
    "cluster/test_binding.py",
    "lab/test_canary_probes.py",
    "cluster/test_installations.py",
    "lab/test_sinks_jetstream.py",
    "lab/test_asking_limits.py",
    "lab/test_check_pace.py",
    "lab/test_start_page.py",
)
#: Files of tests/unit that take about a second or more: they look through the whole program or all
#: pages, import it anew, read what it writes with the tools of others, play hundreds of looks or a
#: whole DNS for one sentence, start programs, wait, are nothing but costly properties, hold
#: thousands of texts against all rules, or bring what is absurdly large.
#: `make test-unit` leaves them to `make test`.
_SLOW = {
    "api/test_cel_rules.py",
    "api/test_fields_in_texts.py",
    "api/test_grafana_manifests.py",
    "api/test_prometheus_manifests.py",
    "cli/test_entry.py",
    "cli/test_explain_complete.py",
    "cli/test_loading.py",
    "cli/test_main.py",
    "cli/test_manifests.py",
    "cli/test_plugin.py",
    "cli/test_records.py",
    "cli/test_terminal.py",
    "concurrency/test_full_passes.py",
    "concurrency/test_patience.py",
    "controller/inbound/test_dispatch.py",
    "controller/inbound/test_process.py",
    "controller/test_client_library.py",
    "controller/test_cost.py",
    "controller/test_health.py",
    "controller/test_queue_fairness.py",
    "controller/test_run.py",
    "controller/test_shared_memories.py",
    "controller/test_watching.py",
    "controller/test_worker.py",
    "delivery/test_courier.py",
    "delivery/test_courier_lives.py",
    "dns/asking/test_guarded_servers.py",
    "dns/asking/test_losses.py",
    "dns/asking/test_storms.py",
    "dns/diagnosis/test_values.py",
    "dns/judging/test_spf.py",
    "dns/judging/test_spf_properties.py",
    "dns/publishing/test_terraform.py",
    "dns/spf/test_evaluate_hostile.py",
    "dns/spf/test_merge_properties.py",
    "dns/test_healthy_domains.py",
    "dns/test_hostile_answers.py",
    "dns/test_more_mistakes.py",
    "dns/test_no_template.py",
    "dns/verifying/test_compromised.py",
    "dns/verifying/test_private_keys.py",
    "docs/test_build_site.py",
    "docs/test_commands_in_pages.py",
    "docs/test_defaults_in_pages.py",
    "docs/test_faults_page.py",
    "docs/test_links_in_pages.py",
    "docs/test_made_pages.py",
    "docs/test_names_in_pages.py",
    "docs/test_yaml_in_pages.py",
    "examples/test_tickets.py",
    "house/test_bars.py",
    "house/test_names_in_texts.py",
    "house/test_picture.py",
    "house/test_properties.py",
    "house/test_reports.py",
    "house/test_sentences.py",
    "house/test_texture.py",
    "image/test_sbom.py",
    "image/test_slim.py",
    "integrations/test_argocd.py",
    "lab/test_controlplane_envtest.py",
    "mail/limits/test_host_neighbours.py",
    "mail/limits/test_hosts.py",
    "mail/replies/test_families.py",
    "mail/replies/test_sign_in_words.py",
    "reconcile/account/messages/test_forwarding.py",
    "reconcile/account/test_binding.py",
    "reconcile/account/test_identity_sources.py",
    "reconcile/domain/test_verification_worlds.py",
    "reconcile/signing_in/test_probing.py",
    "reconcile/tenancy/test_budgets.py",
    "reconcile/tenancy/test_claims.py",
    "reconcile/test_defaults.py",
    "report/test_page.py",
    "test_patient.py",
    "test_shared_values.py",
}
_SLOW_PATHS = {HERE / "unit" / name for name in _SLOW}


def pytest_configure() -> None:
    """A name that stayed behind when its file moved would do nothing, unseen."""
    named = {HERE / name for name in _LONG} | _SLOW_PATHS
    if lost := sorted(str(path) for path in named if not path.exists()):
        raise pytest.UsageError(f"tests/conftest.py names files that are not there: {lost}")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have processes of a run on several processors send only what is shown."""
    if hasattr(session.config, "workerinput"):
        spare_reports(session.config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave slow files out of a quick run, and unread what the mark of the clock deselects; True is
    yes, None leaves it to others."""
    quick = config.getoption("--hypothesis-profile") == QUICK
    if quick and collection_path in _SLOW_PATHS:
        return True
    if collection_path.suffix != ".py":
        return None
    by_the_clock = _is_by_the_clock(collection_path)
    return True if config.getoption("-m") == ("not clock" if by_the_clock else "clock") else None


def _is_by_the_clock(path: Path) -> bool:
    return path.stem in _BY_THE_CLOCK and path.relative_to(HERE).parts[0] in _ROOMS


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage while tests are collected, nor among them later.

    They are millions of objects that stay: the search was a sixth of collecting, and a quarter of a
    second for each test that asks whether something is lost. Among what tests make it is looked for
    less often: that was a thirtieth of their time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Look no more for garbage among what the tests before have left, such as what is remembered.

    Whoever asks whether something is lost searches all of it, and waited half a second in the end.
    Tests at real servers leave more of it, such as the audit log of an API server, and ask more.
    """
    often = 500 if item.path.relative_to(HERE).parts[0] not in _ROOMS else 50
    if next(_began) % often == often - 1:
        gc.collect()
        gc.freeze()
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], PatientLoop]]:
    """A bound of a part of a second measures us, and not what else the machine does."""
    return {"patient": PatientLoop}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say which tests must run alone, put the longest files first, and bound examples if asked."""
    quick = config.getoption("--hypothesis-profile") == QUICK
    for item in items:
        if quick:
            bound_examples(item, settings.get_profile(QUICK).max_examples)
        if _is_by_the_clock(item.path):
            item.add_marker(pytest.mark.clock)
    multiply_examples(items, int(os.environ.get(_FUZZ, "1")))
    items.sort(key=lambda item: _turn_of(item.path))


@cache
def _turn_of(path: Path) -> int:
    file = path.relative_to(HERE).as_posix()
    return _LONG.index(file) if file in _LONG else len(_LONG)
