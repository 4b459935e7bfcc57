# SPDX-License-Identifier: Apache-2.0
"""Whether the preset of a spec's provider takes its parameters, before anything is asked."""

from __future__ import annotations

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.fields import Model
from postroom.api.mailserver import MailServerSpec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns import planning
from postroom.reconcile.signing_in.targets import imap_target, own_smtp_target, smtp_target


def refuse_parameters(spec: Model) -> None:
    """Raise `InvalidSpec`, as the reconcilers do, for what the provider's preset does not take."""
    match spec:
        case SendingDomainSpec():
            planning.complete(spec)
        case MailServerSpec():
            smtp_target(spec)
        case EmailAccountSpec():
            if spec.provider is not None and spec.server_ref is None:
                own_smtp_target(spec)
            if spec.imap is not None:
                imap_target(spec, spec.imap)
