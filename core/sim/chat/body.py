"""An HTTP request as a Call: query, form, multipart and JSON bodies all end up as one set of parameters."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from core.sim.chat.call import Call, read_json
from core.sim.chat.values import ApiError, Upload, bad_request


async def read_call(request: web.Request) -> Call:
    """The call that ``request`` makes. Raises ApiError for a body nobody can read or over 51 MB."""
    params: dict[str, Any] = dict(request.query)
    files: dict[str, Upload] = {}
    try:
        if request.content_type == "application/json":
            params |= _object(await request.text())
        elif request.can_read_body:
            for name, value in (await request.post()).items():
                if isinstance(value, web.FileField):
                    files[name] = Upload(value.filename, value.content_type, await asyncio.to_thread(value.file.read))
                else:
                    params[name] = value
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, "Request Entity Too Large") from None
    except (ValueError, UnicodeDecodeError):
        raise bad_request("can't parse the request body") from None
    return Call(request.match_info["method"].lower(), params, files)


def _object(text: str) -> dict[str, Any]:
    value = read_json(text, "request") if text.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("a JSON body must be an object")
    return value
