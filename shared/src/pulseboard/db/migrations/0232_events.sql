-- What happened at a time: deploys, restarts, notes, and what other systems send of the kind.
create table events (
  id uuid primary key default gen_random_uuid(),
  time timestamptz not null,
  title text not null,
  text text not null,
  tags jsonb not null,
  source text not null,
  -- Over all that was sent: what is sent twice is stored once.
  digest bytea not null unique
);
create index events_time on events (time desc, id);
