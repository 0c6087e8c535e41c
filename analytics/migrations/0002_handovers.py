from django.db import migrations, models

from analytics.aggregates import HANDOVER_HOUR
from analytics.migrations import _views


def view_make(apps, schema_editor):
    _views.make(schema_editor, HANDOVER_HOUR)


def view_drop(apps, schema_editor):
    _views.drop(apps, schema_editor, HANDOVER_HOUR)


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_aggregates"), ("tracking", "0005_handovers")]

    operations = [
        migrations.CreateModel(
            name="HandoverHour",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "environment_id",
                        "bucket",
                        "handover",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("environment_id", models.BigIntegerField()),
                ("handover", models.CharField(max_length=65, verbose_name="cameras")),
                ("bucket", models.DateTimeField(verbose_name="hour")),
                ("count", models.BigIntegerField(verbose_name="hand-overs")),
            ],
            options={
                "indexes": [models.Index(fields=["bucket"], name="handover_hour_bucket")],
            },
        ),
        migrations.RunPython(view_make, view_drop),
    ]
