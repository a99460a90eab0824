"""A real browser for tests: chromium driven through chromedriver, W3C WebDriver spoken over plain HTTP.

Use ``async with Browser(tmp_path) as browser``; the test is skipped where chromium or chromedriver is missing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
START_S = 30.0
STEP_S = 0.05


class BrowserError(Exception):
    """The browser refused a command; the text is the WebDriver error and message."""


class Browser:
    """One headless window of ``width`` x ``height`` CSS pixels with a fresh profile under ``folder``."""

    def __init__(self, folder: Path, *, width: int = 390, height: int = 844, dark: bool = False) -> None:
        self._folder = folder
        self._size = (width, height)
        self._dark = dark
        self._driver: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self._base = ""
        self._session = ""
        self._drain: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Browser:
        chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if chromium is None or driver is None:
            pytest.skip("chromium or chromedriver is not installed")
        try:
            await self._start(chromium, driver)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _start(self, chromium: str, driver: str) -> None:
        self._driver = await asyncio.create_subprocess_exec(
            driver, "--port=0", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(START_S):
            port = await self._port()
        self._drain = asyncio.create_task(self._read_on())
        self._base = f"http://127.0.0.1:{port}"
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        width, height = self._size
        flags = [*FLAGS, f"--user-data-dir={self._folder / 'profile'}", f"--window-size={width},{height}"]
        options = {
            "binary": chromium,
            "args": [*flags, "--force-dark-mode"] if self._dark else flags,
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2, "touch": False}},
        }
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._session = (await self._call("POST", "/session", wanted))["sessionId"]
        if self._dark:
            features = [{"name": "prefers-color-scheme", "value": "dark"}]
            await self._devtools("Emulation.setEmulatedMedia", {"features": features})

    async def _port(self) -> int:
        assert self._driver is not None
        assert self._driver.stdout is not None
        async for line in self._driver.stdout:
            if match := re.search(rb"started successfully on port (\d+)", line):
                return int(match.group(1))
        raise BrowserError("chromedriver ended before it was ready")

    async def _read_on(self) -> None:
        assert self._driver is not None
        assert self._driver.stdout is not None
        async for _ in self._driver.stdout:
            pass

    async def _end(self) -> None:
        if self._http is not None:
            with contextlib.suppress(aiohttp.ClientError, BrowserError, TimeoutError):
                if self._session:
                    await self._call("DELETE", f"/session/{self._session}")
            await self._http.close()
        if self._driver is not None:
            with contextlib.suppress(ProcessLookupError):
                self._driver.terminate()
            await self._driver.wait()
        if self._drain is not None:
            await self._drain

    async def _call(self, verb: str, path: str, body: dict[str, Any] | None = None) -> Any:
        assert self._http is not None
        async with self._http.request(verb, self._base + path, json=body if verb == "POST" else None) as answer:
            value = (await answer.json(content_type=None))["value"]
        if answer.status != 200:
            raise BrowserError(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value

    async def _do(self, verb: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return await self._call(verb, f"/session/{self._session}{path}", body if body is not None else {})

    async def _devtools(self, command: str, params: dict[str, Any]) -> Any:
        return await self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    async def open(self, url: str) -> None:
        """Go to ``url`` and wait until it has loaded."""
        await self._do("POST", "/url", {"url": url})

    async def url(self) -> str:
        """The address of the page shown."""
        return str(await self._do("GET", "/url"))

    async def find(self, css: str, timeout_s: float = 20.0) -> str:
        """The id of the first visible element that matches ``css``, within ``timeout_s``."""
        found: str = await self._until(lambda: self._visible(css), timeout_s, f"no visible {css}")
        return found

    async def _visible(self, css: str) -> str:
        try:
            for element in await self._do("POST", "/elements", {"using": "css selector", "value": css}):
                if await self._do("GET", f"/element/{element[ELEMENT]}/displayed"):
                    return str(element[ELEMENT])
        except BrowserError as error:
            if "stale" not in str(error):
                raise
        return ""

    async def count(self, css: str) -> int:
        """How many elements match ``css``, visible or not."""
        return len(await self._do("POST", "/elements", {"using": "css selector", "value": css}))

    async def click(self, css: str, timeout_s: float = 20.0) -> None:
        """Click the first visible element that matches ``css``."""
        await self._acting(css, "/click", {}, timeout_s)

    async def type(self, css: str, text: str, timeout_s: float = 20.0) -> None:
        """Type ``text`` into the element; ``\\ue007`` is the Enter key."""
        await self._acting(css, "/value", {"text": text}, timeout_s)

    async def _acting(self, css: str, path: str, body: dict[str, Any], timeout_s: float) -> None:
        async def attempt() -> str:
            try:
                await self._do("POST", f"/element/{await self.find(css, timeout_s)}{path}", body)
            except BrowserError as error:  # the page may redraw or move the element between find and act
                if not re.search("stale|not interactable|intercepted", str(error)):
                    raise
                return ""
            return "done"

        await self._until(attempt, timeout_s, f"cannot act on {css}")

    async def text(self, css: str, timeout_s: float = 20.0) -> str:
        """The text a person sees in the first visible element that matches ``css``."""
        return str(await self._do("GET", f"/element/{await self.find(css, timeout_s)}/text"))

    async def wait_text(self, css: str, wanted: str, timeout_s: float = 20.0) -> None:
        """Wait until some element that matches ``css`` shows ``wanted``."""
        script = "return [...document.querySelectorAll(arguments[0])].some(e => e.innerText.includes(arguments[1]))"

        async def look() -> bool:
            return bool(await self.script(script, css, wanted))

        await self._until(look, timeout_s, f"{css} never showed {wanted!r}")

    async def script(self, code: str, *args: object) -> Any:
        """What the page's JavaScript ``code`` returns."""
        return await self._do("POST", "/execute/sync", {"script": code, "args": list(args)})

    async def console(self) -> list[str]:
        """Errors the page wrote to its console since the last call."""
        return [str(entry["message"]) for entry in await self._do("POST", "/se/log", {"type": "browser"})]

    async def screenshot(self, path: Path) -> None:
        """Save what the window shows as a PNG file."""
        picture = base64.b64decode(await self._do("GET", "/screenshot"))
        await asyncio.to_thread(path.write_bytes, picture)

    async def _until(self, look: Any, timeout_s: float, what: str) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := await look()):  # noqa: ASYNC110 - a page sends no events to wait for
                    await asyncio.sleep(STEP_S)
        except TimeoutError:
            raise BrowserError(f"{what} within {timeout_s} s") from None
        return found
