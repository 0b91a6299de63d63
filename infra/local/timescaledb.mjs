#!/usr/bin/env node
// @ts-check
/**
 * The embedded TimescaleDB of the local stack. For demos and tests, not for production.
 *
 *   node infra/local/timescaledb.mjs --port 54329 --data DIR
 *       [--host 127.0.0.1] [--idle-transaction-ms 60000] [--exit-with-parent]
 *
 * When it accepts connections it prints one line of JSON on stdout; everything for people goes to
 * stderr. Exit codes stand below.
 */
import { parseArgs } from 'node:util';

const EXIT = Object.freeze({
  OK: 0,
  CANNOT_START: 1,
  PORT_UNAVAILABLE: 2,
  DIRECTORY_IN_USE: 3,
  USAGE: 64,
  CRASHED: 70,
});

/** Clients are trusted without a password, so only those of this machine may connect. */
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** @param {string} line */
const log = (line) => process.stderr.write(`timescaledb: ${line}\n`);

/**
 * @param {string} reason
 * @param {number} code
 * @returns {never}
 */
function quit(reason, code) {
  log(reason);
  process.exit(code);
}

/**
 * @param {string} name
 * @param {string} text
 * @param {number} most
 */
function wholeNumber(name, text, most) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new RangeError(`--${name} must be a whole number from 0 to ${most}, not '${text}'`);
  }
  return value;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '54329' },
      host: { type: 'string', default: '127.0.0.1' },
      data: { type: 'string' },
      'idle-transaction-ms': { type: 'string', default: '60000' },
      'exit-with-parent': { type: 'boolean', default: false },
    },
  });
  if (!values.data) throw new RangeError('--data DIR is required');
  if (!LOOPBACK.has(values.host)) {
    throw new RangeError(`--host must be a loopback address, not '${values.host}'`);
  }
  return {
    port: wholeNumber('port', values.port, 65_535),
    host: values.host,
    data: values.data,
    idleTransactionMs: wholeNumber('idle-transaction-ms', values['idle-transaction-ms'], 2 ** 31),
    exitWithParent: values['exit-with-parent'],
  };
}

/** @returns {ReturnType<typeof readOptions>} */
function optionsOrUsage() {
  try {
    return readOptions();
  } catch (error) {
    return quit(error instanceof Error ? error.message : String(error), EXIT.USAGE);
  }
}

const began = performance.now();
const options = optionsOrUsage();

process.on('uncaughtException', (error) => {
  // A crash inside the database ends here too: its memory can't be trusted, a new start can.
  quit(`fatal: ${error.message}; acknowledged data is safe, start me again`, EXIT.CRASHED);
});

const { AddressUnavailable, TimescaleServer } = await loadServer();
const { DirectoryInUse } = await import('./timescaledb/data-directory.mjs');
const server = new TimescaleServer({ ...options, log });

let ready = false;
let stopping = false;
/** @param {string} why */
async function stop(why) {
  if (stopping) return;
  stopping = true;
  log(`${why}: closing`);
  if (ready) {
    await server.stop();
    process.exit(EXIT.OK);
  }
}

for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT'])) {
  process.on(signal, () => void stop(signal));
}
if (options.exitWithParent) {
  const { watchParent } = await import('./timescaledb/parent.mjs');
  watchParent(() => void stop('the parent process is gone'));
}

try {
  const { port, version } = await server.start();
  ready = true;
  if (stopping) {
    await server.stop();
    process.exit(EXIT.OK);
  }
  const ms = Math.round(performance.now() - began);
  process.stdout.write(`${JSON.stringify({ ready: true, port, ms, version })}\n`);
  log(`${version} on ${options.host}:${port}, data in ${options.data}; for demos and tests only`);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof AddressUnavailable) quit(reason, EXIT.PORT_UNAVAILABLE);
  if (error instanceof DirectoryInUse) quit(reason, EXIT.DIRECTORY_IN_USE);
  quit(`can't start: ${reason}`, EXIT.CANNOT_START);
}

async function loadServer() {
  try {
    return await import('./timescaledb/server.mjs');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return quit("can't start: run `npm ci` in infra/local first", EXIT.CANNOT_START);
  }
}
