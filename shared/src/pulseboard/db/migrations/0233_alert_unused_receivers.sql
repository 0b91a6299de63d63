-- Since when a rule has not used a receiver that still has to be notified, as the rule was deleted
-- or disabled, or its channel was removed: after a day of failures such a receiver is given up.
alter table alert_notified add column unused_since timestamptz;
