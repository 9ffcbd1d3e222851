"""A round's files for auditors, as `lottery verify` takes them; each download is an entry in the log."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from sqlalchemy.orm import Session

from enrollment.access.callers import Staff
from enrollment.access.guards import Audits
from enrollment.audit.reads import record_read
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.rounds.audit_files import DRAW, MARKET, OUTCOME, draw_file, market_file, outcome_file
from enrollment.rounds.locks import read_round, refuse_other_state
from enrollment.rounds.models import Round

router = APIRouter(tags=["audit"])

RoundId = Annotated[Id, Path(alias="round")]

FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {}}, "description": "The file."}}


@router.get("/v1/rounds/{round}/market", responses=FILE, response_class=Response)
def read_market_file(session: InTransaction, staff: Audits, round_id: RoundId) -> Response:
    """Download the frozen market under its tickets: no names, yet not anonymous, so the log tells who had it."""
    round_ = read_round(session, round_id)
    refuse_other_state(round_, "frozen", "drawn", "matched", "published", *_voided(round_.market_digest))
    return _download(session, round_, staff, MARKET, b"".join(market_file(session, round_)))


@router.get("/v1/rounds/{round}/outcome", responses=FILE, response_class=Response)
def read_outcome_file(session: InTransaction, staff: Audits, round_id: RoundId) -> Response:
    """Download the outcome, byte for byte as the match made it."""
    round_ = read_round(session, round_id)
    refuse_other_state(round_, "matched", "published", *_voided(round_.outcome_digest))
    return _download(session, round_, staff, OUTCOME, outcome_file(round_))


@router.get("/v1/rounds/{round}/draw", responses=FILE, response_class=Response)
def read_draw_file(session: InTransaction, staff: Audits, round_id: RoundId) -> Response:
    """Download the draw: freeze, dice and seed; and the seeds of the rounds in which others were drawn."""
    round_ = read_round(session, round_id)
    refuse_other_state(round_, "drawn", "matched", "published", *_voided(round_.dice))
    return _download(session, round_, staff, DRAW, draw_file(session, round_))


def _voided(there: str | None) -> list[str]:
    """Return the state void where a round got that far before: what it did stays visible."""
    return [] if there is None else ["void"]


def _download(session: Session, round_: Round, staff: Staff, name: str, raw: bytes) -> Response:
    record_read(session, cycle=round_.cycle_id, actor="staff:auditor", round=round_.id, file=name, reader=staff.id)
    return Response(
        raw,
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{round_.id}-{name}"'},
    )
