import type { TokenSource } from '../access/admission.ts';
import type { LargeAnswers } from './large-answer.ts';
import type { Services } from './services.ts';

/** What every group of routes is given. */
export interface AppParts extends Services {
  tokens: TokenSource;
  largeAnswers: LargeAnswers;
}
