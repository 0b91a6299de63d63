-- A refresh deletes the rows that it redoes, and TimescaleDB plans that delete over every chunk:
-- with a month of minutes in chunks of four hours it cost more than all the rest (ADR 260). Chunks
-- that exist stay as they are until retention drops them.
do $do$
declare
  rollup record;
begin
  for rollup in
    select v.chunk, format('%I.%I',
      a.materialization_hypertable_schema, a.materialization_hypertable_name) as stored
    from (values
      ('metrics_1min', interval '2 days'), ('metrics_1hour', interval '15 days')
    ) as v (name, chunk)
    join timescaledb_information.continuous_aggregates a
      on a.view_name = v.name and a.view_schema = current_schema
  loop
    perform set_chunk_time_interval(rollup.stored::regclass, rollup.chunk);
  end loop;
end
$do$;
