-- The log of notifications (0094) has taken the place of these.
drop table alert_groups;
alter table alert_state drop column notified_at;
