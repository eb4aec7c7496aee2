-- Mails to be sent: written in the transaction of what they tell of, taken by any node, gone when they are sent.
-- `payload` is sealed under the root secret: it says to whom, and holds the secret of a link.
create table mail_outbox (
  id uuid primary key,
  kind text not null,
  payload bytea not null,
  attempts integer not null default 0,
  due_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  created_at timestamptz not null default clock_timestamp(),
  dead_at timestamptz,
  last_error text
) with (fillfactor = 70);
create index mail_outbox_due_at on mail_outbox (due_at) where dead_at is null;
create index mail_outbox_dead_at on mail_outbox (dead_at) where dead_at is not null;

-- One live secret of each purpose a user: a newer one takes the place of the older.
create table mail_tokens (
  user_id uuid not null references users (id) on delete cascade,
  purpose text not null check (purpose in ('verify_email', 'reset_password', 'change_email')),
  hash bytea not null unique,
  email text not null,
  email_key text not null,
  -- The user's `device_epoch`: whatever ends device tokens ends the links that were mailed before.
  credential_version bigint not null,
  -- The session that asked for a change of address, and goes on.
  session_id uuid,
  -- Credentials that take effect when the address is proven: of a second registration of an address nobody has proven.
  pending jsonb,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (user_id, purpose)
);
create index mail_tokens_expires_at on mail_tokens (expires_at);

-- When mails that strangers can ask for went to an address, known or not; `key` is a MAC of it.
create table mail_throttles (
  key bytea primary key,
  times timestamptz[] not null,
  updated_at timestamptz not null default clock_timestamp()
);
create index mail_throttles_updated_at on mail_throttles (updated_at);

-- Devices that a user has logged in with; `device` is a MAC of what the device says it is.
create table known_devices (
  user_id uuid not null references users (id) on delete cascade,
  device bytea not null,
  seen_at timestamptz not null default clock_timestamp(),
  primary key (user_id, device)
);
create index known_devices_seen_at on known_devices (seen_at);
