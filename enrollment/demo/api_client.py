"""Somebody who acts over HTTP: sends a token and a new Idempotency-Key, and is told of what was refused.

Whoever has an authenticator app proves to be there when the service asks for it, and goes on.
"""

import time
import uuid
from typing import cast

import httpx
import pyotp

from lottery.market.canonical import Json

TRIES = 6
AGAIN = frozenset({"in-the-way", "unavailable", "act-in-flight"})
"""Problems that say: ask again in a moment."""

GIVES_NEW_TOKEN = ("/v1/presence", "/v1/second-factors/totp/confirm")
"""Where a session gets a new token in the place of the former."""

Answer = dict[str, Json]

STEP_SECONDS = 30
"""How long an authenticator app shows a code."""


class App:
    """An authenticator app that shows each code once."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._last = 0

    def code(self) -> str:
        """Return a code that was not used before; wait for it if it is too early."""
        step = max(int(time.time()) // STEP_SECONDS, self._last + 1)
        # The service takes the next code too, so that a clock may be half a minute off.
        while step > int(time.time()) // STEP_SECONDS + 1:
            time.sleep(1)
        self._last = step
        return pyotp.TOTP(self.secret).at(step * STEP_SECONDS)


class Refused(RuntimeError):
    """The service refused what the demo asked."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        told = answer.json() if answer.headers.get("content-type", "").endswith("json") else {}
        self.problem: Answer = told if isinstance(told, dict) else {}
        self.code = str(self.problem.get("code", ""))
        super().__init__(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:2000]}"
        )


class Person:
    """Somebody with a token."""

    def __init__(self, address: str, token: str | None = None, language: str = "en", app: App | None = None) -> None:
        self.app = app
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=address,
            headers={**headers, "Accept-Language": language},
            timeout=120,
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
        )

    def get(self, path: str, language: str | None = None) -> Answer:
        """Read."""
        headers = {"Accept-Language": language} if language else {}
        return cast("Answer", self._ask("GET", path, headers=headers).json())

    def every(self, path: str) -> list[Answer]:
        """Read all pages of a list."""
        rows: list[Answer] = []
        joint = "&" if "?" in path else "?"
        cursor = ""
        while True:
            page = self.get(f"{path}{joint}limit=200{cursor}")
            rows += cast("list[Answer]", page["data"])
            if page["next_cursor"] is None:
                return rows
            cursor = f"&cursor={page['next_cursor']}"

    def download(self, path: str) -> bytes:
        """Read a file."""
        return self._ask("GET", path).content

    def post(self, path: str, body: object = None) -> Answer:
        """Act, once."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self._ask("POST", path, headers=headers, body=body)
        told = cast("Answer", answer.json()) if answer.content else {}
        if path in GIVES_NEW_TOKEN:
            self._http.headers["Authorization"] = f"Bearer {told['token']}"
        return told

    def put(self, path: str, body: object) -> Answer:
        """Put what is not there yet."""
        return cast("Answer", self._ask("PUT", path, body=body).json())

    def change(self, path: str, body: object) -> Answer:
        """Put what is there already: read its version first."""
        etag = self._ask("GET", path).headers["ETag"]
        return cast("Answer", self._ask("PUT", path, headers={"If-Match": etag}, body=body).json())

    def delete(self, path: str) -> None:
        """Withdraw what is there."""
        etag = self._ask("GET", path).headers["ETag"]
        self._ask("DELETE", path, headers={"If-Match": etag})

    def delete_plain(self, path: str) -> None:
        """Stop what has no version."""
        self._ask("DELETE", path)

    def token_for(self, client: str, secret: str) -> str:
        """Get a partner's access token (RFC 6749, client credentials)."""
        answer = self._http.post("/v1/oauth/token", data={"grant_type": "client_credentials"}, auth=(client, secret))
        if answer.is_error:
            raise Refused(answer)
        return str(answer.json()["access_token"])

    def _ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: object = None
    ) -> httpx.Response:
        for turn in range(TRIES):
            answer = self._http.request(method, path, headers=headers, json=body)
            if not answer.is_error:
                return answer
            refused = Refused(answer)
            if refused.code == "presence-needed" and self.app is not None and path != "/v1/presence":
                self.post("/v1/presence", {"code": self.app.code()})
                continue
            if refused.code not in AGAIN or turn == TRIES - 1:
                raise refused
            time.sleep(0.1 * 2**turn)
        raise AssertionError("the last try either answered or was refused")
