"""Make files of zones, and bring them in."""

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta

import httpx2

from enrollment.database import clock, transaction
from lottery.market.canonical import Json
from people import Caller, Service
from rows import add_cycle, add_school

IMPORT = "/v1/cycles/2027/imports/zones"

DAY = timedelta(days=1)


def square(
    zone: str,
    *,
    left: int,
    low: int = 0,
    side: int = 10,
    school: str | None = None,
    grades: Sequence[str] | None = None,
    vintage: str = "2027-28",
) -> Json:
    """Return a square zone as a GeoJSON feature."""
    right, high = left + side, low + side
    ring = [[left, low], [right, low], [right, high], [left, high], [left, low]]
    about: dict[str, Json] = {"zone": zone, "name": f"Zone {zone}", "school": school, "vintage": vintage}
    about["grades"] = None if grades is None else list(grades)
    return {"type": "Feature", "properties": about, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def collection(*features: Json) -> bytes:
    """Return a file of zones."""
    return json.dumps({"type": "FeatureCollection", "features": list(features)}).encode()


WEST = square("west", left=0, school="lincoln")


def a_cycle(service: Service, *, opened: bool = False) -> None:
    """Put a cycle and two schools into the tables."""
    with transaction(service.sessions) as session:
        now = clock(session)
        opens = now - DAY if opened else now + DAY
        add_cycle(session, "2027", opens_at=opens, deadline=now + 2 * DAY)
        add_school(session, "lincoln")
        add_school(session, "adams")


def bring(caller: Caller, raw: bytes, query: str = "?apply=true") -> httpx2.Response:
    """Send a file of zones."""
    return caller.post_raw(IMPORT + query, raw, uuid.uuid4().hex)


def at(service: Service, lon: float, lat: float, query: str = "") -> httpx2.Response:
    """Ask for the zones at a point."""
    return service.stranger().get(f"/v1/zones?lon={lon}&lat={lat}{query}")


def zones(answer: httpx2.Response) -> list[str]:
    """Return the ids of the zones in an answer."""
    return [zone["zone"] for zone in answer.json()["zones"]]
