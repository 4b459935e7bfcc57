# SPDX-License-Identifier: Apache-2.0
"""The report in a real Chromium: it is read without a script, copied with one, and nothing else.

Covers: the policy and its console, copying to the letter, what is left without script, keyboard,
axe-core in both schemes and at both widths, deep links, print, hostile texts, a thousand objects,
and the pages that the operator serves, with their form.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from lab.chromium import Browser, browser
from lab.report_gallery import KEY, MANIFEST, gallery
from postroom.api.names import Kind
from postroom.controller.cache import Cache
from postroom.controller.health import serve
from postroom.controller.status_page import StatusPage, add_status_page
from postroom.report import page
from postroom.report.shape import Turn
from unit.report.samples import FINDING, FIX, broken, condition, report_of, stored
from unit.report.test_page import ATTACKS, filled

SIZES = (360, 1280)
SCHEMES = ("light", "dark")


# Not for the session: the process has other files to run, beside which it would go on.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an object in every state."""
    made = report_of(*gallery())
    assert set(made.counts.turns) == set(Turn)
    return written(tmp_path_factory.mktemp("report"), page.render(made))


def written(directory: Path, text: str) -> Path:
    made = directory / "report.html"
    made.write_text(text, encoding="utf-8")
    return made


def opened(chromium: Browser, file: Path, fragment: str = "", **look: Any) -> None:
    chromium.look(**look)
    chromium.open(file.as_uri() + fragment)


def pasted(chromium: Browser) -> str:
    """What the clipboard holds: typed into a field of an empty page, as people do."""
    chromium.open("data:text/html,<textarea id=field></textarea>")
    field = chromium.driver.find_element(By.ID, "field")
    field.send_keys(Keys.CONTROL, "v")
    return str(field.get_property("value"))


def button_of(chromium: Browser, value: str) -> WebElement:
    """The button that copies a value."""
    for button in chromium.driver.find_elements(By.CSS_SELECTOR, ".copy > button"):
        if chromium.run("return arguments[0].previousElementSibling.textContent", button) == value:
            return button
    raise AssertionError(f"no button copies {value}")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wide", SIZES)
def test_axe_and_the_console_have_nothing_to_say(
    chromium: Browser, file: Path, wide: int, scheme: str
) -> None:
    opened(chromium, file, wide=wide, scheme=scheme)
    assert chromium.complaints() == []
    chromium.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert chromium.axe_violations() == []
    # Nothing runs out of the page at the side.
    assert chromium.run("return document.documentElement.scrollWidth") == wide


@pytest.mark.parametrize("value", [KEY, MANIFEST, FIX["value"]])
def test_a_button_copies_the_value_to_the_letter(chromium: Browser, file: Path, value: str) -> None:
    opened(chromium, file)
    button = button_of(chromium, value)
    button.click()
    WebDriverWait(chromium.driver, 60).until(lambda _: button.text == "Copied")
    assert chromium.driver.find_element(By.ID, "said").text == "Copied."
    assert chromium.complaints() == []
    assert pasted(chromium) == value


def test_where_copying_by_event_is_refused_the_clipboard_is_asked(
    chromium: Browser, file: Path
) -> None:
    opened(chromium, file)
    chromium.cdp("Browser.setPermission", permission={"name": "clipboard-write"}, setting="granted")
    chromium.run("document.execCommand = () => false")
    button = button_of(chromium, KEY)
    button.click()
    WebDriverWait(chromium.driver, 60).until(lambda _: button.text == "Copied")
    assert pasted(chromium) == KEY
    # And where nothing works, the value is at least selected.
    opened(chromium, file)
    chromium.run(
        "document.execCommand = () => false;"
        "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
    )
    button = button_of(chromium, KEY)
    button.click()
    WebDriverWait(chromium.driver, 60).until(lambda _: button.text == "Selected")
    assert chromium.run("return getSelection().toString()") == KEY


def test_without_script_all_is_read_and_one_click_selects_a_value(
    chromium: Browser, file: Path
) -> None:
    opened(chromium, file, script=False)
    buttons = chromium.driver.find_elements(By.TAG_NAME, "button")
    assert buttons
    assert not any(button.is_displayed() for button in buttons)
    text = chromium.driver.find_element(By.TAG_NAME, "main").text
    for said in ("Your turn", "We retry", "Waiting for propagation", str(FIX["value"]), KEY):
        assert said in text
    (value,) = [
        each
        for each in chromium.driver.find_elements(By.CSS_SELECTOR, "code.value")
        if each.text == KEY
    ]
    value.click()
    assert chromium.run("return getSelection().toString()") == KEY
    chromium.look()


def test_all_is_reached_by_keyboard_in_order_and_seen(chromium: Browser, file: Path) -> None:
    opened(chromium, file)
    body = chromium.driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    focused = chromium.driver.switch_to.active_element
    assert focused.text == "To the objects"
    focused.send_keys(Keys.ENTER)
    assert chromium.driver.switch_to.active_element.get_property("id") == "content"
    reached = list[str]()
    for _ in range(200):
        chromium.driver.switch_to.active_element.send_keys(Keys.TAB)
        focused = chromium.driver.switch_to.active_element
        if focused.tag_name == "body":
            break
        reached.append(focused.accessible_name)
        outline = "return getComputedStyle(arguments[0]).outlineStyle"
        assert chromium.run(outline, focused) == "solid", reached[-1]
    shown = [
        each
        for each in chromium.driver.find_elements(By.CSS_SELECTOR, "main button")
        if each.is_displayed()
    ]
    assert [name for name in reached if name.startswith("Copy ")] == [
        each.accessible_name for each in shown
    ]
    assert "Link to mail server mail/relay" in reached


def test_the_keyboard_copies_too(chromium: Browser, file: Path) -> None:
    opened(chromium, file)
    button = button_of(chromium, KEY)
    chromium.run("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    WebDriverWait(chromium.driver, 60).until(lambda _: button.text == "Copied")
    assert pasted(chromium) == KEY


@pytest.mark.parametrize("name", ["mailserver/mail/relay", "sendingdomain/other/well"])
def test_a_link_to_an_object_leads_to_it(chromium: Browser, file: Path, name: str) -> None:
    opened(chromium, file, f"#{name}")
    found = chromium.run(
        "const box = document.querySelector(':target').getBoundingClientRect();"
        "return [document.querySelector(':target').id, box.top < innerHeight && box.bottom > 0]"
    )
    assert found == [name, True]


def test_every_link_of_the_page_leads_to_a_place_in_it(chromium: Browser, file: Path) -> None:
    opened(chromium, file)
    assert (
        chromium.run(
            "return [...document.links].filter(each => !document.getElementById("
            "decodeURIComponent(each.hash.slice(1)))).map(each => each.href)"
        )
        == []
    )


def test_print_has_the_values_and_no_buttons(chromium: Browser, file: Path) -> None:
    opened(chromium, file)
    chromium.cdp("Emulation.setEmulatedMedia", media="print", features=[])
    assert not any(
        each.is_displayed() for each in chromium.driver.find_elements(By.TAG_NAME, "button")
    )
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert chromium.run(ground) == "rgb(255, 255, 255)"
    # What is folded away on the screen is on paper.
    assert (
        chromium.run(
            "return [...document.querySelectorAll('details:not([open]) :is(p, table)')]"
            ".filter(each => each.checkVisibility({contentVisibilityAuto: false}) === false).length"
        )
        == 0
    )
    assert chromium.printed().startswith(b"%PDF-")
    chromium.look()


def test_no_text_of_a_status_does_anything(chromium: Browser, tmp_path: Path) -> None:
    active = [text.replace("alert(1)", "window.pwned=1") for text in ATTACKS]
    # Each text stands in other fields of each object.
    odd = {number: filled(active[number:] + active[:number]) for number in (0, 4, 9)}
    for number, raw in odd.items():
        raw["metadata"] = {"name": f"{active[number]}{number}", "namespace": active[-number]}
    opened(chromium, written(tmp_path, page.render(report_of(*odd.values()))))
    chromium.run(
        "document.querySelectorAll('details').forEach(each => { each.open = true; });"
        "document.querySelectorAll('main *').forEach(each => each.dispatchEvent("
        "new MouseEvent('mouseover', {bubbles: true})))"
    )
    assert chromium.run("return window.pwned ?? null") is None
    assert chromium.complaints() == []
    assert chromium.run("return document.scripts.length") == 1
    assert chromium.run("return document.querySelectorAll('img, svg, base, iframe').length") == 0
    assert chromium.run("return document.baseURI").startswith("file:")
    opened(chromium, tmp_path / "report.html", wide=360)
    assert chromium.run("return document.documentElement.scrollWidth") == 360


def test_a_thousand_objects_begin_with_their_summary(chromium: Browser, tmp_path: Path) -> None:
    many = [broken(f"d{number}", namespace=f"n{number % 9}") for number in range(600)]
    well = [stored(name=f"w{number}", namespace=f"n{number % 9}") for number in range(400)]
    opened(chromium, written(tmp_path, page.render(report_of(*many, *well))))
    first = chromium.run(
        "return [...document.querySelectorAll('h1, .counts a, .causes dt')]"
        ".filter(each => each.getBoundingClientRect().bottom < innerHeight)"
        ".map(each => each.innerText.replace(/\\s+/g, ' '))"
    )
    assert first == [
        "600 of 1000 need you",
        "600 Your turn",
        "400 Working",
        "SPF_MISSING_INCLUDE 600",
    ]
    opened(chromium, tmp_path / "report.html", "#sendingdomain/n8/d593")
    assert chromium.run(
        "const box = document.querySelector(':target').getBoundingClientRect();"
        "return box.top < innerHeight && box.bottom > 0"
    )


@contextmanager
def serving(objects: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The page of objects as the operator serves it."""
    cache = Cache()
    for raw in objects:
        cache.put(Kind(raw["kind"]), raw)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application()
        add_status_page(app, StatusPage(cache, (), lambda: True))
        return await serve(app, "127.0.0.1", 0)

    running = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield f"http://127.0.0.1:{running.addresses[0][1]}/ui"
    finally:
        asyncio.run_coroutine_threadsafe(running.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


@pytest.fixture
def served() -> Iterator[str]:
    """The page of an object in every state."""
    with serving(gallery()) as url:
        yield url


@pytest.fixture(scope="module")
def served_many() -> Iterator[str]:
    """The page of several hundred objects in many namespaces, one of which waits for another."""
    waits = condition("Ready", "False", "MailServerNotReady", "MailServer relay is not ready.")
    spec = {"address": "desk@a.example", "serverRef": {"name": "relay"}}
    refused = condition("Ready", "False", "ConnectionRefused", "No.")
    with serving(
        [
            *(broken(f"d{number}", namespace=f"n{number % 30}") for number in range(228)),
            *(stored(name=f"w{number}", namespace=f"n{number % 30}") for number in range(90)),
            stored("EmailAccount", "desk", waits, spec=spec),
            stored("MailServer", "relay", refused, spec={"host": "h.example"}),
        ]
    ) as url:
        yield url


def test_the_operators_page_is_the_same_and_leads_to_each_namespace(
    chromium: Browser, served: str
) -> None:
    chromium.look()
    chromium.open(served)
    assert chromium.complaints() == []
    assert chromium.axe_violations() == []
    follow(chromium, By.LINK_TEXT, "other")
    until_at(chromium, f"{served}/other")
    assert "advised.example" in chromium.driver.page_source
    assert "relay" not in chromium.driver.page_source
    here = chromium.driver.find_element(By.CSS_SELECTOR, "[aria-current=page]")
    assert here.text == "other"
    assert chromium.complaints() == []
    follow(chromium, By.LINK_TEXT, "All namespaces")
    until_at(chromium, served)
    button_of(chromium, str(FIX["value"])).click()
    assert pasted(chromium) == FIX["value"]


def follow(chromium: Browser, by: str, what: str) -> None:
    """Follow a link by keyboard, when all of its page is there.

    A click goes to a place in the window, which is another link's as soon as the page moves.
    """
    WebDriverWait(chromium.driver, 60).until(
        lambda _: chromium.run("return document.readyState") == "complete"
    )
    chromium.driver.find_element(by, what).send_keys(Keys.ENTER)


def until_at(chromium: Browser, url: str) -> None:
    """Wait for the page of an address, all of it."""
    WebDriverWait(chromium.driver, 60).until(
        lambda driver: (
            driver.current_url == url and chromium.run("return document.readyState") == "complete"
        ),
        url,
    )


def until_shown(chromium: Browser, said: str) -> None:
    """Wait for the page that says how much of a list it shows."""

    def is_said(_: object) -> bool:
        try:
            return bool(chromium.driver.find_element(By.CLASS_NAME, "shown").text == said)
        except (NoSuchElementException, StaleElementReferenceException):
            return False  # of a page that goes or comes

    WebDriverWait(chromium.driver, 60).until(is_said, said)


def until_target(chromium: Browser, name: str) -> None:
    """Wait for the page on which a fragment leads to an object."""
    target = "return (document.querySelector(':target') || {}).id"
    WebDriverWait(chromium.driver, 60).until(lambda _: chromium.run(target) == name, name)


def test_the_form_filters_without_script_and_keeps_what_was_asked_for(
    chromium: Browser, served: str
) -> None:
    chromium.look(script=False)
    chromium.open(served)
    everything = chromium.driver.find_element(By.CLASS_NAME, "shown").text
    Select(chromium.driver.find_element(By.NAME, "state")).select_by_visible_text("Not ready")
    Select(chromium.driver.find_element(By.NAME, "kind")).select_by_visible_text("Mail server")
    field = chromium.driver.find_element(By.NAME, "q")
    field.send_keys("Relay", Keys.ENTER)
    WebDriverWait(chromium.driver, 60).until(lambda driver: "q=Relay" in driver.current_url)
    asked = parse_qs(urlsplit(chromium.driver.current_url).query)
    assert asked == {"q": ["Relay"], "state": ["NotReady"], "kind": ["MailServer"]}
    assert chromium.complaints() == []
    ids = [
        each.get_attribute("id")
        for each in chromium.driver.find_elements(By.CSS_SELECTOR, "article, tr[id]")
    ]
    assert ids == ["mailserver/mail/relay"]
    chosen = Select(chromium.driver.find_element(By.NAME, "state")).first_selected_option
    assert chosen.text == "Not ready"
    assert chromium.driver.find_element(By.NAME, "q").get_property("value") == "Relay"
    # A tile of the summary asks for its turn, and keeps the rest.
    follow(chromium, By.CSS_SELECTOR, ".counts a")
    WebDriverWait(chromium.driver, 60).until(lambda driver: "Yours" in driver.current_url)
    assert parse_qs(urlsplit(chromium.driver.current_url).query)["q"] == ["Relay"]
    follow(chromium, By.LINK_TEXT, "Show all")
    until_shown(chromium, everything)
    chromium.look()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wide", SIZES)
def test_a_list_of_many_pages_fits_and_is_gone_through(
    chromium: Browser, served_many: str, wide: int, scheme: str
) -> None:
    chromium.look(wide=wide, scheme=scheme)
    chromium.open(f"{served_many}?state=NotReady")
    assert chromium.complaints() == []
    assert chromium.axe_violations() == []
    assert chromium.run("return document.documentElement.scrollWidth") == wide
    until_shown(chromium, "1 to 100 of 230")
    follow(chromium, By.CSS_SELECTOR, "[aria-label='Page 3']")
    until_shown(chromium, "201 to 230 of 230")
    assert len(chromium.driver.find_elements(By.CSS_SELECTOR, "article, tr[id]")) == 30
    follow(chromium, By.CSS_SELECTOR, "[aria-label='Page 1']")
    until_shown(chromium, "1 to 100 of 230")
    follow(chromium, By.PARTIAL_LINK_TEXT, "SPF_MISSING_INCLUDE")
    until_shown(chromium, "1 to 100 of 228")
    # An object that stands on another page is a link away, too.
    chromium.open(f"{served_many}?q=mail/desk")
    follow(chromium, By.LINK_TEXT, "mail server relay")
    until_target(chromium, "mailserver/mail/relay")
    # A fragment alone is of the first page; the script asks on which one its object is.
    chromium.open(f"{served_many}?page=9")
    last = chromium.run("return [...document.querySelectorAll('article, tr[id]')].pop().id")
    chromium.open("about:blank")
    chromium.open(f"{served_many}#{last}")
    until_target(chromium, last)
    assert "object=" in chromium.driver.current_url
    assert chromium.complaints() == []
    chromium.look()


def test_nobody_frames_the_operators_page(chromium: Browser, served: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.html"
    outside.write_text(f"<iframe src='{served}'></iframe>")
    chromium.open(outside.as_uri())
    WebDriverWait(chromium.driver, 60).until(
        lambda _: any("frame" in each.lower() for each in chromium.complaints())
    )
    assert str(FINDING["code"]) not in chromium.driver.page_source
