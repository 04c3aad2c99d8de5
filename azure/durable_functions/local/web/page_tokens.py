"""Tokens of the pages of a list: the last instance of the page before."""

from __future__ import annotations

import base64
import binascii
import json

from azure.durable_functions.local.store.instances import Instance


def make(last: Instance) -> str:
    """Returns the token of the page after an instance."""
    position = json.dumps([last.created_at, last.instance_id])
    return base64.urlsafe_b64encode(position.encode("utf-8")).decode("ascii")


def read(token: str) -> tuple[str, str] | None:
    """Returns creation time and ID of the instance before a page; None for the first page.

    Raises:
        ValueError: The token is not from this host.
    """
    if not token:
        return None
    try:
        text = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
        created_at, instance_id = json.loads(text)
        return str(created_at), str(instance_id)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise ValueError(token) from error
