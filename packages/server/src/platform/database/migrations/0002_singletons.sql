-- What runs once in the cluster, and names that one node holds for all: who has it, under which fence, until when.

-- A fence is never given twice, not even for a name that was deleted and made again.
create sequence singleton_fences;

-- `kind` is null for a name that is only registered. `owner` is the incarnation of a node.
create table singletons (
  name text primary key,
  kind text,
  spec jsonb not null default '{}',
  owner uuid,
  node text,
  fence bigint not null default 0,
  lease_until timestamptz not null default '-infinity',
  since timestamptz,
  last_run timestamptz,
  last_result text,
  detail jsonb not null default '{}',
  created_at timestamptz not null default now()
) with (fillfactor = 50);
