/**
 * Where the service's parts are, from its metadata document (RFC 8414). The document must name the very issuer that was
 * configured, and every address in it must be under that issuer: keys are never fetched from anywhere else. Answers paths below
 * the issuer, so that a service may be reached by another name from within.
 */
import { isObject, type ServiceHttp } from './http.ts';

export interface ServicePaths {
  readonly jwks: string;
  readonly feed: string;
  readonly validate: string;
}

export const metadataPath = '/.well-known/oauth-authorization-server';

/** Throws for a document that is not there or cannot be trusted. */
export async function discover(http: ServiceHttp, issuer: string): Promise<ServicePaths> {
  const { status, json } = await http.send(metadataPath);
  if (status !== 200 || !isObject(json)) throw new Error(`the service has no metadata document (status ${status})`);
  if (json['issuer'] !== issuer)
    throw new Error(`the service calls itself ${JSON.stringify(json['issuer'])}, and not ${issuer} as issuer says`);
  const below = (name: string): string => {
    const url = json[name];
    const path = typeof url === 'string' && url.startsWith(`${issuer}/`) ? url.slice(issuer.length) : '';
    if (!/^(?:\/[\w.~-]+)+$/.test(path) || path.split('/').includes('..')) {
      throw new Error(`the metadata document names no ${name} below its issuer`);
    }
    return path;
  };
  return {
    jwks: below('jwks_uri'),
    feed: below('revocation_feed_endpoint'),
    validate: below('token_validation_endpoint'),
  };
}
