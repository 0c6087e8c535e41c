"""Has the database note every event that is new, whoever writes it, in the transaction that writes it.

An event that is there already is left as it is by ``ON CONFLICT DO NOTHING``, and no trigger hears of it: so rows that are
replayed arrive once. A migration that makes tracking_trackevent anew on SQLite must make the trigger anew too; a test tells.
"""

from django.db import migrations

INSERT = (
    "INSERT INTO notifications_arrival (event_id, time, environment_id) "
    "VALUES (NEW.id, NEW.time, NEW.environment_id);"
)
SQLITE = [f"CREATE TRIGGER event_arrives AFTER INSERT ON tracking_trackevent BEGIN {INSERT} END"]
SQLITE_BACK = ["DROP TRIGGER event_arrives"]
POSTGRES = [
    "CREATE FUNCTION spoton_event_arrives() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN {INSERT} RETURN NULL; END $$",
    "CREATE TRIGGER event_arrives AFTER INSERT ON tracking_trackevent "
    "FOR EACH ROW EXECUTE FUNCTION spoton_event_arrives()",
]
POSTGRES_BACK = [
    "DROP TRIGGER event_arrives ON tracking_trackevent",
    "DROP FUNCTION spoton_event_arrives()",
]


def run(schema_editor, sqlite, postgres):
    statements = {"sqlite": sqlite, "postgresql": postgres}[schema_editor.connection.vendor]
    for statement in statements:
        schema_editor.execute(statement)


def begin(apps, schema_editor):
    run(schema_editor, SQLITE, POSTGRES)


def end(apps, schema_editor):
    run(schema_editor, SQLITE_BACK, POSTGRES_BACK)


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial"), ("tracking", "0008_acknowledged_events")]

    operations = [migrations.RunPython(begin, end)]
