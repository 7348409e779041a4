"""mails that come back."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0008"
down_revision = "0007"
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
    "sending_on_hold",
    "doubted_mails",
]
NOW = [*BEFORE, "returned_mail", "auto_reply", "complaint"]


def _check(values: list[str]) -> None:
    listed = ", ".join(f"'{value}'" for value in values)
    with op.batch_alter_table("item") as batch_op:
        batch_op.drop_constraint(op.f("ck_item_itemkind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_item_itemkind"), sa.text(f"kind IN ({listed})"))


def _words(*values: str, name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    kinds = ("failed", "delayed", "delivered", "complaint", "auto_reply", "human_reply", "unreadable")
    op.create_table(
        "bounce_mail",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("kind", _words(*kinds, name="bouncekind"), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("how", _words("imap", "lmtp", "webhook", "file", name="bouncedoor"), nullable=False),
        sa.Column("matched_by", _words("tag", "message_id", "", name="bouncematch"), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("voided", sa.Boolean(), nullable=False),
        sa.Column("applied_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("read_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_bounce_mail_delivery_id_delivery")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce_mail")),
        sa.UniqueConstraint("digest", name=op.f("uq_bounce_mail_digest")),
    )
    with op.batch_alter_table("bounce_mail", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bounce_mail_applied_at"), ["applied_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_bounce_mail_delivery_id"), ["delivery_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_bounce_mail_received_at"), ["received_at"], unique=False)

    _check(NOW)


def downgrade() -> None:
    _check(BEFORE)
    with op.batch_alter_table("bounce_mail", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bounce_mail_received_at"))
        batch_op.drop_index(batch_op.f("ix_bounce_mail_delivery_id"))
        batch_op.drop_index(batch_op.f("ix_bounce_mail_applied_at"))

    op.drop_table("bounce_mail")
