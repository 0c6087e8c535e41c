"""What each role lets one do: a group a role, with permissions that Admins may change."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

SEEN = ["trackingsession", "person", "track", "trackpoint", "detection", "trackevent"]
PLACES = ["environment", "camera", "floorplan", "calibration", "zone"]
VIEWER = [f"view_{model}" for model in PLACES + SEEN]
OPERATOR = [*VIEWER, "add_trackingsession", "change_trackingsession"]
LABELS = ["accounts", "environments", "tracking"]


def grant(apps, schema_editor):
    for label in LABELS:
        # they are made after all migrations otherwise, which is too late here
        config = apps.get_app_config(label)
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0, using=schema_editor.connection.alias)
        config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label__in=LABELS)
    roles = {
        "admin": permissions,
        "operator": permissions.filter(codename__in=OPERATOR),
        "viewer": permissions.filter(codename__in=VIEWER),
    }
    for name, granted in roles.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.add(*granted)


def revoke(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=["admin", "operator", "viewer"]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_logins_and_keys"),
        ("environments", "0001_initial"),
        ("tracking", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(grant, revoke)]
