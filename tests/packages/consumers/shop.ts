/** An application of somebody else, for a page or for Node: compiled against the packed types, never run. */
import { AuthError, type AuthState, createClient, memoryStorage } from '@auth-service/client';
import { canUsePasskeys, loginWithPasskey } from '@auth-service/client/passkeys';
import type { ErrorCode, Session, User } from '@auth-service/protocol';

export const auth = createClient({ baseUrl: 'https://auth.example.org', storage: memoryStorage() });
export async function signIn(email: string, password: string): Promise<User> {
  const result = await auth.login({ email, password });
  if (result.kind === 'signed_in') return result.user;
  // @ts-expect-error a login that waits for a second factor has no user
  void result.user;
  return auth.verifyMfa({ code: result.methods.includes('totp') ? '123456' : '' });
}
export const sessions = (signal: AbortSignal): Promise<readonly Session[]> => auth.sessions({ signal });
export const off: () => void = auth.onChange((state: AuthState) => {
  if (state.status === 'signed_in') console.log(state.user?.email);
  // @ts-expect-error who is signed out has no session
  else console.log(state.session_id);
});
const locked: ErrorCode = 'account_locked';
export const isLocked = (error: unknown): boolean => error instanceof AuthError && error.code === locked;
export const passkey = (): Promise<User> | undefined => (canUsePasskeys() ? loginWithPasskey(auth) : undefined);
export const orders = (): Promise<Response> => auth.fetch('/orders', { method: 'POST', body: '{}' });
// @ts-expect-error one proof at least
void auth.verifyMfa({});
// @ts-expect-error there is no such mode
createClient({ baseUrl: '', mode: 'both' });
