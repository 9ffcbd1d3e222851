"""The files of a round for auditors, as `lottery verify` reads them. The log records each download."""

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
    """Download the frozen market. It has tickets instead of names, but is not anonymous. The log names each reader."""
    round_ = read_round(session, round_id)
    refuse_other_state(round_, "frozen", "drawn", "matched", "published", *_void_after(round_.market_digest))
    return _download(session, round_, staff, MARKET, b"".join(market_file(session, round_)))


@router.get("/v1/rounds/{round}/outcome", responses=FILE, response_class=Response)
def read_outcome_file(session: InTransaction, staff: Audits, round_id: RoundId) -> Response:
    """Download the exact bytes of the outcome."""
    round_ = read_round(session, round_id)
    refuse_other_state(round_, "matched", "published", *_void_after(round_.outcome_digest))
    return _download(session, round_, staff, OUTCOME, outcome_file(round_))


@router.get("/v1/rounds/{round}/draw", responses=FILE, response_class=Response)
def read_draw_file(session: InTransaction, staff: Audits, round_id: RoundId) -> Response:
    """Download the draw: the freeze, the dice, the seed, and the seeds of earlier rounds."""
    round_ = read_round(session, round_id)
    refuse_other_state(round_, "drawn", "matched", "published", *_void_after(round_.dice))
    return _download(session, round_, staff, DRAW, draw_file(session, round_))


def _void_after(made: str | None) -> list[str]:
    """Return the state void if the file was made before the round became void. Auditors can still download it."""
    return [] if made is None else ["void"]


def _download(session: Session, round_: Round, staff: Staff, name: str, raw: bytes) -> Response:
    record_read(session, cycle=round_.cycle_id, actor="staff:auditor", round=round_.id, file=name, reader=staff.id)
    return Response(
        raw,
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{round_.id}-{name}"'},
    )
