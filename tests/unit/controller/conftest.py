# SPDX-License-Identifier: Apache-2.0
"""What tests of the controller share: a system that trusts one authority.

Each client of an API server without TLS would read all that the real one trusts, 50 ms for nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of whom the system trusts, as OpenSSL is told of it."""
    path = tmp_path_factory.mktemp("system") / "ca.crt"
    trustme.CA().cert_pem.write_to_path(path)
    return path


@pytest.fixture(autouse=True)
def few_authorities(authorities: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have OpenSSL read these instead."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
