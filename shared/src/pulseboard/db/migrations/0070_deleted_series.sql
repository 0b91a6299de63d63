-- Series that are gone and whose samples are still to be removed from raw and the rollups. Ids are
-- never used again, so until then nothing reads them.
create table deleted_series (
  series_id integer primary key,
  deleted_at timestamptz not null default now()
);
