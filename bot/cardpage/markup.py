"""HTML and SVG put together from elements, so that text can never become markup.

Rule 1: whatever is said goes in as a string and is escaped when it is written; nobody writes a tag by hand.
Rule 2: a character that steers a terminal or turns the reading direction is a question mark.
Rule 3: what comes out is ASCII: it reads the same whatever encoding somebody takes it for.
"""

from __future__ import annotations

from typing import TypeAlias
from xml.etree.ElementTree import Element, tostring

from core.adapters.redaction import printable

Inside: TypeAlias = "Element | str | None"


def element(name: str, /, *inside: Inside, **attributes: str | float) -> Element:
    """``<name>`` with what stands ``inside``, None left out; ``class_`` and ``aria_label`` are class and aria-label."""
    made = Element(name, {_named(key): _value(value) for key, value in attributes.items()})
    for one in inside:
        if isinstance(one, Element):
            made.append(one)
        elif one is not None:
            _say(made, printable(one))
    return made


def _named(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    # a tenth of a pixel is finer than what a screen shows
    return printable(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def _say(made: Element, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text


def document(root: Element) -> str:
    """The page whose ``<html>`` is ``root``."""
    written: bytes = tostring(root, encoding="us-ascii", method="html")
    return f"<!DOCTYPE html>\n{written.decode('ascii')}\n"
