-- Two links of the chain, with a MAC under the root secret: where it ends (`head`) and what retention has cut off its beginning (`cut`).
create table audit_anchors (
  kind text primary key check (kind in ('head', 'cut')),
  seq bigint not null,
  hash text not null,
  at timestamptz(3) not null,
  mac bytea not null
);

-- The log still refuses every change but one: rows that the anchor of the cut covers may go. Who moves that anchor without the root
-- secret is found out by the MAC; this is for mistakes.
create function audit_refuse_uncut_events() returns trigger language plpgsql as $$
begin
  if exists (select from gone g where not exists (
       select from audit_seals s join audit_anchors a on a.kind = 'cut' and s.seq <= a.seq where s.event_id = g.id)) then
    raise exception 'audit_events is append-only' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $$;
create function audit_refuse_uncut_seals() returns trigger language plpgsql as $$
begin
  if exists (select from gone g where not exists (
       select from audit_anchors a where a.kind = 'cut' and g.seq <= a.seq)) then
    raise exception 'audit_seals is append-only' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $$;
drop trigger audit_events_append_only on audit_events;
drop trigger audit_seals_append_only on audit_seals;
create trigger audit_events_append_only before update or truncate on audit_events
  for each statement execute function refuse_change();
create trigger audit_seals_append_only before update or truncate on audit_seals
  for each statement execute function refuse_change();
create trigger audit_events_only_cut after delete on audit_events referencing old table as gone
  for each statement execute function audit_refuse_uncut_events();
create trigger audit_seals_only_cut after delete on audit_seals referencing old table as gone
  for each statement execute function audit_refuse_uncut_seals();
