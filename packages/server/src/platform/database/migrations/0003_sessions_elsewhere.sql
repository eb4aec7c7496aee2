-- For sessions that live in Redis: what ends them is here, so that nothing which Redis loses or brings back revives one.

-- A session that was begun under an earlier epoch has ended; raised by what ends all sessions of a user.
alter table users add column sessions_epoch bigint not null default 0;

-- Single sessions that have ended, until the last refresh token that they could have has expired.
create table ended_sessions (
  id uuid primary key,
  user_id uuid not null,
  ended_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
create index ended_sessions_ended_at on ended_sessions (ended_at);
create index ended_sessions_expires_at on ended_sessions (expires_at);
