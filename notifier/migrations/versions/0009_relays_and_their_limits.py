"""relays and their limits; what boards are counted by."""

from uuid import UUID

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

from notifier.rules.registry_diff import slug

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
PlainlyOrdered = sa.String().with_variant(sa.String(collation="C"), "postgresql")

# What the counts of a board depend on.  For each table: which announcement a row is of;
# on SQLite, which runs a trigger for each row, the columns of which an update matters.
CLIENTS = f"'{UUID(int=0).hex}'"  # whatever they are told of
OF_ITS_NOTICE = "(SELECT announcement_id FROM notice WHERE id = {row}.notice_id)"
WATCHED = {
    "announcement": ("{row}.id", "kind, aspect, state, changes, edition"),
    "notice": (
        "{row}.announcement_id",
        "sealed_id, state, holds_until, channel, edition, received_how, live_at, excluded_at, excluded_why",
    ),
    "sealed": ("{row}.announcement_id", "rule, changes"),
    "answer": (OF_ITS_NOTICE, "kind, standing, edition, machine_like"),
    "item": ("(SELECT announcement_id FROM notice WHERE id = {row}.about_id)", "open"),
    "delivery": ("{row}.announcement_id", "state, lane, due_at, last_reply"),
    "delivery_notice": (OF_ITS_NOTICE, "contact_id"),
    "client": (CLIENTS, "company, filed_as, services, regions, options"),
    "terms": (CLIENTS, "pack, signed_on, replaced_at"),
}
VERBS = ("INSERT", "UPDATE", "DELETE")
# SQLite: what happens to every mail, and changes no count.
IN_FLIGHT = "('waiting', 'claimed', 'handing_over')"
UNCHANGED = {
    ("delivery", "UPDATE"): (
        f"OLD.state IN {IN_FLIGHT} AND NEW.state IN {IN_FLIGHT}"
        " AND OLD.lane = NEW.lane AND OLD.due_at = NEW.due_at AND OLD.last_reply = NEW.last_reply"
    ),
    ("delivery_notice", "INSERT"): f"(SELECT state FROM delivery WHERE id = NEW.delivery_id) IN {IN_FLIGHT}",  # noqa: S608 - our words
}
# SQLite: the one row of each is made with the first thing that it is of.
FIRST = {
    ("announcement", "INSERT"): "INSERT INTO board_stamp (announcement_id, writer, stamp) VALUES (NEW.id, 0, 0); ",
    ("client", "INSERT"): (
        f"INSERT INTO board_stamp (announcement_id, writer, stamp) SELECT {CLIENTS}, 0, 0"  # noqa: S608 - our words
        f" WHERE NOT EXISTS (SELECT 1 FROM board_stamp WHERE announcement_id = {CLIENTS}); "
    ),
}


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
    _file_clients()
    _stamp()


def _file_clients() -> None:
    """Let lists of clients be walked and searched in one order on every database."""
    op.add_column("client", sa.Column("filed_as", PlainlyOrdered, nullable=False, server_default=""))
    known = op.get_bind().execute(sa.text("SELECT id, company FROM client")).all()
    filed = [{"one": client_id, "as": slug(company)} for client_id, company in known]
    if filed:
        op.get_bind().execute(sa.text("UPDATE client SET filed_as = :as WHERE id = :one"), filed)
    if op.get_bind().dialect.name != "sqlite":
        op.execute('ALTER TABLE client ALTER COLUMN key TYPE VARCHAR COLLATE "C"')
    op.create_index("ix_client_filed_as", "client", ["filed_as", "key"])


def _stamp() -> None:
    """Let every change of what a board counts change a number in the same transaction."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "board_stamp",
        sa.Column("id", number, nullable=False),
        sa.Column("announcement_id", sa.Uuid(), nullable=False),
        sa.Column("writer", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_board_stamp")),
        sa.UniqueConstraint("announcement_id", "writer", name=op.f("uq_board_stamp_announcement_id_writer")),
    )
    op.execute(
        "INSERT INTO board_stamp (announcement_id, writer, stamp) SELECT id, 0, 0 FROM announcement"  # noqa: S608 - our words
        f" UNION ALL SELECT {CLIENTS}, 0, 0 WHERE EXISTS (SELECT 1 FROM client)"
    )
    for table in WATCHED:
        for verb in VERBS:
            _watch(table, verb)


def _watch(table: str, verb: str) -> None:
    of, columns = WATCHED[table]
    row, name = "OLD" if verb == "DELETE" else "NEW", f"stamp_{table}_{verb.lower()}"
    if op.get_bind().dialect.name == "sqlite":
        same, first = UNCHANGED.get((table, verb)), FIRST.get((table, verb), "")
        event, when = f"UPDATE OF {columns}" if verb == "UPDATE" else verb, f"WHEN NOT ({same})" if same else ""
        stamp = f"UPDATE board_stamp SET stamp = random() WHERE announcement_id = {of.format(row=row)}"  # noqa: S608 - our words
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} {when} BEGIN {first}{stamp}; END")
        return
    # One row for each transaction: it waits for no other one, as changing one row would.
    found = f"SELECT DISTINCT {of.format(row='changed')}::uuid AS announcement_id FROM changed"  # noqa: S608 - our words
    number = "floor(random() * 9007199254740992)::bigint"
    stamps = f"SELECT announcement_id, pg_current_xact_id()::text::bigint, {number} FROM ({found}) AS found"  # noqa: S608 - our words
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" INSERT INTO board_stamp (announcement_id, writer, stamp) {stamps} WHERE announcement_id IS NOT NULL"
        # Once in each transaction.  In a restored database an older one may have had the same number.
        " ON CONFLICT (announcement_id, writer) DO UPDATE SET stamp = EXCLUDED.stamp"
        " WHERE board_stamp.xmin <> pg_current_xact_id()::xid; RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {name} AFTER {verb} ON {table} REFERENCING {row} TABLE AS changed"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )


def _unwatch(table: str, verb: str) -> None:
    name = f"stamp_{table}_{verb.lower()}"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {name}")
        return
    op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute(f"DROP FUNCTION {name}()")


def _fill() -> None:
    """Say of old mails what new ones say of themselves; until now every attempt that was put off was the mail's own."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    after_the_at = "substr(address, instr(address, '@') + 1)" if is_sqlite else "split_part(address, '@', 2)"
    put_off = "SELECT count(*) FROM attempt WHERE delivery_id = delivery.id AND verdict = 'deferred'"
    op.execute(f"UPDATE delivery SET domain = lower({after_the_at}), deferrals = ({put_off})")  # noqa: S608 - our words


def downgrade() -> None:
    for table in WATCHED:
        for verb in VERBS:
            _unwatch(table, verb)
    op.drop_table("board_stamp")
    op.drop_index("ix_client_filed_as", table_name="client")
    op.drop_column("client", "filed_as")
    if op.get_bind().dialect.name != "sqlite":
        op.execute('ALTER TABLE client ALTER COLUMN key TYPE VARCHAR COLLATE "default"')
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
