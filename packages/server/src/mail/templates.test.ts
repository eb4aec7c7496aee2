/** What mails say: nothing of a stranger's making, nothing that ends a line, and what an operator puts in its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Payload } from './kinds.ts';
import { createTemplates } from './templates.ts';
import { ownPlaceholders, shippedWording } from './wording.ts';

const publicUrl = 'https://auth.test';
const at = new Date('2026-11-28T12:34:56Z');
const payloadOf = (values: Payload['values']): Payload => ({
  to: 'ada@example.org',
  values,
  ip: '192.0.2.1',
  device: null,
});
const folder = (files: Readonly<Record<string, string>>) =>
  createTemplates({ publicUrl, readFile: (name) => files[name] });

test('every kind is rendered whole, in text and HTML', () => {
  const templates = createTemplates({ publicUrl });
  for (const [kind, names] of Object.entries(ownPlaceholders)) {
    const values = Object.fromEntries(names.map((name) => [name, `value-of-${name}`]));
    const rendered = templates.render(kind, payloadOf(values), at);
    assert.ok(rendered !== undefined, kind);
    for (const part of [rendered.subject, rendered.text, rendered.html]) assert.doesNotMatch(part, /[{}]{2}/, kind);
    for (const name of names) {
      assert.ok(rendered.text.includes(`value-of-${name}`), `${kind} shows ${name}`);
      assert.ok(rendered.html.includes(`value-of-${name}`), `${kind} shows ${name}`);
    }
    assert.ok(rendered.subject.length < 60 && !/https?:/.test(rendered.subject), rendered.subject);
  }
  assert.deepEqual(Object.keys(shippedWording), Object.keys(ownPlaceholders));
  assert.equal(templates.render('of a newer version', payloadOf({}), at), undefined);
});

test('INP a value is escaped, put in once, and cannot begin a line', () => {
  const name = '<b onx="1">{{to}}\r\nBcc: eve@example.org';
  const { text, html } =
    createTemplates({ publicUrl }).render('passkey_added', payloadOf({ name }), at) ?? assert.fail();
  assert.ok(html.includes('&lt;b onx=&quot;1&quot;&gt;{{to}} Bcc: eve@example.org'), html);
  assert.ok(text.includes('<b onx="1">{{to}} Bcc:'), text);
  const own = folder({ 'passkey_added.txt': 'Subject: New: {{name}}\n\nHello {{to}}' });
  const { subject } = own.render('passkey_added', payloadOf({ name }), at) ?? assert.fail();
  assert.doesNotMatch(subject, /[\r\n]/);
});

test('a folder replaces the wording of a kind, and HTML is made of its text where there is none', () => {
  const text = 'Subject: Hallo\r\n\r\nGuten Tag {{to}}.\r\n\r\n{{link}}\r\n\r\n{{code}}\r\n';
  const values = { link: 'https://auth.test/x#token=A&b', code: 'ABCD-EFGH', valid: '1 hour' };
  const plain = folder({ 'verify_email.txt': text }).render('verify_email', payloadOf(values), at) ?? assert.fail();
  assert.equal(plain.text, 'Guten Tag ada@example.org.\n\nhttps://auth.test/x#token=A&b\n\nABCD-EFGH');
  assert.match(plain.html, /href="https:\/\/auth\.test\/x#token=A&amp;b"/);
  const both = { 'verify_email.txt': text, 'verify_email.html': '<p>{{to}} {{link}} {{code}}</p>' };
  const own = folder(both).render('verify_email', payloadOf(values), at);
  assert.equal(own?.html, '<p>ada@example.org https://auth.test/x#token=A&amp;b ABCD-EFGH</p>');
});

test('a template that could not serve stops the start, and says which', () => {
  for (const [files, problem] of [
    [{ 'verify_email.txt': 'no subject' }, /verify_email\.txt must begin/],
    [{ 'verify_email.txt': 'Subject: x\n\n{{link}} {{code}} {{password}}' }, /\{\{password\}\}, which is not known/],
    [{ 'verify_email.txt': 'Subject: x\n\n{{link}}' }, /lacks \{\{code\}\}/],
    [{ 'verify_email.txt': 'Subject: {{code}}\n\n{{link}} {{code}}' }, /in the subject/],
    [{ 'verify_email.html': '<p>' }, /stands without verify_email\.txt/],
  ] as const) {
    assert.throws(() => folder(files), { message: new RegExp(`^MAIL_TEMPLATES: .*${problem.source}`) });
  }
});
