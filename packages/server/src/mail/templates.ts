/**
 * What a mail says: the wording as shipped, or what a folder has in its place.
 *
 * - `KIND.txt` begins with `Subject: …` and an empty line; `KIND.html`, where there is one, is the whole HTML part, else it is made
 *   from the text. Placeholders are `{{name}}`, and nothing else is looked at.
 * - A template that names an unknown placeholder, or hides the secret that its mail is for, stops the start.
 * - Values are put in once and never looked at again; in HTML they are escaped, and none of them can end a line.
 */
import type { MailKind, Payload } from './kinds.ts';
import { ownPlaceholders, shippedWording } from './wording.ts';

type Sent = Exclude<MailKind, 'nothing'>;

export interface Rendered {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface Templates {
  /** `undefined` for a kind that this version does not know. */
  render(kind: string, payload: Payload, createdAt: Date): Rendered | undefined;
}

interface Template {
  readonly subject: string;
  readonly text: string;
  readonly html: string | undefined;
}

const common = ['service', 'url', 'to', 'time', 'where'];
const placeholder = /\{\{([^{}]*)\}\}/g;

export interface TemplatesOptions {
  readonly publicUrl: string;
  /** The text of a file of the folder; `undefined` where there is none. */
  readonly readFile?: ((name: string) => string | undefined) | undefined;
}

export function createTemplates({ publicUrl, readFile = () => undefined }: TemplatesOptions): Templates {
  const templates = new Map<string, Template>();
  for (const kind of Object.keys(shippedWording) as Sent[]) {
    const own = readFile(`${kind}.txt`);
    const html = readFile(`${kind}.html`);
    if (own === undefined && html !== undefined)
      throw new Error(`MAIL_TEMPLATES: ${kind}.html stands without ${kind}.txt`);
    const template = parse(own ?? shippedWording[kind], `${kind}.txt`, html);
    check(kind, template);
    templates.set(kind, template);
  }
  const service = new URL(publicUrl).host;
  return {
    render(kind, payload, createdAt) {
      const template = templates.get(kind);
      if (template === undefined) return undefined;
      const values: Record<string, string> = {
        ...payload.values,
        ...{ service, url: publicUrl, to: payload.to, time: timeText(createdAt), where: whereText(payload) },
      };
      const plain = (name: string): string => oneLine(values[name] ?? '');
      const text = fill(template.text, plain);
      return {
        subject: fill(template.subject, plain),
        text,
        html:
          template.html === undefined
            ? pageOf(template.text, plain)
            : fill(template.html, (name) => escapeHtml(plain(name))),
      };
    },
  };
}

function parse(text: string, name: string, html: string | undefined): Template {
  const match = /^Subject: ([^\r\n]+)\r?\n\r?\n([\s\S]+)$/.exec(text);
  if (match === null) throw new Error(`MAIL_TEMPLATES: ${name} must begin with "Subject: …" and an empty line`);
  return { subject: match[1] ?? '', text: (match[2] ?? '').replaceAll('\r\n', '\n').trimEnd(), html };
}

function check(kind: Sent, template: Template): void {
  const own = ownPlaceholders[kind];
  const parts = {
    subject: template.subject,
    text: template.text,
    ...(template.html === undefined ? {} : { html: template.html }),
  };
  for (const [part, text] of Object.entries(parts)) {
    const names = [...text.matchAll(placeholder)].map((match) => match[1] ?? '');
    const unknown = names.find((name) => !common.includes(name) && !own.includes(name));
    if (unknown !== undefined)
      throw new Error(`MAIL_TEMPLATES: ${kind} (${part}) names {{${unknown}}}, which is not known`);
    if (part === 'subject' && names.some((name) => name === 'link' || name === 'code')) {
      throw new Error(`MAIL_TEMPLATES: ${kind} shows its secret in the subject`);
    }
    const hidden =
      part === 'subject' ? undefined : ['link', 'code'].find((name) => own.includes(name) && !names.includes(name));
    if (hidden !== undefined) throw new Error(`MAIL_TEMPLATES: ${kind} (${part}) lacks {{${hidden}}}`);
  }
}

const fill = (text: string, value: (name: string) => string): string =>
  text.replaceAll(placeholder, (_whole, name: string) => value(name));

/** Control characters and line ends become blanks: a value cannot begin a line, nor a header. */
const oneLine = (value: string): string => value.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, 2_000);

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

const timeText = (at: Date): string => `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
const whereText = ({ ip, device }: Payload): string =>
  [device, ip].filter((part) => part !== null).join(', ') || 'not known';

/** The text as a page: paragraphs, the link as a button, the code in large letters. Styles stand on the elements, as mail readers want it. */
function pageOf(text: string, plain: (name: string) => string): string {
  const value = (name: string): string => escapeHtml(plain(name));
  const blocks = text.split(/\n{2,}/).map((block) => {
    if (block.trim() === '{{link}}') {
      return `<p style="margin:24px 0"><a href="${value('link')}" style="background:#1f5fbf;color:#ffffff;padding:12px 20px;border-radius:6px;text-decoration:none;font-weight:bold">Open the page</a></p>
<p style="font-size:13px;color:#555555;word-break:break-all">${value('link')}</p>`;
    }
    if (block.trim() === '{{code}}') {
      return `<p style="font-family:monospace;font-size:22px;letter-spacing:1px">${value('code')}</p>`;
    }
    return `<p>${fill(escapeHtml(block), value).replaceAll('\n', '<br>\n')}</p>`;
  });
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="margin:0;padding:24px;background:#ffffff;color:#1a1a1a;font-family:sans-serif;font-size:16px;line-height:1.5">
<div style="max-width:560px;margin:0 auto">
${blocks.join('\n')}
</div>
</body>
</html>
`;
}
