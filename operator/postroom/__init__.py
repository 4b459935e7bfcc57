# SPDX-License-Identifier: Apache-2.0
"""postroom: email infrastructure as Kubernetes resources, with the truth in ``status``."""

__version__ = "0.1.0"
