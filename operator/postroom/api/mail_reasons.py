# SPDX-License-Identifier: Apache-2.0
"""What the reasons about mail servers and identities mean, by their values in `Reason`."""

from postroom.api.finding_texts import KEEPS_LOOKING

_NONE = "Nothing to do."

CATALOGUE: dict[str, tuple[str, str]] = {
    "Allowed": ("The dial guard permits the host and port.", _NONE),
    "AddressDenied": (
        "The host resolves to an address that the dial guard forbids.",
        "Use a public host, or have the operator's --allow-cidr widened.",
    ),
    "PortDenied": (
        "The port is not one for mail.",
        "Use an allowed port, or have the operator's --allow-port widened.",
    ),
    "ProbeSucceeded": ("The server answered as a mail server should.", _NONE),
    "ProbeInconclusive": (
        "The probe ended for a passing reason before it could tell.",
        KEEPS_LOOKING,
    ),
    "ResourcesExhausted": (
        "postroom itself lacks memory, threads or descriptors to look with, or certificate "
        "authorities to judge by; it says nothing of the server, and the last verdict stands.",
        "Where it stays so, give the operator more: its memory limit, its limits of open files and "
        "processes, or the package ca-certificates, as the message says.",
    ),
    "ReadForbidden": (
        "postroom may not read a Secret, ConfigMap or Service that the object refers to; it says "
        "nothing of the object, and the last verdict stands.",
        "Grant the service account of postroom the verb get there, as manifests/install and the "
        "chart do.",
    ),
    "CredentialsElsewhere": (
        "`postroom check` has not the Secret at hand, or could not read the place that it was to "
        "read it from: nothing was tried with it.",
        "Bring the Secret along in the input or by --secrets-from, readable for you; in the "
        "cluster the operator reads it by itself.",
    ),
    "HostNotFound": (
        "The host has no address in DNS.",
        "Correct the host's name; where it is right, look at the resolver that postroom uses.",
    ),
    "ConnectionRefused": ("Nothing listens on the port.", "Correct the port, or start the server."),
    "ConnectionTimeout": (
        "The server, or a firewall before it, did not answer in time.",
        "Open the way to the port (many clouds block 25 and 465: try 587); where the message tells "
        "of a slow server, mend that.",
    ),
    "UnexpectedGreeting": (
        "What answers on the port does not speak the protocol.",
        "Correct the host, port or tls.mode.",
    ),
    "ServiceUnavailable": (
        "The server says that it is not available now (421, BYE).",
        "Wait; if it stays, ask the server's operator.",
    ),
    "StartTLSNotOffered": (
        "The server does not offer STARTTLS; credentials are never sent in the clear.",
        "Correct the port or use tls.mode Implicit.",
    ),
    "CapabilityMissing": (
        "The server lacks something that the spec needs, such as AUTH.",
        "Do what the message says; AUTH may be offered at the submission port alone.",
    ),
    "CertificateValid": ("The certificate is trusted and fits the name.", _NONE),
    "CertificateExpired": ("The certificate has expired.", "Renew it on the server."),
    "CertificateNotYetValid": (
        "The certificate is not valid yet.",
        "Check the server's certificate and both clocks.",
    ),
    "CertificateNameMismatch": (
        "The certificate is for other names.",
        "Use a name of the certificate as host, or set tls.serverName to it.",
    ),
    "CertificateUntrusted": (
        "No trusted authority vouches for the certificate.",
        "Reference the authority in tls.caBundleRef, or have the server send its intermediate.",
    ),
    "CertificateChainIncomplete": (
        "The server sends its certificate without the intermediate that vouches for it.",
        "Have the server send the whole chain, or reference the intermediate in tls.caBundleRef.",
    ),
    "CertificateWeak": (
        "The certificate or one above it has a key or a signature that is too weak.",
        "Have it issued anew, with RSA of 2048 bits or EC, and signed with SHA-256.",
    ),
    "ClientCertificateRequired": (
        "The server lets nobody in without a client certificate, and postroom has none.",
        "Have the server ask for none on this port, or use another port.",
    ),
    "HandshakeFailed": (
        "TLS could not be negotiated.",
        "Check tls.mode against the port, and the server's TLS settings.",
    ),
    "ProtocolTooOld": (
        "The server speaks only TLS versions before 1.2.",
        "Enable TLS 1.2 or newer on the server.",
    ),
    "CABundleInvalid": (
        "The CA bundle holds no readable PEM certificate.",
        "Mend the data under the referenced key.",
    ),
    "AuthenticationSucceeded": ("The server accepted the credentials.", _NONE),
    "AuthenticationRejected": (
        "The server rejected the credentials; they are sent once more half an hour later, and then "
        "not until they change or somebody asks.",
        "Correct the Secret; many providers want an app password here.",
    ),
    "MechanismUnsupported": (
        "Server and postroom share no authentication mechanism.",
        "Enable one of those that the message names on the server.",
    ),
    "AccountDisabled": (
        "The server says that the account is disabled, expired or not permitted. It may be enabled "
        "without anything being changed here, so that the credentials are sent again once a day.",
        "Have the provider enable or permit it, as the message says.",
    ),
    "AccountLocked": (
        "The server says that the account is locked. Many locks end by themselves after minutes or "
        "hours, so that the credentials are sent again every six hours.",
        "Unlock the account at the provider, or wait; ask for a check when it is unlocked.",
    ),
    "EncryptionRequired": (
        "The server takes credentials only over TLS.",
        "Set tls.mode to StartTLS or Implicit.",
    ),
    "SenderNotAuthorized": (
        "The server does not let this account send as the address.",
        "Grant the right on the server.",
    ),
    "MailboxNotFound": (
        "Login works, but the mailbox cannot be opened.",
        "Correct imap.mailbox or its rights, or have the server mended, as the message says.",
    ),
    "TemporaryFailure": ("The server could not check the credentials now.", KEEPS_LOOKING),
    "NotAttempted": (
        "The check was not made because an earlier stage failed.",
        "Mend the earlier stage first.",
    ),
    "IdentitiesVerified": ("The account may send as all its identities.", _NONE),
    "IdentityVerified": ("The account may send as this address.", _NONE),
    "IdentityRejected": (
        "The provider or server does not let the account send as an address of spec.identities.",
        "Register the address or grant the right, as the message says, or remove it.",
    ),
    "IdentityPending": (
        "Somebody still has to confirm the address.",
        "Follow the link in the message that the provider sent to it.",
    ),
    "IdentityUnverifiable": (
        "Nobody tells whether the account may send as the address; this is no refusal.",
        "Do what the message says, or send a test message as it.",
    ),
    "PortBlocked": (
        "IMAP works, but the port for SMTP does not answer: many networks and clouds block 25 "
        "and 465.",
        "Use port 587 or 2525 with tls.mode StartTLS, or have the port opened.",
    ),
    "ServerThrottled": (
        "The server asks to be left alone for a while.",
        "Wait, and raise the interval.",
    ),
}
