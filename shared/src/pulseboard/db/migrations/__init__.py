"""The schema, as numbered SQL files; `*.timeseries.sql` need TimescaleDB."""
