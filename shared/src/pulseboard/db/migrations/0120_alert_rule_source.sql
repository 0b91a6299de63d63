-- What identifies a rule that comes from a file: its group, its name and its position there.
alter table alert_rules add column source text not null default '';
