# SPDX-License-Identifier: Apache-2.0
"""The chart takes of a setting exactly what the operator takes of its flag, and of other values
what the API server takes (tests/cluster/test_chart.py): by the schema as helm reads it, and by the
templates where a schema has no words for it."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from lab.helm import CHART, helm, rendered
from postroom.settings import Settings, SettingsError, load

#: Of these some are good for each setting with a form, and most are bad for each.
TEXTS = (
    "", " ", "off", "mail", "Mail", "mail\n", "a" * 63, "a" * 64, "team-*", "-a", "a.b", "8",
    "10.0.0.10", "10.0.0.10:53", "10.0.0.10:0", "10.0.0.10:65536", "10.0.0.256:53", "[::1]:53",
    "[10.0.0.1]:53", "::1:53", "[fe80::1%eth0]:53", "[1:2:3:4:5:6:7::]:1", "[::ffff:10.0.0.1]:2",
    "[1::2::3]:4", ":53", "0.0.0.0:8080", "localhost:80", "resolver.example:53",
    "https://resolver.example/dns-query", "https://resolver.example", "https://10.0.0.1:8443/q?a",
    "https://[::1]/q", "https://a@b.example/q", "https://a.example/q#f", "http://a.example/q",
    "https://a.example:70000/q", "10.0.0.0/8", "10.0.0.0/33", "fd00::/8", "fd00::/129", "::/0",
    "10.0.0.0/255.0.0.0", "10.0.0.0/08", "login.example.com", "*.example.com", "a.*.com",
    "Login.Example.com.", " example.com ", "ops@example.com", "@example.com", "ops@example",
    "a b@example.com", "$(HOME)@example.com", "$HOME@example.com", "@", "\u212a.example.com",
    "0s", "1s", "59m59s", "59m60s", "1h", "0001h", "1h30m", "30m1h", "15", "9999h999999m99999999s",
    "1d", "1.5h",
)  # fmt: skip
#: Whose bounds or bits the templates know: one sentence at a time.
OF_TEMPLATES = {"sweep_interval": "1s", "stuck_after": "1s", "review_sync_gap": "1h"}
#: Seconds that the operator takes to end where nothing says otherwise.
GRACE = int(load({}, {}).shutdown_grace.total_seconds())


def value_name(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


LISTS = [
    field
    for field, info in Settings.model_fields.items()
    if info.default == () and field not in ("earlier_ownership_keys", "allow_ports")
]
SINGLE = [
    field
    for field, info in Settings.model_fields.items()
    if "timedelta" in str(info.annotation)
    or field in ("health_address", "metrics_address", "leader_election_namespace")
]


def operator_takes(field: str, value: object) -> bool:
    try:
        load({field: value}, {})
    except SettingsError:
        return False
    return True


def refused(settings: dict[str, Any]) -> str:
    """What helm says against settings; empty where it takes them."""
    chosen = f"settings={json.dumps(settings)}"
    ran = helm(
        "template", "a", CHART, "--set", "crds.enabled=false", "--set-json", chosen, check=False
    )
    return ran.stderr if ran.returncode else ""


@pytest.mark.parametrize("field", LISTS)
def test_of_lists_the_schema_takes_what_the_operator_takes(field: str) -> None:
    said = refused({value_name(field): list(TEXTS)})
    at = re.findall(rf"at '/settings/{value_name(field)}/([0-9]+)'", said)
    bad = {TEXTS[int(index)] for index in at}
    expected = {text for text in TEXTS if not operator_takes(field, [text])}
    assert bad == expected
    assert 0 < len(bad) < len(TEXTS)
    good = [text for text in TEXTS if text not in bad]
    assert refused({value_name(field): good}) == ""


def test_of_single_settings_the_schema_takes_what_the_operator_takes() -> None:
    # Of the empty text the operator thinks as of no flag, for which the chart has null.
    for text in TEXTS[2::3] + TEXTS[-6:]:
        said = refused({value_name(field): text for field in SINGLE})
        bad = {field for field in SINGLE if f"'/settings/{value_name(field)}'" in said}
        expected = {field for field in SINGLE if not operator_takes(field, text)}
        assert bad - OF_TEMPLATES.keys() == expected - OF_TEMPLATES.keys(), text
        assert bad <= expected, text


@pytest.mark.parametrize("field", sorted(OF_TEMPLATES))
def test_of_bounds_the_templates_take_what_the_operator_takes(field: str) -> None:
    for text in ("0s", "0h00m01s", "59m59s", "59m60s", "0001h", "08m", "9999h59m59s", "9999h60m"):
        said = refused({value_name(field): text})
        assert (said == "") == operator_takes(field, text), text
        assert said == "" or f"settings.{value_name(field)} must be" in said


def test_of_networks_the_templates_take_what_the_operator_takes() -> None:
    good = [
        "0.0.0.0/0", "128.0.0.0/1", "10.1.2.3", "10.1.2.3/32", "10.1.2.128/25", "::/0",
        "::1", "fd00::/8",
        "2001:db8:8000::/33", "1:2:3:4:5:6:7:8", "::ffff:10.0.0.0/104", "fe80::/10", "f00::/8",
    ]  # fmt: skip
    assert all(operator_takes("allow_cidrs", [text]) for text in good)
    assert refused({"allowCidrs": good}) == ""
    for text in (
        "10.0.0.1/8", "64.0.0.0/1", "10.1.2.64/25", "fd00::1/8", "2001:db8:4000::/33", "f0::/8",
        "::ffff:10.0.0.1/104", "febf::/10", "::1/0",
    ):  # fmt: skip
        assert not operator_takes("allow_cidrs", [text])
        assert f"settings.allowCidrs: {text} is no network" in refused({"allowCidrs": [text]})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"settings": {"ui": True, "healthAddress": "off"}}, "settings.ui needs"),
        ({"settings": {"metricsTlsDirectory": "/tls"}}, "needs settings.metricsAddress"),
        ({"settings": {"metricsAddress": "[::]:8080"}}, "must have ports of their own"),
        ({"settings": {"shutdownGrace": "30s"}}, "terminationGracePeriodSeconds is 30: Kubernetes"),
        ({"terminationGracePeriodSeconds": GRACE}, f"shutdownGrace is {GRACE}s and termination"),
        ({"extraVolumeMounts": [{"name": "a", "mountPath": "/a"}]}, "there is no volume a"),
        ({"extraVolumeMounts": [{"name": "ca-bundle", "mountPath": "/a"}]}, "no volume ca-bundle"),
        ({"extraVolumes": [{"name": "a", "emptyDir": {}}] * 2}, "there is a volume a already"),
        (
            {
                "extraVolumes": [{"name": "a", "emptyDir": {}}],
                "extraVolumeMounts": [{"name": "a", "mountPath": "/a"}] * 2,
            },
            "something is mounted at /a already",
        ),
        (
            {"deliver": {"enabled": True, "extraVolumes": [{"name": "spool", "emptyDir": {}}]}},
            "deliver.extraVolumes: there is a volume spool already",
        ),
        (
            {
                "caBundle": {"name": "ca"},
                "deliver": {
                    "enabled": True,
                    "extraVolumeMounts": [{"name": "ca-bundle", "mountPath": "/etc/postroom/ca"}],
                },
            },
            "deliver.extraVolumeMounts: something is mounted at /etc/postroom/ca already",
        ),
        (
            {
                "extraVolumes": [{"name": "a", "emptyDir": {}}],
                "deliver": {
                    "enabled": True,
                    "extraVolumeMounts": [{"name": "a", "mountPath": "/a"}],
                },
            },
            "deliver.extraVolumeMounts: there is no volume a in deliver.extraVolumes",
        ),
    ],
)
def test_what_would_not_start_is_refused_in_a_sentence(
    values: dict[str, Any], sentence: str
) -> None:
    flags = [
        part
        for name, value in values.items()
        for part in ("--set-json", f"{name}={json.dumps(value)}")
    ]
    assert sentence in helm("template", "a", CHART, *flags, check=False).stderr


@pytest.mark.parametrize(
    ("release", "namespace", "sentence"),
    [
        ("8-mail", "mail", "a Service cannot be called 8-mail-postroom-metrics"),
        ("mail.eu", "mail", "a Service cannot be called mail.eu-postroom-metrics"),
        ("mail", "Mail_1", '"Mail_1" is no name of a namespace'),
    ],
)
def test_names_of_releases_that_make_none_of_objects_are_refused(
    release: str, namespace: str, sentence: str
) -> None:
    flags = ("--namespace", namespace, "--set", "metrics.service.enabled=true")
    assert sentence in helm("template", release, CHART, *flags, check=False).stderr


def test_a_long_name_of_a_release_makes_good_names() -> None:
    objects = rendered(release="a" * 51 + ".b", namespace="mail")
    names = {each["metadata"]["name"] for each in objects}
    assert all(
        re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name)
        for name in names
    ), names


def test_who_takes_the_common_labels_away_has_none() -> None:
    helm("template", "a", CHART, "--set", "labels=null,tenants.enabled=true")


def test_who_gives_less_time_than_the_operator_needs_may_have_it_end_sooner() -> None:
    less = f"terminationGracePeriodSeconds={GRACE - 10}"
    helm("template", "a", CHART, "--set", f"{less},settings.shutdownGrace={GRACE - 15}s")


def test_a_label_of_one_object_counts_more_than_that_of_all() -> None:
    labels = "labels.release=all,metrics.podMonitor.labels.release=one"
    objects = rendered("--set", f"metrics.podMonitor.enabled=true,{labels}")
    found = {each["kind"]: each["metadata"]["labels"]["release"] for each in objects}
    assert (found["PodMonitor"], found["Deployment"]) == ("one", "all")


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        ("fullnameOverride", [" ", "My_App", "a.b", "-a", "a" * 53]),
        ("nameOverride", [" ", "A", "a_b"]),
        ("image.repository", ["", " ", "Foo", "a:tag", "a@sha256:0", "https://a/b", "a//b", "a b"]),
        ("image.tag", ["a b", "-a", "a/b", "a:b", "a@b", "a" * 129]),
        ("image.digest", ["sha256:" + "A" * 64, "sha512:" + "a" * 64, "a" * 64]),
        ("imagePullSecrets", [[{"name": ""}], [{"name": "A b"}]]),
        ("ownershipKey.existingSecret", [" ", "A", "a/b"]),
        ("serviceAccount.name", [" ", "A", "a_b"]),
        ("serviceAccount.annotations", [{"a b": "c"}, {"a": 1}]),
        ("metrics.tlsSecret", [" ", "A"]),
        ("metrics.podMonitor.interval", ["1s1h", "1.5s", "30", " "]),
        ("metrics.prometheusRule.runbookBase", ["https://a/ #", 'https://a/"', "a/"]),
        ("caBundle.name", [" ", "A"]),
        ("caBundle.key", ["", "..", ".", "a/b", "..a", "a b"]),
        ("labels", [{"a b": "c"}, {"a": "b c"}, {"a": "-"}, {"app.kubernetes.io/name": "a"}]),
        ("podLabels", [{"app.kubernetes.io/instance": "a"}, {"/a": "b"}, {"a": "b" * 64}]),
        ("podAnnotations", [{"A.B/c": "d"}, {"": "a"}]),
        ("nodeSelector", [{"a": "b c"}, {"a b": "c"}]),
        ("priorityClassName", [" ", "A"]),
        ("replicas", [-1, 2**31, 1.5]),
        ("terminationGracePeriodSeconds", [-1, 2**40]),
        ("podDisruptionBudget.maxUnavailable", [0, "0%", "101%", "1", 2**31]),
        (
            "resources",
            [{"limits": {"cpu": "a"}}, {"limits": {"memory": "-1"}}, {"limits": {"a": 1}}],
        ),
        ("podSecurityContext", [{"runAsUser": -1}, {"fsGroupChangePolicy": "a"}]),
        ("securityContext", [{"seccompProfile": {"type": "a"}}, {"procMount": "a"}]),
        ("tolerations", [[{"operator": "Equal"}], [{"key": "a b"}], [{"effect": "a"}]]),
        (
            "topologySpreadConstraints",
            [[{"maxSkew": 1, "topologyKey": "a b", "whenUnsatisfiable": "a"}]],
        ),
        ("extraEnv", [[{"name": "a b"}], [{"name": "8"}], [{"name": "a=b"}]]),
        (
            "extraVolumes",
            [[{"name": "A", "emptyDir": {}}], [{"name": "ca-bundle", "emptyDir": {}}]],
        ),
        ("extraVolumeMounts", [[{"name": "a", "mountPath": ""}]]),
        ("networkPolicy.from", [[{"ipBlock": {"cidr": "10.0.0.0"}}], [{"ipBlock": {}}]]),
        (
            "networkPolicy.extraEgress",
            [[{"ports": [{"port": 70000}]}], [{"ports": [{"port": "A_"}]}]],
        ),
    ],
)
def test_what_the_api_server_refuses_the_schema_refuses(path: str, bad: list[Any]) -> None:
    # The first of each by helm, too; the rest is quicker so.
    schema = Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))
    defaults = yaml.load((CHART / "values.yaml").read_text(), Loader=yaml.CSafeLoader)
    assert schema.is_valid(defaults)
    for value in bad:
        chosen = copy.deepcopy(defaults)
        *above, last = path.split(".")
        place = chosen
        for name in above:
            place = place[name]
        place[last] = value
        (error, *_) = schema.iter_errors(chosen)
        assert list(error.path)[: len(above) + 1] == [*above, last]
    said = helm("template", "a", CHART, "--set-json", f"{path}={json.dumps(bad[0])}", check=False)
    assert f"/{path.replace('.', '/')}" in said.stderr
