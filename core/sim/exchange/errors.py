"""Every error this exchange answers, as one table: our word -> HTTP status, Binance's code, Binance's sentence.

Rule 1: handlers raise ``ApiError`` through ``fail``; nothing else makes an error answer.
Rule 2: codes and sentences are the exchange's own, because clients decide by them.
"""

from __future__ import annotations

from core.domain.errors import Refused

TABLE: dict[str, tuple[int, int, str]] = {
    "busy": (429, -1003, "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
             "Please use WebSocket Streams for live updates to avoid polling the API."),
    "orders_busy": (429, -1015, "Too many new orders; current limit is {limit} orders per 10 SECOND."),
    "early": (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    "late": (400, -1021, "Timestamp for this request is outside of the recvWindow."),
    "signature": (400, -1022, "Signature for this request is not valid."),
    "illegal": (400, -1100, "Illegal characters found in parameter '{name}'; legal range is '{pattern}'."),
    "missing": (400, -1102, "Mandatory parameter '{name}' was not sent, was empty/null, or malformed."),
    "either": (400, -1102, "Param '{one}' or '{other}' must be sent, but both were empty/null!"),
    "unneeded": (400, -1106, "Parameter '{name}' sent when not required."),
    "precision": (400, -1111, "Parameter '{name}' has too much precision."),
    "time_in_force": (400, -1115, "Invalid timeInForce."),
    "order_type": (400, -1116, "Invalid orderType."),
    "side": (400, -1117, "Invalid side."),
    "interval": (400, -1120, "Invalid interval."),
    "symbol": (400, -1121, "Invalid symbol."),
    "window": (400, -1131, "recvWindow must be less than 60000."),
    "leg_type": (400, -1158, "Order type not supported in OCO."),
    "buy_limit": (400, -1165, "A limit order in a buy OCO must be below."),
    "sell_limit": (400, -1166, "A limit order in a sell OCO must be above."),
    "buy_stop_loss": (400, -1196, "A stop loss order in a buy OCO must be above."),
    "sell_stop_loss": (400, -1197, "A stop loss order in a sell OCO must be below."),
    "buy_take_profit": (400, -1198, "A take profit order in a buy OCO must be below."),
    "sell_take_profit": (400, -1199, "A take profit order in a sell OCO must be above."),
    "cancel": (400, -2011, "Unknown order sent."),
    "no_order": (400, -2013, "Order does not exist."),
    "no_list": (400, -2018, "Order list does not exist."),
    "key_format": (401, -2014, "API-key format invalid."),
    "key": (401, -2015, "Invalid API-key, IP, or permissions for action."),
    "path": (404, -1000, "This path is not part of the simulated exchange."),
    "switch": (400, -1130, "A switch is true or false."),
    "unfit": (400, -1000, "{why}"),
    "running": (400, -1000, "This exchange runs by itself; only one at speed max is advanced by hand."),
}  # fmt: skip


class ApiError(Exception):
    """An error answer: HTTP status, code, sentence, and seconds to wait where that is known."""

    def __init__(self, status: int, code: int, text: str, retry_after_s: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after_s = retry_after_s


def fail(word: str, retry_after_s: int | None = None, **values: object) -> ApiError:
    """The error of that word, its sentence filled in."""
    status, code, text = TABLE[word]
    return ApiError(status, code, text.format(**values), retry_after_s)


def from_refusal(refused: Refused) -> ApiError:
    """What the matching engine refused, as an answer: its codes are the exchange's own."""
    return ApiError(400, int(refused.code), refused.user_text)
