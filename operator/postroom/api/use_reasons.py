# SPDX-License-Identifier: Apache-2.0
"""What the reasons mean that are about who uses an account, by their values in `Reason`."""

CATALOGUE: dict[str, tuple[str, str]] = {
    "Disconnected": (
        "spec.connection is Disconnected: nothing is sent as the account and its mailbox is not "
        "read; status.disconnection lists who relied on it.",
        "Set spec.connection to Connected to use the account again.",
    ),
    "ReceiverDisconnected": (
        "The EmailAccount whose mailbox receives the messages is disconnected.",
        "Name another one in spec.roundTrip.receiverRef or spec.forwarding, or connect that one "
        "again.",
    ),
    "FallbackSenderDisconnected": (
        "The EmailAccount of the fallback sender's address is disconnected, so that nobody sends "
        "as it.",
        "Name another address in spec.fallbackSender, or connect that account again.",
    ),
    "ConsumerConflict": (
        "The address belongs to the application that another EmailAccount names in spec.consumer; "
        "one application alone uses an address.",
        "Take the address out of spec.identities or spec.fallbackSender, or name the same one.",
    ),
    "IdentityDisabled": (
        "spec.identities has the address with enabled false: nobody is to send as it.",
        "Set its enabled to true to use it again.",
    ),
    "SecretProjected": (
        "A Secret of the operator's own has what an application needs to send as the account.",
        "Nothing to do.",
    ),
    "SecretReferenced": (
        "The Secret of spec.credentialsRef has what an application needs; nothing is written.",
        "Nothing to do.",
    ),
    "SecretConflict": (
        "A Secret of the name that spec.binding asks for is not this account's, and is left alone; "
        "or it is, was deleted, and is held by a finalizer.",
        "Name another one in spec.binding.secretName, or delete that Secret, or have its "
        "finalizers taken off by whoever set them.",
    ),
    "BindingWithdrawn": (
        "The account may not send, so that nothing of it is published; what was is withdrawn.",
        "Mend what the other conditions name: it is published again by itself.",
    ),
    "BindingNotEnabled": (
        "spec.binding asks for a Secret, but this operator writes none.",
        "Install manifests/install/binding, which sets --allow-bindings (Helm: "
        "settings.allowBindings), or remove spec.binding.",
    ),
    "BindingForbidden": (
        "The operator lacks the permission to write the Secrets of bindings here.",
        "Install manifests/install/binding (Helm: settings.allowBindings) for this namespace, and "
        "look for a quota on Secrets.",
    ),
    "BindingUnguarded": (
        "No admission policy is in force that keeps the operator from all other Secrets, so it "
        "writes none.",
        "Install the policy of manifests/install/binding (Helm: policies.create), with its "
        "binding.",
    ),
    "BindingRefused": (
        "The API server does not accept the Secret of a binding.",
        "See that the Secret is not immutable and that its name is not too long.",
    ),
}
