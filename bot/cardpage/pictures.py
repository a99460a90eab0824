"""What every picture of the page is: a drawing under a title, with what is to be read in it.

Rule 1: it shows numbers of the card and nothing else; where there is nothing to show it is left out.
Rule 2: at most ROWS_MAX rows a drawing; the sentence under it says how many were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

ROWS_MAX = 24
LINE = 22.0  # units a row of letters and its bar take


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing under its ``title``, and a ``caption``."""

    title: str
    drawing: Element
    caption: str


def cut(caption: str, there: Sequence[object]) -> str:
    """The caption, and how many there are where not all are drawn."""
    return caption if len(there) <= ROWS_MAX else f"{caption} {ROWS_MAX} of {len(there):,} are drawn."
