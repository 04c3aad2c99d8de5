"""A class whose objects travel between functions."""

import json


class Order:
    """Something that somebody wants to have."""

    def __init__(self, article: str, is_paid: bool = False) -> None:
        self.article = article
        self.is_paid = is_paid

    @staticmethod
    def to_json(order: "Order") -> str:
        """Text that `from_json` reads."""
        return json.dumps([order.article, order.is_paid])

    @staticmethod
    def from_json(text: str) -> "Order":
        """The reverse of `to_json`."""
        return Order(*json.loads(text))
