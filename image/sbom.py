#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what the image holds of Python packages as SPDX 2.3 in JSON, from the lock alone.

    python image/sbom.py [--created 2026-01-01T00:00:00Z] > postroom.spdx.json

The same lock, version and time make the same text; the time is SOURCE_DATE_EPOCH where that is set.
Packages of the base image are not in it: its own publisher lists them. Licences of packages are
not asserted, but for those that NOTICE names.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.lock"
VERSION = HERE.parent / "operator" / "postroom" / "__init__.py"

#: See NOTICE.
_LICENCES = {"aioimaplib": "GPL-3.0-only"}
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)([^\\\n]*)", re.MULTILINE)
_ELSEWHERE = re.compile(r"sys_platform == 'win32'")


def locked(text: str) -> Iterator[tuple[str, str]]:
    """Name and version of each package of a lock that an image of Linux has."""
    for name, version, marker in _PACKAGE.findall(text):
        if not _ELSEWHERE.search(marker):
            yield name, version


def own_version() -> str:
    found = re.search(r'^__version__ = "(.+)"$', VERSION.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{VERSION} names no version")
    return found[1]


def document(lock: str, version: str, created: datetime) -> dict[str, Any]:
    """The SPDX document of a lock."""
    digest = hashlib.sha256(f"{version}\n{lock}".encode()).hexdigest()
    packages = [_package(name, number) for name, number in sorted(set(locked(lock)))]
    own = _package("postroom", version) | {
        "licenseDeclared": "Apache-2.0",
        "primaryPackagePurpose": "APPLICATION",
    }
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"postroom-{version}",
        "documentNamespace": f"https://postroom.dev/spdx/postroom-{version}-{digest}",
        "creationInfo": {
            "created": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: postroom-image-sbom-{version}"],
        },
        "packages": [own, *packages],
        "relationships": [
            _relation("SPDXRef-DOCUMENT", "DESCRIBES", own),
            *(_relation(own["SPDXID"], "DEPENDS_ON", package) for package in packages),
        ],
    }


def _package(name: str, version: str) -> dict[str, Any]:
    licence = _LICENCES.get(name, "NOASSERTION")
    return {
        "SPDXID": f"SPDXRef-Package-{re.sub('[^A-Za-z0-9.]', '-', name)}",
        "name": name,
        "versionInfo": version,
        "supplier": "NOASSERTION",
        "downloadLocation": "NOASSERTION"
        if name == "postroom"
        else f"https://pypi.org/project/{name}/{version}/",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:pypi/{name}@{version}",
            }
        ],
    }


def _relation(source: str, kind: str, target: dict[str, Any]) -> dict[str, str]:
    return {
        "spdxElementId": source,
        "relationshipType": kind,
        "relatedSpdxElement": target["SPDXID"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the SBOM of the image.")
    parser.add_argument("--created", type=datetime.fromisoformat, help="time of the document")
    created = parser.parse_args().created
    if created is None:
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        created = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    json.dump(document(LOCK.read_text(), own_version(), created), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
