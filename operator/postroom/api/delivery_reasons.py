# SPDX-License-Identifier: Apache-2.0
"""What the reasons of `InboundDelivering` mean, by their values in `Reason`."""

CATALOGUE: dict[str, tuple[str, str]] = {
    "Delivering": (
        "Incoming mail is handed to the application of spec.inbound.deliver.",
        "Nothing to do.",
    ),
    "ConsumerUnavailable": (
        "The application does not take messages now: it does not answer, or answers 408, 425, 429, "
        "5xx or a redirect. They stay in the mailbox and are offered again.",
        "Look at the application and its Service; everything goes on by itself.",
    ),
    "ConsumerRejects": (
        "The application refuses a message with a 4xx answer. It is offered again for 48 hours, "
        "and those after it wait; then it is passed by, recorded in status.inbound, and kept in "
        "the mailbox.",
        "Read the application's log, and have it answer 2xx for what it has taken.",
    ),
    "ConsumerGone": (
        "The application answers 410 (Gone): nothing more is sent.",
        "Correct spec.inbound.deliver, or set the annotation reconcile.fluxcd.io/requestedAt once "
        "the application takes mail again.",
    ),
    "ServiceNotFound": (
        "The Service of spec.inbound.deliver does not exist in this namespace, or has no such "
        "port.",
        "Create it, or correct service.name and service.port.",
    ),
    "ServiceNotUsable": (
        "The Service of spec.inbound.deliver has no address of its own that may be dialled: it is "
        "an ExternalName or headless, or its address is loopback, link-local or the like.",
        "Name a Service of type ClusterIP; where a cluster has its Services in a reserved range, "
        "have an administrator name it by --allow-cidr.",
    ),
    "SinkNotConfigured": (
        "spec.inbound.deliver.jetStream asks for a stream, and `postroom deliver` was given none.",
        "Have an administrator give it --nats-url, or name a Service in spec.inbound.deliver.",
    ),
    "SigningKeyInvalid": (
        "The signing key is none: whsec_ and the base64 of 24 to 64 octets are expected.",
        "Put the output of this into the key current of the Secret: "
        "echo whsec_$(openssl rand -base64 32).",
    ),
    "CursorUnreadable": (
        "What status has of how far a mailbox was handed over cannot be read, as after going back "
        "to an older version. Nothing is handed over from it, because where to go on is not known.",
        "Run the version of `postroom deliver` that wrote it; or remove spec.inbound.deliver, wait "
        "until status.inbound has no cursors, and put it back: the mailbox then begins by start.",
    ),
    "WorkerAbsent": (
        "No `postroom deliver` is at work on this account: none has ever looked at it, or its "
        "Lease is not there or not renewed. Mail stays in the mailbox.",
        "Have an administrator install `postroom deliver` for this namespace, or look at why its "
        "Pods do not run; everything goes on from where it was.",
    ),
    "WorkerUnknown": (
        "Whether `postroom deliver` is at work cannot be known, so that no good verdict would fall "
        "with it: it holds no Lease, or the operator cannot read it. Mail is handed over all the "
        "same as long as it is.",
        "Have an administrator run `postroom deliver` with --leader-election, and grant the "
        "operator get on leases in the namespace of that Lease.",
    ),
}
