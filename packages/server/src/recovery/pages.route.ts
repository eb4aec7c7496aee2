/** GET /verify-email, /change-email, /reset-password: what links in mails open. */
import { defineRoute, type RouteDefinition } from '../platform/http/index.ts';
import { type MailPageName, renderMailPage } from './page.ts';

const contentType = 'text/html; charset=utf-8';
const nonceBytes = 16;

export function mailPageRoutes(bytes: (count: number) => Buffer): readonly RouteDefinition[] {
  const route = (name: MailPageName, summary: string): RouteDefinition =>
    defineRoute({
      method: 'GET',
      path: `/${name}`,
      summary,
      description: 'Shows a form, and changes nothing: the form sends what stands in it to the API.',
      tags: ['recovery'],
      access: { kind: 'public' },
      limit: 'api',
      unknownFields: 'ignore',
      answers: { 200: { description: 'The page.', contentType } },
      errors: [],
      handle() {
        const { html, contentSecurityPolicy } = renderMailPage(name, bytes(nonceBytes).toString('base64'));
        const headers = { 'Content-Security-Policy': contentSecurityPolicy, 'X-Robots-Tag': 'noindex, nofollow' };
        return { status: 200, body: html, contentType, headers };
      },
    });
  return [
    route('verify-email', 'The page that confirms the address of an account'),
    route('change-email', 'The page that confirms another address'),
    route('reset-password', 'The page that chooses a new password'),
  ];
}
