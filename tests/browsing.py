"""A browser, its pages, and where the site is: for the tests of what only a browser can tell."""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from tools.course.pdf import find_browser

WAIT = 120_000  # milliseconds, on a host that has other things to do
expect.set_options(timeout=WAIT)


@pytest.fixture(scope="module")
def browser():
    """Start the browser of the system; without one skip, unless REQUIRE_BROWSER=1."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=find_browser(), timeout=WAIT)
        except SystemExit as missing:
            stop = pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip
            stop(f"this needs a browser that starts, Chromium or Google Chrome: {missing}")
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """Open a page which keeps its requests, and its errors, in `asked` and `errors`."""
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda said: said.type == "error" and page.errors.append(said.text))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("requestfailed", lambda request: given_up(request) or page.errors.append(request.url))
    yield page
    page.close()


def given_up(request):
    """Tell whether a page left a request behind, such as for its icon, when another was opened."""
    return request.failure == "net::ERR_ABORTED"


def other_hosts(page, host):
    return [url for url in page.asked if urlsplit(url).netloc not in ("", host)]


def wait_for_pictures(page, selector):
    """Wait until each picture has come, or is known not to come, also those further down."""
    page.wait_for_function(
        """selector => [...document.querySelectorAll(selector)].every(image => {
            image.loading = "eager";
            return image.complete;
        })""",
        arg=selector,
    )


@pytest.fixture(scope="module")
def addresses(site):
    """Return where the site is: in files, and at a server's."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    handler.log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"file": site.as_uri(), "http": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


def follow(page, scheme):
    """Let the system turn light or dark, and wait until the page has followed."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_function(
        "scheme => document.documentElement.dataset.theme === scheme", arg=scheme
    )


def violations(page, *rules):
    """Return what axe finds on a page, by all of its rules or by these."""
    options = {"resultTypes": ["violations"], "preload": False}  # or it loads all styles again
    options |= {"runOnly": rules} if rules else {}
    found = Axe().run(page, options=options).response["violations"]
    return [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in found]


def axe_finds_nothing(page):
    """Check what stands in the way of assistive technology: light and dark, desktop and phone.

    All rules once, and again those that a theme or a width decides. The colors of code are the same
    on all pages: of each kind of word only the first ten stay, since axe takes long with thousands.
    """
    page.evaluate(
        """() => {
            const seen = {};
            for (const word of document.querySelectorAll("pre span, dt.sig span")) {
                seen[word.className] = (seen[word.className] ?? 0) + 1;
                if (seen[word.className] > 10) word.replaceWith(...word.childNodes);
            }
        }"""
    )
    follow(page, "light")
    assert violations(page) == []
    follow(page, "dark")
    assert violations(page, "color-contrast") == []
    page.set_viewport_size({"width": 390, "height": 900})
    assert violations(page, "target-size", "scrollable-region-focusable") == []
