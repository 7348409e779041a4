"""whom a change concerns."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.add_column(sa.Column("regions", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("options", sa.JSON(), nullable=False, server_default="[]"))

    with op.batch_alter_table("announcement", schema=None) as batch_op:
        batch_op.add_column(sa.Column("needs", sa.JSON(), nullable=False, server_default="[]"))

    with op.batch_alter_table("sealed", schema=None) as batch_op:
        batch_op.add_column(sa.Column("changes", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("sealed", schema=None) as batch_op:
        batch_op.drop_column("changes")

    with op.batch_alter_table("announcement", schema=None) as batch_op:
        batch_op.drop_column("needs")

    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_column("options")
        batch_op.drop_column("regions")
