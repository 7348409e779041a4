"""kinds of announcement terms and the gate."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


# What the checks of the tables allow: (table, column, name of the check) → values.  A downgrade with rows of the new
# kinds is refused by the database.
BEFORE = {
    ("announcement", "kind", "announcementkind"): ["subprocessor"],
    ("announcement", "state", "announcementstate"): ["published", "live"],
    ("answer", "kind", "answerkind"): ["acknowledgement", "objection", "termination"],
    ("item", "kind", "itemkind"): [
        "unreachable_client",
        "unknown_delivery",
        "refused_delivery",
        "objection",
        "termination",
        "machine_like_answer",
        "endpoint_failing",
    ],
    ("delivery", "state", "deliverystate"): ["waiting", "claimed", "handing_over", "accepted", "refused", "unknown"],
}
NOW = {
    ("announcement", "kind", "announcementkind"): [
        "subprocessor",
        "emergency",
        "service",
        "location",
        "security",
        "certification",
        "disclosure",
        "document",
        "support",
    ],
    ("announcement", "state", "announcementstate"): ["draft", "published", "live", "withdrawn"],
    ("answer", "kind", "answerkind"): [
        "acknowledgement",
        "objection",
        "termination",
        "consent",
        "refusal",
        "confirmation",
    ],
    ("item", "kind", "itemkind"): [
        "unreachable_client",
        "unknown_delivery",
        "refused_delivery",
        "objection",
        "termination",
        "machine_like_answer",
        "endpoint_failing",
        "refusal",
        "unread_reply",
        "override_asked",
        "paper_to_print",
        "tell_by_letter",
        "prohibition_ended",
    ],
    ("delivery", "state", "deliverystate"): [
        "waiting",
        "claimed",
        "handing_over",
        "accepted",
        "refused",
        "unknown",
        "dropped",
    ],
}


def _check(allowed: dict[tuple[str, str, str], list[str]]) -> None:
    for (table, column, name), values in allowed.items():
        listed = ", ".join(f"'{value}'" for value in values)
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_constraint(op.f(f"ck_{table}_{name}"), type_="check")
            batch_op.create_check_constraint(op.f(f"ck_{table}_{name}"), sa.text(f"{column} IN ({listed})"))


def _fill() -> None:
    """What was told before had one clock, and its terms were a pack's."""
    op.execute("UPDATE sealed SET terms_key = pack, opens_at = until")
    op.execute("UPDATE notice SET holds_until = object_until")
    op.execute(
        "UPDATE notice SET live_at = (SELECT live_at FROM announcement WHERE announcement.id = notice.announcement_id)"
    )
    op.execute(
        "UPDATE notice SET live_in_breach = true WHERE EXISTS (SELECT 1 FROM announcement WHERE "
        "announcement.id = notice.announcement_id AND announcement.breach_reason != '' "
        "AND announcement.live_at < notice.holds_until)"
    )
    op.execute(
        "INSERT INTO edition (id, announcement_id, number, in_substance, version_id, changes, facts, reasons, "
        "effective_on, why, made_at, made_by) SELECT id, id, 1, true, version_id, changes, facts, reasons, "
        "effective_on, '', published_at, published_by FROM announcement"
    )


def upgrade() -> None:
    op.create_table(
        "edition",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("announcement_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("in_substance", sa.Boolean(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("made_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("made_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement_id"], ["announcement.id"], name=op.f("fk_edition_announcement_id_announcement")
        ),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_edition_version_id_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edition")),
    )
    with op.batch_alter_table("edition", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_edition_announcement_id"), ["announcement_id"], unique=False)

    op.create_table(
        "override",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("announcement_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("late", "breach", name="overridekind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("open", sa.Boolean(), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("measures", sa.JSON(), nullable=False),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("asked_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("asked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("decided_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("decided_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement_id"], ["announcement.id"], name=op.f("fk_override_announcement_id_announcement")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_override")),
        sa.UniqueConstraint("announcement_id", "kind", "open", name=op.f("uq_override_announcement_id_kind_open")),
    )
    with op.batch_alter_table("override", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_override_announcement_id"), ["announcement_id"], unique=False)

    op.create_table(
        "print_batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("announcement_id", sa.Uuid(), nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("made_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("made_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement_id"], ["announcement.id"], name=op.f("fk_print_batch_announcement_id_announcement")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_print_batch")),
    )
    with op.batch_alter_table("print_batch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_print_batch_announcement_id"), ["announcement_id"], unique=False)

    op.create_table(
        "paper_letter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column(
            "channel",
            sa.Enum("mail", "paper", "e_letter", name="channel", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "printed",
                "handed_over",
                "received",
                "returned",
                name="paperstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("tracking", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("handed_over_on", sa.Date(), nullable=True),
        sa.Column("informed_on", sa.Date(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("proof", sa.LargeBinary(), nullable=True),
        sa.Column("proof_name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("proof_sha256", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("raised_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["print_batch.id"], name=op.f("fk_paper_letter_batch_id_print_batch")),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_paper_letter_contact_id_contact")),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_paper_letter_notice_id_notice")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_letter")),
        sa.UniqueConstraint("notice_id", "edition", "number", name=op.f("uq_paper_letter_notice_id_edition_number")),
    )
    with op.batch_alter_table("paper_letter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_paper_letter_notice_id"), ["notice_id"], unique=False)

    op.create_table(
        "reminder",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column(
            "audience",
            sa.Enum("client", "account_manager", name="audience", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("days_before", sa.Integer(), nullable=False),
        sa.Column("sent_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_reminder_notice_id_notice")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reminder")),
        sa.UniqueConstraint(
            "notice_id",
            "audience",
            "edition",
            "days_before",
            name=op.f("uq_reminder_notice_id_audience_edition_days_before"),
        ),
    )
    with op.batch_alter_table("announcement", schema=None) as batch_op:
        batch_op.add_column(sa.Column("aspect", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("per_client", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("edition", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("facts", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("cause", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(
            sa.Column("live_proof", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("withdrawn_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("withdrawn_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default="")
        )

    with op.batch_alter_table("answer", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("statement", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("edition", sa.Integer(), nullable=False, server_default="1"))

    with op.batch_alter_table("delivery_notice", schema=None) as batch_op:
        batch_op.add_column(sa.Column("edition", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("courtesy", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("displayed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))

    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.add_column(sa.Column("holds_until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "channel",
                sa.Enum(
                    "mail", "paper", "e_letter", name="channel", native_enum=False, create_constraint=True, length=32
                ),
                nullable=False,
                server_default="mail",
            )
        )
        batch_op.add_column(sa.Column("edition", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("live_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("live_in_breach", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("excluded_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("excluded_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default="")
        )
        batch_op.add_column(
            sa.Column("excluded_why", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default="")
        )

    with op.batch_alter_table("sealed", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("terms_key", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("edition", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("opens_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))

    with op.batch_alter_table("terms", schema=None) as batch_op:
        batch_op.add_column(sa.Column("overrides", sa.JSON(), nullable=False, server_default="{}"))

    with op.batch_alter_table("version", schema=None) as batch_op:
        batch_op.add_column(sa.Column("withdrawn_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))

    _fill()
    with op.batch_alter_table("sealed", schema=None) as batch_op:
        batch_op.alter_column("opens_at", existing_type=sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False)
        batch_op.drop_constraint(batch_op.f("uq_sealed_announcement_id_pack_sealed_at"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_sealed_announcement_id_terms_key_sealed_at"), ["announcement_id", "terms_key", "sealed_at"]
        )

    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.alter_column("holds_until", existing_type=sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False)

    _check(NOW)


def downgrade() -> None:
    _check(BEFORE)
    with op.batch_alter_table("version", schema=None) as batch_op:
        batch_op.drop_column("withdrawn_at")

    with op.batch_alter_table("terms", schema=None) as batch_op:
        batch_op.drop_column("overrides")

    with op.batch_alter_table("sealed", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_sealed_announcement_id_terms_key_sealed_at"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_sealed_announcement_id_pack_sealed_at"), ["announcement_id", "pack", "sealed_at"]
        )
        batch_op.drop_column("opens_at")
        batch_op.drop_column("edition")
        batch_op.drop_column("terms_key")

    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.drop_column("excluded_why")
        batch_op.drop_column("excluded_by")
        batch_op.drop_column("excluded_at")
        batch_op.drop_column("live_in_breach")
        batch_op.drop_column("live_at")
        batch_op.drop_column("edition")
        batch_op.drop_constraint(op.f("ck_notice_channel"), type_="check")
        batch_op.drop_column("channel")
        batch_op.drop_column("holds_until")

    with op.batch_alter_table("delivery_notice", schema=None) as batch_op:
        batch_op.drop_column("displayed_at")
        batch_op.drop_column("courtesy")
        batch_op.drop_column("edition")

    with op.batch_alter_table("answer", schema=None) as batch_op:
        batch_op.drop_column("edition")
        batch_op.drop_column("statement")

    with op.batch_alter_table("announcement", schema=None) as batch_op:
        batch_op.drop_column("withdrawn_by")
        batch_op.drop_column("withdrawn_at")
        batch_op.drop_column("live_proof")
        batch_op.drop_column("cause")
        batch_op.drop_column("facts")
        batch_op.drop_column("edition")
        batch_op.drop_column("per_client")
        batch_op.drop_column("aspect")

    op.drop_table("reminder")
    with op.batch_alter_table("paper_letter", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_paper_letter_notice_id"))

    op.drop_table("paper_letter")
    with op.batch_alter_table("print_batch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_print_batch_announcement_id"))

    op.drop_table("print_batch")
    with op.batch_alter_table("override", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_override_announcement_id"))

    op.drop_table("override")
    with op.batch_alter_table("edition", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_edition_announcement_id"))

    op.drop_table("edition")
