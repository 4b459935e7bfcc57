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
        "Name another one in spec.roundTrip.receiverRef, or connect that one again.",
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
}
