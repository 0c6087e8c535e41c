"""The encrypted column: sealed in the database, plain in the code, rotated by a command, migrated there and back."""

from importlib import import_module

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from environments.encryption import is_sealed
from environments.models import Camera
from tests.factories import CameraFactory

ADDRESS = "rtsp://viewer:secret@10.0.0.1/s"


def stored():
    with connection.cursor() as cursor:
        cursor.execute("SELECT source_url FROM environments_camera ORDER BY id")
        return [text for (text,) in cursor.fetchall()]


@pytest.mark.django_db
def test_address_is_sealed_in_the_database_and_plain_in_the_code():
    camera = CameraFactory.create(source_url=ADDRESS)
    (text,) = stored()
    assert is_sealed(text)
    assert "secret" not in text
    assert Camera.objects.get().source_url == ADDRESS
    assert list(Camera.objects.values_list("source_url", flat=True)) == [ADDRESS]
    camera.name = "Door"
    camera.save(update_fields=["name"])
    assert stored() == [text]


@pytest.mark.django_db
def test_address_cannot_be_compared_in_the_database():
    with pytest.raises(FieldError):
        Camera.objects.filter(source_url=ADDRESS)


@pytest.mark.django_db
def test_length_is_that_of_the_address():
    camera = CameraFactory.build(source_url=f"http://h/{'x' * 1000}")
    with pytest.raises(ValidationError, match="at most 1000"):
        camera.full_clean(exclude=["environment"])


@pytest.mark.django_db
def test_rotation_seals_everything_under_the_first_key(settings, capsys):
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], b"n" * 32
    CameraFactory.create_batch(3, source_url=ADDRESS)
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_keys")
    assert capsys.readouterr().out == "3 encrypted values are under the first key now\n"
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert {camera.source_url for camera in Camera.objects.all()} == {ADDRESS}
    settings.FIELD_ENCRYPTION_KEYS = [old]
    with pytest.raises(CommandError, match="lacks the key"):
        call_command("rotate_keys")


@pytest.mark.django_db(transaction=True)
def test_addresses_that_were_plain_are_sealed_and_opened_again():
    CameraFactory.create(source_url=ADDRESS)
    migration = import_module("environments.migrations.0003_camera_source_seal")
    with connection.schema_editor() as editor:
        migration.unseal(None, editor)
        assert stored() == [ADDRESS]
        migration.seal(None, editor)
        migration.seal(None, editor)  # again changes nothing
    assert Camera.objects.get().source_url == ADDRESS
    assert is_sealed(stored()[0])
    assert ("environments", "0003_camera_source_seal") in MigrationExecutor(connection).loader.graph.nodes
