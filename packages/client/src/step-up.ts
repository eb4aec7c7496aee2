/** Calls that want a fresh authentication, made as if they did not. */
import { AuthError, type Challenge } from './errors.ts';

/**
 * Does `act`; where the service answers `reauthentication_required`, lets `prove` ask the user (`auth.reauthenticate`,
 * `reauthenticateWithPasskey`) for what the challenge names, and does `act` once more. What `prove` rejects with is passed on.
 */
export async function withStepUp<T>(
  act: () => Promise<T>,
  prove: (challenge: Challenge) => Promise<unknown>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof AuthError) || error.challenge === null) throw error;
    await prove(error.challenge);
    return act();
  }
}
