-- Ingest remembers series ids in each process. This value changes whenever series are deleted, so
-- that one look at it, in the transaction that writes, tells whether remembered ids still hold.
create table series_generation (
  one boolean primary key default true check (one),
  generation uuid not null default gen_random_uuid()
);
insert into series_generation default values;

-- Writers of samples share this lock until they commit: a deletion waits for them, and they for it.
create function ingest_begin() returns uuid language plpgsql volatile as $$
begin
  perform pg_advisory_xact_lock_shared(7305001);
  return (select generation from series_generation);
end
$$;

create function series_deleted() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(7305001);
  update series_generation set generation = gen_random_uuid();
  return null;
end
$$;
create trigger series_deleted before delete on metric_series
  for each statement execute function series_deleted();
create trigger series_truncated before truncate on metric_series
  for each statement execute function series_deleted();

-- Who sends a series: the key that created it, then the one that sent it last.
alter table metric_series add column key_id uuid;
create index metric_series_key on metric_series (key_id, created_at);
create index metric_series_created on metric_series (created_at);
