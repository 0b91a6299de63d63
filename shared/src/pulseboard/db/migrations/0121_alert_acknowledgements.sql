-- Who takes care of an alert, until when (null: until it resolves), and their note.
alter table alert_events
  add column acknowledged_by uuid references users (id) on delete set null,
  add column acknowledged_at timestamptz,
  add column acknowledged_until timestamptz,
  add column acknowledged_note text not null default '';
create index alert_events_acknowledged on alert_events (rule_id)
  where status = 'firing' and acknowledged_at is not null;
