-- People and keys -----------------------------------------------------------
create table users (
  id uuid primary key default gen_random_uuid(),
  email text not null,
  password_hash text not null,
  role text not null default 'viewer' check (role in ('viewer', 'editor', 'admin')),
  disabled boolean not null default false,
  created_at timestamptz not null default now(),
  last_login_at timestamptz
);
create unique index users_email on users (lower(email));

create table api_keys (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid not null references users on delete cascade,
  name text not null,
  prefix text not null,
  key_hash bytea not null unique,
  scopes text[] not null check (scopes <@ array['ingest', 'read', 'write'] and scopes <> '{}'),
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  revoked_at timestamptz
);
create index api_keys_owner on api_keys (owner_id, created_at desc);

-- The catalogue -------------------------------------------------------------
create table metric_definitions (
  id integer generated always as identity primary key,
  name text not null unique,
  description text,
  unit text,
  type text not null default 'unknown'
    check (type in ('gauge', 'counter', 'histogram', 'summary', 'unknown')),
  created_at timestamptz not null default now()
);
-- Prefix search: `name like 'cpu%'` in any collation.
create index metric_definitions_prefix on metric_definitions (name text_pattern_ops);

create table metric_series (
  id integer generated always as identity primary key,
  metric_id integer not null references metric_definitions on delete cascade,
  tags jsonb not null default '{}',
  tags_hash bytea not null,
  created_at timestamptz not null default now(),
  last_seen timestamptz not null default now(),
  unique (metric_id, tags_hash)
);
create index metric_series_tags on metric_series using gin (tags jsonb_path_ops);

create table series_end (
  series_id integer not null references metric_series on delete cascade,
  time timestamptz not null,
  primary key (series_id, time)
);

-- Dashboards ----------------------------------------------------------------
create table dashboards (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  description text not null default '',
  owner_id uuid not null references users,
  is_public boolean not null default false,
  layout jsonb not null default '{}',
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index dashboards_owner on dashboards (owner_id, updated_at desc);
create index dashboards_public on dashboards (updated_at desc) where is_public;

create table panels (
  id uuid primary key default gen_random_uuid(),
  dashboard_id uuid not null references dashboards on delete cascade,
  title text not null,
  type text not null check (type in ('line', 'area', 'bar', 'gauge', 'stat', 'table')),
  queries jsonb not null,
  options jsonb not null default '{}',
  position jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index panels_dashboard on panels (dashboard_id);

-- Alerts --------------------------------------------------------------------
create table alert_rules (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  owner_id uuid references users on delete set null,
  query text not null,
  condition text not null check (condition in ('gt', 'gte', 'lt', 'lte', 'eq', 'ne')),
  threshold double precision not null,
  duration interval not null default '0',
  eval_window interval,
  reducer text not null default 'last' check (reducer in ('last', 'avg', 'min', 'max', 'sum')),
  severity text not null default 'warning' check (severity in ('info', 'warning', 'critical')),
  enabled boolean not null default true,
  no_data text not null default 'keep_state' check (no_data in ('keep_state', 'ok', 'alert')),
  keep_firing_for interval not null default '0',
  evaluation_delay interval not null default '0',
  labels jsonb not null default '{}',
  message text not null default '',
  notification jsonb not null default '{}',
  version integer not null default 1,
  last_evaluated_at timestamptz,
  last_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index alert_rules_enabled on alert_rules (id) where enabled;

create table alert_state (
  rule_id uuid not null references alert_rules on delete cascade,
  series text not null,
  tags jsonb not null default '{}',
  status text not null check (status in ('inactive', 'pending', 'firing', 'resolved')),
  value double precision,
  reason text not null default '',
  since timestamptz not null,
  first_triggered timestamptz,
  tick bigint not null default 0,
  event_id uuid,
  primary key (rule_id, series)
);

create table alert_events (
  id uuid primary key default gen_random_uuid(),
  rule_id uuid not null references alert_rules on delete cascade,
  series text not null,
  tags jsonb not null default '{}',
  status text not null check (status in ('firing', 'resolved')),
  value double precision,
  reason text not null,
  triggered_at timestamptz not null,
  resolved_at timestamptz
);
create index alert_events_rule on alert_events (rule_id, triggered_at desc);
create index alert_events_time on alert_events (triggered_at desc);

create table alert_channels (
  id uuid primary key default gen_random_uuid(),
  name text not null unique,
  config jsonb not null,
  created_at timestamptz not null default now()
);

create table alert_outbox (
  id uuid primary key default gen_random_uuid(),
  rule_id uuid not null references alert_rules on delete cascade,
  event_id uuid references alert_events on delete cascade,
  idempotency_key text not null unique,
  channel jsonb not null,
  payload jsonb not null,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  claimed_until timestamptz,
  sent_at timestamptz,
  dead_at timestamptz,
  last_error text,
  created_at timestamptz not null default now()
);
create index alert_outbox_due on alert_outbox (next_attempt_at)
  where sent_at is null and dead_at is null;

create table alert_silences (
  id uuid primary key default gen_random_uuid(),
  matchers jsonb not null,
  starts_at timestamptz not null default now(),
  ends_at timestamptz not null,
  author_id uuid references users on delete set null,
  comment text not null default '',
  created_at timestamptz not null default now(),
  check (ends_at > starts_at)
);
create index alert_silences_end on alert_silences (ends_at);
