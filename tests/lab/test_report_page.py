# SPDX-License-Identifier: Apache-2.0
"""The report in a real Chromium: it is read without a script, copied with one, and nothing else.

Covers: the policy and its console, copying to the letter, what is left without script, keyboard,
axe-core in both schemes and at both widths, deep links, print, hostile texts, a thousand objects,
and the same page as the operator serves it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from lab.chromium import Browser, browser
from lab.report_gallery import APPLY, KEY, gallery
from postroom.api.names import Kind
from postroom.controller.cache import Cache
from postroom.controller.health import serve
from postroom.controller.status_page import StatusPage, add_status_page
from postroom.report import page
from postroom.report.shape import Turn
from unit.report.samples import FINDING, FIX, broken, report_of, stored
from unit.report.test_page import ATTACKS, filled

SIZES = (360, 1280)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="session")
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


@pytest.mark.parametrize("value", [KEY, APPLY.partition("\n")[2], FIX["value"]])
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


@pytest.fixture
def served() -> Iterator[str]:
    """The page as the operator serves it."""
    cache = Cache()
    for raw in gallery():
        cache.put(Kind(raw["kind"]), raw)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application()
        add_status_page(app, StatusPage(cache.objects, (), lambda: True))
        return await serve(app, "127.0.0.1", 0)

    running = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield f"http://127.0.0.1:{running.addresses[0][1]}/ui"
    finally:
        asyncio.run_coroutine_threadsafe(running.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


def test_the_operators_page_is_the_same_and_leads_to_each_namespace(
    chromium: Browser, served: str
) -> None:
    chromium.look()
    chromium.open(served)
    assert chromium.complaints() == []
    assert chromium.axe_violations() == []
    chromium.driver.find_element(By.LINK_TEXT, "other").click()
    assert chromium.driver.current_url == f"{served}/other"
    assert "advised.example" in chromium.driver.page_source
    assert "relay" not in chromium.driver.page_source
    here = chromium.driver.find_element(By.CSS_SELECTOR, "[aria-current=page]")
    assert here.text == "other"
    assert chromium.complaints() == []
    chromium.driver.find_element(By.LINK_TEXT, "All namespaces").click()
    assert chromium.driver.current_url == served
    button_of(chromium, str(FIX["value"])).click()
    assert pasted(chromium) == FIX["value"]


def test_nobody_frames_the_operators_page(chromium: Browser, served: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.html"
    outside.write_text(f"<iframe src='{served}'></iframe>")
    chromium.open(outside.as_uri())
    WebDriverWait(chromium.driver, 60).until(
        lambda _: any("frame" in each.lower() for each in chromium.complaints())
    )
    assert str(FINDING["code"]) not in chromium.driver.page_source
