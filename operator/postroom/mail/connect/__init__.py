# SPDX-License-Identifier: Apache-2.0
"""The way to a server: dial guard, connection, TLS and the faults of certificates, HTTPS."""
