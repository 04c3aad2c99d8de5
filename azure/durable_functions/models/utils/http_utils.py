import asyncio as asyncio
from azure.durable_functions._client.http import _client_session as _client_session
from azure.durable_functions._client.http import _close_session as _close_session
from azure.durable_functions._client.http import _get_session as _get_session
from azure.durable_functions._client.http import _handle_request_error as _handle_request_error
from azure.durable_functions._client.http import _session_lock as _session_lock
from azure.durable_functions._client.http import delete_async_request as delete_async_request
from azure.durable_functions._client.http import get_async_request as get_async_request
from azure.durable_functions._client.http import post_async_request as post_async_request
