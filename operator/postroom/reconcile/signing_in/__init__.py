# SPDX-License-Identifier: Apache-2.0
"""From a spec to a probe that signs in: references, credentials, targets, retries."""
