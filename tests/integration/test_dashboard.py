"""The dashboard in a browser: Debian's chromium, headless."""

import json

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from support.process import eventually

# A browser is large: only the long run installs it.
pytestmark = [pytest.mark.proxy_only, pytest.mark.long]

TOKEN = "a-token-of-some-length"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")
PHONE, DESK = (390, 844), (1280, 900)


class Browser:
    def __init__(self, folder):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))

    def open(self, url, size=DESK, dark=False):
        width, height = size
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        self.driver.get(url)

    def text(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css).text

    def shown(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css).is_displayed()

    def value(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def wait_for(self, css, what):
        return eventually(lambda: what(self.text(css)), f"{css} on the page")

    def complaints(self):
        return [one for one in self.driver.get_log("browser") if one["level"] != "INFO"]


@pytest.fixture
def browser(tmp_path):
    running = Browser(tmp_path / "profile")
    yield running
    running.driver.quit()


def test_numbers_move_and_a_refused_insert_appears(start_admin, folder, browser, collection_name):
    ns = f"shop.{collection_name}"
    (folder.path / "a.json").write_text(json.dumps(
        {"ns": ns, "schema": {"required": ["total"], "properties": {"total": {"bsonType": "int"}}}}))
    proxy, admin = start_admin()
    browser.open(admin.url)
    browser.wait_for("#state", lambda text: text == "running")
    assert browser.shown("#main") and not browser.shown("#login")
    assert browser.shown("#no-refusals")
    with proxy.endpoint().client() as client:
        collection = client["shop"][collection_name]

        def load(text):
            for _ in range(20):
                collection.insert_one({"total": 1})
            return float(text.replace(",", "").replace("k", "")) > 0
        browser.wait_for("#t-requests", load)
        eventually(lambda: browser.value("document.querySelector('#c-throughput path.series')?.getTotalLength() > 0"),
                   "the chart is drawn")
        with pytest.raises(Exception, match="failed validation"):
            collection.insert_one({"total": "a secret value"})
        browser.wait_for("#refusals", lambda text: ns in text and "total" in text)
        browser.wait_for("#schemas tbody", lambda text: ns in text)
        browser.wait_for("#connections tbody", lambda text: "idle" in text or "running" in text)
        browser.wait_for("#commands", lambda text: "insert" in text)
    assert "RSPrimary" in browser.text("#servers")
    assert "a secret value" not in browser.driver.page_source
    assert browser.complaints() == []


def test_versions_and_a_candidate(start_admin, folder, browser, collection_name):
    ns = f"shop.{collection_name}"
    (folder.path / "a.json").write_text(json.dumps({
        "ns": ns, "versions": [{"schema": {"required": ["total"]}, "name": "new"},
                               {"schema": {"required": ["price"]}, "name": "old",
                                "accepted_until": {"$date": "2100-01-31T12:00:00Z"}}],
        "candidate": {"schema": {"required": ["currency"]}, "name": "next"}}))
    proxy, admin = start_admin()
    with proxy.endpoint().client(appname="<b>till</b>") as client:
        client["shop"][collection_name].insert_many([{"total": 1}, {"price": 1, "note": "a secret value"}])
    browser.open(admin.url)
    browser.wait_for("#versions tbody", lambda text: all(
        word in text for word in (ns, "newest", "accepted until 2100-01-31 12:00 UTC", "candidate", "next")))
    browser.wait_for("#tried tbody", lambda text: "required currency" in text and "<b>till</b>" in text and "PyMongo" in text)
    assert "a secret value" not in browser.driver.page_source
    assert browser.complaints() == []
    (folder.path / "a.json").write_text(json.dumps({"ns": ns, "schema": {"required": ["total"]}}))
    eventually(lambda: not browser.shown("#versions-card"), "the card goes with the versions")


@pytest.mark.parametrize("size", [PHONE, DESK])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_follows_the_colour_scheme(start_admin, browser, size, dark):
    _, admin = start_admin()
    browser.open(admin.url, size, dark)
    browser.wait_for("#state", lambda text: text == "running")
    assert browser.value("document.documentElement.scrollWidth") <= size[0]
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in background[4:-1].split(",")) / 3
    assert (light < 64) if dark else (light > 192), background
    assert browser.complaints() == []


def test_values_are_shown_where_it_is_allowed(start_admin, folder, browser, collection_name):
    ns = f"shop.{collection_name}"
    (folder.path / "a.json").write_text(json.dumps({"ns": ns, "schema": {"properties": {"total": {"bsonType": "int"}}}}))
    proxy, admin = start_admin({"admin.show_values": "true"})
    with proxy.endpoint().client() as client, pytest.raises(Exception, match="failed validation"):
        client["shop"][collection_name].insert_one({"total": "<b>not markup</b>"})
    browser.open(admin.url)
    browser.wait_for("#refusals", lambda text: "<b>not markup</b>" in text)
    assert browser.complaints() == []


def test_it_asks_for_the_token_and_keeps_it_in_the_tab(start_admin, browser, tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    _, admin = start_admin({"admin.token_file": path}, TOKEN)
    browser.open(admin.url)
    eventually(lambda: browser.shown("#login"), "it asks")
    assert not browser.shown("#main")
    assert browser.complaints() == []
    for token in ("wrong-token", TOKEN):
        field = browser.driver.find_element(By.ID, "token")
        field.send_keys(token)
        field.submit()
        if token != TOKEN:
            browser.wait_for("#login-error", lambda text: "not the token" in text)
    eventually(lambda: browser.shown("#main"), "it opens")
    browser.driver.refresh()
    eventually(lambda: browser.shown("#main"), "it opens again without asking")
    assert browser.value("localStorage.length") == 0
    assert TOKEN not in browser.driver.current_url + browser.driver.page_source


def test_it_says_when_the_proxy_is_gone(start_admin, browser):
    proxy, admin = start_admin()
    browser.open(admin.url)
    browser.wait_for("#state", lambda text: text == "running")
    proxy.process.stop()
    browser.wait_for("#state", lambda text: text == "no answer")
    assert browser.shown("#notice")


def test_nothing_comes_from_elsewhere_and_nothing_else_runs(start_admin, browser):
    _, admin = start_admin()
    answer = admin.get("/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    assert policy["script-src"].startswith("'sha256-") and policy["style-src"].startswith("'sha256-")
    assert "unsafe" not in str(policy)
    assert b"http://" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"") and b"https://" not in answer.body
    browser.open(admin.url)
    browser.wait_for("#state", lambda text: text == "running")
    browser.driver.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.injected = true'; document.body.append(s)")
    assert browser.value("window.injected") is None
