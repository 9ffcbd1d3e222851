"""A connection lost during a commit: the answer says that the outcome is unknown, and what to do."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from sqlalchemy import func, select

from database_proxy import Proxy
from enrollment.access.models import PartnerAccount
from enrollment.audit.models import LogEntry
from enrollment.database import transaction
from enrollment.rankings.models import RankingVersion
from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CHILD, CYCLE, City, make_city

PARTNER: Json = {"id": "portal", "name": "Portal", "scopes": ["applications:read"]}
UNKNOWN = (503, "outcome-unknown")
TURNED: Json = {"programs": ["adams-kg", "lincoln-kg"]}


@pytest.fixture
def proxy(database: str) -> Iterator[Proxy]:
    with Proxy(database) as proxy:
        yield proxy


@pytest.fixture
def city(proxy: Proxy) -> Iterator[City]:
    with Service(proxy.database) as service:
        yield make_city(service, children=12)


def told(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("code"))


def partners(city: City) -> int:
    with transaction(city.service.sessions) as session:
        asked = select(func.count()).where(PartnerAccount.id == "portal")
        return session.execute(asked).scalar_one()


@pytest.mark.parametrize("stored", [True, False])
def test_an_act_whose_commit_is_not_confirmed_is_done_once_when_it_is_sent_again(
    city: City, proxy: Proxy, *, stored: bool
) -> None:
    cut = proxy.cut_when(b"COMMIT", answered=stored)
    answer = city.ann.post("/v1/partners", PARTNER, key="k")
    assert cut.is_set()
    assert told(answer) == UNKNOWN
    assert "may or may not be stored" in answer.json()["detail"]
    assert partners(city) == int(stored)
    again = city.ann.post("/v1/partners", PARTNER, key="k")
    assert again.status_code == 201
    assert ("Idempotency-Replayed" in again.headers) is stored
    assert partners(city) == 1


def test_a_connection_that_is_lost_before_the_commit_stores_nothing_and_the_answer_says_so(
    city: City, proxy: Proxy
) -> None:
    proxy.cut_when(b"INSERT INTO partner", answered=True)
    answer = city.ann.post("/v1/partners", PARTNER, key="k")
    assert told(answer) == (503, "unavailable")
    assert partners(city) == 0
    assert city.ann.post("/v1/partners", PARTNER, key="k").status_code == 201


def test_a_read_is_answered_as_unavailable_because_it_stores_nothing(city: City, proxy: Proxy) -> None:
    proxy.cut_when(b"COMMIT", answered=True)
    assert told(city.ann.get("/v1/partners")) == (503, "unavailable")
    assert city.ann.get("/v1/partners").status_code == 200


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("draft", [True, False])
def test_a_ranking_whose_commit_is_not_confirmed_is_stored_once_when_it_is_sent_again(
    city: City, proxy: Proxy, *, stored: bool, draft: bool
) -> None:
    path = f"{CYCLE}/applicants/child-00/ranking"
    body: Json = {"programs": ["adams-kg"], "draft": draft}
    seen = city.portal.get(path).headers["ETag"]
    cut = proxy.cut_when(b"COMMIT", answered=stored)
    assert told(city.portal.put(path, body, seen)) == UNKNOWN
    assert cut.is_set()
    again = city.portal.put(path, body, seen)
    assert (again.status_code, again.json()["version"]) == (200, 2)
    assert city.portal.get(f"{path}/versions").json()["data"][0]["version"] == 2


def test_the_first_ranking_may_be_sent_again_as_it_was(city: City, proxy: Proxy) -> None:
    child = f"{CYCLE}/applicants/new"
    assert city.portal.put(child, {"grade": "KG", "child": dict(CHILD)}).status_code == 201
    proxy.cut_when(b"COMMIT", answered=True)
    assert told(city.portal.put(f"{child}/ranking", TURNED)) == UNKNOWN
    assert city.portal.put(f"{child}/ranking", TURNED).json()["version"] == 1


def test_every_answer_is_true_under_many_cut_connections(city: City, proxy: Proxy) -> None:
    cuts = [proxy.cut_when(marker, answered=answered) for marker in CUTS for answered in (True, False)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda child: turn(city.portal, child), range(12)))
    assert any(cut.is_set() for cut in cuts)
    versions = stored_versions(city)
    for child, (status, code, confirmation) in enumerate(answers):
        assert (status, code) in {(200, "None"), UNKNOWN, (503, "unavailable")}
        if status == 200:
            assert confirmation in versions[child]
        if code == "unavailable":
            assert len(versions[child]) == 1
    again = [turn(city.portal, child) for child in range(12)]
    assert {status for status, _, _ in again} == {200}
    assert {len(version) for version in stored_versions(city).values()} == {2}
    with transaction(city.service.sessions) as session:
        entries = session.execute(select(func.count()).where(LogEntry.type == "ranking.put")).scalar_one()
    assert entries == 24


CUTS = (b"COMMIT", b"FOR SHARE", b"INSERT INTO log_entry")


def turn(portal: Caller, child: int) -> tuple[int, str, str | None]:
    """Turn a child's list round; return status, code and confirmation number."""
    answer = portal.put(f"{CYCLE}/applicants/child-{child:02}/ranking", TURNED, "*")
    return *told(answer), answer.json().get("confirmation")


def stored_versions(city: City) -> dict[int, list[str]]:
    """Return the confirmation numbers of what is stored, by child."""
    with transaction(city.service.sessions) as session:
        applicants: dict[uuid.UUID, list[str]] = {}
        for applicant, confirmation in session.execute(
            select(RankingVersion.applicant_id, RankingVersion.confirmation).order_by(RankingVersion.version)
        ):
            applicants.setdefault(applicant, []).append(confirmation or "")
        rows = session.execute(
            select(RankingVersion.applicant_id).where(RankingVersion.version == 1).order_by(RankingVersion.at)
        )
        return {place: applicants[applicant] for place, (applicant,) in enumerate(rows)}
