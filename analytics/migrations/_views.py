"""Continuous aggregates in the places of tables, on TimescaleDB."""

from analytics.aggregates import KEPT_DAYS, Dialect

# counting again reaches back so far by itself; rows that come later are noted as late
REACHES_BACK = "12 hours"


def make(schema_editor, aggregate):
    """Put a continuous aggregate into the place of its table."""
    if not _is_timescale(schema_editor):
        return
    query = aggregate.query(Dialect.TIMESCALE)
    every = "1 minute" if aggregate.step == "minute" else "10 minutes"
    schema_editor.execute(f"DROP TABLE {aggregate.table}")
    schema_editor.execute(
        f"CREATE MATERIALIZED VIEW {aggregate.table} "
        f"WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS {query} WITH NO DATA"
    )
    schema_editor.execute(
        f"SELECT add_continuous_aggregate_policy('{aggregate.table}', start_offset => INTERVAL '{REACHES_BACK}', "
        f"end_offset => INTERVAL '1 {aggregate.step}', schedule_interval => INTERVAL '{every}')"
    )
    schema_editor.execute(f"SELECT add_retention_policy('{aggregate.table}', INTERVAL '{KEPT_DAYS} days')")
    # what is there already is counted as if it had come late
    schema_editor.execute(
        f"INSERT INTO tracking_latespan (begins_at, ends_at) "
        f"SELECT min(time), max(time) FROM {aggregate.source} HAVING count(*) > 0"
    )


def drop(apps, schema_editor, aggregate):
    """Put an empty table back."""
    if not _is_timescale(schema_editor):
        return
    schema_editor.execute(f"DROP MATERIALIZED VIEW {aggregate.table}")
    models = apps.get_app_config("analytics").get_models()
    schema_editor.create_model(next(m for m in models if m._meta.db_table == aggregate.table))


def _is_timescale(schema_editor):
    return "timescale" in schema_editor.connection.settings_dict["ENGINE"]
