import Type, { type Static } from 'typebox';
import { instant, integer, number } from './fields.ts';

const column = (description: string) => Type.Array(number, { description });

/** The newest snapshot of each host, its processes as columns of equal length. */
export const newestSchema = Type.Object(
  {
    at: instant('Now, or what was asked for.'),
    hosts: Type.Array(
      Type.Object({
        host: Type.String(),
        time: instant('Of its newest snapshot.'),
        process: Type.Array(Type.String()),
        cpu: column('Percent of one core.'),
        memory: column('RSS in percent of the host.'),
        count: Type.Array(integer, { description: 'Instances of the name.' }),
        pid: Type.Array(integer, { description: 'Of the instance with the most CPU.' }),
      }),
      { description: 'Those that are not silent, by name.' },
    ),
  },
  { title: 'Newest' },
);
export type NewestAnswer = Static<typeof newestSchema>;
