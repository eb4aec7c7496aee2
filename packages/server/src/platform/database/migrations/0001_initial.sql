-- Accounts, roles, sessions, the revocation ledger, cluster nodes, signing keys, lockout counters, the audit log.

create table store_meta (
  key text primary key,
  value text not null
);
insert into store_meta (key, value) values
  ('store_id', gen_random_uuid()::text),
  ('token_ttl_max', '0'),
  ('keys_version', '1');

create table roles (
  name text primary key,
  description text,
  permissions text[] not null,
  built_in boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
insert into roles (name, description, permissions, built_in) values
  ('admin', 'Everything.', '{*:*}', true),
  ('user', 'What every account has.', '{}', true);

-- `email_key` is the canonical form that is compared; no lower(), citext or collation decides who is who.
-- `permissions` is the union of the roles' permissions, written by the transaction that also raises `epoch`.
create table users (
  id uuid primary key,
  email text not null,
  email_key text not null,
  email_verified boolean not null default false,
  password_hash text,
  first_name text,
  last_name text,
  roles text[] not null default '{user}',
  permissions text[] not null default '{}',
  status text not null default 'active' check (status in ('active', 'disabled')),
  epoch bigint not null default 1,
  device_epoch bigint not null default 1,
  mfa_enabled boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_login_at timestamptz,
  constraint users_email_key unique (email_key)
);
create index users_roles on users using gin (roles);

-- No column that a rotation writes is indexed, so a rotation is a heap-only update.
create table sessions (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  counter integer not null default 0,
  rotated_at timestamptz,
  auth_time timestamptz not null,
  amr text[] not null,
  acr text not null,
  ip text,
  user_agent text,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  idle_expires_at timestamptz not null,
  expires_at timestamptz not null
) with (fillfactor = 70);
create index sessions_user on sessions (user_id);

create table revocations (
  id uuid primary key default gen_random_uuid(),
  xid xid8 not null default pg_current_xact_id(),
  kind text not null check (kind in ('token', 'session', 'user', 'key')),
  subject text not null,
  min_epoch bigint not null default 0,
  expires_at timestamptz not null,
  reason text not null,
  actor text,
  created_at timestamptz not null default now()
);
create index revocations_xid on revocations (xid);
create index revocations_expires_at on revocations (expires_at);

create table cluster_nodes (
  incarnation uuid primary key,
  name text not null,
  address text,
  version text not null,
  started_at timestamptz not null,
  beat_at timestamptz not null,
  lease_until timestamptz not null,
  confirmed pg_snapshot,
  confirmed_epoch text,
  stats jsonb not null default '{}'
);

create table signing_keys (
  kid text primary key,
  algorithm text not null check (algorithm in ('EdDSA', 'ES256', 'RS256')),
  public_jwk jsonb not null,
  private_key bytea not null,
  created_at timestamptz not null default now(),
  activates_at timestamptz not null,
  retires_at timestamptz,
  revoked_at timestamptz
);

create table lockouts (
  key bytea primary key,
  failures integer not null default 0,
  reserved integer not null default 0,
  updated_at timestamptz not null default now(),
  locked_until timestamptz
);
create index lockouts_updated_at on lockouts (updated_at);

create table audit_events (
  id uuid primary key,
  time timestamptz(3) not null,
  type text not null,
  actor text,
  target text,
  ip text,
  user_agent text,
  outcome text not null check (outcome in ('success', 'failure', 'denied')),
  request_id text,
  detail jsonb not null default '{}'
);
-- Written with the event and taken away when it is sealed: the sealer's queue.
create table audit_pending (
  event_id uuid primary key
);
create table audit_seals (
  seq bigint primary key,
  event_id uuid not null unique,
  prev_hash text not null,
  hash text not null
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger audit_events_append_only before update or delete or truncate on audit_events
  for each statement execute function refuse_change();
create trigger audit_seals_append_only before update or delete or truncate on audit_seals
  for each statement execute function refuse_change();

-- Changes when the history that a cursor speaks of may no longer be the history that is here:
-- another store, another timeline (fail-over, restore), another run of the server (crash recovery).
create function store_epoch() returns text language sql stable as $$
  select (select value from store_meta where key = 'store_id')
    || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
    || '/' || extract(epoch from pg_postmaster_start_time())::text
$$;

-- What became visible after `since`: never an `id > last`, because transactions commit out of order.
-- Sequential scans are off so that the tail stays an index scan after a transaction with a million rows.
create function revocations_visible_since(since pg_snapshot)
  returns setof revocations language sql stable set enable_seqscan = off as $$
  select r.* from revocations r
   where (r.xid >= pg_snapshot_xmax(since) or r.xid = any (array(select pg_snapshot_xip(since))))
     and r.expires_at > clock_timestamp()
$$;
