"""After the round: offers, vacancies, waitlists, placements outside, notices, rounds on the calendar."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


ONLY_GROW = ("seat_change", "waitlist_move")

WINDOW = (
    "(transfers_frozen_from IS NULL) = (transfers_frozen_until IS NULL) "
    "AND transfers_frozen_from < transfers_frozen_until"
)

HELD_SO_FAR = """
    INSERT INTO offer (id, cycle_id, child_id, program_id, seat_group, priority_class, choice, source, round_id,
        made_at, answer_by, remind_at, status, closed_at)
    SELECT gen_random_uuid(), r.cycle_id, c.id, p.program_id, p.seat_group, 'general', p.choice, r.kind, r.id,
        r.published_at, r.published_at, r.published_at, 'accepted', r.published_at
    FROM (SELECT DISTINCT ON (cycle_id) * FROM round WHERE state = 'published'
          ORDER BY cycle_id, published_at DESC) r
    JOIN placement p ON p.round_id = r.id
    JOIN child c ON c.cycle_id = r.cycle_id AND encode(c.tag, 'hex') = p.tag
    JOIN applicant a ON a.child_id = c.id AND a.withdrawn_at IS NULL
    JOIN program g ON g.id = p.program_id AND g.grade = a.grade
"""
"""Before there were offers, whoever the last published round placed held that seat."""


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("partner_id", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("about", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(
            "event IN ('offer.made', 'offer.expiring', 'offer.expired', 'waitlist.moved', 'results.published')",
            name=op.f("ck_notice_event"),
        ),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_notice_cycle_id")),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_notice_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("event", "subject", name=op.f("uq_notice_event_subject")),
    )
    op.create_index(op.f("ix_notice_cycle_id_partner_id_id"), "notice", ["cycle_id", "partner_id", "id"], unique=False)
    op.create_table(
        "round_calendar",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("every", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dice_in_minutes", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_told", sa.String(), nullable=True),
        sa.CheckConstraint("every IN ('day', 'week')", name=op.f("ck_round_calendar_every")),
        sa.CheckConstraint("approved_by IS NULL OR approved_by <> asked_by", name=op.f("ck_round_calendar_two_people")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_round_calendar_cycle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round_calendar")),
    )
    op.create_index(
        "uq_round_calendar_live", "round_calendar", ["cycle_id"], unique=True, postgresql_where="stopped_at IS NULL"
    )
    op.create_table(
        "waitlist_look",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("log_size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_waitlist_look_cycle_id")),
        sa.PrimaryKeyConstraint("cycle_id", name=op.f("pk_waitlist_look")),
    )
    op.create_table(
        "seat_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("program_id", sa.String(), nullable=False),
        sa.Column("seat_group", sa.String(), nullable=False),
        sa.Column("was", sa.String(), nullable=False),
        sa.Column("became", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("round_id", sa.String(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["child_id"], ["child.id"], name=op.f("fk_seat_change_child_id")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_seat_change_cycle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seat_change")),
    )
    op.create_index(op.f("ix_seat_change_child_id"), "seat_change", ["child_id"], unique=False)
    op.create_index(op.f("ix_seat_change_leaf_hash"), "seat_change", ["leaf_hash"], unique=False)
    op.create_table(
        "waitlist_move",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("program_id", sa.String(), nullable=False),
        sa.Column("seat_group", sa.String(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("was", sa.Integer(), nullable=True),
        sa.Column("became", sa.Integer(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["child_id"], ["child.id"], name=op.f("fk_waitlist_move_child_id")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_waitlist_move_cycle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waitlist_move")),
    )
    op.create_index(op.f("ix_waitlist_move_child_id_id"), "waitlist_move", ["child_id", "id"], unique=False)
    op.create_table(
        "offer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("program_id", sa.String(), nullable=False),
        sa.Column("seat_group", sa.String(), nullable=False),
        sa.Column("priority_class", sa.String(), nullable=False),
        sa.Column("choice", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("round_id", sa.String(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("(source = 'outside') = (round_id IS NULL)", name=op.f("ck_offer_source_round")),
        sa.CheckConstraint("(status = 'open') = (closed_at IS NULL)", name=op.f("ck_offer_closed")),
        sa.CheckConstraint("source IN ('main', 'backfill', 'outside')", name=op.f("ck_offer_source")),
        sa.CheckConstraint(
            "status IN ('open', 'accepted', 'declined', 'expired', 'replaced', 'withdrawn')",
            name=op.f("ck_offer_status"),
        ),
        sa.ForeignKeyConstraint(["child_id"], ["child.id"], name=op.f("fk_offer_child_id")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_offer_cycle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["program.id"], name=op.f("fk_offer_program_id")),
        sa.ForeignKeyConstraint(["round_id"], ["round.id"], name=op.f("fk_offer_round_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
    )
    op.create_index(op.f("ix_offer_child_id"), "offer", ["child_id"], unique=False)
    op.create_index(op.f("ix_offer_cycle_id_program_id"), "offer", ["cycle_id", "program_id"], unique=False)
    op.create_index("ix_offer_due", "offer", ["answer_by"], unique=False, postgresql_where="status = 'open'")
    op.create_index(
        "uq_offer_live", "offer", ["child_id"], unique=True, postgresql_where="status IN ('open', 'accepted')"
    )
    op.create_table(
        "vacancy",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("program_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seat_group", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default="open", nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("round_id", sa.String(), nullable=True),
        sa.Column("rules_version", sa.Integer(), nullable=True),
        sa.Column("rule_of", sa.String(), nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("filled_class", sa.String(), nullable=True),
        sa.Column("filled_group", sa.String(), nullable=True),
        sa.CheckConstraint("(status = 'filled') = (filled_class IS NOT NULL)", name=op.f("ck_vacancy_filled")),
        sa.CheckConstraint(
            "opened_by IN ('not-filled', 'declined', 'expired', 'withdrawn', 'moved', 'outside', 'seats-added')",
            name=op.f("ck_vacancy_opened_by"),
        ),
        sa.CheckConstraint("status IN ('open', 'left-empty', 'filled', 'removed')", name=op.f("ck_vacancy_status")),
        sa.CheckConstraint("status NOT IN ('left-empty', 'removed') OR why IS NOT NULL", name=op.f("ck_vacancy_why")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_vacancy_cycle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["program.id"], name=op.f("fk_vacancy_program_id")),
        sa.PrimaryKeyConstraint("cycle_id", "program_id", "number", name=op.f("pk_vacancy")),
    )
    op.create_index(op.f("ix_vacancy_cycle_id_status"), "vacancy", ["cycle_id", "status"], unique=False)
    op.create_table(
        "waitlist_place",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("program_id", sa.String(), nullable=False),
        sa.Column("seat_group", sa.String(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("priority_class", sa.String(), nullable=True),
        sa.Column("drawn", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["child_id"], ["child.id"], name=op.f("fk_waitlist_place_child_id")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_waitlist_place_cycle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["program.id"], name=op.f("fk_waitlist_place_program_id")),
        sa.PrimaryKeyConstraint("cycle_id", "program_id", "seat_group", "child_id", name=op.f("pk_waitlist_place")),
    )
    op.create_index(op.f("ix_waitlist_place_child_id"), "waitlist_place", ["child_id"], unique=False)
    op.create_table(
        "outside_placement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("program_id", sa.String(), nullable=False),
        sa.Column("school_id", sa.String(), nullable=False),
        sa.Column("seat_group", sa.String(), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("beyond_seats", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=True),
        sa.Column("offer_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(status = 'asked') = (decided_by IS NULL)", name=op.f("ck_outside_placement_decided")),
        sa.CheckConstraint("btrim(document) <> ''", name=op.f("ck_outside_placement_document")),
        sa.CheckConstraint(
            "decided_by IS NULL OR status = 'refused' OR decided_by <> asked_by",
            name=op.f("ck_outside_placement_two_people"),
        ),
        sa.CheckConstraint("status IN ('asked', 'approved', 'refused')", name=op.f("ck_outside_placement_status")),
        sa.ForeignKeyConstraint(["child_id"], ["child.id"], name=op.f("fk_outside_placement_child_id")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_outside_placement_cycle_id")),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name=op.f("fk_outside_placement_offer_id")),
        sa.ForeignKeyConstraint(["program_id"], ["program.id"], name=op.f("fk_outside_placement_program_id")),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"], name=op.f("fk_outside_placement_school_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outside_placement")),
        sa.UniqueConstraint("offer_id", name=op.f("uq_outside_placement_offer_id")),
    )
    op.create_index(
        op.f("ix_outside_placement_cycle_id_school_id"), "outside_placement", ["cycle_id", "school_id"], unique=False
    )
    op.create_index(
        "uq_outside_placement_asked",
        "outside_placement",
        ["child_id"],
        unique=True,
        postgresql_where="status = 'asked'",
    )
    op.add_column("child", sa.Column("seat_grade", sa.String(), nullable=True))
    op.add_column("cycle", sa.Column("transfers_frozen_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cycle", sa.Column("transfers_frozen_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("frozen_program", sa.Column("seats_said", sa.Integer(), nullable=True))
    op.add_column("frozen_program", sa.Column("why_not", sa.String(), nullable=True))
    op.add_column("placement", sa.Column("priority_class", sa.String(), nullable=True))
    op.add_column("round", sa.Column("calendar_id", sa.Uuid(), nullable=True))
    op.add_column("round", sa.Column("only_program", sa.String(), nullable=True))
    op.add_column("round", sa.Column("only_vacancy", sa.Integer(), nullable=True))
    op.add_column("round", sa.Column("draws", sa.Boolean(), nullable=True))
    op.create_foreign_key(op.f("fk_round_calendar_id"), "round", "round_calendar", ["calendar_id"], ["id"])
    op.create_check_constraint(op.f("ck_cycle_transfers_window"), "cycle", WINDOW)
    for table in ONLY_GROW:
        op.execute(
            f"CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_frozen()"
        )
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_frozen()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER stays")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER never_emptied")
    op.execute(HELD_SO_FAR)
    op.execute(
        "UPDATE child c SET seat_grade = g.grade FROM offer o JOIN program g ON g.id = o.program_id "
        "WHERE o.child_id = c.id"
    )


def downgrade() -> None:
    """Go back."""
    op.drop_constraint(op.f("ck_cycle_transfers_window"), "cycle")
    op.drop_constraint(op.f("fk_round_calendar_id"), "round", type_="foreignkey")
    op.drop_column("round", "draws")
    op.drop_column("round", "only_vacancy")
    op.drop_column("round", "only_program")
    op.drop_column("round", "calendar_id")
    op.drop_column("placement", "priority_class")
    op.drop_column("frozen_program", "why_not")
    op.drop_column("frozen_program", "seats_said")
    op.drop_column("cycle", "transfers_frozen_until")
    op.drop_column("cycle", "transfers_frozen_from")
    op.drop_column("child", "seat_grade")
    op.drop_index("uq_outside_placement_asked", table_name="outside_placement", postgresql_where="status = 'asked'")
    op.drop_index(op.f("ix_outside_placement_cycle_id_school_id"), table_name="outside_placement")
    op.drop_table("outside_placement")
    op.drop_index(op.f("ix_waitlist_place_child_id"), table_name="waitlist_place")
    op.drop_table("waitlist_place")
    op.drop_index(op.f("ix_vacancy_cycle_id_status"), table_name="vacancy")
    op.drop_table("vacancy")
    op.drop_index("uq_offer_live", table_name="offer", postgresql_where="status IN ('open', 'accepted')")
    op.drop_index("ix_offer_due", table_name="offer", postgresql_where="status = 'open'")
    op.drop_index(op.f("ix_offer_cycle_id_program_id"), table_name="offer")
    op.drop_index(op.f("ix_offer_child_id"), table_name="offer")
    op.drop_table("offer")
    op.drop_index(op.f("ix_waitlist_move_child_id_id"), table_name="waitlist_move")
    op.drop_table("waitlist_move")
    op.drop_index(op.f("ix_seat_change_leaf_hash"), table_name="seat_change")
    op.drop_index(op.f("ix_seat_change_child_id"), table_name="seat_change")
    op.drop_table("seat_change")
    op.drop_table("waitlist_look")
    op.drop_index("uq_round_calendar_live", table_name="round_calendar", postgresql_where="stopped_at IS NULL")
    op.drop_table("round_calendar")
    op.drop_index(op.f("ix_notice_cycle_id_partner_id_id"), table_name="notice")
    op.drop_table("notice")
