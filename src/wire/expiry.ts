import Type, { type Static } from 'typebox';

export const expirySchema = Type.Object(
  {
    waiting: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: "Why nothing is forgotten now: this server's clock is in doubt. null: it is not.",
    }),
    oldestKept: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      format: 'date-time',
      description: 'What is older is forgotten; null: nothing is.',
    }),
    expiresItself: Type.Boolean({ description: 'InfluxDB: by its own clock and its own retention.' }),
  },
  { title: 'Expiry' },
);
export type ExpiryAnswer = Static<typeof expirySchema>;
