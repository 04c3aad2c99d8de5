"""Starts instances and asks for their status with whatever client this interpreter has, or bare.

Takes the URL of `client_server.py`. A line in: ``{"what": "start" or "status", "at_once": n,
"count": n, "bare": bool}``; a line out: seconds for each request.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import warnings
from typing import Any

import aiohttp


def binding(url: str) -> str:
    """What a host gives a function as its durable client."""
    rpc = f"{url}/durabletask/"
    instance = f"{rpc}instances/INSTANCEID"
    return json.dumps(
        {
            "taskHubName": "hub",
            "creationUrls": {
                "createNewInstancePostUri": f"{rpc}orchestrators/{{functionName}}[/{{instanceId}}]",
                "createAndWaitOnNewInstancePostUri": f"{rpc}orchestrators/{{functionName}}",
            },
            "managementUrls": {
                "id": "INSTANCEID",
                "statusQueryGetUri": instance,
                "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}",
                "terminatePostUri": f"{instance}/terminate?reason={{text}}",
                "rewindPostUri": f"{instance}/rewind?reason={{text}}",
                "purgeHistoryDeleteUri": instance,
            },
            "baseUrl": f"{url}/durabletask",
            "requiredQueryStringParameters": "taskHub=hub",
            "rpcBaseUrl": rpc,
        }
    )


async def with_client(client: Any, what: str) -> None:
    if what == "start":
        assert await client.start_new("chain", client_input={"n": 5}) == "abc"
    else:
        status = await client.get_status("abc")
        assert status.output == [1, 2, 3]


async def bare(session: aiohttp.ClientSession, url: str, what: str) -> None:
    """What any client must encode, send and read."""
    rpc = f"{url}/durabletask/"
    if what == "start":
        async with session.post(f"{rpc}orchestrators/chain", json=json.dumps({"n": 5})) as answer:
            assert (await answer.json())["id"] == "abc"
    else:
        async with session.get(f"{rpc}instances/abc") as answer:
            assert (await answer.json())["output"] == [1, 2, 3]


async def main(url: str) -> None:
    warnings.simplefilter("ignore")
    import azure.durable_functions as df

    print(json.dumps(df.__file__), flush=True)
    client = df.DurableOrchestrationClient(binding(url))
    async with aiohttp.ClientSession() as session:
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            asked = json.loads(line)
            what, count = asked["what"], asked["count"]

            async def some(what: str = what, count: int = count, asked: Any = asked) -> None:
                for _ in range(count // asked["at_once"]):
                    if asked["bare"]:
                        await bare(session, url, what)
                    else:
                        await with_client(client, what)

            began = time.perf_counter()
            await asyncio.gather(*(some() for _ in range(asked["at_once"])))
            print(json.dumps((time.perf_counter() - began) / count), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
