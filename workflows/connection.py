"""The way to Temporal, for web and worker alike."""

from __future__ import annotations

from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime
from temporalio.service import TLSConfig

from billing.settings import Settings
from workflows.interception import CauseInterceptor


async def connect(settings: Settings, runtime: Runtime | None = None) -> Client:
    """TLS is on when it is configured, or an API key is set; `runtime` is one whose SDK is measured.

    Raises RuntimeError when the server is out of reach.
    """
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=settings.temporal_api_key or None,
        tls=_tls(settings),
        data_converter=pydantic_data_converter,
        interceptors=[CauseInterceptor()],
        runtime=runtime,
    )


def _tls(settings: Settings) -> TLSConfig | bool:
    """Files are read anew at each connection: certificates are renewed while processes run."""
    given = settings.temporal_tls
    if given is None:
        return bool(settings.temporal_api_key)
    return TLSConfig(
        server_root_ca_cert=_content(given.ca_file),
        client_cert=_content(given.cert_file),
        client_private_key=_content(given.key_file),
    )


def _content(file: str | None) -> bytes | None:
    return Path(file).read_bytes() if file else None
