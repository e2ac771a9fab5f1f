import type { TokenSource } from '../access/admission.ts';
import type { LargeAnswers } from './large-answer.ts';
import type { OwnMetrics } from './own-metrics.ts';
import type { Services } from './services.ts';
import type { TableTexts } from './table-texts.ts';
import type { TcpAgents } from './tcp/tcp-agents.ts';

/** What every group of routes is given. */
export interface AppParts extends Services {
  tokens: TokenSource;
  agents: TcpAgents;
  ownMetrics: OwnMetrics;
  largeAnswers: LargeAnswers;
  tableTexts: TableTexts;
}
