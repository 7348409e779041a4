"""relays and their limits."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What the check of the table of items allows.  A downgrade with rows of the new kind is refused by the database.
BEFORE = [
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
    "suggestion",
    "source_failing",
    "sending_on_hold",
    "doubted_mails",
    "returned_mail",
    "auto_reply",
    "complaint",
]
NOW = [*BEFORE, "relay_failing"]

Instant = sqlmodel.sql.sqltypes.UTCDateTime
Text = sqlmodel.sql.sqltypes.AutoString


def _check(values: list[str]) -> None:
    listed = ", ".join(f"'{value}'" for value in values)
    with op.batch_alter_table("item") as batch_op:
        batch_op.drop_constraint(op.f("ck_item_itemkind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_item_itemkind"), sa.text(f"kind IN ({listed})"))


def upgrade() -> None:
    op.create_table(
        "relay_state",
        sa.Column("name", Text(), nullable=False),
        sa.Column("mails", sa.Float(), nullable=True),
        sa.Column("mails_at", Instant(), nullable=True),
        sa.Column("hours", sa.JSON(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rests_until", Instant(), nullable=True),
        sa.Column("failing_since", Instant(), nullable=True),
        sa.Column("why", Text(), nullable=False),
        sa.Column("used_by", Text(), nullable=False),
        sa.Column("used_until", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_relay_state")),
    )
    op.create_table(
        "domain_state",
        sa.Column("domain", Text(), nullable=False),
        sa.Column("mails", sa.Float(), nullable=True),
        sa.Column("mails_at", Instant(), nullable=True),
        sa.Column("in_a_row", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rests_until", Instant(), nullable=True),
        sa.Column("put_off_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_domain_state")),
    )
    op.add_column("delivery", sa.Column("domain", Text(), nullable=False, server_default=""))
    op.add_column("delivery", sa.Column("relay", Text(), nullable=False, server_default=""))
    op.add_column("delivery", sa.Column("deferrals", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("delivery", sa.Column("same_until", Instant(), nullable=True))
    _fill()
    op.drop_index("ix_delivery_due", table_name="delivery")
    op.create_index("ix_delivery_due", "delivery", ["state", "lane", "due_at", "domain"])
    # A delivery is written to three times on its way, and each index then too.
    op.drop_index("ix_delivery_message_id", table_name="delivery")
    op.drop_index("ix_delivery_lease", table_name="delivery")
    is_leased = sa.text("lease_until IS NOT NULL")
    op.create_index(
        "ix_delivery_lease", "delivery", ["lease_until"], sqlite_where=is_leased, postgresql_where=is_leased
    )
    _check(NOW)


def _fill() -> None:
    """Say of old mails what new ones say of themselves; until now every attempt that was put off was the mail's own."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    after_the_at = "substr(address, instr(address, '@') + 1)" if is_sqlite else "split_part(address, '@', 2)"
    put_off = "SELECT count(*) FROM attempt WHERE delivery_id = delivery.id AND verdict = 'deferred'"
    op.execute(f"UPDATE delivery SET domain = lower({after_the_at}), deferrals = ({put_off})")  # noqa: S608 - our words


def downgrade() -> None:
    _check(BEFORE)
    op.drop_index("ix_delivery_due", table_name="delivery")
    op.create_index("ix_delivery_due", "delivery", ["state", "lane", "due_at"])
    op.drop_index("ix_delivery_lease", table_name="delivery")
    op.create_index("ix_delivery_lease", "delivery", ["state", "lease_until"])
    op.create_index("ix_delivery_message_id", "delivery", ["message_id"])
    for name in ("same_until", "deferrals", "relay", "domain"):
        op.drop_column("delivery", name)
    op.drop_table("domain_state")
    op.drop_table("relay_state")
