#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the locks of the image: every package with its version and the hashes of its files.

    python image/lock.py              the newest versions that pyproject.toml allows
    python image/lock.py --keep       those that are locked, where they still fit

It needs uv (in the extra `dev`) and PyPI. What it writes is for every platform of the image at
once; pip takes nothing else, nor anything with another hash.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYPROJECT = HERE.parent / "pyproject.toml"
#: The Python of the image, and what its build needs besides.
PYTHON = "3.12"
LOCKS = {
    HERE / "requirements.lock": PYPROJECT,
    HERE / "build.lock": HERE / "build.in",
    HERE / "publish.lock": HERE / "publish.in",
}
#: Extras of the project that are in the image: what a flag of a shipped process needs.
EXTRAS = ("nats",)


def compiled(source: Path, target: Path, *, keep: bool) -> None:
    """Have uv write the lock of `source`."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise SystemExit("uv is not installed: pip install uv")
    command = [uv, "pip", "compile", "--quiet", "--universal", f"--python-version={PYTHON}"]
    command += ["--generate-hashes", "--no-annotate", "--no-header"]
    if source == PYPROJECT:
        command += [f"--extra={extra}" for extra in EXTRAS]
    command += [f"--output-file={target}", str(source)]
    # What is in the output file already, uv prefers.
    subprocess.run([*command, *([] if keep else ["--upgrade"])], check=True)  # noqa: S603 - our own
    text = target.read_text()
    target.write_text(f"# Made by image/lock.py from {source.name}, for Python {PYTHON}.\n{text}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="keep locked versions that still fit")
    arguments = parser.parse_args()
    for target, source in LOCKS.items():
        compiled(source, target, keep=arguments.keep)


if __name__ == "__main__":
    main()
