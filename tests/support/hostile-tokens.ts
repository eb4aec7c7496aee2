/**
 * Every forged, foreign or misshapen token that a verifier must refuse, one list for the library, the routes and the
 * middleware. Each carries the row of the security table that it belongs to. Nothing here is expired or revoked: each is wrong
 * in one way, and is refused for that.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { absent, base64url, type Forge, makePrivateKey, signAs } from './forge.ts';

export interface HostileToken {
  readonly row: string;
  readonly name: string;
  readonly token: string;
}

type Named = readonly (readonly [name: string, token: string])[];

export function forgeHostileTokens(forge: Forge): readonly HostileToken[] {
  const rows: Readonly<Record<string, Named>> = {
    'TOK-01': foreignAlgorithms(forge),
    'TOK-02': confusedKeys(forge),
    'TOK-03': embeddedKeys(forge),
    'TOK-04': keyNames(forge),
    'TOK-06': misspelled(forge),
    'TOK-08': otherSerialisations(forge),
    'TOK-10': oversized(forge),
    'TOK-11': duplicateMembers(forge),
    'TOK-12': wrongTypes(forge),
    'CLM-01': otherTypes(forge),
    'CLM-03': otherIssuers(forge),
    'CLM-04': otherAudiences(forge),
    'CLM-05': otherTimes(forge),
  };
  return Object.entries(rows).flatMap(([row, named]) => named.map(([name, token]) => ({ row, name, token })));
}

const show = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 60);

function foreignAlgorithms(forge: Forge): Named {
  const claims = base64url(JSON.stringify(forge.claims()));
  const [, , oldSignature = ''] = forge.token().split('.');
  const names = ['none', 'None', 'NONE', 'noNe', '', null, ['EdDSA'], 'HS256', 'RS256', 'PS256', 'ES256', 'ES256K'];
  const tried = [...names, 'ES384', 'EdDSA', 'Ed25519', 'eddsa', absent].filter((alg) => alg !== forge.algorithm);
  return tried.flatMap((alg) => {
    const header = forge.header({ alg });
    const signed = `${base64url(JSON.stringify(header))}.${claims}`;
    const name = `alg ${show(header['alg'])}`;
    return [
      [`${name}, empty signature`, `${signed}.`],
      [`${name}, the signature of another token`, `${signed}.${oldSignature}`],
      [`${name}, signed by the real key`, forge.tokenOf(JSON.stringify(header), JSON.stringify(forge.claims()))],
      [`${name}, signed by a key of the forger`, `${signed}.${signByForger(alg, signed)}`],
    ];
  });
}

const forgerKeys = new Map<string, KeyObject>();

function forgerKey(algorithm: string): KeyObject {
  const key = forgerKeys.get(algorithm) ?? makePrivateKey(algorithm);
  forgerKeys.set(algorithm, key);
  return key;
}

function signByForger(alg: unknown, signed: string): string {
  if (alg === 'HS256') return signAs('HS256', 'secret', signed);
  const known = ['RS256', 'PS256', 'ES256', 'ES256K', 'ES384'];
  return typeof alg === 'string' && known.includes(alg)
    ? signAs(alg, forgerKey(alg), signed)
    : signAs('EdDSA', forgerKey('EdDSA'), signed);
}

function confusedKeys(forge: Forge): Named {
  const { publicKey } = forge;
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const jwk = publicKey.export({ format: 'jwk' });
  const member = jwk.x ?? jwk.n ?? '';
  const secrets: readonly (readonly [string, string | Buffer])[] = [
    ['SPKI PEM', pem],
    ['SPKI PEM without its last line end', pem.trimEnd()],
    ['SPKI PEM after a space', ` ${pem}`],
    ['SPKI PEM after #', `#${pem}`],
    ['SPKI DER', publicKey.export({ type: 'spki', format: 'der' })],
    ['raw bytes', Buffer.from(member, 'base64url')],
    ['base64url member', member],
    ['JWK text', JSON.stringify(jwk)],
    ['JWK text as served', JSON.stringify({ ...jwk, kid: forge.kid, alg: forge.algorithm, use: 'sig' })],
    ...(jwk.n === undefined ? [] : [['PKCS#1 PEM', publicKey.export({ type: 'pkcs1', format: 'pem' })] as const]),
  ];
  return ['HS256', 'HS384', 'HS512'].flatMap((alg) =>
    secrets.map(([name, secret]) => {
      const signed = `${base64url(JSON.stringify(forge.header({ alg })))}.${base64url(JSON.stringify(forge.claims()))}`;
      return [`${alg} with the public key as secret: ${name}`, `${signed}.${signAs(alg, secret, signed)}`] as const;
    }),
  );
}

function embeddedKeys(forge: Forge): Named {
  const forger = forgerKey('EdDSA');
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: forger.export({ format: 'jwk' }).x, kid: 'embedded' };
  const thumbprint = createHash('sha1').update('certificate').digest('base64url');
  const material: readonly (readonly [string, unknown])[] = [
    ['jwk', jwk],
    ['jku', 'http://127.0.0.1:9/jwks.json'],
    ['x5u', 'http://127.0.0.1:9/chain.pem'],
    ['x5c', [Buffer.from('certificate').toString('base64')]],
    ['x5t', thumbprint],
    ['x5t#S256', thumbprint],
  ];
  return material.flatMap(([name, value]) =>
    [forge.kid, 'embedded', absent].map((kid) => {
      const header = forge.header({ alg: 'EdDSA', kid, [name]: value });
      const signed = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(forge.claims()))}`;
      return [
        `${name} of a forger with kid ${show(header['kid'])}`,
        `${signed}.${signAs('EdDSA', forger, signed)}`,
      ] as const;
    }),
  );
}

function keyNames(forge: Forge): Named {
  const names: readonly unknown[] = [
    '../../../../dev/null',
    "' OR 1=1--",
    '\u0000',
    `${forge.kid}\u0000`,
    `${forge.kid} `,
    '',
    'k'.repeat(65_536),
    'k'.repeat(3_000),
    7,
    null,
    true,
    [forge.kid],
    { kid: forge.kid },
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    absent,
  ];
  return names.map((kid) => [`kid ${show(kid === absent ? undefined : kid)}`, forge.token({ header: { kid } })]);
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Other spellings of one live token. */
export function misspell(token: string): Named {
  const parts = token.split('.');
  const [header = '', claims = '', signature = ''] = parts;
  const variants: [string, string][] = [];
  const add = (name: string, variant: string): void => {
    if (variant !== token) variants.push([name, variant]);
  };
  parts.forEach((part, place) => {
    const withPart = (changed: string): string => parts.map((old, at) => (at === place ? changed : old)).join('.');
    const spare = part.length % 4 === 2 ? 4 : part.length % 4 === 3 ? 2 : 0;
    const last = alphabet.indexOf(part.at(-1) ?? '');
    for (let bits = 1; bits < 1 << spare; bits += 1) {
      add(`spare bits ${bits} in part ${place}`, withPart(part.slice(0, -1) + (alphabet[last ^ bits] ?? '')));
    }
    for (const extra of ['=', '==', ' ', '\n', '\t', '\u0000', '%3D', '\u00e9', '\uff21', '\u0141', 'A']) {
      add(`${show(extra)} after part ${place}`, withPart(part + extra));
    }
    for (const extra of [' ', '\n', '\t', '\ufeff']) {
      add(`${show(extra)} before part ${place}`, withPart(extra + part));
      add(`${show(extra)} inside part ${place}`, withPart(`${part.slice(0, 5)}${extra}${part.slice(5)}`));
    }
    add(`part ${place} is empty`, withPart(''));
  });
  add('the standard alphabet', token.replaceAll('-', '+').replaceAll('_', '/'));
  add('a plus for a minus', `${header}.${claims}.+${signature.slice(1)}`);
  add('an extra dot at the end', `${token}.`);
  add('an extra dot in front', `.${token}`);
  add('an extra part', `${token}.${signature}`);
  add('two dots together', `${header}..${claims}.${signature}`);
  add('percent-encoded dots', parts.join('%2e'));
  add('full-width dots', parts.join('\uff0e'));
  add('one dot', `${header}.${claims}${signature}`);
  add('a byte order mark', `\ufeff${token}`);
  add('the scheme in front', `Bearer ${token}`);
  add('nothing', '');
  add('dots alone', '..');
  return variants;
}

const misspelled = (forge: Forge): Named => misspell(forge.token());

function otherSerialisations(forge: Forge): Named {
  const [header = '', payload = '', signature = ''] = forge.token().split('.');
  const part = base64url(Buffer.alloc(32, 7));
  const jwe = (protectedHeader: object): string =>
    `${base64url(JSON.stringify(protectedHeader))}.${part}.${part}.${part}.${part}`;
  const nested = base64url(forge.token());
  const signedText = `${header}.${nested}`;
  return [
    ['flattened JSON', JSON.stringify({ protected: header, payload, signature })],
    ['general JSON', JSON.stringify({ payload, signatures: [{ protected: header, signature }] })],
    ['JWE dir', jwe({ alg: 'dir', enc: 'A128GCM' })],
    ['JWE PBES2 with 2^31 rounds', jwe({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2 ** 31, p2s: 'AAAA' })],
    ['JWE with DEFLATE', jwe({ alg: 'dir', enc: 'A128GCM', zip: 'DEF' })],
    ['a token within a token', `${signedText}.${signAs(forge.algorithm, forge.privateKey, signedText)}`],
    ['cty JWT', forge.token({ header: { cty: 'JWT' } })],
    ['crit names exp', forge.token({ header: { crit: ['exp'], exp: 1 } })],
    ['crit is empty', forge.token({ header: { crit: [] } })],
    ['crit is null', forge.token({ header: { crit: null } })],
    ['b64 false', forge.token({ header: { b64: false, crit: ['b64'] } })],
    ['zip', forge.token({ header: { zip: 'DEF' } })],
    ['enc', forge.token({ header: { enc: 'A128GCM' } })],
    ['detached payload', `${header}..${signature}`],
  ];
}

function oversized(forge: Forge): Named {
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, number) => [`claim${number}`, number]));
  const { header, claims } = forge;
  const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const deepHeader = (depth: number) =>
    forge.tokenOf(`${JSON.stringify(header()).slice(0, -1)},"deep":${deep(depth)}}`, JSON.stringify(claims()));
  return [
    ['a million dots', '.'.repeat(1_000_000)],
    ['a megabyte of one letter', 'A'.repeat(1_048_576)],
    ['8 KiB and one', forge.token({ claims: { padding: 'x'.repeat(8_192) } })],
    ['a header nested 10,000 deep', deepHeader(10_000)],
    ['a header nested 2,000 deep', deepHeader(2_000)],
    ['10,000 claims', forge.token({ claims: many })],
    ['an audience of 200 KiB', forge.token({ claims: { aud: Array.from({ length: 20_000 }, () => forge.audience) } })],
  ];
}

/** The object's text with one more member before its end, or at its start. */
const withMember = (value: object, member: string, first = false): string => {
  const text = JSON.stringify(value);
  return first ? `{${member},${text.slice(1)}` : `${text.slice(0, -1)},${member}}`;
};

function duplicateMembers(forge: Forge): Named {
  const headerText = JSON.stringify(forge.header());
  const claims = forge.claims();
  const claimsText = JSON.stringify(claims);
  const exp = claims.exp + 60;
  return [
    ['sub twice', forge.tokenOf(headerText, withMember(claims, '"sub":"someone-else"'))],
    ['sub twice, the other first', forge.tokenOf(headerText, withMember(claims, '"sub":"someone-else"', true))],
    ['sub twice, once escaped', forge.tokenOf(headerText, withMember(claims, '"\\u0073ub":"someone-else"'))],
    ['exp twice', forge.tokenOf(headerText, withMember(claims, `"exp":${exp}`))],
    ['exp twice, the same', forge.tokenOf(headerText, withMember(claims, `"exp":${claims.exp}`))],
    ['a nested member twice', forge.tokenOf(headerText, withMember(claims, '"act":{"sub":"a","sub":"b"}'))],
    ['__proto__', forge.tokenOf(headerText, withMember(claims, '"__proto__":{"roles":["admin"]}'))],
    ['alg twice', forge.tokenOf(withMember(forge.header(), '"alg":"none"'), claimsText)],
    ['alg twice, none first', forge.tokenOf(withMember(forge.header(), '"alg":"none"', true), claimsText)],
    ['kid twice', forge.tokenOf(withMember(forge.header(), '"kid":"other"', true), claimsText)],
    ['a header that is no JSON', forge.tokenOf('{', claimsText)],
    ['a header that is an array', forge.tokenOf('[]', claimsText)],
    ['a header that is null', forge.tokenOf('null', claimsText)],
    ['claims that are no JSON', forge.tokenOf(headerText, `${claimsText}}`)],
    ['claims that are a string', forge.tokenOf(headerText, '"claims"')],
    ['claims after a byte order mark', forge.tokenOf(headerText, `\ufeff${claimsText}`)],
    ['a header that is no UTF-8', brokenUtf8(forge, forge.header(), claims)],
  ];
}

function brokenUtf8(forge: Forge, header: object, claims: object): string {
  const bytes = Buffer.from(JSON.stringify({ ...header, note: 'xx' }));
  bytes[bytes.indexOf('xx')] = 0xff;
  const signed = `${base64url(bytes)}.${base64url(JSON.stringify(claims))}`;
  return `${signed}.${signAs(forge.algorithm, forge.privateKey, signed)}`;
}

function wrongTypes(forge: Forge): Named {
  const now = forge.nowSeconds();
  const changes: [string, unknown][] = [];
  for (const name of ['exp', 'nbf', 'iat', 'auth_time', 'epoch']) {
    const values = [String(now), -1, null, [now], { now }, true, now + 0.5, now * 1_000 * 2 ** 40];
    for (const value of values) changes.push([name, value]);
  }
  for (const name of ['sub', 'sid', 'jti', 'iss', 'client_id']) {
    for (const value of ['', 7, null, ['a'], { a: 1 }, true, absent]) changes.push([name, value]);
  }
  for (const name of ['roles', 'permissions', 'amr']) {
    for (const value of ['admin', 7, null, { admin: true }, ['a', 7], [['a']], absent]) changes.push([name, value]);
  }
  for (const value of [7, null, true, {}, [7], [[forge.audience]]]) changes.push(['aud', value]);
  for (const value of ['', 'aal3', 7, null, ['aal1'], absent]) changes.push(['acr', value]);
  for (const name of ['exp', 'iat', 'auth_time', 'epoch']) changes.push([name, absent]);
  const infinite = JSON.stringify(forge.claims()).replace(/"exp":\d+/, '"exp":1e400');
  return [
    ...changes.map(
      ([name, value]) =>
        [`${name} ${value === absent ? 'absent' : show(value)}`, forge.token({ claims: { [name]: value } })] as const,
    ),
    ['exp 1e400', forge.tokenOf(JSON.stringify(forge.header()), infinite)],
  ];
}

function otherTypes(forge: Forge): Named {
  const types: readonly unknown[] = [
    absent,
    'JWT',
    'at+jwt ',
    ' at+jwt',
    'at+jwt;v=1',
    'at+jw',
    'text/at+jwt',
    'application/application/at+jwt',
    'logout+jwt',
    'secevent+jwt',
    'statuslist+jwt',
    'dpop+jwt',
    'mfa+jwt',
    '',
    null,
    7,
    ['at+jwt'],
  ];
  return types.map((typ) => [`typ ${typ === absent ? 'absent' : show(typ)}`, forge.token({ header: { typ } })]);
}

function otherIssuers(forge: Forge): Named {
  const { issuer } = forge;
  const others: readonly unknown[] = [
    'https://other.example',
    `${issuer}/`,
    issuer.toUpperCase(),
    issuer.replace('//', '//user@'),
    ` ${issuer}`,
    [issuer],
    absent,
  ];
  return others.map((iss) => [`iss ${iss === absent ? 'absent' : show(iss)}`, forge.token({ claims: { iss } })]);
}

function otherAudiences(forge: Forge): Named {
  const { audience } = forge;
  const others: readonly unknown[] = [
    absent,
    [],
    '',
    '*',
    audience.slice(0, -1),
    `${audience}.other`,
    audience.toUpperCase(),
    'other-service',
    ['other-service', '*'],
  ];
  return others.map((aud) => [`aud ${aud === absent ? 'absent' : show(aud)}`, forge.token({ claims: { aud } })]);
}

function otherTimes(forge: Forge): Named {
  const now = forge.nowSeconds();
  return [
    ['nbf in a minute', forge.token({ claims: { nbf: now + 60 } })],
    ['iat in an hour', forge.token({ claims: { iat: now + 3_600, exp: now + 7_200 } })],
    ['exp before iat', forge.token({ claims: { iat: now + 100, exp: now + 50 } })],
    ['exp absent', forge.token({ claims: { exp: absent } })],
    ['a life of ten years', forge.token({ claims: { exp: now + 315_360_000 } })],
  ];
}
