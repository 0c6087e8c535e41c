"""Who may read rules and alerts, and who may see to what happened."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWER = ["view_alert"]
OPERATOR = [*VIEWER, "view_rule", "change_alert", "add_eventacknowledgement"]
LABELS = ["notifications", "tracking"]


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


class Migration(migrations.Migration):
    dependencies = [
        ("spoton", "0001_role_permissions"),
        ("notifications", "0002_arrivals"),
        ("tracking", "0008_acknowledged_events"),
    ]

    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
