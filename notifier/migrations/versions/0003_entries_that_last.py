"""entries that last from one version to another, and that nobody edits once they are published."""

from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = ("key", "name", "address", "postcode", "town", "country", "activity", "site_kind", "replaces")

VERSION = sa.table("version", sa.column("id", sa.Uuid), sa.column("number", sa.Integer), sa.column("draft", sa.Boolean))
OLD = sa.table(
    "entry", sa.column("id", sa.Uuid), sa.column("version_id", sa.Uuid), sa.column("position", sa.Integer),
    *(sa.column(name, sa.String) for name in COLUMNS),
)  # fmt: skip
NEW = sa.table(
    "entry", sa.column("id", sa.Uuid), sa.column("key", sa.String), sa.column("since", sa.Integer),
    sa.column("until", sa.Integer), sa.column("position", sa.Integer), sa.column("content", sa.JSON),
)  # fmt: skip
DRAFT = sa.table(
    "draft_entry", sa.column("key", sa.String), sa.column("position", sa.Integer),
    sa.column("content", sa.JSON(none_as_null=True)),
)  # fmt: skip

# What no verb can do, the database refuses too: a published version, its entries and the log stay as they are.  An
# entry can only end, a version only go live or be withdrawn, each once; entries come before their version is numbered.
HIGHEST = "(SELECT COALESCE(MAX(number), 0) FROM version)"
FIXED = {
    "version": (
        "id",
        "number",
        "draft",
        "created_at",
        "created_by",
        "published_at",
        "published_by",
        "effective_at",
        "builds_on",
        "undoes",
    ),
    "entry": ("id", "key", "since", "position", "content"),
}
GUARDS = {
    ("version", "UPDATE"): (
        "OLD.number IS NOT NULL AND ({changed} OR (OLD.live_at IS NOT NULL AND {live_at})"
        " OR (OLD.withdrawn_at IS NOT NULL AND {withdrawn_at}))"
    ),
    ("version", "DELETE"): "OLD.number IS NOT NULL",
    ("entry", "INSERT"): f"NEW.until IS NOT NULL OR NEW.since <= {HIGHEST}",
    ("entry", "UPDATE"): f"{{changed}} OR OLD.until IS NOT NULL OR NEW.until IS NULL OR NEW.until <= {HIGHEST}",
    ("entry", "DELETE"): "TRUE",
    ("event", "UPDATE"): "TRUE",
    ("event", "DELETE"): "TRUE",
}
# What takes a row's place without an UPDATE or a DELETE that a trigger sees.
REPLACING = {  # SQLite: INSERT OR REPLACE
    "version": "EXISTS (SELECT 1 FROM version WHERE number IS NOT NULL AND (id = NEW.id OR number = NEW.number))",
    "entry": "EXISTS (SELECT 1 FROM entry WHERE id = NEW.id OR (key = NEW.key AND since = NEW.since))",
    "event": "EXISTS (SELECT 1 FROM event WHERE id = NEW.id)",
}
TABLES = ("version", "entry", "event")  # PostgreSQL: TRUNCATE
REFUSAL = "what is published and what has happened is not edited: publish another version"


def upgrade() -> None:
    with op.batch_alter_table("provider") as batch_op:
        batch_op.add_column(sa.Column("host", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("provider") as batch_op:
        batch_op.alter_column("host", server_default=None)
    with op.batch_alter_table("version") as batch_op:
        batch_op.add_column(sa.Column("builds_on", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("undoes", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE version SET builds_on = (SELECT MAX(earlier.number) FROM version AS earlier"
        " WHERE earlier.number < version.number AND earlier.withdrawn_at IS NULL)"
    )
    lists = _lists()
    op.drop_table("entry")
    op.create_table(
        "entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.CheckConstraint("until > since", name=op.f("ck_entry_until_after_since")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entry")),
        sa.UniqueConstraint("key", "since", name=op.f("uq_entry_key_since")),
    )
    with op.batch_alter_table("entry") as batch_op:
        batch_op.create_index("ix_entry_since_until", ["since", "until"])
        batch_op.create_index(op.f("ix_entry_until"), ["until"])
    op.create_table(
        "draft_entry",
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_draft_entry")),
    )
    _fill(lists)
    for (table, verb), rule in GUARDS.items():
        _guard(table, verb, rule)
    _guard_against_replacing()


def downgrade() -> None:
    """What the columns of before cannot say is lost."""
    _unguard_against_replacing()
    for table, verb in GUARDS:
        _unguard(table, verb)
    with op.batch_alter_table("provider") as batch_op:
        batch_op.drop_column("host")
    with op.batch_alter_table("version") as batch_op:
        batch_op.drop_column("undoes")
        batch_op.drop_column("builds_on")
    lists = _lists_of_now()
    op.drop_table("draft_entry")
    op.drop_table("entry")
    op.create_table(
        "entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *(sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=False) for name in COLUMNS),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_entry_version_id_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entry")),
        sa.UniqueConstraint("version_id", "key", name=op.f("uq_entry_version_id_key")),
    )
    with op.batch_alter_table("entry") as batch_op:
        batch_op.create_index(op.f("ix_entry_version_id"), ["version_id"], unique=False)
    for version, listed in lists.items():
        for key, (position, content) in listed.items():
            row = {"id": uuid4(), "version_id": version, "position": position, **_flat({**content, "key": key})}
            op.execute(sa.insert(OLD).values(**row))


def _lists() -> list[tuple[int | None, dict[str, tuple[int, dict[str, Any]]]]]:
    """Return each version's number, none for the draft, with its list: key → place and content."""
    connection = op.get_bind()
    versions = connection.execute(sa.select(VERSION.c.id, VERSION.c.number)).all()
    lists = []
    for version, number in sorted(versions, key=lambda row: (row[1] is None, row[1] or 0)):
        rows = connection.execute(sa.select(OLD).where(OLD.c.version_id == version)).mappings()
        lists.append((number, {row["key"]: (row["position"], _content(row)) for row in rows}))
    return lists


def _content(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of no mapped class
    content = {name: row[name] for name in COLUMNS if row[name] and name not in {"activity", "site_kind"}}
    if row["activity"]:
        content["activities"] = [row["activity"]]
    if row["site_kind"]:
        place = {"country": row["country"], "site": row["town"], "kind": row["site_kind"]}
        content["places"] = [{name: value for name, value in place.items() if value}]
    return content


def _flat(content: dict[str, Any]) -> dict[str, str]:
    kinds = [place["kind"] for place in content.get("places", ()) if place.get("kind")]
    said = {**content, "activity": "; ".join(content.get("activities", ())), "site_kind": "".join(kinds[:1])}
    return {name: said.get(name, "") for name in COLUMNS}


def _fill(lists: list[tuple[int | None, dict[str, tuple[int, dict[str, Any]]]]]) -> None:
    standing: dict[str, tuple[UUID, tuple[int, dict[str, Any]]]] = {}
    base: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, listed in lists:
        if number is None:
            _fill_draft(listed, base)
            continue
        for key in [key for key, (_, said) in standing.items() if listed.get(key) != said]:
            ended, _ = standing.pop(key)
            op.execute(sa.update(NEW).where(NEW.c.id == ended).values(until=number))
        for key, (position, content) in listed.items():
            if key not in standing:
                standing[key] = (uuid4(), (position, content))
                row = {"id": standing[key][0], "key": key, "since": number, "position": position, "content": content}
                op.execute(sa.insert(NEW).values(**row))
        base = listed


def _fill_draft(listed: dict[str, tuple[int, dict[str, Any]]], base: dict[str, tuple[int, dict[str, Any]]]) -> None:
    for key, (position, content) in listed.items():
        if base.get(key) != (position, content):
            op.execute(sa.insert(DRAFT).values(key=key, position=position, content=content))
    for key in base.keys() - listed.keys():
        op.execute(sa.insert(DRAFT).values(key=key, position=base[key][0], content=None))


def _lists_of_now() -> dict[UUID, dict[str, tuple[int, dict[str, Any]]]]:
    connection = op.get_bind()
    rows = connection.execute(sa.select(NEW)).mappings().all()
    lists: dict[UUID, dict[str, tuple[int, dict[str, Any]]]] = {}
    last: dict[str, tuple[int, dict[str, Any]]] = {}
    versions = connection.execute(sa.select(VERSION.c.id, VERSION.c.number)).all()
    for version, number in sorted(versions, key=lambda row: (row[1] is None, row[1] or 0)):
        if number is None:
            drafted = {row.key: (row.position, row.content) for row in connection.execute(sa.select(DRAFT))}
            both = {**last, **drafted}
            lists[version] = {key: (position, content) for key, (position, content) in both.items() if content}
            continue
        last = {
            row["key"]: (row["position"], row["content"])
            for row in rows
            if row["since"] <= number and (row["until"] is None or row["until"] > number)
        }
        lists[version] = last
    return lists


def _guard(table: str, verb: str, rule: str) -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    condition = _condition(table, rule, "IS NOT" if is_sqlite else "IS DISTINCT FROM", is_sqlite=is_sqlite)
    name = f"guard_{table}_{verb.lower()}"
    if is_sqlite:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {verb} ON {table} WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
        return
    returned = "OLD" if verb == "DELETE" else "NEW"
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF {condition} THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END IF;"
        f" RETURN {returned}; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _unguard(table: str, verb: str) -> None:
    name = f"guard_{table}_{verb.lower()}"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {name}")
        return
    op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute(f"DROP FUNCTION {name}()")


def _guard_against_replacing() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table, condition in REPLACING.items():
            op.execute(
                f"CREATE TRIGGER guard_{table}_replace BEFORE INSERT ON {table} WHEN {condition}"
                f" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION guard_truncate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER guard_{table}_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION guard_truncate()"
        )


def _unguard_against_replacing() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in TABLES:
        op.execute(
            f"DROP TRIGGER guard_{table}_replace" if is_sqlite else f"DROP TRIGGER guard_{table}_truncate ON {table}"
        )
    if not is_sqlite:
        op.execute("DROP FUNCTION guard_truncate()")


def _condition(table: str, rule: str, differs: str, *, is_sqlite: bool) -> str:
    def changed(column: str) -> str:
        cast = "" if is_sqlite or column != "content" else "::text"  # JSON is compared as it is written
        return f"OLD.{column}{cast} {differs} NEW.{column}{cast}"

    fixed = " OR ".join(map(changed, FIXED.get(table, ())))
    return rule.format(changed=fixed, live_at=changed("live_at"), withdrawn_at=changed("withdrawn_at"))
