# SPDX-License-Identifier: Apache-2.0
"""The ground floor: who may do how much at a time, what is done once for many, what is kept.

And how long to wait after failures. Knows nothing of mail, DNS or Kubernetes.
"""
