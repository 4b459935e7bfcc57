# SPDX-License-Identifier: Apache-2.0
"""Where messages are handed to: a Service over HTTP, or a stream of NATS JetStream."""
