# SPDX-License-Identifier: Apache-2.0
"""What is said where the Secret of a binding could not be written, or not be taken away."""

from collections.abc import Mapping, Sequence

from postroom.api.findings import Finding, Severity
from postroom.api.reasons import Reason
from postroom.reconcile.status.wanted import ChildState, ChildStates, Wanted

#: Where to get the rights.
COMPONENT = "manifests/install/binding (Helm: settings.allowBindings)"
_NOT_DELETED = f"could not be deleted: see that {COMPONENT} is installed, or delete it."
_ENDING = "is deleted, but stands until its finalizers are taken off: see who set them."
#: How a Secret that was deleted goes on to stand.
GOING: Mapping[ChildState, str] = {
    ChildState.ENDING: _ENDING,
    ChildState.READABLE: f"{_ENDING} It is immutable, so that the password in it could not be "
    "taken out and can be read until then: change it.",
}
_IS_ENDING = (
    Reason.SECRET_CONFLICT,
    "Secret {name} is being deleted, and stands until its finalizers are taken off: see who "
    "set them. It is written anew once it is gone.",
)
PROBLEMS: Mapping[ChildState, tuple[Reason, str]] = {
    ChildState.CONFLICT: (
        Reason.SECRET_CONFLICT,
        "Secret {name} exists and is not this account's, so it is left alone: delete it, or name "
        "another one in spec.binding.secretName.",
    ),
    **dict.fromkeys(GOING, _IS_ENDING),
    ChildState.NOT_ALLOWED: (
        Reason.BINDING_NOT_ENABLED,
        "This operator writes no Secrets: Secret {name} is not made, and stays as it was if it is "
        f"there. Install {COMPONENT}, which sets --allow-bindings, or delete it and spec.binding.",
    ),
    ChildState.FORBIDDEN: (
        Reason.BINDING_FORBIDDEN,
        "Secret {name} could not be written: the operator lacks the permission to create, patch "
        f"and delete Secrets here; install {COMPONENT}, and look for a quota on Secrets.",
    ),
    ChildState.UNGUARDED: (
        Reason.BINDING_UNGUARDED,
        "Secret {name} is not written: no admission policy is in force that keeps the operator "
        f"from all other Secrets. Install the policy of {COMPONENT}, with its binding.",
    ),
    ChildState.REFUSED: (
        Reason.BINDING_REFUSED,
        "The API server does not accept Secret {name}: see that it is not immutable and that its "
        "name is not too long.",
    ),
}


def not_withdrawn(children: Sequence[Wanted], states: ChildStates) -> tuple[Finding, ...]:
    """What is to go and stands still."""
    return tuple(
        Finding(
            code="BINDING_NOT_WITHDRAWN",
            severity=Severity.WARNING,
            subject=each.child.name,
            message=f"Secret {each.child.name} is not to be had any more, and "
            f"{GOING.get(states[each.child], _NOT_DELETED)}",
        )
        for each in children
        if each.content is None and states.get(each.child) in PROBLEMS
    )
