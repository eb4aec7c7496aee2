/** What `doctor` says of one thing. */
export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warning' | 'failed';
  /** Where it is not ok: what to mend. */
  readonly detail: string;
}
