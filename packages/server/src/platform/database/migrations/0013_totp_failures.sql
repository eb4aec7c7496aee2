-- Wrong codes since the last right one, over any time: too many of them end the app.
alter table totp_factors add column failures integer not null default 0;
