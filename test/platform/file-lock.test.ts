import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { emptyBook, issueToken } from '../../src/access/token.ts';
import { TokenFile } from '../../src/access/token-file.ts';
import { placeForToken } from '../../src/cli/wiring/client-access.ts';
import { appendDurably, replaceFile, writeNewFile } from '../../src/platform/durable-file.ts';
import { takeLock } from '../../src/platform/file-lock.ts';
import { identityOf } from '../process-identity.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const stranger = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' });
afterAll(() => stranger.kill('SIGKILL'));
const own = identityOf(process.pid);

describe('a lock', () => {
  const [pid, start, boot] = own.split(' ') as [string, string, string];
  test.each([
    ['is empty, as a full disk leaves one', ''],
    ['is torn', own.slice(0, -5)],
    ['names only a pid, and that is a living stranger', String(stranger.pid)],
    ['names a pid that is another process by now', `${stranger.pid} ${start} ${boot}`],
    ['is of another boot', `${pid} ${start} 00000000-0000-0000-0000-000000000000`],
    ['is of a process that has ended', `999999999 1 ${boot}`],
    ['is of 0.1.0', `${stranger.pid} 0b8f4a34-6d5f-4f0c-9b1b-6e3c0b1f7a10`],
    ['is no text', '\u0000\u0000'],
  ])('that %s holds nobody up', async (_, text) => {
    const path = join(temporaryFolder(), 'x.lock');
    writeFileSync(path, text);
    const lock = await takeLock(path);
    expect(readFileSync(path, 'utf8')).toBe(own);
    if ('release' in lock) await lock.release();
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  test('that a living process holds is refused with its pid, until it ends', async () => {
    const path = join(temporaryFolder(), 'x.lock');
    writeFileSync(path, identityOf(stranger.pid as number));
    expect(await takeLock(path)).toEqual({ holder: stranger.pid });
    expect(readdirSync(join(path, '..'))).toEqual(['x.lock']);
  });

  test.skipIf(process.getuid?.() !== 0)(
    'of another user, who lives, is refused although it cannot be read',
    async () => {
      const folder = temporaryFolder();
      chmodSync(folder, 0o777);
      const path = join(folder, 'x.lock');
      const lock = await takeLock(path);
      const source = JSON.stringify(new URL('../../src/platform/file-lock.ts', import.meta.url).href);
      const script = `import { register } from 'tsx/esm/api'; register();
      const { takeLock } = await import(${source});
      await takeLock(${JSON.stringify(path)}).then((taken) => console.log(JSON.stringify(taken)), (error) => console.log(error.code));`;
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        uid: 65_534,
        gid: 65_534,
        env: { HOME: folder },
        encoding: 'utf8',
      });
      expect(child.stdout.trim(), child.stderr).toBe('EACCES');
      expect(readFileSync(path, 'utf8')).toBe(own);
      if ('release' in lock) await lock.release();
    },
  );

  test("a folder in its place is in nobody's way", async () => {
    const path = join(temporaryFolder(), 'x.lock');
    mkdirSync(path);
    expect('release' in (await takeLock(path))).toBe(true);
  });

  test('of many at once one has it, also over a stale one, and a failed write leaves nothing', async () => {
    for (const stale of [null, '']) {
      const path = join(temporaryFolder(), 'x.lock');
      if (stale !== null) writeFileSync(path, stale);
      const taken = await Promise.all(Array.from({ length: 30 }, () => takeLock(path)));
      expect(taken.filter((lock) => 'release' in lock)).toHaveLength(1);
    }
    const nowhere = join(temporaryFolder(), 'missing', 'x.lock');
    await expect(takeLock(nowhere)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a file that is written durably', () => {
  test('is made new, for this user alone, and never through a link', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'a');
    await writeNewFile(file, 'x');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await expect(writeNewFile(file, 'y')).rejects.toMatchObject({ code: 'EEXIST' });
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(folder, 'link'));
    await expect(writeNewFile(join(folder, 'link'), 'y')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(appendDurably(join(folder, 'link'), 'y')).rejects.toMatchObject({ code: 'ELOOP' });
    symlinkSync(victim, join(folder, 'b.tmp'));
    await replaceFile(join(folder, 'b'), 'new');
    expect([readFileSync(victim, 'utf8'), readFileSync(join(folder, 'b'), 'utf8')]).toEqual(['precious', 'new']);
    expect(readdirSync(folder).sort()).toEqual(['a', 'b', 'link', 'victim']);
  });

  test('one that cannot be put in place leaves the old one and nothing beside it', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'a'));
    await expect(replaceFile(join(folder, 'a'), 'x')).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(['a']);
  });
});

describe('tokens', () => {
  const issue = (folder: string) =>
    new TokenFile(folder).issue((book) => issueToken(book, 'read', null, 1_000_000, null));

  test('an empty lock, such as a full disk left, blocks nobody', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'tokens.json.lock'), '');
    await issue(folder);
    await Promise.all(Array.from({ length: 5 }, () => issue(folder)));
    expect(new TokenFile(folder).book().tokens).toHaveLength(6);
    expect(readdirSync(folder)).toEqual(['tokens.json']);
  });

  test('what cannot be written is a sentence, and the book is as it was', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'tokens.json.tmp'));
    writeFileSync(join(folder, 'tokens.json.tmp', 'x'), '');
    await expect(issue(folder)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^cannot change .*tokens\.json: /),
    });
    expect(new TokenFile(folder).book()).toEqual(emptyBook());
    expect(readdirSync(folder)).toEqual(['tokens.json.tmp']);
  });

  test('the place for the token of a join is found before, and a join that is refused leaves nothing', async () => {
    const folder = temporaryFolder();
    const place = await placeForToken(folder, 'http://10.0.0.1:8000');
    expect(readdirSync(join(folder, 'token'))).toEqual([]);
    const path = await place.keep('aw_w_x');
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['aw_w_x\n', 0o600]);
    rmSync(path);
    writeFileSync(join(folder, 'plain'), '');
    await expect(placeForToken(join(folder, 'plain'), 'http://10.0.0.1:8000')).rejects.toThrow(/choose another folder/);
  });
});
