"""HTTP clients for the participants of the demo.

A client sends a token and a new Idempotency-Key. If the service asks for proof of presence, a person with an
authenticator app sends a code and repeats the request.
"""

import time
import uuid
from typing import cast

import httpx
import pyotp

from lottery.market.canonical import Json

MAX_TRIES = 6
RETRY = frozenset({"in-the-way", "unavailable", "act-in-flight"})
"""Codes of problems after which the same request can succeed a moment later."""

GIVES_NEW_TOKEN = ("/v1/presence", "/v1/second-factors/totp/confirm")
"""Paths that answer with a new token for the session."""

Answer = dict[str, Json]

STEP_SECONDS = 30
"""How long an authenticator app shows the same code."""


class AuthenticatorApp:
    """An authenticator app that gives each code once."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._last = 0

    def code(self) -> str:
        """Return the next unused code, and wait for the code if necessary."""
        step = max(int(time.time()) // STEP_SECONDS, self._last + 1)
        # The service also accepts the next code, in case a clock is half a minute wrong.
        while step > int(time.time()) // STEP_SECONDS + 1:
            time.sleep(1)
        self._last = step
        return pyotp.TOTP(self.secret).at(step * STEP_SECONDS)


class Refused(RuntimeError):
    """The service refused a request of the demo."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        body = answer.json() if answer.headers.get("content-type", "").endswith("json") else {}
        self.problem: Answer = body if isinstance(body, dict) else {}
        self.code = str(self.problem.get("code", ""))
        super().__init__(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:2000]}"
        )


class Person:
    """A participant with a token."""

    def __init__(
        self, address: str, token: str | None = None, language: str = "en", app: AuthenticatorApp | None = None
    ) -> None:
        self.app = app
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=address,
            headers={**headers, "Accept-Language": language},
            timeout=120,
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
        )

    def get(self, path: str, language: str | None = None) -> Answer:
        """Read a resource."""
        headers = {"Accept-Language": language} if language else {}
        return cast("Answer", self._ask("GET", path, headers=headers).json())

    def get_all(self, path: str) -> list[Answer]:
        """Read all pages of a list."""
        rows: list[Answer] = []
        separator = "&" if "?" in path else "?"
        cursor = ""
        while True:
            page = self.get(f"{path}{separator}limit=200{cursor}")
            rows += cast("list[Answer]", page["data"])
            if page["next_cursor"] is None:
                return rows
            cursor = f"&cursor={page['next_cursor']}"

    def download(self, path: str) -> bytes:
        """Read a file."""
        return self._ask("GET", path).content

    def post(self, path: str, body: object = None) -> Answer:
        """Send a POST request with a new Idempotency-Key."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self._ask("POST", path, headers=headers, body=body)
        found = cast("Answer", answer.json()) if answer.content else {}
        if path in GIVES_NEW_TOKEN:
            self._http.headers["Authorization"] = f"Bearer {found['token']}"
        return found

    def put(self, path: str, body: object) -> Answer:
        """Create a resource."""
        return cast("Answer", self._ask("PUT", path, body=body).json())

    def change(self, path: str, body: object) -> Answer:
        """Read a resource's version, then replace the resource."""
        etag = self._ask("GET", path).headers["ETag"]
        return cast("Answer", self._ask("PUT", path, headers={"If-Match": etag}, body=body).json())

    def delete(self, path: str) -> None:
        """Read a resource's version, then delete the resource."""
        etag = self._ask("GET", path).headers["ETag"]
        self._ask("DELETE", path, headers={"If-Match": etag})

    def delete_unversioned(self, path: str) -> None:
        """Delete a resource that has no version."""
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
        for attempt in range(MAX_TRIES):
            answer = self._http.request(method, path, headers=headers, json=body)
            if not answer.is_error:
                return answer
            refused = Refused(answer)
            if refused.code == "presence-needed" and self.app is not None and path != "/v1/presence":
                self.post("/v1/presence", {"code": self.app.code()})
                continue
            if refused.code not in RETRY or attempt == MAX_TRIES - 1:
                raise refused
            time.sleep(0.1 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")
