-- Which sessions that live in Redis have begun and have not been ended: so who ends them names them all without Redis. The row
-- is written with the login, and goes with what ends the session, or when no token of it can live any more.
create table begun_sessions (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  expires_at timestamptz not null
);
create index begun_sessions_user on begun_sessions (user_id);
create index begun_sessions_expires_at on begun_sessions (expires_at);
