// @ts-check
/**
 * The server around the database: the listening socket, the start and the orderly end.
 *
 * The port is bound first, so that a wrong one is reported in milliseconds and not after the seconds a
 * database needs to start; who connects meanwhile hears that it is starting, as from PostgreSQL.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { Backend, BackendCrashed } from './backend.mjs';
import { DamagedDirectory, DataDirectory } from './data-directory.mjs';
import { Scheduler } from './scheduler.mjs';
import { Session } from './session.mjs';

/** The address can't be listened on. */
export class AddressUnavailable extends Error {}

/**
 * @typedef {object} ServerOptions
 * @property {string} host
 * @property {number} port 0: any free one
 * @property {string} data
 * @property {number} idleTransactionMs
 * @property {(line: string) => void} log
 */

const GOODBYE_MS = 300;

/** Reported to clients at the start of a session; drivers read some of them. */
const PARAMETERS = Object.freeze({
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  IntervalStyle: 'postgres',
  integer_datetimes: 'on',
  standard_conforming_strings: 'on',
  is_superuser: 'on',
  in_hot_standby: 'off',
  default_transaction_read_only: 'off',
});

export class TimescaleServer {
  #options;
  #directory;
  #listener = createServer();
  #nextId = 1;
  /** @type {import('./session.mjs').Context} */
  #context;
  /** @type {Backend | null} */
  #backend = null;
  /** @type {Set<string>} */
  #logged = new Set();

  /** @param {ServerOptions} options */
  constructor(options) {
    this.#options = options;
    this.#directory = new DataDirectory(options.data);
    this.#context = {
      scheduler: null,
      parameters: PARAMETERS,
      log: options.log,
      logOnce: (line) => {
        if (this.#logged.has(line)) return;
        this.#logged.add(line);
        options.log(line);
      },
    };
  }

  /**
   * @returns {Promise<{ port: number, version: string }>} once clients are welcome
   * @throws {AddressUnavailable | import('./data-directory.mjs').DirectoryInUse}
   */
  async start() {
    const { idleTransactionMs, log } = this.#options;
    const port = await this.#listen();
    await this.#directory.acquire();
    let backend;
    try {
      const aside = this.#directory.beginInitialisation();
      if (aside) log(`a creation that was cut short was moved to ${aside}`);
      backend = await Backend.open(this.#directory.database);
    } catch (error) {
      this.#directory.release();
      if (error instanceof DamagedDirectory) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new DamagedDirectory(
        `the database in ${this.#directory.database} can't be opened (${reason}). Nothing was ` +
          'removed. Restore a backup into a new directory, or move this one away to begin anew',
        { cause: error },
      );
    }
    this.#directory.endInitialisation();
    this.#backend = backend;
    this.#context.parameters = { server_version: backend.postgresVersion, ...PARAMETERS };
    this.#context.scheduler = new Scheduler({ backend, idleTransactionMs, log });
    return { port, version: backend.version };
  }

  /** Says goodbye to the clients, rolls back what is open, writes a checkpoint. */
  async stop() {
    this.#listener.close();
    const { scheduler } = this.#context;
    scheduler?.stop();
    const sessions = scheduler?.sessions ?? [];
    for (const session of sessions) {
      session.terminate('57P01', 'terminating connection due to administrator command');
    }
    // A client that reads its goodbye closes at once; the others are not waited for.
    if (sessions.length > 0) await Promise.race([once(this.#listener, 'close'), sleep(GOODBYE_MS)]);
    try {
      this.#backend?.close();
    } catch (error) {
      if (!(error instanceof BackendCrashed)) throw error;
      this.#options.log(`${error.message}; nothing is lost, the next start recovers`);
    }
    this.#backend = null;
    this.#directory.release();
  }

  /** @returns {Promise<number>} the port */
  async #listen() {
    const { host, port } = this.#options;
    this.#listener.on('connection', (socket) => {
      new Session(this.#nextId, socket, this.#context);
      this.#nextId += 1;
    });
    this.#listener.listen(port, host);
    try {
      await once(this.#listener, 'listening');
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      const reason =
        code === 'EADDRINUSE' ? 'is already in use' : `can't be listened on (${String(code)})`;
      throw new AddressUnavailable(`port ${port} on ${host} ${reason}`);
    }
    return /** @type {import('node:net').AddressInfo} */ (this.#listener.address()).port;
  }
}
