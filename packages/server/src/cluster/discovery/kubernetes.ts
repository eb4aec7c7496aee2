/**
 * `kubernetes`: the pods that `KUBERNETES_SELECTOR` picks in a namespace, from the API server, as the pod's service account.
 *
 * - The server proves itself by the CA of the service account; the token goes nowhere else, redirects included, and is read
 *   anew for each look, since the kubelet changes it.
 * - Whether a pod is ready does not matter (a pod that is not ready may vouch for tokens); one that has ended, or has no
 *   address yet, is left out.
 * - An answer is read up to a limit of bytes, a list up to a limit of pages. What is refused, hangs, or makes no sense is a
 *   failed look.
 */
import { request } from 'node:https';
import type { Discovery, PeerAddress } from './discovery.ts';
import { createPolling, type PollingDeps } from './polling.ts';

export interface KubernetesLook {
  readonly selector: string;
  /** The pod's own, where it is not given. */
  readonly namespace: string | undefined;
  /** Of the mesh, on every pod. */
  readonly port: number;
  /** `KUBERNETES_SERVICE_HOST` and `_PORT`. */
  readonly apiServer: PeerAddress;
}

export interface KubernetesDeps extends PollingDeps {
  /** Throws what `node:fs` throws. */
  readonly readFile: (path: string) => Promise<string>;
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';
const pageItems = 50;
const pagesMax = 20;
const pageBytesMax = 4 * 1024 * 1024;
const continueCharactersMax = 4_096;

interface Access {
  readonly ca: string;
  readonly token: string;
  readonly namespace: string;
}

interface Page {
  readonly peers: readonly string[];
  readonly next: string | undefined;
}

export function createKubernetesDiscovery(given: KubernetesLook, deps: KubernetesDeps): Discovery {
  const look = async (signal: AbortSignal): Promise<readonly PeerAddress[]> => {
    const access = await readAccess(given.namespace, deps.readFile);
    const hosts: string[] = [];
    let next: string | undefined;
    for (let page = 0; page === 0 || next !== undefined; page++) {
      if (page >= pagesMax) throw new Error(`the selector picks more than ${pagesMax * pageItems} pods`);
      const answer = await get(given.apiServer, pathOf(access.namespace, given.selector, next), access, signal);
      if (answer.status !== 200) throw new Error(refusalOf(answer.status, access.namespace));
      const { peers, next: following } = readPage(answer.body);
      hosts.push(...peers);
      next = following;
    }
    return hosts.map((host) => ({ host, port: given.port }));
  };
  return createPolling({ where: 'the Kubernetes API', look }, deps);
}

async function readAccess(namespace: string | undefined, readFile: KubernetesDeps['readFile']): Promise<Access> {
  const read = async (name: string): Promise<string> => {
    const path = `${serviceAccount}/${name}`;
    const text = await readFile(path).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      throw new Error(`${path} cannot be read (${code}); does the pod mount its service account?`, { cause: error });
    });
    if (text.trim() === '') throw new Error(`${path} is empty`);
    return text.trim();
  };
  const [ca, token, own] = await Promise.all([read('ca.crt'), read('token'), namespace ?? read('namespace')]);
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error(`${serviceAccount}/token holds no token`);
  return { ca, token, namespace: own };
}

function pathOf(namespace: string, selector: string, next: string | undefined): string {
  const query = new URLSearchParams({ labelSelector: selector, limit: String(pageItems) });
  if (next !== undefined) query.set('continue', next);
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods?${query.toString()}`;
}

function refusalOf(status: number, namespace: string): string {
  if (status === 401) return 'answered 401: the token of the service account is not accepted';
  if (status === 403) return `answered 403: the service account may not list pods in ${namespace}`;
  return `answered ${status}`;
}

function get(
  server: PeerAddress,
  path: string,
  access: Access,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: server.host,
      port: server.port,
      path,
      headers: { Accept: 'application/json', Authorization: `Bearer ${access.token}` },
      ca: access.ca,
      rejectUnauthorized: true,
      agent: false,
      signal,
    });
    const fail = (error: Error): void => {
      asked.destroy();
      reject(error);
    };
    asked.once('error', (error) => fail(new Error(`no answer (${codeOf(error)})`, { cause: error })));
    asked.once('response', (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > pageBytesMax) fail(new Error(`its answer is longer than ${pageBytesMax} bytes`));
      });
      answer.once('error', (error) => fail(new Error(`its answer broke off (${codeOf(error)})`, { cause: error })));
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    asked.end();
  });
}

const codeOf = (error: Error): string => ('code' in error && typeof error.code === 'string' ? error.code : error.name);

function readPage(body: string): Page {
  const list = parse(body);
  const items = isRecord(list) ? list['items'] : undefined;
  if (!isRecord(list) || !Array.isArray(items)) throw new Error('its answer is no list of pods');
  const metadata = list['metadata'];
  const next = isRecord(metadata) ? metadata['continue'] : undefined;
  const goesOn = typeof next === 'string' && next !== '' && next.length <= continueCharactersMax;
  return { peers: items.flatMap(addressOf), next: goesOn ? next : undefined };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new Error('its answer is no JSON', { cause: error });
  }
}

function addressOf(pod: unknown): readonly string[] {
  const status = isRecord(pod) ? pod['status'] : undefined;
  if (!isRecord(status) || status['phase'] === 'Succeeded' || status['phase'] === 'Failed') return [];
  const address = status['podIP'];
  return typeof address === 'string' && address !== '' ? [address] : [];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
