"""Lets the database itself refuse to change or delete what was written down."""

from django.db import migrations

TEXT = "the audit log is append-only"
SQLITE = [
    f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON accounts_auditentry "
    f"BEGIN SELECT RAISE(ABORT, '{TEXT}'); END"
    for verb in ("UPDATE", "DELETE")
]
SQLITE_BACK = ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
POSTGRES = [
    "CREATE FUNCTION spoton_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{TEXT}' USING ERRCODE = 'check_violation'; END $$",
    "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON accounts_auditentry "
    "FOR EACH ROW EXECUTE FUNCTION spoton_audit_refuse()",
]
POSTGRES_BACK = [
    "DROP TRIGGER audit_append_only ON accounts_auditentry",
    "DROP FUNCTION spoton_audit_refuse()",
]


def run(schema_editor, sqlite, postgres):
    statements = {"sqlite": sqlite, "postgresql": postgres}.get(schema_editor.connection.vendor, [])
    for statement in statements:
        schema_editor.execute(statement)


def forbid(apps, schema_editor):
    run(schema_editor, SQLITE, POSTGRES)


def allow(apps, schema_editor):
    run(schema_editor, SQLITE_BACK, POSTGRES_BACK)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_audit_log")]

    operations = [migrations.RunPython(forbid, allow)]
