# SPDX-License-Identifier: Apache-2.0
"""Brings an object of each kind into each state of the state map, on a real API server with a real
operator, and captures it there."""

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.api_client import apply, service_account_kubeconfig
from cluster.lab_process import LabProcess
from cluster.objects import eventually, is_observed, is_ready, one
from kstatus import conditions_of
from postroom.api.names import API_VERSION, Kind
from postroom.api.reasons import Reason
from postroom.api.times import timestamp
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import IMAPS_PORT, PASSWORDS, SUBMISSION_PORT
from postroom.lab.operator_process import OperatorProcess
from state_map import CASES, Case, State

Raw = dict[str, Any]
#: Those that are verified first, and then brought elsewhere.
FROM_VERIFIED = (
    *(State.VERIFIED, State.EDITED, State.REGRESSED, State.STALE, State.SUSPENDED),
    State.DISCONNECTED,
)
_TLS = {"caBundleRef": {"name": "lab-ca"}}
_LOGIN = "support@send.example.com"
#: What is edited where nobody looks.
_DEADLINES = {
    Kind.SENDING_DOMAIN: "propagationDeadline",
    Kind.MAIL_SERVER: "progressDeadline",
    Kind.EMAIL_ACCOUNT: "progressDeadline",
}
#: Nothing that was looked at then is believed now.
_LONG_AGO = "2026-01-01T00:00:00Z"


class Stage:
    """A namespace in which the states come about; `captured` has what was seen."""

    def __init__(
        self, plane: ControlPlane, lab: LabProcess, namespace: str, directory: Path
    ) -> None:
        self.captured: dict[Case, Raw] = {}
        self._plane, self._lab, self._namespace = plane, lab, namespace
        self._directory = directory
        self._kubeconfig = service_account_kubeconfig(plane, directory)

    def play(self) -> None:
        """Let every state come about."""
        proofs = {(f"{state}.state", "TXT"): (f'"{_proof(state)}"',) for state in FROM_VERIFIED}
        self._lab.update("example.com", proofs)
        self._apply(*self._surroundings())
        self._apply(*(self._object(case) for case in CASES if case.state not in _LATER))
        self._capture(State.UNSEEN)
        with self._operator(f"{self._lab.reach.address}:{self._lab.reach.dns_port}"):
            self._wait((State.WAITING,), lambda obj: "Reconciling" in _true(obj) and _no(obj))
            # An account may be looked at before the server that it is behind is known.
            self._wait(
                (State.STALLED,),
                lambda obj: (
                    "Stalled" in _true(obj)
                    and _reason(obj, "DependenciesReady") != Reason.DEPENDENCY_UNKNOWN
                ),
            )
            self._wait((State.SUSPENDED_UNSEEN,), lambda obj: "Suspended" in _true(obj))
            self._wait(FROM_VERIFIED, is_ready)
            self._turn()
        for kind in Kind:
            self._patch(kind, State.EDITED, {"spec": {_DEADLINES[kind]: "20m"}})
        self._capture(State.EDITED)
        self._forget()
        with silence() as resolver, self._operator(resolver):
            self._apply(*(self._object(Case(kind, State.EVALUATING)) for kind in Kind))
            self._wait(
                (State.EVALUATING,), lambda obj: _reason(obj, "Reconciling") == "Progressing"
            )
            self._wait((State.STALE,), lambda obj: _reason(obj, "Ready") == "ObservationStale")

    def _turn(self) -> None:
        """What was verified breaks, or is laid to rest."""
        self._edit(Kind, State.SUSPENDED, {"spec": {"suspend": True}})
        self._edit(
            [Kind.EMAIL_ACCOUNT], State.DISCONNECTED, {"spec": {"connection": "Disconnected"}}
        )
        self._lab.put("example.com", f"{State.REGRESSED}.state", "TXT", '"another"')
        # Not a wrong password for both: a host that refuses too many is left alone for a while.
        self._patch("secret", "relay-regressed", {"stringData": {"password": "wrong"}})
        self._plane.kubectl("delete", "secret", "login-regressed", "-n", self._namespace)
        self._wait((State.SUSPENDED, State.DISCONNECTED), lambda obj: "Suspended" in _true(obj))

        def broken(obj: Raw) -> bool:
            ask = {
                "metadata": {
                    "annotations": {"postroom.dev/requested-at": timestamp(datetime.now(UTC))}
                }
            }
            if not (fallen := _no(obj)):
                self._patch(obj["kind"], obj["metadata"]["name"], ask)
                time.sleep(1)
            return fallen

        self._wait((State.REGRESSED,), broken)
        self._capture(State.VERIFIED)

    def _forget(self) -> None:
        """Nobody looked for so long that no verdict stands any more."""
        times = {"lastCheckTime": _LONG_AGO, "lastReadyTime": _LONG_AGO}
        for kind in Kind:
            self._patch(kind, State.STALE, {"status": times}, "--subresource=status")

    def _wait(self, states: Iterable[State], reached: Callable[[Raw], bool]) -> None:
        missing = {case for case in CASES if case.state in states}

        def are_there() -> bool:
            for case in tuple(missing):
                found = self._get(case)
                if is_observed(found) and reached(found):
                    self.captured[case] = found
                    missing.remove(case)
            return not missing

        eventually(are_there, ", ".join(states))

    def _capture(self, state: State) -> None:
        for case in CASES:
            if case.state is state:
                self.captured[case] = self._get(case)

    def _get(self, case: Case) -> Raw:
        return one(self._plane, self._namespace, case.kind, case.state)

    @contextmanager
    def _operator(self, resolver: str) -> Iterator[None]:
        others = (flag for flag in self._lab.reach.flags if "--dns-resolver" not in flag)
        flags = (
            *(*others, f"--dns-resolver={resolver}", f"--namespace={self._namespace}"),
            *("--regression-confirmation=1s", "--log-format=text"),
        )
        with OperatorProcess(self._kubeconfig, self._directory, flags):
            yield

    def _apply(self, *items: Raw) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        apply(self._plane, text, self._namespace)

    def _edit(self, kinds: Iterable[Kind], state: State, change: Raw) -> None:
        for kind in kinds:
            self._patch(kind, state, change)

    def _patch(self, kind: str, name: str, change: Raw, *flags: str) -> None:
        what = ("patch", kind, name, "-n", self._namespace, "--type=merge", *flags)
        self._plane.kubectl(*what, "-p", json.dumps(change))

    def _surroundings(self) -> Iterator[Raw]:
        authority = json.loads(
            self._plane.kubectl(
                "create", "-f", str(self._lab.manifest), "--dry-run=client", "-o", "json"
            ).stdout.split("\n}\n")[0]
            + "\n}"
        )
        yield {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "lab-ca"},
            "data": authority["data"],
        }
        good = {"login": _LOGIN, "relay": "relay@example.com", "login-regressed": _LOGIN}
        good["relay-regressed"] = "relay@example.com"
        for name, user in good.items():
            yield _secret(name, user, PASSWORDS[user])

    def _object(self, case: Case) -> Raw:
        make = {
            Kind.SENDING_DOMAIN: _domain,
            Kind.MAIL_SERVER: _server,
            Kind.EMAIL_ACCOUNT: _account,
        }[case.kind]
        spec = make(case.state)
        if case.state is State.SUSPENDED_UNSEEN:
            spec["suspend"] = True
        metadata = {"name": str(case.state)}
        return {"apiVersion": API_VERSION, "kind": case.kind, "metadata": metadata, "spec": spec}


#: Those that are not there before the operator.
_LATER = (State.EVALUATING,)


def _domain(state: State) -> Raw:
    spec: Raw = {"domain": f"{state}.state.example.com", "ownership": {"value": _proof(state)}}
    if state is State.STALLED:
        spec["provider"] = "GoogleWorkspace"  # whose parameters are missing
    return spec


def _proof(state: State) -> str:
    """What proves control of the domain of a state."""
    return f"provider-verify={state}"


def _server(state: State) -> Raw:
    hosts = {
        State.STALLED: "metadata.mail.example.org",
        State.WAITING: "not-yet.mail.example.org",
    }
    login = "relay-regressed" if state is State.REGRESSED else "relay"
    return {
        "host": hosts.get(state, "smtp.mail.example.org"),
        "port": SUBMISSION_PORT,
        "tls": _TLS,
        "credentialsRef": {"name": login},
    }


def _account(state: State) -> Raw:
    servers = {State.WAITING: "none-yet"}
    hosts = {State.STALLED: "metadata.mail.example.org"}
    own = {State.REGRESSED: "login-regressed"}
    return {
        "address": f"{state}@state.example.com",
        "serverRef": {"name": servers.get(state, "verified")},
        "credentialsRef": {"name": own.get(state, "login")},
        "sendLimits": {"daily": 50},
        "imap": {
            "host": hosts.get(state, "imap.mail.example.org"),
            "port": IMAPS_PORT,
            "tls": _TLS,
        },
    }


def _secret(name: str, user: str, password: str) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"username": user, "password": password},
    }


def _true(obj: Raw) -> set[str]:
    return {name for name, each in conditions_of(obj).items() if each["status"] == "True"}


def _no(obj: Raw) -> bool:
    return bool(conditions_of(obj)["Ready"]["status"] == "False")


def _reason(obj: Raw, name: str) -> str:
    return str(conditions_of(obj).get(name, {}).get("reason"))


@contextmanager
def silence() -> Iterator[str]:
    """The address of a resolver that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        address, port = mute.getsockname()
        yield f"{address}:{port}"
