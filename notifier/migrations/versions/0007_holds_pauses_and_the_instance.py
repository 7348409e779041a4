"""holds, pauses and the instance."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What the check of the table of items allows.  A downgrade with rows of the new kinds is refused by the database.
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
]
NOW = [*BEFORE, "sending_on_hold", "doubted_mails"]


def _check(values: list[str]) -> None:
    listed = ", ".join(f"'{value}'" for value in values)
    with op.batch_alter_table("item") as batch_op:
        batch_op.drop_constraint(op.f("ck_item_itemkind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_item_itemkind"), sa.text(f"kind IN ({listed})"))


def upgrade() -> None:
    op.create_table(
        "instance",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("hold_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("hold_kind", sa.String(length=32), nullable=True),
        sa.Column("hold_why", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("hold_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("hold_folder", sa.Uuid(), nullable=True),
        sa.Column("released_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("released_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_instance")),
    )
    with op.batch_alter_table("announcement", schema=None) as batch_op:
        batch_op.add_column(sa.Column("paused_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("paused_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("sending_cancelled_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    _check(NOW)


def downgrade() -> None:
    _check(BEFORE)
    with op.batch_alter_table("announcement", schema=None) as batch_op:
        batch_op.drop_column("sending_cancelled_at")
        batch_op.drop_column("paused_by")
        batch_op.drop_column("paused_at")
    op.drop_table("instance")
