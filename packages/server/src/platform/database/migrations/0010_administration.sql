-- For the administration: finding accounts among very many, and creating a thing once however often it is asked for.

-- A search is a range of one of these, in the order of bytes, whatever the collation of the database is.
create index users_search_email on users (email_key collate "C");
create index users_search_domain on users ((substr(email_key, position('@' in email_key))) collate "C", id);
create index users_search_last_name on users ((lower(last_name)) collate "C", id) where last_name is not null;
create index users_search_first_name on users ((lower(first_name)) collate "C", id) where first_name is not null;
-- Those who are not active are few.
create index users_disabled on users (id) where status = 'disabled';

-- What was answered to a request with an Idempotency-Key; written by the transaction that did what it asked for.
create table idempotency_keys (
  actor text not null,
  route text not null,
  key text not null,
  request_hash bytea not null,
  answer bytea not null,
  expires_at timestamptz not null,
  primary key (actor, route, key)
);
create index idempotency_keys_expires_at on idempotency_keys (expires_at);
