"""Many requests at once, each on a connection of its own."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from lottery.market.canonical import Json


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


def ask_all(address: str, asked: Sequence[Ask]) -> list[httpx.Response]:
    """Send all requests at the same time; return their answers in the order of the requests."""
    return asyncio.run(_ask_all(address, asked))


async def _ask_all(address: str, asked: Sequence[Ask]) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=120) as client:
        return await asyncio.gather(*(_ask(client, one) for one in asked))


async def _ask(client: httpx.AsyncClient, one: Ask) -> httpx.Response:
    headers = {**one.headers, "Idempotency-Key": one.key} if one.method == "POST" else dict(one.headers)
    return await client.request(one.method, one.path, headers=headers, json=one.body)
