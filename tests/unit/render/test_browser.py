"""HTML pages in a real browser at three widths: layout, contrast, keyboard use and printing."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from netprobe.model.intent import CellVerdict
from netprobe.render.reports.snapshot import SnapshotReport
from netprobe.render.reports.verification import VerificationReport
from tests import fleets
from tests.unit.render.reports.formats.test_formats import SUBJECTS, judged

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (chromium-driver)"),
    pytest.mark.timeout(300),
]
WIDTHS = (360, 800, 1400)
SCRIPT = (Path(__file__).parent / "pages.js").read_text()


def verification() -> VerificationReport:
    """Six clusters, long names and addresses, every verdict."""
    names = (
        "prod-us-west-1",
        "staging-eu-central-1",
        "dev-on-premise",
        "edge-berlin-a",
        "edge-berlin-b",
        "hq",
    )
    verdicts = list(CellVerdict)
    cells = [
        judged(one, other, verdicts[(i * j + port) % 4 if i != j else 0], port=port,
               reason=f"silence from {one}; stopped at 2001:db8:ffff:ffff:ffff:ffff:ffff:{port:x}")
        for i, one in enumerate(names) for j, other in enumerate(names) for port in (22, 443, 8080)
    ]  # fmt: skip
    return VerificationReport(
        tuple(cells), {"no way # in": "intents/of/the/whole/company/production.yaml:120:15"}
    )


PAGES: dict[str, Callable[[], str]] = {
    "several": lambda: SnapshotReport(fleets.several()).html(),
    "world": lambda: SnapshotReport(fleets.world()).html(),
    "long names": lambda: SnapshotReport(fleets.long_named()).html(),
    "verification": verification().html,
    "comparison": SUBJECTS["worse"].html,
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each page once, as the address of its file."""
    place = tmp_path_factory.mktemp("pages")
    for name, write in PAGES.items():
        (place / f"{name}.html").write_text(write())
    return {name: (place / f"{name}.html").as_uri() for name in PAGES}


class Browser:
    """A headless Chromium of any width."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        # Root may not use Chromium's sandbox, and a container's /dev/shm is small; the page is our own.
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))

    def open(self, address: str, *, width: int, scheme: str = "light", media: str = "screen") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        self.driver.get(address)

    def ask(self, question: str) -> Any:
        return self.driver.execute_script(f"{SCRIPT}; return {question}();")

    def log(self, kind: str) -> list[dict[str, str]]:
        """Entries of a browser log since the last call."""
        return list(self.driver.get_log(kind))  # type: ignore[no-untyped-call]

    def requests(self) -> set[str]:
        """URL schemes of everything loaded since the last call."""
        told = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        asked = [
            each["params"]["request"]["url"] for each in told if each["method"] == "Network.requestWillBeSent"
        ]
        return {address.partition(":")[0] for address in asked}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    opened = Browser()
    yield opened
    opened.driver.quit()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_nothing_overlaps_and_nothing_sticks_out(
    page: str, width: int, pages: dict[str, str], browser: Browser
) -> None:
    browser.open(pages[page], width=width)
    assert browser.ask("overflowing") == []
    assert browser.ask("overlapping") == []
    assert browser.ask("brokenWords") == []


def test_the_checks_detect_every_mistake(tmp_path: Path, browser: Browser) -> None:
    """The checks find every mistake in a page that contains all of them."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<main><p style='width: 2000px'>wide</p><p>one</p><p style='margin-top: -2.2em'>two</p>"
        "<p style='color: #bbb'>pale</p>"
        "<dl><dt style='width: 3em; overflow-wrap: anywhere'>unmeasured</dt></dl>"
        "<table><tr><th>x</th></tr></table><a href='#nowhere'>y</a></main>"
    )
    browser.open(bad.as_uri(), width=360)
    assert browser.ask("overflowing") != []
    assert browser.ask("brokenWords") == ["unmeasured"]
    assert browser.ask("overlapping") == ["two / one"] or browser.ask("overlapping") == ["one / two"]
    assert [text[-4:] for text in browser.ask("paleTexts")] == ["pale"]
    assert {
        "not one header",
        "not one h1",
        "x: no scope",
        "a table without caption",
        "#nowhere leads nowhere",
    } <= set(browser.ask("unnamed"))


@pytest.mark.parametrize("page", PAGES)
def test_texts_can_be_read_in_light_and_dark(page: str, pages: dict[str, str], browser: Browser) -> None:
    for scheme in ("light", "dark"):
        browser.open(pages[page], width=800, scheme=scheme)
        assert browser.ask("paleTexts") == []


@pytest.mark.parametrize("page", PAGES)
def test_a_screen_reader_finds_names_for_everything(
    page: str, pages: dict[str, str], browser: Browser
) -> None:
    browser.open(pages[page], width=800)
    assert browser.ask("unnamed") == []


@pytest.mark.parametrize("page", PAGES)
def test_the_keyboard_gets_everywhere_and_shows_where_it_is(
    page: str, pages: dict[str, str], browser: Browser
) -> None:
    browser.open(pages[page], width=360)
    stops = browser.driver.execute_script(
        "return document.querySelectorAll('a[href], [tabindex=\"0\"]').length"
    )
    visited = []
    for _ in range(stops):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        visited.append(browser.ask("focused"))
    assert visited[0][0] == "Skip to the content"
    assert [name for name, is_seen in visited if not is_seen] == []
    assert len({name for name, _ in visited}) > stops // 2


@pytest.mark.parametrize("page", PAGES)
def test_it_loads_nothing_and_logs_nothing(page: str, pages: dict[str, str], browser: Browser) -> None:
    browser.requests()
    browser.log("browser")
    browser.open(pages[page], width=800)
    assert browser.requests() == {"file"}
    assert browser.log("browser") == []


@pytest.mark.parametrize("page", PAGES)
def test_it_prints_on_paper(page: str, pages: dict[str, str], browser: Browser) -> None:
    browser.open(pages[page], width=718, media="print")  # A4 less its margins, at 96 dots per inch
    assert browser.ask("overflowing") == []
    assert browser.ask("overlapping") == []
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF-")
