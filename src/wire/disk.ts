import Type, { type Static } from 'typebox';

const nullableInteger = (description: string) => Type.Unsafe<number | null>({ type: ['integer', 'null'], description });

export const diskSchema = Type.Object(
  {
    bytes: nullableInteger('All that the embedded store takes; null: another engine keeps it, and does not say.'),
    mostBytes: nullableInteger('The most that it may take (--max-disk); null: as much as the retentions come to.'),
    usedBytes: nullableInteger('Of the database what is in use: what is free it fills before it grows.'),
    databaseBytes: nullableInteger('Of these the database: the last hour or two, forecasts, and samples of others.'),
    hosts: Type.Integer({ description: 'That have reported.' }),
    kept: Type.Array(
      Type.Object({
        tier: Type.Enum(['rows', '1m', '1h', 'percentiles'], {
          description:
            'Process rows of closed hours, their roll-ups of a minute and of an hour, and what percentiles of these are told from.',
        }),
        files: Type.Integer(),
        rows: Type.Integer(),
        bytes: Type.Integer(),
        from: Type.String({ format: 'date-time' }),
        to: Type.String({ format: 'date-time' }),
        bytesPerDay: Type.Number({ description: 'What a day of it takes, of all hosts.' }),
      }),
    ),
  },
  { title: 'Disk' },
);
export type DiskAnswer = Static<typeof diskSchema>;
