"""Submit a ranking in two round trips to the database.

Most requests of a cycle come here, and families wait for the answer on the last evening. So this module is
asynchronous and has its own SQL. The same functions as elsewhere make the decisions. The first trip locks the cycle and
the child, and reads the data. The second writes the version and the log entry, and commits.

The locks have the order of docs/explanation/locks.md: the cycle, the child, the application. PostgreSQL locks in the
order of `OF`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from enrollment.access.callers import Partner
from enrollment.access.tokens import Client
from enrollment.cycles.locks import CycleNotFound, CycleNow, OpenCycle, require_open
from enrollment.cycles.models import Cycle
from enrollment.database import refused_by_server
from enrollment.preconditions import refuse_stale
from enrollment.problems import Forbidden, InvalidToken, NotFound, OutcomeUnknown
from enrollment.rankings.changes import RankingRefused
from enrollment.rankings.faults import KnownProgram, faults_of
from enrollment.rankings.inputs import RankingIn
from enrollment.rankings.sealed_rankings import SealedRanking, seal_ranking
from enrollment.rankings.versions import Ranker, Ranking

Pool = AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]
Row = tuple[Any, ...]

SCOPE = "applications:write"

CYCLE_COLUMNS = (
    "id", "opens_at", "deadline", "late_until", "backfill_opens", "backfill_until", "running_round", "most_ranks",
    "time_zone",
)  # fmt: skip

LOCK_CYCLE = """
    SELECT p.scopes, clock_timestamp(), c.id, c.opens_at, c.deadline, c.late_until, c.backfill_opens,
        c.backfill_until, c.running_round, c.most_ranks, c.time_zone,
        (SELECT jsonb_object_agg(known.id, jsonb_build_array(known.grade, o.status IS NOT DISTINCT FROM 'in', o.reason))
         FROM program known LEFT JOIN offering o ON o.program_id = known.id AND o.cycle_id = c.id
         WHERE known.id = ANY(%(programs)s))
    FROM cycle c LEFT JOIN partner p ON p.id = %(partner)s AND p.active
        AND EXISTS (SELECT FROM partner_secret s
                    WHERE s.id::text = %(secret)s AND s.partner_id = p.id AND s.revoked_at IS NULL)
    WHERE c.id = %(cycle)s FOR SHARE OF c
"""
LOCK_CHILD = """
    SELECT a.id, a.child_id, a.grade, h.tag, h.last_leaf, a.ranking_version
    FROM applicant a JOIN child h ON h.id = a.child_id
    WHERE a.cycle_id = %(cycle)s AND a.partner_id = %(partner)s AND a.reference = %(reference)s
      AND a.withdrawn_at IS NULL
    FOR NO KEY UPDATE OF h, a
"""
READ_NEWEST = """
    SELECT r.version, r.kind, r.programs, r.confirmation, r.leaf_hash, r.at
    FROM applicant a JOIN ranking_version r ON r.applicant_id = a.id
    WHERE a.cycle_id = %(cycle)s AND a.partner_id = %(partner)s AND a.reference = %(reference)s
    ORDER BY r.version DESC LIMIT 1
"""
STORE_DRAFT = """
    INSERT INTO ranking_version (applicant_id, version, kind, programs, actor, at)
    VALUES (%(applicant)s, %(version)s, 'draft', %(programs)s, %(actor)s, %(at)s)
"""
STORE_RANKING = """
    WITH logged AS (
        INSERT INTO log_entry (type, cycle_id, actor, body, leaf_hash)
        VALUES (%(type)s, %(cycle)s, %(actor)s, %(body)s, %(leaf)s)
    ), stored AS (
        INSERT INTO ranking_version
            (applicant_id, version, kind, programs, actor, confirmation, salt, leaf_hash, at)
        VALUES (%(applicant)s, %(version)s, 'submitted', %(programs)s, %(actor)s, %(confirmation)s,
            %(salt)s, %(leaf)s, %(at)s)
    ), pointed AS (
        UPDATE applicant SET ranking_version = %(version)s WHERE id = %(applicant)s
    )
    UPDATE child SET last_leaf = %(leaf)s WHERE id = %(child)s
"""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A stored ranking, or the newest ranking if it was repeated."""

    ranking: Ranking
    cycle: Cycle
    withdrawn: Mapping[str, str | None]
    """The programs of a repeated ranking that left the cycle since, each with the school's reason."""


async def put_ranking(
    pool: Pool, client: Client, *, cycle: str, reference: str, body: RankingIn, if_match: str | None
) -> Submitted:
    """Submit a ranking, or store a draft. The transaction is committed when this returns.

    Raises:
        InvalidToken, Forbidden: if the partner, its secret or its scope was revoked after it got the token.
        NotFound: if the cycle does not exist, or the partner has no active application with this reference.
        RoundRunning, CycleNotOpenYet, CycleClosed: if the cycle does not accept rankings now.
        VersionMissing, VersionStale: if the request does not name the newest version.
        RankingRefused: listing all faults of the ranking.
    """
    async with pool.connection() as connection:
        found = await _look(connection, client, cycle, reference, body.programs)
        open_cycle, ranker = found.open_cycle, found.ranker
        if newest := ranker.repeats_newest(body.programs, draft=body.draft):
            return Submitted(newest, open_cycle.cycle, found.withdrawn)
        refuse_stale(if_match, ranker.newest.version if ranker.newest else None)
        max_ranks, draft = open_cycle.cycle.most_ranks, body.draft
        if faults := faults_of(body.programs, found.known, grade=ranker.grade, max_ranks=max_ranks, draft=draft):
            raise RankingRefused(faults=faults)
        actor = Partner(client.id, client.scopes).actor
        if draft:
            ranking = Ranking(ranker.next_version, "draft", body.programs, None, None, open_cycle.now)
            await _write(connection, STORE_DRAFT, _row(ranker, ranking, actor))
            return Submitted(ranking, open_cycle.cycle, {})
        sealed = seal_ranking(actor, open_cycle, ranker, "submitted", body.programs)
        await _write(connection, STORE_RANKING, _sealed_row(ranker, sealed, actor, cycle))
        return Submitted(sealed.ranking, open_cycle.cycle, {})


@dataclass(frozen=True, slots=True)
class _Found:
    """The data that decides about a ranking."""

    open_cycle: OpenCycle
    ranker: Ranker
    known: Mapping[str, KnownProgram]
    """The ranked programs that exist."""

    @property
    def withdrawn(self) -> Mapping[str, str | None]:
        """Return the ranked programs that do not take part, each with the school's reason."""
        return {program: known.why_not for program, known in self.known.items() if not known.takes_part}


async def _look(
    connection: AsyncConnection[Row], client: Client, cycle: str, reference: str, programs: Sequence[str]
) -> _Found:
    """Take a shared lock on the cycle, lock the child, and read the data that decides: one round trip."""
    parameters = {
        "cycle": cycle,
        "partner": client.id,
        "secret": client.secret,
        "reference": reference,
        "programs": list(programs),
    }
    async with connection.pipeline():
        cursors = [await connection.execute(query, parameters) for query in (LOCK_CYCLE, LOCK_CHILD, READ_NEWEST)]
        cycle_row, child_row, newest_row = [await cursor.fetchone() for cursor in cursors]
    if cycle_row is None:
        raise CycleNotFound
    scopes, now, *columns, programs_found = cycle_row
    if scopes is None:
        raise InvalidToken
    if SCOPE not in scopes:
        raise Forbidden(needs=SCOPE)
    open_cycle = require_open(CycleNow(Cycle(**dict(zip(CYCLE_COLUMNS, columns, strict=True))), now))
    if child_row is None:
        raise NotFound
    applicant, child, grade, tag, last_leaf, in_force = child_row
    newest = Ranking(*newest_row) if newest_row else None
    ranker = Ranker(applicant, child, grade, tag, last_leaf, in_force, newest)
    known = {program: KnownProgram(*facts) for program, facts in (programs_found or {}).items()}
    return _Found(open_cycle, ranker, known)


async def _write(connection: AsyncConnection[Row], query: str, row: Mapping[str, object]) -> None:
    """Write and commit: one round trip.

    Raises:
        OutcomeUnknown: if the connection is lost. The ranking may be stored or not.
    """
    try:
        async with connection.pipeline():
            await connection.execute(query, row)
            await connection.commit()
    except psycopg.Error as error:
        if refused_by_server(error):
            raise
        raise OutcomeUnknown from error


def _row(ranker: Ranker, ranking: Ranking, actor: str) -> dict[str, object]:
    return {
        "applicant": ranker.id,
        "version": ranking.version,
        "programs": ranking.programs,
        "actor": actor,
        "at": ranking.at,
    }


def _sealed_row(ranker: Ranker, sealed: SealedRanking, actor: str, cycle: str) -> dict[str, object]:
    return {
        **_row(ranker, sealed.ranking, actor),
        "child": ranker.child_id,
        "cycle": cycle,
        "type": sealed.type,
        "body": sealed.entry.body,
        "leaf": sealed.entry.leaf_hash,
        "salt": sealed.salt,
        "confirmation": sealed.ranking.confirmation,
    }
