# SPDX-License-Identifier: Apache-2.0
"""The objects that a resource is to own, as values: a reconciler says what is wanted, and reads at
its next run what became of it. Who writes them is the controller's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.masked import Masked
from postroom.api.sendingdomain_status import SendingDomainStatus
from postroom.api.status import CommonStatus
from postroom.dns.publishing.dns_endpoint import KIND


class Child(NamedTuple):
    """Names an object that a resource owns in its own namespace: its kind, and its name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made of a child.

    `content` is what whoever writes this kind understands, with everything secret in it masked;
    None: it is to be gone, if it belongs to the resource.
    """

    child: Child
    content: object | None


@dataclass(frozen=True, slots=True)
class SecretBody:
    """The whole content of a Secret of the operator's own.

    `handed_round` tells that one resource after the other has it; `takes_over`, that it is taken
    from the one that has it now.
    """

    type: str
    data: Mapping[str, Masked]
    handed_round: bool = False
    takes_over: bool = False


@dataclass(frozen=True, slots=True)
class Yielded:
    """Another resource will take the child, if it has not yet: it is left as it is."""


class ChildState(StrEnum):
    """What became of a child that was wanted so."""

    #: It is there and has the content that was wanted.
    APPLIED = "Applied"
    #: Nothing of the resource's is there any more.
    GONE = "Gone"
    #: It is deleted, and stands until whoever holds it by a finalizer lets it go.
    ENDING = "Ending"
    #: The same, and what is in it can be read until then: it is immutable.
    READABLE = "Readable"
    #: It is the resource's still where another will take it, or another's where it was wanted.
    LEFT = "Left"
    #: Something that is not ours stands under its name, and is left alone.
    CONFLICT = "Conflict"
    #: The operator was not told that it may.
    NOT_ALLOWED = "NotAllowed"
    #: The operator lacks the right.
    FORBIDDEN = "Forbidden"
    #: Nothing keeps the operator from what is not its own, so it writes nothing.
    UNGUARDED = "Unguarded"
    #: The API server knows no such kind.
    NOT_SERVED = "NotServed"
    #: What would be written is not accepted.
    REFUSED = "Refused"
    #: It could not be written now, and is tried again.
    UNAVAILABLE = "Unavailable"


#: What is known of the children of one resource.
ChildStates = Mapping[Child, ChildState]


def left_by(status: CommonStatus) -> tuple[Wanted, ...]:
    """Return what is to be taken back of an object that is deleted, as the API server would if
    nobody held it by a finalizer."""
    if isinstance(status, EmailAccountStatus) and status.binding is not None:
        return tuple(Wanted(Child("Secret", name), None) for name in status.binding.secrets)
    if isinstance(status, SendingDomainStatus) and status.publication is not None:
        return (Wanted(Child(KIND, status.publication.endpoint), None),)
    return ()
