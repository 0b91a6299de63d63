-- What the state machine needs to go on after a restart -----------------------
alter table alert_state
  add column clear_since timestamptz,
  add column no_data_since timestamptz,
  add column notified_at timestamptz;

-- History outlives its rule, and says why an alert ended ----------------------
alter table alert_events
  drop constraint alert_events_rule_id_fkey,
  add column rule_name text not null default '',
  add column severity text not null default 'warning'
    check (severity in ('info', 'warning', 'critical')),
  add column resolved_value double precision,
  add column resolved_reason text;
create index alert_events_firing on alert_events (rule_id, series) where status = 'firing';

-- A resolved notice outlives its rule; within a group (a rule and a channel) order is kept.
alter table alert_outbox
  drop constraint alert_outbox_rule_id_fkey,
  drop column event_id,
  alter column rule_id drop not null,
  add column seq bigint generated always as identity,
  add column group_key text not null default '';
create index alert_outbox_group on alert_outbox (group_key, seq)
  where sent_at is null and dead_at is null;
create index alert_outbox_dead on alert_outbox (dead_at desc) where dead_at is not null;
create index alert_outbox_sent on alert_outbox (sent_at) where sent_at is not null;

alter table alert_channels add column updated_at timestamptz not null default now();

-- One row: the last tick, who ran it, since when ticks follow each other without a gap, and a
-- stamp that changes with every change of a rule.
create table alert_ticks (
  single boolean primary key default true check (single),
  tick bigint not null default -1,
  runner uuid,
  steady_since timestamptz not null default now(),
  rules_stamp uuid not null default gen_random_uuid()
);
