-- Whether the passkey opens the account by itself. After a reset by mail it does so again when it was used beside the new password:
-- who set it before may be somebody else than who holds the mailbox.
alter table passkeys add column alone boolean not null default true;
