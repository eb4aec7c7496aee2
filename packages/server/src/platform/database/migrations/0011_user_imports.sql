-- How far each file of accounts was imported: written in the transaction of each batch, so that an import goes on after the last one.
-- A file is known by what is in it (SHA-256). `last_refused` are the refused lines of the last batch, for the report.
create table user_imports (
  digest text primary key,
  bytes_done bigint not null default 0,
  lines_done bigint not null default 0,
  created bigint not null default 0,
  refused bigint not null default 0,
  last_refused jsonb not null default '[]',
  started_at timestamptz not null default now(),
  finished_at timestamptz
);
