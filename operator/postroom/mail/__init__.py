# SPDX-License-Identifier: Apache-2.0
"""Probing SMTP and IMAP servers, stage by stage, safely; knows nothing of Kubernetes."""
