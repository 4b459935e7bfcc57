# SPDX-License-Identifier: Apache-2.0
"""What the reasons mean that messages of postroom's own come to, by their values in `Reason`."""

from postroom.api.finding_texts import KEEPS_LOOKING

CATALOGUE: dict[str, tuple[str, str]] = {
    "MessageAccepted": (
        "The server took the message over; there is no mailbox to look for it in.",
        "Nothing to do. Set spec.imap to have its arrival seen, too.",
    ),
    "Delivered": ("The message arrived.", "Nothing to do."),
    "DeliveredToSpam": (
        "The message arrived, but among spam.",
        "Read status.*.result.authentication: mend what does not pass, then mark it as not spam.",
    ),
    "NotDelivered": (
        "The server took the message over, but it did not arrive within ten minutes.",
        "Look for it in the server's log and queue, and for filters that move or drop it.",
    ),
    "MessageUnconfirmed": (
        "Whether the message was sent is not known: the server's answer was lost, or postroom was "
        "restarted in between. It is never sent twice.",
        "Ask for another one.",
    ),
    "RecipientRejected": (
        "The server takes no mail for the recipient.",
        "Correct the recipient, and check that its mailbox exists and takes mail.",
    ),
    "SendingDenied": (
        "The server sends no mail for this account or this client, whoever the recipient is.",
        "Do what the message says at the provider or on the server.",
    ),
    "MessageRejected": (
        "The server refuses the message.",
        "Do what the message says; the server's own log tells more.",
    ),
    "MessageTooLarge": (
        "The message is larger than the server takes.",
        "Have the server's limit on the size of messages raised.",
    ),
    "SendLimitExceeded": (
        "The account has used up what its provider lets it send.",
        "Wait a day, and send less or have the limit raised.",
    ),
    "RecipientNotAllowed": (
        "Test messages only go to the account itself, its identities and whom the operator allows.",
        "Correct postroom.dev/send-test-to, or have the operator's --allow-test-recipient grow.",
    ),
    "ReceiverNotReady": (
        "The mailbox in which the message would be looked for cannot be read.",
        "Mend the EmailAccount that the message names.",
    ),
    "SubAddressUnsupported": (
        "No sub-address of the receiving account can be used as the technical address.",
        "Create an alias of its mailbox, and name it in spec.forwarding.technicalAddress instead "
        "of receiverRef.",
    ),
    "SenderRewritten": (
        "The message arrived from another sender than it was sent from.",
        "Register the address with the provider as one that this account may send as.",
    ),
    "Redirected": (
        "Mail to the address reaches the technical address as it was sent.",
        "Nothing to do.",
    ),
    "HeadersRewritten": (
        "Mail to the address reaches the technical address as a message of whoever forwards it, so "
        "that replies go to the wrong one.",
        "Redirect instead of forwarding: follow status.forwarding.steps.",
    ),
    "NotForwarded": (
        "Mail to the address does not reach the technical address.",
        "Follow status.forwarding.steps.",
    ),
    "AwaitingMessage": (
        "A message of postroom's is on its way, or waits to be sent.",
        KEEPS_LOOKING,
    ),
}
