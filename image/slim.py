#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes out of an installation what the program never imports of the Kubernetes client.

    python image/slim.py SITE_PACKAGES

The client has a generated module for every API and every kind of Kubernetes, twice: more than half
of the image. It loads them by name when they are asked for, and postroom asks for none: it speaks
to the API server with paths and dictionaries. What is kept of them is what importing every module
of postroom loads.
"""

import importlib
import pkgutil
import shutil
import sys
from pathlib import Path

#: Packages of nothing but generated modules.
GENERATED = tuple(
    f"kubernetes.{client}.{part}"
    for client in ("client", "aio.client")
    for part in ("api", "models")
)
#: The lab and what tells its story need these, which are not in the image.
NOT_INSTALLED = frozenset({"aiosmtpd", "trustme"})


def loaded(site: Path) -> set[Path]:
    """The files of all modules that are imported with postroom."""
    sys.path.insert(0, str(site))
    package = importlib.import_module("postroom")
    for module in pkgutil.walk_packages(package.__path__, "postroom."):
        if module.name.endswith(".__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name not in NOT_INSTALLED:
                raise
    files = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return {Path(file).resolve() for file in files if file}


def removed(site: Path, kept: set[Path]) -> int:
    """Remove the generated modules that are not among `kept`; how many octets that was."""
    octets = 0
    for name in GENERATED:
        directory = site.joinpath(*name.split("."))
        for path in sorted(directory.glob("*.py")):
            if path.name != "__init__.py" and path.resolve() not in kept:
                octets += path.stat().st_size
                path.unlink()
        shutil.rmtree(directory / "__pycache__", ignore_errors=True)
    return octets


def main() -> None:
    site = Path(sys.argv[1]).resolve()
    sys.dont_write_bytecode = True
    octets = removed(site, loaded(site))
    if not octets:
        raise SystemExit(f"nothing was found in {site}: has the client another layout?")
    sys.stdout.write(f"{octets / 1e6:.0f} MB of generated modules removed\n")


if __name__ == "__main__":
    main()
