-- Where whoever is woken finds what to do.
alter table alert_rules add column runbook_url text not null default '';
