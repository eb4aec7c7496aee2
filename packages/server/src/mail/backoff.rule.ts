/** When a mail that could not be sent is tried again, and when no more. */

export const attemptsMax = 10;
const firstSeconds = 5;
const factor = 3;
const secondsMax = 3_600;

/** `attempts`: so many were made. `chance`: 0 to 1; spreads the mails that failed together. All ten take about four hours. */
export function retryInSeconds(attempts: number, chance: number): number {
  const seconds = Math.min(secondsMax, firstSeconds * factor ** (attempts - 1));
  return seconds * (0.8 + 0.4 * chance);
}
