# SPDX-License-Identifier: Apache-2.0
"""A real Chromium (Debian packages chromium and chromium-driver), driven by Selenium; and axe-core.

With POSTROOM_REQUIRE_CHROMIUM=1 their absence is a failure. axe-core comes from npm, once, into the
project's cache, as a tarball whose digest is known: nothing of it is run but in the page.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service

from postroom.lab.operator_process import free_port

#: Name and version of the package on npm, and the SHA-256 of its file axe.min.js.
AXE, AXE_SHA256 = (
    "axe-core@4.14.1",
    "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
)
_WIDE, _HIGH = 1280, 900
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which root in a container has not
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--lang=en",
    # No name is looked up, and nothing but loopback is reached.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


class Browser:
    """A window that is looked at in a size and a scheme, and what it complains of."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def look(self, *, wide: int = _WIDE, scheme: str = "light", script: bool = True) -> None:
        """Choose how the next page is shown; a page that is open keeps its script."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not script)
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=wide,
            height=_HIGH,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", media="", features=features)

    def open(self, url: str) -> None:
        """Load a page; what was complained of before is forgotten."""
        self.complaints()
        self.driver.get("about:blank")
        self.driver.get(url)

    def complaints(self) -> list[str]:
        """What the console has said since the last time: violations of the policy among it."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page, as a developer's console would."""
        return self.driver.execute_script(script, *arguments)

    def cdp(self, command: str, **parameters: object) -> Any:
        """Give a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def picture(self, high: int | None = None) -> bytes:
        """The page as PNG: all of it, or so many pixels from its top."""
        tall = high or int(self.run("return document.documentElement.scrollHeight"))
        size = {"width": int(self.run("return innerWidth")), "height": tall}
        self.cdp("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
        return base64.b64decode(self.cdp("Page.captureScreenshot", format="png")["data"])

    def printed(self) -> bytes:
        """The page as PDF, as a printer without backgrounds has it."""
        return base64.b64decode(self.cdp("Page.printToPDF", printBackground=False)["data"])

    def axe_violations(self) -> list[str]:
        """What axe-core finds: rules and places. The console runs it, not the page."""
        self.run(axe())
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations),"
            "  e => done([{id: String(e), nodes: []}]));"
        )
        return [
            f"{each['id']}: {[node['html'][:160] for node in each['nodes'][:3]]}" for each in found
        ]


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a Chromium, or skip; a failure where the variable demands it."""
    program, helper = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or helper is None:
        _refuse("Chromium is not here (Debian: chromium and chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(program)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        try:
            driver = webdriver.Chrome(
                options=options, service=Service(str(helper), port=free_port())
            )
        except WebDriverException as error:
            _refuse(f"Chromium does not start: {error.msg}")
        # axe-core goes through a page of a hundred objects, on a machine that is busy.
        driver.set_script_timeout(180)
        try:
            yield Browser(driver)
        finally:
            driver.quit()


def axe() -> str:
    """The source of axe-core, fetched once; a failure or skip where it cannot be had."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "postroom"
    root = Path(os.environ.get("POSTROOM_CACHE_DIR") or default).expanduser() / "axe-core"
    root.mkdir(parents=True, exist_ok=True)
    kept = root / f"{AXE}.js"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            try:
                kept.write_bytes(_fetched())
            except (OSError, subprocess.SubprocessError) as error:
                _refuse(f"axe-core cannot be had from npm: {error}")
    content = kept.read_bytes()
    assert hashlib.sha256(content).hexdigest() == AXE_SHA256, f"{kept} is not {AXE}"
    return content.decode()


def _fetched() -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        command = ("npm", "pack", AXE, "--silent")
        subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=300)
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as packed:
            member = packed.extractfile("package/axe.min.js")
            assert member is not None
            return member.read()


def _refuse(reason: str) -> Any:
    if os.environ.get("POSTROOM_REQUIRE_CHROMIUM") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
