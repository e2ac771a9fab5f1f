import Type, { type Static } from 'typebox';
import { instant, number, optionalInstant, windowFields } from './fields.ts';

/** What is promised, and how it was kept. */

/** `status` is that of all. */
export const slaIdPattern = '^(?!status$)[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$';

const definitionFields = {
  selector: Type.String({ minLength: 1, description: 'The series, all of which are to be in the range.' }),
  objective: Type.Number({ exclusiveMinimum: 0, maximum: 100, description: 'Percent of the time.' }),
};

export const slaBodySchema = Type.Object(
  {
    ...definitionFields,
    min: Type.Optional(Type.Unsafe<number | null>({ type: ['number', 'null'], description: 'Absent or null: any.' })),
    max: Type.Optional(Type.Unsafe<number | null>({ type: ['number', 'null'], description: 'Absent or null: any.' })),
    windows: Type.Optional(
      Type.Array(Type.String(), { description: 'Over which it is told; default: 1h, 3h, 12h.', maxItems: 10 }),
    ),
  },
  { title: 'SlaDefinition', additionalProperties: false },
);

const versionSchema = Type.Object({
  since: optionalInstant('From when on it is in force; null: also for all of the past.'),
  ...definitionFields,
  min: number,
  max: number,
  windows: Type.Array(Type.String()),
});

export const slaSchema = Type.Object(
  {
    id: Type.String(),
    ...versionSchema.properties,
    versions: Type.Array(versionSchema, { description: 'What it was before too, oldest first.' }),
  },
  { title: 'Sla' },
);
export type SlaAnswer = Static<typeof slaSchema>;

export const slasSchema = Type.Object({ slas: Type.Array(slaSchema, { description: 'By id.' }) }, { title: 'Slas' });
export type SlasAnswer = Static<typeof slasSchema>;

const violationFields = {
  series: Type.String(),
  from: instant('When it began, or the window.'),
  to: instant('When it ended; the end of the window where it is open.'),
  durationSeconds: Type.Number(),
  side: Type.Enum(['above', 'below']),
  worst: Type.Number({ description: 'The value farthest from the range.' }),
};

export const violationsSchema = Type.Object(
  {
    id: Type.String(),
    ...windowFields,
    violations: Type.Array(Type.Object(violationFields), { description: 'Oldest first.' }),
  },
  { title: 'SlaViolations' },
);
export type ViolationsAnswer = Static<typeof violationsSchema>;

const windowStatusSchema = Type.Object({
  window: Type.String(),
  ...windowFields,
  violations: Type.Integer(),
  violatedSeconds: Type.Number({ description: 'In which at least one series was out of the range.' }),
  coverage: Type.Number({ description: 'Share of the window of which something is known: 0 to 1.' }),
  compliance: Type.Unsafe<number | null>({
    type: ['number', 'null'],
    description: 'Percent of the known time within the range; null: nothing is known.',
  }),
  met: Type.Unsafe<boolean | null>({ type: ['boolean', 'null'] }),
  budgetSeconds: Type.Number({ description: 'Violation that the objective allows in the window.' }),
  budgetLeftSeconds: Type.Number({ description: 'Below 0: more than that.' }),
  budgetUsedUpAt: optionalInstant('At this pace; null: never.'),
});

export const slaStatusSchema = Type.Object(
  {
    at: instant('Of the end of the windows.'),
    slas: Type.Array(
      Type.Object({
        id: Type.String(),
        objective: Type.Number(),
        violated: Type.Unsafe<boolean | null>({
          type: ['boolean', 'null'],
          description: 'Whether a series is out of the range now; null: nothing is known.',
        }),
        windows: Type.Array(windowStatusSchema),
        problem: Type.Unsafe<string | null>({
          type: ['string', 'null'],
          description: 'Why it could not be told; then there are no windows.',
        }),
      }),
      { description: 'By id.' },
    ),
  },
  { title: 'SlaStatus' },
);
export type SlaStatusAnswer = Static<typeof slaStatusSchema>;
