/**
 * `node tools/vectors.ts <folder>`: Project Wycheproof's JSON Web Signature, Key, Crypto and Encryption vectors through guard's
 * own reading of tokens and keys (TOK-09). The vectors are not part of this project; the folder holds `json_web_*.json`.
 *
 * What must hold: nothing that a vector calls invalid is accepted; what it calls valid is accepted where the algorithm is one of
 * ours, and refused where it is not. For algorithms that are not ours the form is checked as well: guard reads the token, and
 * this file computes the signature. Known exceptions stand in `allowed`, with their reason.
 */
import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCompact, readHeader, verifyCompact } from '../packages/guard/src/compact.ts';
import { readJwk, readJwks } from '../packages/guard/src/jwk.ts';
import { createKeySet } from '../packages/guard/src/keys.ts';

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly jws?: unknown;
  readonly jwe?: unknown;
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

type Jwk = Readonly<Record<string, unknown>>;

interface Group {
  readonly public?: Jwk;
  readonly private?: Jwk;
  readonly tests: readonly Vector[];
}

const ours = ['EdDSA', 'ES256', 'RS256'];

/** Vectors of `json_web_signature.json` that are marked valid and that we refuse all the same. */
const allowed: ReadonlyMap<number, string> = new Map([
  [346, 'PS384 under a key for another algorithm'],
  [347, 'ES512 under a key for another algorithm'],
  [350, 'PS384 under a key for another algorithm'],
  [351, 'ES512 under a key for another algorithm'],
  [372, 'a question mark in the header part'],
  [373, 'a question mark in the payload part'],
]);

/** Marked invalid for a padding that their text does not have: a well-formed HS256 token, which guard refuses for its algorithm. */
const withoutTheirFault: ReadonlySet<number> = new Set([367, 370]);

const keysOf = (group: Group): readonly Jwk[] => {
  const jwk = group.public ?? group.private ?? {};
  return Array.isArray(jwk['keys']) ? (jwk['keys'] as readonly Jwk[]) : [jwk];
};

/** A token as a verifier of this project would see it: text. */
const textOf = (token: unknown): string => (typeof token === 'string' ? token : JSON.stringify(token));

/** Through the key set and `verifyCompact`, as access tokens are. */
function isAccepted(group: Group, token: string): boolean {
  const members = keysOf(group).map((jwk, at) => ({ kid: `key ${at}`, ...jwk }));
  const keys =
    members.length === 1 ? members.map(readJwk).filter((key) => key !== undefined) : readJwks({ keys: members });
  if (keys === undefined) return false;
  const keySet = createKeySet();
  keySet.replace(keys);
  const form = readCompact(token);
  const kid = form && readHeader(form)?.['kid'];
  const key = typeof kid === 'string' ? (keySet.find(kid) ?? only(keys)) : only(keys);
  return key !== undefined && verifyCompact(token, key.publicKey, key.algorithm) !== undefined;
}

const only = <T>(list: readonly T[]): T | undefined => (list.length === 1 ? list[0] : undefined);

/** Guard's reading of the form, with the signature of an algorithm that guard does not have. */
function isReadWell(group: Group, token: string): boolean {
  const form = readCompact(token);
  const header = form && readHeader(form);
  const jwk = only(keysOf(group));
  if (form === undefined || header === undefined || jwk === undefined) return false;
  const alg = header['alg'];
  if (typeof alg !== 'string' || alg !== jwk['alg']) return false;
  const digest = `sha${alg.slice(2)}`;
  if (alg.startsWith('HS')) {
    const expected = createHmac(digest, Buffer.from(String(jwk['k']), 'base64url'))
      .update(form.signed)
      .digest();
    return expected.length === form.signature.length && timingSafeEqual(expected, form.signature);
  }
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const options = alg.startsWith('PS')
    ? { key, padding: 6, saltLength: Number(alg.slice(2)) / 8 }
    : { key, dsaEncoding: 'ieee-p1363' as const };
  return verify(digest, form.signed, options, form.signature);
}

function main(folder: string | undefined): number {
  if (folder === undefined || !existsSync(join(folder, 'json_web_signature.json'))) {
    console.error('usage: node tools/vectors.ts <folder with the json_web_*.json vectors of Project Wycheproof>');
    return 2;
  }
  let passed = 0;
  let failed = 0;
  for (const name of ['signature', 'key', 'crypto', 'encryption']) {
    const path = join(folder, `json_web_${name}.json`);
    if (!existsSync(path)) continue;
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { readonly testGroups: readonly Group[] };
    const counts = { accepted: 0, refused: 0, foreign: 0, formAccepted: 0, allowed: 0 };
    for (const group of testGroups) {
      for (const vector of group.tests) {
        const outcome = check(name, group, vector, counts);
        if (outcome === undefined) passed += 1;
        else {
          failed += 1;
          console.error(`${name} ${vector.tcId} (${vector.comment}): ${outcome}`);
        }
      }
    }
    console.log(
      `json_web_${name}: ${counts.accepted} accepted, ${counts.refused} invalid refused, ${counts.foreign} of algorithms not ours refused` +
        ` (${counts.formAccepted} of them read well), ${counts.allowed} known exceptions`,
    );
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** What is wrong, or `undefined`. */
function check(
  file: string,
  group: Group,
  vector: Vector,
  counts: Record<'accepted' | 'refused' | 'foreign' | 'formAccepted' | 'allowed', number>,
): string | undefined {
  const token = textOf(vector.jws ?? vector.jwe);
  const accepted = isAccepted(group, token);
  const isOurs = keysOf(group).some((jwk) => ours.includes(String(jwk['alg'])));
  if (vector.result !== 'valid') {
    counts.refused += 1;
    if (accepted) return 'invalid, and accepted';
    if (isOurs || file !== 'signature' || withoutTheirFault.has(vector.tcId)) return undefined;
    return isReadWell(group, token) ? 'invalid, and its form was accepted' : undefined;
  }
  if (file === 'signature' && allowed.has(vector.tcId)) {
    counts.allowed += 1;
    return accepted ? 'a known exception is accepted now: take it off the list' : undefined;
  }
  if (isOurs && vector.jwe === undefined) {
    counts.accepted += 1;
    return accepted ? undefined : 'valid, and refused';
  }
  counts.foreign += 1;
  if (accepted) return 'its algorithm is not ours, and it was accepted';
  if (vector.jwe === undefined && isReadWell(group, token)) counts.formAccepted += 1;
  else if (file === 'signature') return 'valid, and its form was refused';
  return undefined;
}

process.exitCode = main(process.argv[2]);
