"""The first minutes of a new owner: start it, open the page, approve, look around, stop it, start it again."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.browser import Browser
from tests.e2e.program import Program, clean_env, rows, running

PROMISED_S = 30.0
PATIENCE_S = 60.0
APPROVE = ".btn[data-data^='p:a:']"
PANIC = ".btn[data-data^='c:']"
TEXTS = "return [...document.querySelectorAll('.msg:not(.me) .text')].map(e => e.innerText)"
PRESS = "for (let i = 0; i < arguments[2]; i++) ask({do: 'press', id: arguments[0], data: arguments[1]})"
TOASTS = """window.said = []; new MutationObserver(() => window.said.push(document.querySelector('#toast').innerText))
.observe(document.querySelector('#toast'), {childList: true, characterData: true, subtree: true})"""


def links(program: Program) -> list[str]:
    """The page's addresses the program printed, oldest first."""
    return re.findall(r"http://127\.0\.0\.1:\d+/\?t=\S+", program.out)


def client_ids(folder: Path) -> dict[str, str]:
    """Purpose -> client id of the one position's orders."""
    (db,) = folder.rglob("firstmate.db")
    return {str(purpose): str(name) for name, purpose in rows(db, "SELECT client_id, purpose FROM orders")}


async def texts(browser: Browser) -> list[str]:
    """What the bot's messages say, oldest first."""
    found: list[str] = await browser.script(TEXTS)
    return found


async def ask(browser: Browser, command: str, *wanted: str) -> str:
    """Type a command as a person would; the newest message, once it says all that is wanted."""
    await browser.type("#input", command + "\ue007")
    for text in wanted:
        await browser.wait_text(".msg:not(.me) .text", text, PATIENCE_S)
    return (await texts(browser))[-1]


async def press(browser: Browser, message_id: str, data: str, times: int = 1) -> None:
    """Press a button that is no longer on the screen, as an old phone still could."""
    await browser.script(PRESS, int(message_id), data, times)


async def button(browser: Browser, css: str) -> tuple[str, str]:
    """Message id and data of the first button that matches."""
    await browser.find(css, PATIENCE_S)
    script = "const b = document.querySelector(arguments[0]); return [b.closest('.msg').dataset.id, b.dataset.data]"
    message_id, data = await browser.script(script, css)
    return message_id, data


async def open_chat(browser: Browser, program: Program) -> None:
    """Open the newest link once it is printed."""
    program.wait_until(lambda: links(program), "the chat's address", PATIENCE_S)
    await browser.open(links(program)[-1])
    await browser.find("#input", PATIENCE_S)
    await browser.script(TOASTS)


async def heard(browser: Browser, wanted: str) -> None:
    """Wait until a short note over the chat said so."""
    await browser._until(
        lambda: browser.script("return window.said.some(t => t.includes(arguments[0]))", wanted),
        PATIENCE_S,
        f"no note said {wanted!r}",
    )


async def test_a_new_owner_gets_a_signal_within_half_a_minute_and_can_live_with_it(tmp_path: Path) -> None:
    """Without any configuration: demo, chat, card, Approve, order, fill, protection, restart, and all still there."""
    home = tmp_path / "home"
    async with Browser(tmp_path / "browser") as browser:
        with running(home) as program:
            program.wait_until(lambda: program.out, "a first word", PATIENCE_S)
            first_word = time.monotonic()
            assert "this is the demo" in program.out.splitlines()[0]
            await open_chat(browser, program)
            approve_id, approve_data = await button(browser, APPROVE)
            assert time.monotonic() - first_word < PROMISED_S
            card = f"[data-id='{approve_id}']"
            assert "BUY" in await browser.text(f"{card} .text")
            assert "SIMULATED" in await browser.text(f"{card} .text")
            assert await browser.count(f"{card} .photo img") == 1
            assert [await browser.text(f"{card} .btn:nth-child({n})") for n in (1, 2)] == ["✅ Approve", "Skip"]

            await browser.click(f"{card} {APPROVE}")
            await browser.wait_text(f"{card} .text", "Ordered", PATIENCE_S)
            await browser.wait_text(".msg .text", "Bought", PATIENCE_S)
            await browser.wait_text(".msg .text", "Protected on the exchange", PATIENCE_S)
            assert await browser.count(f"{card} .btn") == 0
            await press(browser, approve_id, approve_data, times=2)
            await heard(browser, "This proposal is no longer open.")

            ids = client_ids(home)
            assert set(ids) == {"ENTRY", "STOP", "TARGET"}
            held = await ask(browser, "/positions", ids["STOP"], ids["TARGET"])
            assert re.search(r"Target [\d,.]+, stop [\d,.]+", held)
            await ask(browser, "/orders", ids["ENTRY"])
            await ask(browser, "/trades", "No closed trades yet.")
            await ask(browser, "/balance", "Balances", "Equity")
            pictures = await browser.count(".photo img")
            await ask(browser, "/why", "by a fixed rule")
            await browser._until(lambda: _more_pictures(browser, pictures), PATIENCE_S, "/why brought no picture")
            await ask(browser, "/panic", "This would, at once:")
            panic_id, panic_data = await button(browser, PANIC)

            assert program.stop() == 0
            assert program.complaints == []
        with running(home, name="again", env=clean_env(home)) as program:
            program.wait_until(lambda: links(program), "the chat's address", PATIENCE_S)
            assert "Going on with the demo that was interrupted here." in program.out
            await browser.wait_text("#banner", "Open the newest link from the terminal", PATIENCE_S)
            await open_chat(browser, program)
            await browser.wait_text(f"{card} .text", "Ordered", PATIENCE_S)
            await ask(browser, "/status", "protected")
            await press(browser, approve_id, approve_data)
            await heard(browser, "This proposal is no longer open.")
            await press(browser, panic_id, panic_data)
            await browser.wait_text("#alert", "is from before a restart", PATIENCE_S)
            await browser.click("#alert button")
            await ask(browser, "/positions", ids["STOP"])
            assert client_ids(home) == ids
            assert program.stop() == 0
            assert program.complaints == []


async def _more_pictures(browser: Browser, before: int) -> bool:
    return await browser.count(".photo img") > before
