import Type, { type Static } from 'typebox';
import { instant, optionalInstant, text } from './fields.ts';

const sourceSchema = Type.Object(
  {
    name: Type.String({ description: 'Also the label source of its series.' }),
    url: Type.String(),
    state: Type.Enum(['ok', 'away'], { description: 'away: its last answer was none.' }),
    answered: optionalInstant('When it answered last; null: not since the start of the server.'),
    failure: text,
    series: Type.Integer({ description: 'With samples in its last answer.' }),
    samples: Type.Integer({ description: 'Stored since the start of the server.' }),
    notKept: Type.Integer({ description: 'What its last answer had that cannot be kept.' }),
    notKeptReason: text,
    missing: Type.Number({ description: 'Seconds of its past that are still to be fetched.' }),
  },
  { title: 'Source' },
);
export type SourceAnswer = Static<typeof sourceSchema>;

export const sourcesSchema = Type.Object(
  { at: instant('Now.'), sources: Type.Array(sourceSchema) },
  { title: 'Sources' },
);
export type SourcesAnswer = Static<typeof sourcesSchema>;
