"""What a 200 to a change proves: that it is about the very order we meant, or nothing.

Rule 1: an answer without the order's number, about another order, or cut short, leaves the outcome unknown.
Rule 2: so does a list that only answers: RESPONSE and REJECT are the exchange's words for a list that was not carried
        out, and its orders have to be looked up one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.adapters import binance_parse as parse
from core.domain.errors import BadData, OutcomeUnknown
from core.domain.orders import Order
from core.ports import OrderReport


def proven(answer: object, order: Order) -> OrderReport:
    """The report in an answer, provided that it is about this very order. Raises OutcomeUnknown."""
    try:
        report = parse.report_of(answer if isinstance(answer, Mapping) else {})
    except BadData as error:
        raise OutcomeUnknown(f"{order.client_id} was sent: {error.user_text}", order.client_id) from None
    if (report.client_id, report.symbol) != (order.client_id, order.symbol):
        raise OutcomeUnknown(f"{order.client_id} was sent, the answer is about another order", order.client_id)
    return report


def proven_list(answer: object, orders: Sequence[Order]) -> list[OrderReport]:
    """A report for each of ``orders``, in their order, or OutcomeUnknown when one is not proven."""
    _carried_out(answer, orders[0].client_id)
    named = {str(row.get("clientOrderId")): row for row in _rows(answer, "orders") + _rows(answer, "orderReports")}
    return [proven(named.get(order.client_id), order) for order in orders]


def proven_cancel(answer: object, client_id: str) -> None:
    """Nothing, where the answer says that this order, or the list it belongs to, was cancelled."""
    _carried_out(answer, client_id)
    rows = [*_rows(answer, "orders"), *_rows(answer, "orderReports")]
    if isinstance(answer, Mapping) and "orderId" in answer:
        rows.append(answer)
    # in an answer to a cancel, clientOrderId may be the name of the request
    if client_id not in (row.get("origClientOrderId") or row.get("clientOrderId") for row in rows):
        raise OutcomeUnknown(f"The answer to the cancel of {client_id} does not name it", client_id)


def _carried_out(answer: object, client_id: str) -> None:
    if isinstance(answer, Mapping) and (
        answer.get("listStatusType") == "RESPONSE" or answer.get("listOrderStatus") == "REJECT"
    ):
        raise OutcomeUnknown(f"The list of {client_id} was answered, but not carried out as a whole", client_id)


def _rows(answer: object, name: str) -> list[Mapping[str, object]]:
    """The orders an answer about a list holds under ``name``: bare names in "orders", states in "orderReports"."""
    rows = answer.get(name) if isinstance(answer, Mapping) else None
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
