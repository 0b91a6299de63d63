-- Groups of rules: how often their recording rules are evaluated. Rules name a group; one without
-- a row has the defaults.
create table rule_groups (
  name text primary key,
  eval_interval interval,
  query_offset interval not null default '0',
  series_limit integer not null default 0 check (series_limit >= 0),
  updated_at timestamptz not null default now()
);

-- Rules that write what their expression returns as series of a new metric.
create table recording_rules (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid references users (id) on delete set null,
  name text not null,
  query text not null,
  labels jsonb not null default '{}',
  group_name text not null default '',
  position integer not null default 0,
  enabled boolean not null default true,
  source text not null default '',
  version integer not null default 1,
  last_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index recording_rules_group on recording_rules (group_name, position);

-- The series that each rule wrote last, of ALERTS too: what is not written any more gets a stale
-- marker. No reference to the rule: its series end after it is gone.
create table recorded_series (
  rule_id uuid not null,
  identity bytea not null,
  name text not null,
  tags text not null,
  primary key (rule_id, identity)
);

-- Alert rules are in groups, too, in their order, and keep the annotations of their file.
alter table alert_rules
  add column group_name text not null default '',
  add column position integer not null default 0,
  add column annotations jsonb not null default '{}';
update alert_rules set group_name = split_part(source, '/', 1) where source <> '';
