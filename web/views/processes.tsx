import { count, decimal } from '../format.ts';
import { Link, Loading, Problem } from '../parts.tsx';
import { type ProcessRow, useProcessRows } from '../process-rows.ts';
import { Table } from '../table.tsx';
import { say } from '../text.ts';

/** Every process of every host, or of one, of their newest snapshots. */
export function ProcessTable({ host }: { host?: string }) {
  const { rows, problem } = useProcessRows(host, 0);
  return (
    <>
      <Problem text={problem} />
      <Loading data={rows} problem={problem} />
      {rows?.length === 0 && <p>{say('noProcesses')}</p>}
      {rows !== null && rows.length > 0 && (
        <Table
          caption={say('processes')}
          rows={rows}
          rowKey={({ host, name }) => `${host}\n${name}`}
          sortedBy="cpu"
          filterBy={({ host, name }) => `${name} ${host}`}
          columns={[...(host === undefined ? [hostColumn] : []), ...columns]}
        />
      )}
    </>
  );
}

export const hostColumn = {
  key: 'host',
  title: say('host'),
  value: ({ host }: ProcessRow) => host,
  show: ({ host }: ProcessRow) => <Link to={['hosts', host]}>{host}</Link>,
};
export const columns = [
  {
    key: 'name',
    title: say('process'),
    value: ({ name }: ProcessRow) => name,
    show: ({ host, name }: ProcessRow) => (
      <Link row to={['hosts', host, name]}>
        {name}
      </Link>
    ),
  },
  {
    key: 'cpu',
    title: say('cpu'),
    value: ({ cpu }: ProcessRow) => cpu,
    show: ({ cpu }: ProcessRow) => decimal(cpu),
    isNumber: true,
  },
  {
    key: 'memory',
    title: say('memory'),
    value: ({ memory }: ProcessRow) => memory,
    show: ({ memory }: ProcessRow) => decimal(memory),
    isNumber: true,
  },
  {
    key: 'count',
    title: say('instances'),
    value: ({ instances }: ProcessRow) => instances,
    show: ({ instances }: ProcessRow) => (instances === null ? '-' : count(instances)),
    isNumber: true,
  },
];

export function Processes() {
  return (
    <>
      <h1>{say('processes')}</h1>
      <ProcessTable />
    </>
  );
}
