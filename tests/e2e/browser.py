"""Debian's chromium, driven through the page as a thumb would."""

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

PHONE = (360, 740)
TABLET = (1024, 768)
LIMIT_S = 10.0

# What the page loads and when it is of use: the rig's name is there to be read.
USABLE = """
window.usable = new Promise((tell) => {
  const look = () => {
    if (document.querySelector('#stage h1')?.textContent) tell(performance.now());
    else setTimeout(look, 5);
  };
  look();
});
"""


class Page:
    """One browser on the page."""

    def __init__(self, port: int, size: tuple[int, int] = PHONE) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = shutil.which("chromedriver") or "chromedriver"
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": USABLE})
        self.resize(size)

    def resize(self, size: tuple[int, int]) -> None:
        """Be a display of this width and height."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def leave(self) -> None:
        """Close the page, and forget what it said; the browser stays. The page keeps nothing."""
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self._log(kind)

    def open(self, view: str = "") -> float:
        """Load the page; ms until it is of use."""
        self.driver.get(self.url + view)
        usable_ms = float(self.driver.execute_async_script("window.usable.then(arguments[0])"))
        self.until(lambda: self.text(".fader output"), "the knobs stand where they are")
        return usable_ms

    def close(self) -> None:
        self.driver.quit()

    def find(self, css: str) -> WebElement:
        """The first such element; another rig's knobs come a moment after its name."""
        found: list[WebElement] = []

        def look() -> bool:
            found[:] = self.driver.find_elements(By.CSS_SELECTOR, css)
            return bool(found)

        self.until(look, f"{css} is there")
        return found[0]

    def text(self, css: str) -> str:
        """What stands in the first such element; "" where there is none yet."""
        script = "return document.querySelector(arguments[0])?.textContent ?? ''"
        return str(self.driver.execute_script(script, css))

    def attribute(self, css: str, name: str) -> str:
        return str(self.find(css).get_attribute(name))

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def until(self, true: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> float:
        """Wait until `true`; the seconds that it took."""
        begin = time.monotonic()
        while not true():
            assert time.monotonic() - begin < limit_s, f"not within {limit_s:g} s: {what}"
            time.sleep(0.02)
        return time.monotonic() - begin

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries

    def console(self) -> list[str]:
        """What the console has said since the last call."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """Every address that was asked for since the last call."""
        sent = []
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                sent.append(message["params"]["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                sent.append(message["params"]["url"])
        return sent


def need_browser() -> None:
    """Skip by name what this machine does not have."""
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            pytest.skip(f"{program} is absent")
