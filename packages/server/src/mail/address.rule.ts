/** The last look at an address before it is handed to a mail server: one mailbox, nothing that a header or a list is made of. */

const octetsMax = 254;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const mailbox = /^[^\s\u0000-\u001f\u007f@<>()[\]\\,;:"]{1,64}@[A-Za-z0-9.-]{1,253}$/;

export const isMailable = (address: string): boolean =>
  Buffer.byteLength(address) <= octetsMax && mailbox.test(address);
