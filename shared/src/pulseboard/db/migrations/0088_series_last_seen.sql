-- Finding by last seen --------------------------------------------------------
-- `last_seen` changes every five minutes: an index on it would make each of these updates write to
-- all indexes of the row. This column follows it, at most a day behind, and changes once a day.
alter table metric_series add column last_seen_day timestamptz not null default now();
create index metric_series_seen on metric_series (metric_id, last_seen_day);
-- What is to expire, of all metrics.
create index metric_series_expiry on metric_series (last_seen_day);

-- Counting the living ---------------------------------------------------------
-- Series with a recent sample. Writers add what they create; `maintain` counts anew.
alter table metric_definitions add column active_series integer not null default 0;
alter table api_keys add column active_series integer not null default 0;
update metric_definitions d set active_series = c.n
  from (select metric_id, count(*) as n from metric_series group by metric_id) c
  where c.metric_id = d.id;
update api_keys k set active_series = c.n
  from (select key_id, count(*) as n from metric_series group by key_id) c
  where c.key_id = k.id;

-- The generation, by whatever means the database was restored -----------------
-- A restored `series_generation` is the one of the backup, under which processes have cached ids
-- that the restored database gives to other series. A restored snapshot has started anew; a
-- restored dump has made the database or the table again, or written the row again.
create function catalogue_generation() returns uuid language sql stable as $$
  select encode(substring(sha256(convert_to(concat_ws(' ',
      g.generation, g.tableoid, g.xmin, pg_postmaster_start_time(),
      (select oid from pg_database where datname = current_database())
    ), 'UTF8')) from 1 for 16), 'hex')::uuid
  from series_generation g
$$;

-- Replaces ingest_begin, which processes of the version before still call.
create function begin_ingest() returns uuid language plpgsql volatile as $$
begin
  perform pg_advisory_xact_lock_shared(7305001);
  return catalogue_generation();
end
$$;
