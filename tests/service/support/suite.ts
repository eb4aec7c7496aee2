/** What every suite begins with: a service for each store, accounts of its own, and the last look for secrets. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Receipt, TokenAnswer } from '../../../packages/protocol/src/index.ts';
import { type Answer, tokensOf, type Verdict, verdictOf } from '../../support/http.ts';
import {
  type Env,
  type RunningService,
  type StoreKind,
  startService,
  storeKinds,
  until,
} from '../../support/service.ts';

export interface SuiteOptions {
  readonly env?: Env;
  readonly stores?: readonly StoreKind[];
}

/**
 * The same tests on both stores, with one running service for all of them. The last test stops it in good order and
 * searches everything that it wrote.
 */
export function onEachStore(
  name: string,
  define: (service: () => RunningService) => void,
  options: SuiteOptions = {},
): void {
  for (const store of options.stores ?? storeKinds) {
    describe(`${name} (${store})`, () => {
      let service: RunningService | undefined;
      const get = (): RunningService => {
        assert.ok(service !== undefined, 'the service has not started');
        return service;
      };
      before(async () => {
        service = await startService({ store, ...(options.env === undefined ? {} : { env: options.env }) });
      });
      after(async () => {
        await service?.stop();
      });
      define(get);
      test('LOG-01 the service ends with 0, and no secret of this suite is in anything that it wrote', async () => {
        assert.equal(await get().halt(), 0, get().logs().slice(-3_000));
        assertQuiet(get());
      });
    });
  }
}

/** LOG-01 for what a service wrote so far, and no crash in it. */
export function assertQuiet(service: RunningService): void {
  const output = service.logs();
  assert.ok(service.secrets.size > 0, 'the suite used no secret: nothing was proven');
  service.secrets.assertAbsentFrom(output, 'the output of the service');
  assert.doesNotMatch(output, /unhandled|uncaught/i);
}

export interface Account {
  readonly email: string;
  readonly password: string;
  readonly tokens: TokenAnswer;
}

export const newEmail = (name = 'user'): string => `${name}-${randomBytes(6).toString('hex')}@example.org`;
export const newPassword = (): string => `pw ${randomBytes(12).toString('base64url')}`;

export async function register(
  service: RunningService,
  change: { email?: string; password?: string } = {},
): Promise<Account> {
  const { email = newEmail(), password = newPassword() } = change;
  const answer = await service.api.post('/api/auth/register', { user: { email, password } });
  return { email, password, tokens: tokensOf(answer, 201) };
}

export const login = (
  service: RunningService,
  account: Pick<Account, 'email' | 'password'>,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Answer> =>
  service.api.post('/api/auth/login', { email: account.email, password: account.password, ...more });

export const refresh = (service: RunningService, token: unknown): Promise<Answer> =>
  service.api.post('/api/auth/refresh-token', { refresh_token: token });

export const me = (service: RunningService, token: string): Promise<Answer> =>
  service.api.get('/api/auth/me', { token });

export const logout = (service: RunningService, token: string): Promise<Answer> =>
  service.api.post('/api/auth/logout', undefined, { token });

export async function validate(
  service: RunningService,
  token: string,
  wanted: Readonly<Record<string, unknown>> = {},
): Promise<Verdict> {
  return verdictOf(await service.api.post('/api/auth/validate-token', { token, ...wanted }));
}

/** A short word for what a token is worth: `valid`, or the reason why not. */
export async function worth(service: RunningService, token: string): Promise<string> {
  const verdict = await validate(service, token);
  return verdict.valid ? 'valid' : (verdict.reason ?? 'no reason');
}

/** Claims of a token, read without verifying. */
/** Ends a signing key from the command line, and waits until its receipt says that this is in force. */
export async function revokeKey(service: RunningService, kid: string): Promise<void> {
  const revoked = await service.cli(['keys', 'revoke', kid, '--json']);
  assert.equal(revoked.code, 0, revoked.stderr);
  const { receipt } = JSON.parse(revoked.stdout) as { receipt: Receipt };
  if (!receipt.effective_everywhere)
    await until('the moment that the receipt names', async () => Date.now() >= Date.parse(receipt.effective_by));
}

export function claimsOf(token: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

export function headerOf(token: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

export interface Metrics {
  /** Sum of the samples of this name whose labels include these. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
  readonly names: ReadonlySet<string>;
  readonly text: string;
}

export async function metricsOf(service: RunningService): Promise<Metrics> {
  const answer = await service.api.get('/metrics');
  assert.equal(answer.status, 200);
  const samples = answer.text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
      return { name, labels: `,${labels},`, value: Number(value) };
    });
  return {
    text: answer.text,
    names: new Set([...answer.text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] ?? '')),
    sum: (name, labels = {}) =>
      samples
        .filter((sample) => sample.name === name)
        .filter((sample) =>
          Object.entries(labels).every(([label, value]) => sample.labels.includes(`,${label}="${value}",`)),
        )
        .reduce((total, sample) => total + sample.value, 0),
  };
}

/** How often the password hashers were asked. */
export async function hashesDone(service: RunningService): Promise<number> {
  return (await metricsOf(service)).sum('auth_password_hash_seconds_count');
}
