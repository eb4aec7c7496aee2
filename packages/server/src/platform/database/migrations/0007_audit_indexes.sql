-- The log is read newest first, by one of these or by none. An id tells its time, so ids order by it and bound it.
create index audit_events_actor on audit_events (actor, id);
create index audit_events_target on audit_events (target, id);
create index audit_events_type on audit_events (type, id);
