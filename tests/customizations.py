# SPDX-License-Identifier: Apache-2.0
"""What Argo CD is to make of our kinds, said without Lua, and the files of upstream's layout that
follow from it and from captured objects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from postroom.api.names import REQUESTED_AT_ANNOTATIONS, SEND_TEST_ANNOTATION, Kind
from state_map import CASES, CUSTOMIZATIONS, Case, Raw, State, without_accidents

#: Stands for the time at which an action was taken, as in upstream's expected objects.
MOMENT = "0001-01-01T00:00:00Z"


def _annotated(name: str) -> Raw:
    return {"metadata": {"annotations": {name: MOMENT}}}


#: What each action changes of an object, as a merge patch.
CHANGES: Mapping[str, Raw] = {
    "verify": _annotated(REQUESTED_AT_ANNOTATIONS[0]),
    "sync": _annotated(REQUESTED_AT_ANNOTATIONS[0]),
    "send-test": _annotated(SEND_TEST_ANNOTATION),
    "suspend": {"spec": {"suspend": True}},
    "resume": {"spec": {"suspend": False}},
}


def actions_of(kind: Kind) -> tuple[str, ...]:
    """The actions that a kind has, whether they may be taken now or not."""
    own = {"sync", "send-test"}
    return tuple(name for name in CHANGES if name not in own or kind is Kind.EMAIL_ACCOUNT)


def open_actions(case: Case) -> set[str]:
    """The actions that may be taken in a state: at rest nothing is asked for."""
    if case.state in (State.SUSPENDED, State.SUSPENDED_UNSEEN):
        return {"resume"}
    if case.state is State.DISCONNECTED:
        return {"suspend"}
    return {*actions_of(case.kind)} - {"resume"}


def acted_on(action: str) -> State:
    """The state of the object on which an action is tried."""
    return State.SUSPENDED if action == "resume" else State.VERIFIED


def merged(obj: Any, change: Any) -> Any:
    """A merge patch of RFC 7396, as far as it only sets something."""
    if not isinstance(change, dict):
        return change
    before = obj if isinstance(obj, dict) else {}
    return before | {name: merged(before.get(name), inner) for name, inner in change.items()}


def health(case: Case) -> dict[str, str]:
    """The health that Argo CD is to show of a captured object."""
    own = {
        State.SUSPENDED: "spec.suspend is true",
        State.SUSPENDED_UNSEEN: "spec.suspend is true",
        State.DISCONNECTED: "spec.connection is Disconnected",
        State.UNSEEN: "Waiting for the operator",
        State.EDITED: "Waiting for the operator",
    }
    ready = case.captured()["status"]["conditions"][0]
    return {"status": case.row.argo, "message": own.get(case.state, ready["message"])}


def actions_test(kind: Kind) -> dict[str, Any]:
    """What upstream's tests of actions are to hold."""
    seen = [case for case in CASES if case.kind is kind]
    return {
        "discoveryTests": [
            {
                "inputPath": f"../testdata/{case.state}.yaml",
                "result": [
                    {
                        "name": name,
                        "disabled": name not in open_actions(case),
                        **_TITLES.get(name, {}),
                    }
                    for name in actions_of(kind)
                ],
            }
            for case in seen
        ],
        "actionTests": [
            {
                "action": name,
                "inputPath": f"../testdata/{acted_on(name)}.yaml",
                "expectedOutputPath": f"testdata/{name}.yaml",
            }
            for name in actions_of(kind)
        ],
    }


_TITLES = {"send-test": {"displayName": "Send a test message"}}


def write(captured: Mapping[Case, Raw]) -> None:
    """Write captured objects, and what is to be made of them."""
    for case, obj in captured.items():
        _put(case.path, without_accidents(obj))
    for kind in Kind:
        own, seen = CUSTOMIZATIONS / kind, [case for case in CASES if case.kind is kind]
        entries = [
            {"healthStatus": health(case), "inputPath": f"testdata/{case.state}.yaml"}
            for case in seen
        ]
        _put(own / "health_test.yaml", {"tests": entries})
        _put(own / "actions" / "action_test.yaml", actions_test(kind))
        for action, change in CHANGES.items():
            if action in actions_of(kind):
                made = merged(Case(kind, acted_on(action)).captured(), change)
                _put(own / "actions" / "testdata" / f"{action}.yaml", made)


def _put(path: Path, document: Raw) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True))
