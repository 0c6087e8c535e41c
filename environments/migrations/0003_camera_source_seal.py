"""Seals the addresses of cameras that were stored as they are, and opens them again on the way back."""

from django.db import migrations

from environments.encryption import is_sealed
from environments.fields import key_ring

CONTEXT = "environments.camera.source_url"


def rewrite(schema_editor, write):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id, source_url FROM environments_camera")
        for key, text in cursor.fetchall():
            cursor.execute("UPDATE environments_camera SET source_url = %s WHERE id = %s", [write(text), key])


def seal(apps, schema_editor):
    rewrite(schema_editor, lambda text: text if is_sealed(text) else key_ring().seal(text, context=CONTEXT))


def unseal(apps, schema_editor):
    rewrite(schema_editor, lambda text: key_ring().open(text, context=CONTEXT))


class Migration(migrations.Migration):
    dependencies = [("environments", "0002_camera_source_sealable")]

    operations = [migrations.RunPython(seal, unseal)]
