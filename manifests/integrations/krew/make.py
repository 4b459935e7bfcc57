# SPDX-License-Identifier: Apache-2.0
"""Makes what krew installs: an archive, and the manifest that names it by its hash.

    python manifests/integrations/krew/make.py --uri https://example.com/{archive} --out dist

The archive is the same to the byte wherever it is made, so that its hash can be checked.
"""

import argparse
import gzip
import hashlib
import io
import sys
import tarfile
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "operator"))

PLATFORMS = (("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"))
PROGRAM = "kubectl-postroom"


def archive_name(version: str) -> str:
    """The name of the archive of a version."""
    return f"kubectl-postroom-v{version}.tar.gz"


def archive(version: str) -> bytes:
    """The program and the license, without a time or an owner."""
    launcher = (HERE / PROGRAM).read_text("utf-8").replace("@VERSION@", version).encode()
    files = ((PROGRAM, launcher, 0o755), ("LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644))
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as made,
    ):
        for name, content, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            made.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def manifest(version: str, uri: str, packed: bytes, homepage: str | None = None) -> str:
    """The manifest of the archive that stands at a URI."""
    digest = hashlib.sha256(packed).hexdigest()
    spec = yaml.safe_load((HERE / "plugin.yaml").read_text("utf-8"))
    spec["spec"] = {"version": f"v{version}", **spec["spec"]}
    if homepage is not None:
        spec["spec"]["homepage"] = homepage
    spec["spec"]["platforms"] = [
        {
            "selector": {"matchLabels": {"os": system, "arch": machine}},
            "uri": uri,
            "sha256": digest,
            "bin": PROGRAM,
            "files": [{"from": PROGRAM, "to": "."}, {"from": "LICENSE", "to": "."}],
        }
        for system, machine in PLATFORMS
    ]
    return yaml.safe_dump(spec, sort_keys=False, width=100)


def main() -> None:
    from postroom import __version__

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--uri", required=True, help="where the archive will stand; {archive} is its name"
    )
    parser.add_argument("--homepage", help="of the project, for kubectl krew info")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder to write to")
    parser.add_argument("--version", default=__version__, help="default: that of the program")
    given = parser.parse_args()
    name, packed = archive_name(given.version), archive(given.version)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / name).write_bytes(packed)
    uri = given.uri.replace("{archive}", name)
    written = given.out / "postroom.yaml"
    written.write_text(manifest(given.version, uri, packed, given.homepage), "utf-8")
    sys.stdout.write(f"{given.out / name}\n{written}\n")


if __name__ == "__main__":
    main()
