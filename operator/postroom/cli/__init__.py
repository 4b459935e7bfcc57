# SPDX-License-Identifier: Apache-2.0
"""The command line: a module for each verb, named in `main`, and what several verbs share."""
