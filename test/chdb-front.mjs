import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

/**
 * Today's ClickHouse, in this process, behind as much of its HTTP interface as the store needs:
 * `node chdb-front.mjs FOLDER_WITH_CHDB FOLDER_FOR_DATA PORT`.
 */
const [installed = '', folder = '', port = ''] = process.argv.slice(2);
const { Session } = createRequire(`${installed}/`)('chdb');
const session = new Session(folder, { connectionArgs: ['--max_threads=1'] });
const noSettings = ['query', 'database', 'query_id', 'session_id', 'user', 'password', 'role', 'default_format'];
const quoted = (text, quote) => `${quote}${text.replaceAll(/[\\'`]/g, '\\$&')}${quote}`;

/** One at a time: the session has one current database. What is inserted it takes from a file alone. */
function answer(parameters, body) {
  session.query(`USE ${quoted(parameters.get('database') ?? 'default', '`')}`);
  for (const [name, value] of parameters)
    if (!noSettings.includes(name)) session.query(`SET ${name} = ${quoted(value, "'")}`);
  const query = parameters.get('query') ?? '';
  const [, insert, format] = /^\s*(INSERT\s.*)\s(FORMAT\s+\w+)\s*$/is.exec(query) ?? [];
  if (insert === undefined) return session.query(`${query}${body}`, parameters.get('default_format') ?? 'TabSeparated');
  const file = `${folder}.insert`;
  writeFileSync(file, body);
  try {
    return session.query(`${insert} FROM INFILE ${quoted(file, "'")} ${format}`);
  } finally {
    rmSync(file, { force: true });
  }
}

createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://front');
  try {
    response.end(pathname === '/ping' ? 'Ok.\n' : answer(searchParams, Buffer.concat(await request.toArray())));
  } catch (error) {
    const said = error.message.replace('Query failed: ', '');
    const code = error.clickhouseCode ?? /Code: (\d+)/.exec(said)?.[1] ?? 1002;
    response.writeHead(500, { 'x-clickhouse-exception-code': code }).end(`${said}\n`);
  }
}).listen(Number(port), '127.0.0.1');
