-- Passkeys (WebAuthn credentials), and the challenges of ceremonies that are under way.

-- `backup_eligible` never changes after the registration; `sign_count` stays 0 for authenticators that do not count.
create table passkeys (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  credential_id bytea not null,
  public_key bytea not null,
  sign_count bigint not null,
  transports text[] not null,
  backup_eligible boolean not null,
  backed_up boolean not null,
  aaguid uuid not null,
  name text not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  constraint passkeys_credential_id unique (credential_id)
);
create index passkeys_user on passkeys (user_id);

-- A challenge is known by its hash alone. `user_id` is null for a login that names nobody.
create table webauthn_challenges (
  challenge_hash bytea primary key,
  ceremony text not null check (ceremony in ('registration', 'login', 'second_factor', 'reauthenticate')),
  user_id uuid references users (id) on delete cascade,
  expires_at timestamptz not null
);
create index webauthn_challenges_expires_at on webauthn_challenges (expires_at);
