"""A text as a QR code of half blocks, for a dark terminal as for a light one: phones read both."""

from __future__ import annotations

from io import StringIO


def qr(text: str) -> str:
    """The code in lines, each ended."""
    import segno  # only where a code is shown

    lines = StringIO()
    segno.make(text, error="l", micro=False).terminal(lines, compact=True, border=2)
    return lines.getvalue()
