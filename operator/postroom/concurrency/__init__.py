# SPDX-License-Identifier: Apache-2.0
"""The ground floor: who may do how much at a time. Knows nothing of mail, DNS or Kubernetes."""
