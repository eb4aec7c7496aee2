/** Users and sessions for the workloads, made through the service's own routes. */
import type { Bench } from './bench.ts';
import type { RunningService } from './service.ts';
import { requests } from './traffic.ts';

export interface Session {
  readonly accessToken: string;
  readonly refreshToken: string;
}

export interface Person {
  readonly email: string;
  readonly password: string;
}

const password = 'correct horse battery staple';
const secondsMax = 120;
let made = 0;

/** Addresses that nobody has yet. */
export function newPeople(count: number): readonly Person[] {
  return Array.from({ length: count }, () => {
    made += 1;
    return { email: `person-${process.pid}-${made}@example.test`, password };
  });
}

export const readSession = (body: string): Session => {
  const answer = JSON.parse(body) as { access_token: string; refresh_token: string };
  return { accessToken: answer.access_token, refreshToken: answer.refresh_token };
};

function once(service: RunningService, texts: readonly string[]) {
  return {
    port: service.port,
    traffic: { kind: 'once', requests: texts },
    // Few at once: on a busy machine a longer queue of hashes would be refused.
    connections: Math.min(4, texts.length),
    seconds: secondsMax,
    warmUpSeconds: 0,
    collect: true,
  } as const;
}

export async function register(
  bench: Bench,
  service: RunningService,
  people: readonly Person[],
): Promise<readonly Session[]> {
  const texts = people.map((person) => requests.register(person.email, person.password));
  const { bodies } = await bench.load(once(service, texts), [201]);
  return bodies.map(readSession);
}

/** More sessions of the same people, `count` in all, taken in turn. */
export async function logIn(
  bench: Bench,
  service: RunningService,
  people: readonly Person[],
  count: number,
): Promise<readonly Session[]> {
  const texts = Array.from({ length: count }, (_, index) => {
    const person = people[index % people.length];
    return requests.login(person?.email ?? '', person?.password ?? '');
  });
  const { bodies } = await bench.load(once(service, texts), [200]);
  return bodies.map(readSession);
}
