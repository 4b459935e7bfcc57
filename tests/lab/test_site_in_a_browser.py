# SPDX-License-Identifier: Apache-2.0
"""The site of docs/ in a real Chromium, as it is served: what its theme and our colours make of it.

Covers: contrast of every text of a page in both schemes, the width of a telephone, the console, and
the search by keyboard, for the words that an administrator looks for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

import build_site
from lab.chromium import Browser, browser

PAGES = ("evaluating/", "reference/flags/")
#: Open shadow roots hold the search.
_FOUND = """return [...document.querySelectorAll('*')].filter(each => each.shadowRoot)
    .flatMap(each => [...each.shadowRoot.querySelectorAll('a')]).map(each => each.innerText)"""


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on each request."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the site is served."""
    versions = tmp_path_factory.mktemp("versions")
    build_site.keep(build_site.built(tmp_path_factory.mktemp("copy"), None), versions, "dev", "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(versions)))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}/dev/"
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_every_text_can_be_read(chromium: Browser, site: str, page: str, scheme: str) -> None:
    chromium.look(scheme=scheme)
    chromium.open(site + page)
    violations = chromium.axe_violations()
    assert [each for each in violations if each.startswith("color-contrast")] == []
    assert chromium.complaints() == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_no_wider_than_a_telephone(chromium: Browser, site: str, page: str) -> None:
    chromium.look(wide=360)
    chromium.open(site + page)
    assert chromium.run("return document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("air-gapped", "Before you run it"),
        ("rollback", "Upgrading"),
        ("HTTPS_PROXY", "Install"),
    ],
)
def test_the_search_is_opened_by_keys_and_finds(
    chromium: Browser, site: str, words: str, page: str
) -> None:
    chromium.look()
    chromium.open(site)
    keys = ActionChains(chromium.driver)
    keys.key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).pause(0.3).send_keys(words)
    keys.perform()
    WebDriverWait(chromium.driver, 10).until(
        lambda _: any(page in found for found in chromium.run(_FOUND))
    )
