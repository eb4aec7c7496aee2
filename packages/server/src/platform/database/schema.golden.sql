-- columns
api_keys.id uuid not null
api_keys.xid xid8 not null default pg_current_xact_id()
api_keys.name text not null
api_keys.prefix text not null
api_keys.hash bytea not null
api_keys.permissions text[] not null
api_keys.owner_kind text not null
api_keys.owner_id uuid not null
api_keys.created_by uuid not null
api_keys.created_at timestamp with time zone not null default now()
api_keys.expires_at timestamp with time zone
api_keys.revoked_at timestamp with time zone
api_keys.revoked_reason text
api_keys.last_used_at timestamp with time zone
audit_anchors.kind text not null
audit_anchors.seq bigint not null
audit_anchors.hash text not null
audit_anchors.at timestamp(3) with time zone not null
audit_anchors.mac bytea not null
audit_events.id uuid not null
audit_events.time timestamp(3) with time zone not null
audit_events.type text not null
audit_events.actor text
audit_events.target text
audit_events.ip text
audit_events.user_agent text
audit_events.outcome text not null
audit_events.request_id text
audit_events.detail jsonb not null default '{}'::jsonb
audit_pending.event_id uuid not null
audit_seals.seq bigint not null
audit_seals.event_id uuid not null
audit_seals.prev_hash text not null
audit_seals.hash text not null
begun_sessions.id uuid not null
begun_sessions.user_id uuid not null
begun_sessions.expires_at timestamp with time zone not null
cluster_nodes.incarnation uuid not null
cluster_nodes.name text not null
cluster_nodes.address text
cluster_nodes.version text not null
cluster_nodes.started_at timestamp with time zone not null
cluster_nodes.beat_at timestamp with time zone not null
cluster_nodes.lease_until timestamp with time zone not null
cluster_nodes.confirmed pg_snapshot
cluster_nodes.confirmed_epoch text
cluster_nodes.stats jsonb not null default '{}'::jsonb
ended_sessions.id uuid not null
ended_sessions.user_id uuid not null
ended_sessions.ended_at timestamp with time zone not null default clock_timestamp()
ended_sessions.expires_at timestamp with time zone not null
idempotency_keys.actor text not null
idempotency_keys.route text not null
idempotency_keys.key text not null
idempotency_keys.request_hash bytea not null
idempotency_keys.answer bytea not null
idempotency_keys.expires_at timestamp with time zone not null
known_devices.user_id uuid not null
known_devices.device bytea not null
known_devices.seen_at timestamp with time zone not null default clock_timestamp()
lockouts.key bytea not null
lockouts.failures integer not null default 0
lockouts.reserved integer not null default 0
lockouts.updated_at timestamp with time zone not null default now()
lockouts.locked_until timestamp with time zone
mail_outbox.id uuid not null
mail_outbox.kind text not null
mail_outbox.payload bytea not null
mail_outbox.attempts integer not null default 0
mail_outbox.due_at timestamp with time zone not null default clock_timestamp()
mail_outbox.expires_at timestamp with time zone not null
mail_outbox.created_at timestamp with time zone not null default clock_timestamp()
mail_outbox.dead_at timestamp with time zone
mail_outbox.last_error text
mail_throttles.key bytea not null
mail_throttles.times timestamp with time zone[] not null
mail_throttles.updated_at timestamp with time zone not null default clock_timestamp()
mail_tokens.user_id uuid not null
mail_tokens.purpose text not null
mail_tokens.hash bytea not null
mail_tokens.email text not null
mail_tokens.email_key text not null
mail_tokens.credential_version bigint not null
mail_tokens.session_id uuid
mail_tokens.pending jsonb
mail_tokens.created_at timestamp with time zone not null default clock_timestamp()
mail_tokens.expires_at timestamp with time zone not null
mfa_challenges.hash bytea not null
mfa_challenges.user_id uuid not null
mfa_challenges.purpose text not null
mfa_challenges.session_id uuid
mfa_challenges.amr text[] not null
mfa_challenges.device_epoch bigint not null
mfa_challenges.attempts integer not null default 0
mfa_challenges.expires_at timestamp with time zone not null
passkeys.id uuid not null
passkeys.user_id uuid not null
passkeys.credential_id bytea not null
passkeys.public_key bytea not null
passkeys.sign_count bigint not null
passkeys.transports text[] not null
passkeys.backup_eligible boolean not null
passkeys.backed_up boolean not null
passkeys.aaguid uuid not null
passkeys.name text not null
passkeys.created_at timestamp with time zone not null default now()
passkeys.last_used_at timestamp with time zone
passkeys.alone boolean not null default true
recovery_codes.user_id uuid not null
recovery_codes.hash bytea not null
recovery_codes.created_at timestamp with time zone not null default now()
revocations.id uuid not null default gen_random_uuid()
revocations.xid xid8 not null default pg_current_xact_id()
revocations.kind text not null
revocations.subject text not null
revocations.min_epoch bigint not null default 0
revocations.expires_at timestamp with time zone not null
revocations.reason text not null
revocations.actor text
revocations.created_at timestamp with time zone not null default now()
roles.name text not null
roles.description text
roles.permissions text[] not null
roles.built_in boolean not null default false
roles.created_at timestamp with time zone not null default now()
roles.updated_at timestamp with time zone not null default now()
schema_migrations.name text not null
schema_migrations.checksum text not null
schema_migrations.applied_at timestamp with time zone not null default now()
service_accounts.id uuid not null
service_accounts.name text not null
service_accounts.description text
service_accounts.permissions text[] not null
service_accounts.status text not null default 'active'::text
service_accounts.epoch bigint not null default 1
service_accounts.created_by uuid
service_accounts.created_at timestamp with time zone not null default now()
service_accounts.updated_at timestamp with time zone not null default now()
sessions.id uuid not null
sessions.user_id uuid not null
sessions.counter integer not null default 0
sessions.rotated_at timestamp with time zone
sessions.auth_time timestamp with time zone not null
sessions.amr text[] not null
sessions.acr text not null
sessions.ip text
sessions.user_agent text
sessions.created_at timestamp with time zone not null default now()
sessions.last_seen_at timestamp with time zone not null default now()
sessions.idle_expires_at timestamp with time zone not null
sessions.expires_at timestamp with time zone not null
signing_keys.kid text not null
signing_keys.algorithm text not null
signing_keys.public_jwk jsonb not null
signing_keys.private_key bytea not null
signing_keys.created_at timestamp with time zone not null default now()
signing_keys.activates_at timestamp with time zone not null
signing_keys.retires_at timestamp with time zone
signing_keys.revoked_at timestamp with time zone
singletons.name text not null
singletons.kind text
singletons.spec jsonb not null default '{}'::jsonb
singletons.owner uuid
singletons.node text
singletons.fence bigint not null default 0
singletons.lease_until timestamp with time zone not null default '-infinity'::timestamp with time zone
singletons.since timestamp with time zone
singletons.last_run timestamp with time zone
singletons.last_result text
singletons.detail jsonb not null default '{}'::jsonb
singletons.created_at timestamp with time zone not null default now()
store_meta.key text not null
store_meta.value text not null
totp_factors.id uuid not null
totp_factors.user_id uuid not null
totp_factors.secret bytea not null
totp_factors.last_step bigint not null default 0
totp_factors.created_at timestamp with time zone not null default now()
totp_factors.confirmed_at timestamp with time zone
totp_factors.expires_at timestamp with time zone
totp_factors.failures integer not null default 0
user_imports.digest text not null
user_imports.bytes_done bigint not null default 0
user_imports.lines_done bigint not null default 0
user_imports.created bigint not null default 0
user_imports.refused bigint not null default 0
user_imports.last_refused jsonb not null default '[]'::jsonb
user_imports.started_at timestamp with time zone not null default now()
user_imports.finished_at timestamp with time zone
users.id uuid not null
users.email text not null
users.email_key text not null
users.email_verified boolean not null default false
users.password_hash text
users.first_name text
users.last_name text
users.roles text[] not null default '{user}'::text[]
users.permissions text[] not null default '{}'::text[]
users.status text not null default 'active'::text
users.epoch bigint not null default 1
users.device_epoch bigint not null default 1
users.mfa_enabled boolean not null default false
users.created_at timestamp with time zone not null default now()
users.updated_at timestamp with time zone not null default now()
users.last_login_at timestamp with time zone
users.sessions_epoch bigint not null default 0
webauthn_challenges.challenge_hash bytea not null
webauthn_challenges.ceremony text not null
webauthn_challenges.user_id uuid
webauthn_challenges.expires_at timestamp with time zone not null

-- constraints
api_keys constraint api_keys_owner_kind_check CHECK ((owner_kind = ANY (ARRAY['user'::text, 'service_account'::text])))
api_keys constraint api_keys_pkey PRIMARY KEY (id)
api_keys constraint api_keys_prefix UNIQUE (prefix)
audit_anchors constraint audit_anchors_kind_check CHECK ((kind = ANY (ARRAY['head'::text, 'cut'::text])))
audit_anchors constraint audit_anchors_pkey PRIMARY KEY (kind)
audit_events constraint audit_events_outcome_check CHECK ((outcome = ANY (ARRAY['success'::text, 'failure'::text, 'denied'::text])))
audit_events constraint audit_events_pkey PRIMARY KEY (id)
audit_pending constraint audit_pending_pkey PRIMARY KEY (event_id)
audit_seals constraint audit_seals_event_id_key UNIQUE (event_id)
audit_seals constraint audit_seals_pkey PRIMARY KEY (seq)
begun_sessions constraint begun_sessions_pkey PRIMARY KEY (id)
begun_sessions constraint begun_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
cluster_nodes constraint cluster_nodes_pkey PRIMARY KEY (incarnation)
ended_sessions constraint ended_sessions_pkey PRIMARY KEY (id)
idempotency_keys constraint idempotency_keys_pkey PRIMARY KEY (actor, route, key)
known_devices constraint known_devices_pkey PRIMARY KEY (user_id, device)
known_devices constraint known_devices_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
lockouts constraint lockouts_pkey PRIMARY KEY (key)
mail_outbox constraint mail_outbox_pkey PRIMARY KEY (id)
mail_throttles constraint mail_throttles_pkey PRIMARY KEY (key)
mail_tokens constraint mail_tokens_hash_key UNIQUE (hash)
mail_tokens constraint mail_tokens_pkey PRIMARY KEY (user_id, purpose)
mail_tokens constraint mail_tokens_purpose_check CHECK ((purpose = ANY (ARRAY['verify_email'::text, 'reset_password'::text, 'change_email'::text])))
mail_tokens constraint mail_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
mfa_challenges constraint mfa_challenges_pkey PRIMARY KEY (hash)
mfa_challenges constraint mfa_challenges_purpose_check CHECK ((purpose = ANY (ARRAY['login'::text, 'reauthenticate'::text])))
mfa_challenges constraint mfa_challenges_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
passkeys constraint passkeys_credential_id UNIQUE (credential_id)
passkeys constraint passkeys_pkey PRIMARY KEY (id)
passkeys constraint passkeys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
recovery_codes constraint recovery_codes_pkey PRIMARY KEY (user_id, hash)
recovery_codes constraint recovery_codes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
revocations constraint revocations_kind_check CHECK ((kind = ANY (ARRAY['token'::text, 'session'::text, 'user'::text, 'key'::text])))
revocations constraint revocations_pkey PRIMARY KEY (id)
roles constraint roles_pkey PRIMARY KEY (name)
schema_migrations constraint schema_migrations_pkey PRIMARY KEY (name)
service_accounts constraint service_accounts_name UNIQUE (name)
service_accounts constraint service_accounts_pkey PRIMARY KEY (id)
service_accounts constraint service_accounts_status_check CHECK ((status = ANY (ARRAY['active'::text, 'disabled'::text])))
sessions constraint sessions_pkey PRIMARY KEY (id)
sessions constraint sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
signing_keys constraint signing_keys_algorithm_check CHECK ((algorithm = ANY (ARRAY['EdDSA'::text, 'ES256'::text, 'RS256'::text])))
signing_keys constraint signing_keys_pkey PRIMARY KEY (kid)
singletons constraint singletons_pkey PRIMARY KEY (name)
store_meta constraint store_meta_pkey PRIMARY KEY (key)
totp_factors constraint totp_factors_pkey PRIMARY KEY (id)
totp_factors constraint totp_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
user_imports constraint user_imports_pkey PRIMARY KEY (digest)
users constraint users_email_key UNIQUE (email_key)
users constraint users_pkey PRIMARY KEY (id)
users constraint users_status_check CHECK ((status = ANY (ARRAY['active'::text, 'disabled'::text])))
webauthn_challenges constraint webauthn_challenges_ceremony_check CHECK ((ceremony = ANY (ARRAY['registration'::text, 'login'::text, 'second_factor'::text, 'reauthenticate'::text])))
webauthn_challenges constraint webauthn_challenges_pkey PRIMARY KEY (challenge_hash)
webauthn_challenges constraint webauthn_challenges_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

-- indexes
CREATE INDEX api_keys_owner ON public.api_keys USING btree (owner_id)
CREATE UNIQUE INDEX api_keys_pkey ON public.api_keys USING btree (id)
CREATE UNIQUE INDEX api_keys_prefix ON public.api_keys USING btree (prefix)
CREATE INDEX api_keys_xid ON public.api_keys USING btree (xid)
CREATE UNIQUE INDEX audit_anchors_pkey ON public.audit_anchors USING btree (kind)
CREATE INDEX audit_events_actor ON public.audit_events USING btree (actor, id)
CREATE UNIQUE INDEX audit_events_pkey ON public.audit_events USING btree (id)
CREATE INDEX audit_events_target ON public.audit_events USING btree (target, id)
CREATE INDEX audit_events_type ON public.audit_events USING btree (type, id)
CREATE UNIQUE INDEX audit_pending_pkey ON public.audit_pending USING btree (event_id)
CREATE UNIQUE INDEX audit_seals_event_id_key ON public.audit_seals USING btree (event_id)
CREATE UNIQUE INDEX audit_seals_pkey ON public.audit_seals USING btree (seq)
CREATE INDEX begun_sessions_expires_at ON public.begun_sessions USING btree (expires_at)
CREATE UNIQUE INDEX begun_sessions_pkey ON public.begun_sessions USING btree (id)
CREATE INDEX begun_sessions_user ON public.begun_sessions USING btree (user_id)
CREATE UNIQUE INDEX cluster_nodes_pkey ON public.cluster_nodes USING btree (incarnation)
CREATE INDEX ended_sessions_ended_at ON public.ended_sessions USING btree (ended_at)
CREATE INDEX ended_sessions_expires_at ON public.ended_sessions USING btree (expires_at)
CREATE UNIQUE INDEX ended_sessions_pkey ON public.ended_sessions USING btree (id)
CREATE INDEX idempotency_keys_expires_at ON public.idempotency_keys USING btree (expires_at)
CREATE UNIQUE INDEX idempotency_keys_pkey ON public.idempotency_keys USING btree (actor, route, key)
CREATE UNIQUE INDEX known_devices_pkey ON public.known_devices USING btree (user_id, device)
CREATE INDEX known_devices_seen_at ON public.known_devices USING btree (seen_at)
CREATE UNIQUE INDEX lockouts_pkey ON public.lockouts USING btree (key)
CREATE INDEX lockouts_updated_at ON public.lockouts USING btree (updated_at)
CREATE INDEX mail_outbox_dead_at ON public.mail_outbox USING btree (dead_at) WHERE (dead_at IS NOT NULL)
CREATE INDEX mail_outbox_due_at ON public.mail_outbox USING btree (due_at) WHERE (dead_at IS NULL)
CREATE UNIQUE INDEX mail_outbox_pkey ON public.mail_outbox USING btree (id)
CREATE UNIQUE INDEX mail_throttles_pkey ON public.mail_throttles USING btree (key)
CREATE INDEX mail_throttles_updated_at ON public.mail_throttles USING btree (updated_at)
CREATE INDEX mail_tokens_expires_at ON public.mail_tokens USING btree (expires_at)
CREATE UNIQUE INDEX mail_tokens_hash_key ON public.mail_tokens USING btree (hash)
CREATE UNIQUE INDEX mail_tokens_pkey ON public.mail_tokens USING btree (user_id, purpose)
CREATE INDEX mfa_challenges_expires_at ON public.mfa_challenges USING btree (expires_at)
CREATE UNIQUE INDEX mfa_challenges_pkey ON public.mfa_challenges USING btree (hash)
CREATE INDEX mfa_challenges_user ON public.mfa_challenges USING btree (user_id)
CREATE UNIQUE INDEX passkeys_credential_id ON public.passkeys USING btree (credential_id)
CREATE UNIQUE INDEX passkeys_pkey ON public.passkeys USING btree (id)
CREATE INDEX passkeys_user ON public.passkeys USING btree (user_id)
CREATE UNIQUE INDEX recovery_codes_pkey ON public.recovery_codes USING btree (user_id, hash)
CREATE INDEX revocations_expires_at ON public.revocations USING btree (expires_at)
CREATE UNIQUE INDEX revocations_pkey ON public.revocations USING btree (id)
CREATE INDEX revocations_xid ON public.revocations USING btree (xid)
CREATE UNIQUE INDEX roles_pkey ON public.roles USING btree (name)
CREATE UNIQUE INDEX schema_migrations_pkey ON public.schema_migrations USING btree (name)
CREATE UNIQUE INDEX service_accounts_name ON public.service_accounts USING btree (name)
CREATE UNIQUE INDEX service_accounts_pkey ON public.service_accounts USING btree (id)
CREATE UNIQUE INDEX sessions_pkey ON public.sessions USING btree (id)
CREATE INDEX sessions_user ON public.sessions USING btree (user_id)
CREATE UNIQUE INDEX signing_keys_pkey ON public.signing_keys USING btree (kid)
CREATE UNIQUE INDEX singletons_pkey ON public.singletons USING btree (name)
CREATE UNIQUE INDEX store_meta_pkey ON public.store_meta USING btree (key)
CREATE UNIQUE INDEX totp_factors_confirmed ON public.totp_factors USING btree (user_id) WHERE (confirmed_at IS NOT NULL)
CREATE INDEX totp_factors_expires_at ON public.totp_factors USING btree (expires_at) WHERE (confirmed_at IS NULL)
CREATE UNIQUE INDEX totp_factors_pkey ON public.totp_factors USING btree (id)
CREATE UNIQUE INDEX totp_factors_waiting ON public.totp_factors USING btree (user_id) WHERE (confirmed_at IS NULL)
CREATE UNIQUE INDEX user_imports_pkey ON public.user_imports USING btree (digest)
CREATE INDEX users_disabled ON public.users USING btree (id) WHERE (status = 'disabled'::text)
CREATE UNIQUE INDEX users_email_key ON public.users USING btree (email_key)
CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id)
CREATE INDEX users_roles ON public.users USING gin (roles)
CREATE INDEX users_search_domain ON public.users USING btree (substr(email_key, POSITION(('@'::text) IN (email_key))) COLLATE "C", id)
CREATE INDEX users_search_email ON public.users USING btree (email_key COLLATE "C")
CREATE INDEX users_search_first_name ON public.users USING btree (lower(first_name) COLLATE "C", id) WHERE (first_name IS NOT NULL)
CREATE INDEX users_search_last_name ON public.users USING btree (lower(last_name) COLLATE "C", id) WHERE (last_name IS NOT NULL)
CREATE INDEX webauthn_challenges_expires_at ON public.webauthn_challenges USING btree (expires_at)
CREATE UNIQUE INDEX webauthn_challenges_pkey ON public.webauthn_challenges USING btree (challenge_hash)

-- triggers
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR TRUNCATE ON public.audit_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
CREATE TRIGGER audit_events_only_cut AFTER DELETE ON public.audit_events REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_uncut_events()
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR TRUNCATE ON public.audit_seals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
CREATE TRIGGER audit_seals_only_cut AFTER DELETE ON public.audit_seals REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_uncut_seals()
CREATE TRIGGER service_accounts_api_keys_end AFTER DELETE ON public.service_accounts FOR EACH ROW EXECUTE FUNCTION api_keys_follow_owner()
CREATE TRIGGER service_accounts_api_keys_follow AFTER UPDATE OF permissions, status, epoch ON public.service_accounts FOR EACH ROW WHEN (((old.epoch <> new.epoch) OR (old.status <> new.status) OR (old.permissions IS DISTINCT FROM new.permissions))) EXECUTE FUNCTION api_keys_follow_owner()
CREATE TRIGGER users_api_keys_end AFTER DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION api_keys_follow_owner()
CREATE TRIGGER users_api_keys_follow AFTER UPDATE OF permissions, status, epoch ON public.users FOR EACH ROW WHEN (((old.epoch <> new.epoch) OR (old.status <> new.status) OR (old.permissions IS DISTINCT FROM new.permissions))) EXECUTE FUNCTION api_keys_follow_owner()

-- functions
CREATE OR REPLACE FUNCTION public.api_keys_follow_owner()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
end $function$
CREATE OR REPLACE FUNCTION public.audit_refuse_uncut_events()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if exists (select from gone g where not exists (
       select from audit_seals s join audit_anchors a on a.kind = 'cut' and s.seq <= a.seq where s.event_id = g.id)) then
    raise exception 'audit_events is append-only' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $function$
CREATE OR REPLACE FUNCTION public.audit_refuse_uncut_seals()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if exists (select from gone g where not exists (
       select from audit_anchors a where a.kind = 'cut' and g.seq <= a.seq)) then
    raise exception 'audit_seals is append-only' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $function$
CREATE OR REPLACE FUNCTION public.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $function$
CREATE OR REPLACE FUNCTION public.revocations_visible_since(since pg_snapshot)
 RETURNS SETOF revocations
 LANGUAGE sql
 STABLE
 SET enable_seqscan TO 'off'
AS $function$
  select r.* from revocations r
   where (r.xid >= pg_snapshot_xmax(since) or r.xid = any (array(select pg_snapshot_xip(since))))
     and r.expires_at > clock_timestamp()
$function$
CREATE OR REPLACE FUNCTION public.store_epoch()
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
  select (select value from store_meta where key = 'store_id')
    || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
    || '/' || extract(epoch from pg_postmaster_start_time())::text
$function$

-- options
api_keys with (fillfactor=70)
mail_outbox with (fillfactor=70)
sessions with (fillfactor=70)
singletons with (fillfactor=50)
