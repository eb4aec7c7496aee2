-- API keys, and the service accounts that own some of them: principals that cannot log in.

create table service_accounts (
  id uuid primary key,
  name text not null,
  description text,
  permissions text[] not null,
  status text not null default 'active' check (status in ('active', 'disabled')),
  epoch bigint not null default 1,
  created_by uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint service_accounts_name unique (name)
);

-- `xid` names the transaction that last changed what nodes hold of the key in memory; they read it as they read the ledger.
-- No foreign key: what is left of a key outlives its owner, so that every node learns of its end.
create table api_keys (
  id uuid primary key,
  xid xid8 not null default pg_current_xact_id(),
  name text not null,
  prefix text not null,
  hash bytea not null,
  permissions text[] not null,
  owner_kind text not null check (owner_kind in ('user', 'service_account')),
  owner_id uuid not null,
  created_by uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  revoked_reason text,
  last_used_at timestamptz,
  constraint api_keys_prefix unique (prefix)
) with (fillfactor = 70);
create index api_keys_xid on api_keys (xid);
create index api_keys_owner on api_keys (owner_id);

-- Whoever changes an owner changes its keys, whatever the statement and whatever the version of the node that sends it: an
-- owner that is disabled or gone ends them for good, any other change makes every node read them anew.
create function api_keys_follow_owner() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    update api_keys set revoked_at = clock_timestamp(), revoked_reason = 'owner_deleted', xid = pg_current_xact_id()
     where owner_id = old.id and revoked_at is null;
  elsif new.status <> 'active' then
    update api_keys set revoked_at = clock_timestamp(), revoked_reason = 'owner_disabled', xid = pg_current_xact_id()
     where owner_id = new.id and revoked_at is null;
  else
    update api_keys set xid = pg_current_xact_id() where owner_id = new.id and revoked_at is null;
  end if;
  return null;
end $$;
create trigger users_api_keys_follow after update of permissions, status, epoch on users for each row
  when (old.epoch <> new.epoch or old.status <> new.status or old.permissions is distinct from new.permissions)
  execute function api_keys_follow_owner();
create trigger users_api_keys_end after delete on users for each row execute function api_keys_follow_owner();
create trigger service_accounts_api_keys_follow after update of permissions, status, epoch on service_accounts for each row
  when (old.epoch <> new.epoch or old.status <> new.status or old.permissions is distinct from new.permissions)
  execute function api_keys_follow_owner();
create trigger service_accounts_api_keys_end after delete on service_accounts for each row
  execute function api_keys_follow_owner();
