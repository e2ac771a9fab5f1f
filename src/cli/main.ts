import { CommanderError } from 'commander';
import { messageOf } from '../core/error.ts';
import { unknownVariables } from './config/describe-config.ts';
import { exitCodeOf, exitCodes } from './exit-code.ts';
import { refuseSwallowedFlags } from './npm-flags.ts';
import { makeProgram } from './program.ts';
import { complain } from './terminal.ts';

async function main(): Promise<void> {
  // Whatever is made, also by DuckDB, is for this user alone.
  process.umask(0o077);
  // A terminal that was closed, or a pipe: what cannot be said must not keep what was taken from being stored.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    refuseSwallowedFlags(process.env);
    for (const wrong of unknownVariables(process.env)) complain(wrong);
    const program = await makeProgram(process.argv[2]);
    await program.parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    // Commander has said its own errors already.
    if (!(error instanceof CommanderError)) complain(messageOf(error));
    if (process.exitCode !== exitCodes.ok) process.exit();
  }
}

await main();
