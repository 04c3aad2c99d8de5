"""The custom class of the recorded traces; the traces name this module."""

from __future__ import annotations

import json


class Order:
    """Travels as JSON text inside the envelope of custom objects."""

    def __init__(self, sku: str, qty: int) -> None:
        self.sku = sku
        self.qty = qty

    @staticmethod
    def to_json(order: Order) -> str:
        return json.dumps({"sku": order.sku, "qty": order.qty})

    @staticmethod
    def from_json(text: str) -> Order:
        fields = json.loads(text)
        return Order(fields["sku"], fields["qty"])
