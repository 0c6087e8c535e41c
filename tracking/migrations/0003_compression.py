from django.db import migrations

SERIES = {
    # journeys and areas are read by track and time, and rows that come late find their like by both
    "tracking_trackpoint": ("environment_id", "track_id, time", "7 days"),
    "tracking_detection": ("camera_id", "time, ordinal", "7 days"),
    "tracking_trackevent": ("environment_id", "time, id", "14 days"),
}


def compress(apps, schema_editor):
    if "timescale" not in schema_editor.connection.settings_dict["ENGINE"]:
        return
    for table, (segment_by, order_by, after) in SERIES.items():
        schema_editor.execute(
            f"ALTER TABLE {table} SET (timescaledb.compress, "
            f"timescaledb.compress_segmentby = '{segment_by}', timescaledb.compress_orderby = '{order_by}')"
        )
        schema_editor.execute(f"SELECT add_compression_policy('{table}', INTERVAL '{after}')")


def decompress(apps, schema_editor):
    if "timescale" not in schema_editor.connection.settings_dict["ENGINE"]:
        return
    for table in SERIES:
        schema_editor.execute(f"SELECT remove_compression_policy('{table}')")
        schema_editor.execute(f"SELECT decompress_chunk(c, true) FROM show_chunks('{table}') c")
        schema_editor.execute(f"ALTER TABLE {table} SET (timescaledb.compress = false)")


class Migration(migrations.Migration):
    dependencies = [("tracking", "0002_areas_and_late_rows")]

    operations = [migrations.RunPython(compress, decompress)]
