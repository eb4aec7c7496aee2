-- Authenticator apps. One that is confirmed, and one that waits to be; the secret is sealed under the root secret with the
-- user and the factor, so no row's secret opens in another row.
create table totp_factors (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  secret bytea not null,
  -- The last accepted time step: a code works once.
  last_step bigint not null default 0,
  created_at timestamptz not null default now(),
  confirmed_at timestamptz,
  expires_at timestamptz
);
create unique index totp_factors_confirmed on totp_factors (user_id) where confirmed_at is not null;
create unique index totp_factors_waiting on totp_factors (user_id) where confirmed_at is null;
create index totp_factors_expires_at on totp_factors (expires_at) where confirmed_at is null;

-- SHA-256 of user and code; a code that is used is a row that is gone.
create table recovery_codes (
  user_id uuid not null references users (id) on delete cascade,
  hash bytea not null,
  created_at timestamptz not null default now(),
  primary key (user_id, hash)
);

-- What is between a first factor and a second: SHA-256 of the token, what was proven, and how often it was tried.
create table mfa_challenges (
  hash bytea primary key,
  user_id uuid not null references users (id) on delete cascade,
  purpose text not null check (purpose in ('login', 'reauthenticate')),
  -- The session that the step-up replaces.
  session_id uuid,
  amr text[] not null,
  -- Whatever ends the user's device tokens ends this, too.
  device_epoch bigint not null,
  attempts integer not null default 0,
  expires_at timestamptz not null
);
create index mfa_challenges_user on mfa_challenges (user_id);
create index mfa_challenges_expires_at on mfa_challenges (expires_at);
