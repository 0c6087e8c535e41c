"""Lets PostgreSQL refuse to empty the audit log at once, which no trigger on rows hears of."""

from django.db import migrations


def forbid(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON accounts_auditentry "
            "FOR EACH STATEMENT EXECUTE FUNCTION spoton_audit_refuse()"
        )


def allow(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER audit_no_truncate ON accounts_auditentry")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_audit_append_only")]

    operations = [migrations.RunPython(forbid, allow)]
