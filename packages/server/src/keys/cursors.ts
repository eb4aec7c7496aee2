/**
 * Cursors of lists: where the next page begins, under a MAC that binds it to one list and its filters. So a cursor is what this
 * service has told, in the place it was told for, and never a text of the caller's that reaches a statement.
 */
import type { RootSecret } from './root-secret.ts';

/** What orders a list: texts and numbers, as the list's statement takes them. */
export type Place = readonly (string | number)[];

export interface Cursors {
  write(list: string, filters: unknown, place: Place): string;
  /** `undefined` for what is no cursor of ours, of this list, or with these filters. */
  read(list: string, filters: unknown, text: string): Place | undefined;
}

const macBytes = 16;
const textLengthMax = 4_096;

export function createCursors(root: Pick<RootSecret, 'mac' | 'macMatches'>): Cursors {
  return {
    write(list, filters, place) {
      const body = Buffer.from(JSON.stringify(place));
      const mac = root.mac('cursors', list, JSON.stringify(filters), body).subarray(0, macBytes);
      return Buffer.concat([mac, body]).toString('base64url');
    },
    read(list, filters, text) {
      if (text.length > textLengthMax || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
      const bytes = Buffer.from(text, 'base64url');
      if (bytes.length <= macBytes || bytes.toString('base64url') !== text) return undefined;
      const body = bytes.subarray(macBytes);
      const mac = bytes.subarray(0, macBytes);
      if (!root.macMatches('cursors', mac, list, JSON.stringify(filters), body)) return undefined;
      return JSON.parse(body.toString()) as Place;
    },
  };
}
