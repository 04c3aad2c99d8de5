"""The URLs in the host's responses. Source: http-api.md 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

WEBHOOK_PATH = "/runtime/webhooks/durabletask"
RPC_PATH = "/durabletask"

_PLACEHOLDER = "INSTANCEID"


@dataclass(frozen=True)
class Links:
    """The parts of these URLs."""

    public_origin: str
    """``http://localhost:7071``."""
    hub_name: str
    connection_name: str
    key: str
    rpc_base_url: str | None
    """Ends with the secret of the run; None if the RPC port is disabled."""

    def of_instance(
        self,
        instance_id: str,
        *,
        origin: str,
        hub_name: str | None = None,
        connection: str | None = None,
        with_key: bool = True,
    ) -> dict[str, str]:
        """Returns the management URLs of an instance, including ``rewindPostUri``."""
        suffix = (
            f"taskHub={quote(hub_name or self.hub_name, safe='')}"
            f"&connection={quote(connection or self.connection_name, safe='')}"
            + (f"&code={self.key}" if with_key else "")
        )
        instance = f"{origin}{WEBHOOK_PATH}/instances/{_form_encoded(instance_id)}"
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}?{suffix}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{suffix}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{suffix}",
            "rewindPostUri": f"{instance}/rewind?reason={{text}}&{suffix}",
            "purgeHistoryDeleteUri": f"{instance}?{suffix}",
            "restartPostUri": f"{instance}/restart?{suffix}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}&{suffix}",
            "resumePostUri": f"{instance}/resume?reason={{text}}&{suffix}",
        }

    def client_binding(
        self, *, task_hub: str | None = None, connection: str | None = None
    ) -> dict[str, Any]:
        """Returns what a durable client binding receives."""
        base = f"{self.public_origin}{WEBHOOK_PATH}"
        create = f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        return {
            "taskHubName": task_hub or self.hub_name,
            "connectionName": None,
            "creationUrls": {
                "createNewInstancePostUri": f"{create}?code={self.key}",
                "createAndWaitOnNewInstancePostUri": f"{create}?{wait}&code={self.key}",
            },
            "managementUrls": self.of_instance(
                _PLACEHOLDER,
                origin=self.public_origin,
                hub_name=task_hub,
                connection=connection,
            ),
            "baseUrl": base,
            "requiredQueryStringParameters": f"code={self.key}",
            "rpcBaseUrl": self.rpc_base_url,
            "httpBaseUrl": None,
        }


def _form_encoded(text: str) -> str:
    """Encodes an ID for URLs as the extension does: a blank becomes ``+``."""
    return quote_plus(text, safe="!*()").replace("~", "%7E")
