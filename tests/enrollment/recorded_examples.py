"""Record what tests send and are answered, from which the OpenAPI document takes its examples.

`scripts/examples` runs tests with `RECORD_EXAMPLES` set to a folder, then this module as a command.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
from fastapi import FastAPI

from lottery.market.canonical import Json

FOLDER = "RECORD_EXAMPLES"
EXAMPLES = Path(__file__).parents[2] / "enrollment" / "api" / "examples.json"
MAX_CHARACTERS = 1_500
"""Of an example; a longer one hides what it is an example of."""

NAMED = {
    *("token", "access_token", "secret", "uri", "device", "password", "new_password"),
    *("invitation_code", "second_code", "recovery_codes", "transfer_code"),
}
"""Fields whose values are replaced by words, since a secret is in no document."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was done, and its answer."""

    operation: str
    request: Json
    answer: Json

    @property
    def text(self) -> str:
        """Return it as one text, for its length and for an order that is always the same."""
        return json.dumps([self.request, self.answer], sort_keys=True)

    @property
    def facts(self) -> int:
        """Count the values that say something."""
        return sum(1 for value in _leaves([self.request, self.answer]) if value not in (None, "", False))


def record(app: FastAPI, client: httpx2.Client) -> None:
    """Have a client write down what it does, if the environment names a folder for it."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return
    patterns = {_pattern(path): path for path in app.openapi()["paths"]}
    file = Path(folder) / f"{os.getpid()}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)

    def write_down(answer: httpx2.Response) -> None:
        request = answer.request
        path = next((path for pattern, path in patterns.items() if pattern.fullmatch(request.url.path)), None)
        if path is None or not answer.is_success:
            return
        answer.read()
        exchange = [f"{request.method} {path}", _json(request.content), _json(answer.content)]
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(exchange) + "\n")

    client.event_hooks = {"response": [write_down]}


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(path)))


def _json(content: bytes) -> Json:
    try:
        parsed: Json = json.loads(content)
    except ValueError:
        return None
    return parsed


def _leaves(value: Json) -> Iterator[Json]:
    match value:
        case dict():
            for part in value.values():
                yield from _leaves(part)
        case list():
            for part in value:
                yield from _leaves(part)
        case _:
            yield value


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Read what was written down."""
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            operation, request, answer = json.loads(line)
            yield Exchange(operation, _without_secrets(_without_nulls(request)), _without_secrets(answer))


def _without_secrets(value: Json, name: str = "") -> Json:
    match value:
        case dict():
            return {key: _without_secrets(part, key) for key, part in value.items()}
        case list():
            return [_without_secrets(part, name) for part in value[:2]]
        case str() if name in NAMED:
            return f"the {name.replace('_', ' ')}"
        case _:
            return value


def _without_nulls(value: Json) -> Json:
    """Drop what a request may as well leave out."""
    match value:
        case dict():
            return {key: _without_nulls(part) for key, part in value.items() if part is not None}
        case list():
            return [_without_nulls(part) for part in value]
        case _:
            return value


def best(folder: Path) -> Mapping[str, Json]:
    """Return for each operation the exchange that says most and is not too long."""
    found: dict[str, Exchange] = {}
    for one in exchanges(folder):
        if one.operation not in found or _worth(one) > _worth(found[one.operation]):
            found[one.operation] = one
    return {name: document for name, one in sorted(found.items()) if (document := _document(one))}


def _worth(one: Exchange) -> tuple[bool, int, str]:
    return len(one.text) <= MAX_CHARACTERS, one.facts if len(one.text) <= MAX_CHARACTERS else -len(one.text), one.text


def _document(one: Exchange) -> dict[str, Json]:
    parts = {"request": one.request, "answer": one.answer}
    return {name: part for name, part in parts.items() if part is not None}


def main() -> None:
    """Write the examples of a folder of recordings."""
    text = json.dumps(best(Path(sys.argv[1])), indent=1, ensure_ascii=False, sort_keys=True)
    EXAMPLES.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
