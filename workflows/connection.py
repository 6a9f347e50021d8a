"""The way to Temporal, for web and worker alike."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime

from billing.settings import Settings
from workflows.interception import CauseInterceptor


async def connect(settings: Settings, runtime: Runtime | None = None) -> Client:
    """TLS is on when an API key is set; `runtime` is one whose SDK is measured. Raises RuntimeError when the server is out of reach."""
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=settings.temporal_api_key or None,
        tls=bool(settings.temporal_api_key),
        data_converter=pydantic_data_converter,
        interceptors=[CauseInterceptor()],
        runtime=runtime,
    )
