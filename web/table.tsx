import type { ComponentChildren } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import { count } from './format.ts';
import { say } from './text.ts';

export interface Column<Row> {
  key: string;
  title: string;
  /** What it is sorted by. */
  value: (row: Row) => string | number | null;
  show?: (row: Row) => ComponentChildren;
  isNumber?: boolean;
}

interface TableProps<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** The column it is sorted by at first, highest first. */
  sortedBy?: string;
  /** What a filter looks at; absent: there is none. */
  filterBy?: (row: Row) => string;
}

const rowHeight = 33;
/** As many are drawn above and below what is seen. */
const beyond = 8;
/** So many are drawn without windows. */
const small = 60;

/** Of many rows only those that are seen are drawn. */
export function Table<Row>({ caption, columns, rows, rowKey, sortedBy, filterBy }: TableProps<Row>) {
  const [order, setOrder] = useState({ key: sortedBy ?? '', isDown: true });
  const [filter, setFilter] = useState('');
  const [top, setTop] = useState(0);
  const box = useRef<HTMLElement>(null);
  const shown = useMemo(() => sorted(filtered(rows, filter, filterBy), columns, order), [rows, filter, order, columns]);
  const isWindowed = shown.length > small;
  const height = box.current?.clientHeight ?? 600;
  const first = isWindowed ? Math.max(0, Math.floor(top / rowHeight) - beyond) : 0;
  const last = isWindowed ? Math.min(shown.length, Math.ceil((top + height) / rowHeight) + beyond) : shown.length;
  const sortBy = (key: string) => setOrder({ key, isDown: order.key === key ? !order.isDown : true });
  return (
    <>
      {filterBy && (
        <p class="tools">
          <label>
            {say('filter')}{' '}
            <input
              type="search"
              data-filter
              value={filter}
              onInput={(event) => {
                setFilter(event.currentTarget.value);
                setTop(0);
                if (box.current) box.current.scrollTop = 0;
              }}
            />
          </label>{' '}
          <span role="status">{say(shown.length === 1 ? 'row' : 'rows', { n: count(shown.length) })}</span>
        </p>
      )}
      <section
        class={isWindowed ? 'box windowed' : 'box'}
        aria-label={caption}
        tabIndex={0}
        ref={box}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        <table aria-rowcount={shown.length + 1}>
          <caption class="unseen">{caption}</caption>
          <thead>
            <tr>
              {columns.map(({ key, title, isNumber }) => (
                <th
                  key={key}
                  scope="col"
                  class={isNumber ? 'number' : ''}
                  aria-sort={order.key === key ? (order.isDown ? 'descending' : 'ascending') : 'none'}
                >
                  <button type="button" onClick={() => sortBy(key)}>
                    {title}
                    <span aria-hidden="true">{order.key === key ? (order.isDown ? ' ↓' : ' ↑') : ''}</span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {first > 0 && <Gap rows={first} columns={columns.length} />}
            {shown.slice(first, last).map((row, index) => (
              <tr key={rowKey(row)} aria-rowindex={first + index + 2}>
                {columns.map(({ key, title, value, show, isNumber }) => (
                  <td key={key} class={isNumber ? 'number' : ''} data-title={title}>
                    {show ? show(row) : (value(row) ?? '-')}
                  </td>
                ))}
              </tr>
            ))}
            {last < shown.length && <Gap rows={shown.length - last} columns={columns.length} />}
          </tbody>
        </table>
      </section>
    </>
  );
}

function Gap({ rows, columns }: { rows: number; columns: number }) {
  return (
    <tr>
      <td colSpan={columns} style={{ height: `${rows * rowHeight}px`, padding: 0 }} />
    </tr>
  );
}

function filtered<Row>(rows: readonly Row[], filter: string, text?: (row: Row) => string): readonly Row[] {
  const wanted = filter.trim().toLowerCase();
  return wanted === '' || text === undefined ? rows : rows.filter((row) => text(row).toLowerCase().includes(wanted));
}

function sorted<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { key, isDown }: { key: string; isDown: boolean },
): readonly Row[] {
  const column = columns.find((each) => each.key === key);
  if (column === undefined) return rows;
  const sign = isDown ? -1 : 1;
  return rows.toSorted((a, b) => sign * compared(column.value(a), column.value(b)));
}

/** What is not known is lowest; texts by their letters. */
function compared(a: string | number | null, b: string | number | null): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? 1 : a > b ? -1 : 0;
  return a === b ? 0 : a === null ? -1 : b === null ? 1 : typeof a === 'number' ? -1 : 1;
}
