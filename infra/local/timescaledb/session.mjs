// @ts-check
/**
 * One client's connection: the start-up handshake, then its messages grouped into units of work.
 *
 * Names of prepared statements get a prefix for each client. Portals need none: they end
 * with their transaction, and no one else runs during it.
 */
import { performance } from 'node:perf_hooks';

import { INSPECTED_BYTES, inspect } from './sql.mjs';
import {
  Client,
  IDLE,
  MessageReader,
  ProtocolError,
  STATEMENT_KIND,
  SYNC,
  Server,
  StartupCode,
  cString,
  closeStatement,
  commandComplete,
  copyInResponse,
  errorResponse,
  int32,
  message,
  parameterStatus,
  query,
  readCString,
  readyForQuery,
} from './wire.mjs';

/** @typedef {import('./scheduler.mjs').Scheduler} Scheduler */
/** @typedef {import('./scheduler.mjs').Step} Step */
/** @typedef {import('./scheduler.mjs').Unit} Unit */

/**
 * What sessions share.
 * @typedef {object} Context
 * @property {Scheduler | null} scheduler null while the database is starting
 * @property {Record<string, string>} parameters reported to each client
 * @property {(line: string) => void} log
 * @property {(line: string) => void} logOnce
 */

const SUPPORTED_MAJOR_VERSION = 3;
const LINGER_MS = 1000;
/** Start-up parameters that are no settings, or that hold already. */
const EXPECTED_PARAMETERS = new Set([
  'user',
  'database',
  'application_name',
  'client_encoding',
  'replication',
  'fallback_application_name',
]);

/** A copy under way: the message that began it and the data so far. */
class Copy {
  /**
   * @param {Buffer} head Query or Execute
   * @param {boolean} binary
   */
  constructor(head, binary) {
    this.head = head;
    this.binary = binary;
    this.isExtended = head[0] === Client.EXECUTE;
    /** @type {Buffer[]} */
    this.data = [];
  }
}

export class Session {
  #socket;
  #context;
  #reader = new MessageReader();
  /** @type {'startup' | 'open' | 'awaiting copy' | 'copying' | 'closed'} */
  #state = 'startup';
  /** @type {Copy | null} */
  #copy = null;

  /** @type {Buffer[]} Messages of the step being gathered. */
  #input = [];
  /** @type {Unit} The unit being gathered. */
  #draft = emptyUnit();
  /** @type {Map<string, boolean>} Statements and portals that copy from the client → binary. */
  #copyStatements = new Map();
  /** @type {Map<string, boolean>} */
  #copyPortals = new Map();

  /** @type {Unit[]} Work that waits for its turn. */
  units = [];
  /** @type {Set<string>} Names of statements in the backend. */
  statements = new Set();
  /** @type {Buffer | null} The Parse message of its unnamed statement. */
  unnamedParse = null;
  changedSettings = false;
  lastHeard = performance.now();

  /**
   * @param {number} id
   * @param {import('node:net').Socket} socket
   * @param {Context} context
   */
  constructor(id, socket, context) {
    this.id = id;
    this.label = `client ${id}`;
    this.#socket = socket;
    this.#context = context;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('drain', () => socket.resume());
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.#leave());
  }

  /** @param {Buffer} bytes */
  send(bytes) {
    if (bytes.length === 0 || !this.#socket.writable) return;
    // Responses that a slow client leaves unread must not pile up: stop reading its requests.
    if (!this.#socket.write(bytes)) this.#socket.pause();
  }

  /**
   * Ends the connection with a reason that the client can show.
   * @param {string} sqlState
   * @param {string} reason
   */
  terminate(sqlState, reason) {
    if (this.#socket.writable) this.#socket.end(errorResponse('FATAL', sqlState, reason));
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
    this.#leave();
  }

  /**
   * The scheduler has come to the COPY: from now on the client's messages are its data.
   * @param {{ accepted: boolean }} outcome false: the batch failed before it
   */
  startCopy({ accepted }) {
    if (this.#state !== 'awaiting copy' || !this.#copy) return;
    if (accepted) {
      this.#state = 'copying';
      this.send(copyInResponse(this.#copy.binary));
    } else {
      this.#state = 'open';
      this.#copy = null;
    }
    // Messages that were there already are read when the scheduler has finished its unit.
    setImmediate(() => this.#receive(null));
  }

  /** Whatever was complete still runs, as on a real server; the scheduler then cleans up. */
  #leave() {
    if (this.#state === 'closed') return;
    const joined = this.#state !== 'startup';
    this.#state = 'closed';
    if (joined) this.#submit({ ...emptyUnit(), ends: 'leave' });
  }

  /** @param {Buffer | null} chunk */
  #receive(chunk) {
    this.lastHeard = performance.now();
    if (chunk) this.#reader.push(chunk);
    try {
      while (this.#state !== 'closed' && this.#state !== 'awaiting copy') {
        const startup = this.#state === 'startup';
        const next = this.#reader.next({ startup });
        if (!next) break;
        if (startup) this.#startUp(next);
        else if (this.#state === 'copying') this.#takeCopyMessage(next);
        else this.#takeMessage(next);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.terminate('08P01', `protocol violation: ${error.message}`);
    }
  }

  // --- the start-up handshake ---------------------------------------------------------------

  /** @param {Buffer} request */
  #startUp(request) {
    const code = request.readInt32BE(4);
    if (code === StartupCode.SSL || code === StartupCode.GSS) {
      this.send(Buffer.from('N'));
    } else if (code === StartupCode.CANCEL) {
      this.#socket.destroy(); // nothing can be stopped half-way; closing is all a server ever says
    } else if (code >> 16 !== SUPPORTED_MAJOR_VERSION) {
      this.terminate('0A000', `unsupported protocol version ${code >> 16}.${code & 0xffff}`);
    } else if (!this.#context.scheduler) {
      this.terminate('57P03', 'the database system is starting up');
    } else {
      this.#open(this.#context.scheduler, code & 0xffff, startupParameters(request));
    }
  }

  /**
   * @param {Scheduler} scheduler
   * @param {number} minorVersion
   * @param {Map<string, string>} wanted
   */
  #open(scheduler, minorVersion, wanted) {
    const unknown = [...wanted.keys()].filter((name) => name.startsWith('_pq_.'));
    const reported = {
      ...this.#context.parameters,
      application_name: wanted.get('application_name') ?? '',
      session_authorization: wanted.get('user') ?? 'postgres',
    };
    for (const [name, value] of wanted) {
      if (EXPECTED_PARAMETERS.has(name) || name.startsWith('_pq_.')) continue;
      this.#context.logOnce(`start-up setting ignored (settings are shared): ${name}=${value}`);
    }
    const responses = [message(Server.AUTHENTICATION, int32(0))]; // trust: loopback only
    if (minorVersion > 0 || unknown.length > 0) {
      const newest = int32(SUPPORTED_MAJOR_VERSION << 16);
      const names = unknown.map(cString);
      responses.unshift(
        message(Server.NEGOTIATE_VERSION, newest, int32(names.length), ...names),
      );
    }
    responses.push(
      ...Object.entries(reported).map(([name, value]) => parameterStatus(name, value)),
      message(Server.BACKEND_KEY, int32(this.id), int32(0)),
      readyForQuery(IDLE),
    );
    this.#state = 'open';
    scheduler.join(this);
    this.send(Buffer.concat(responses));
  }

  // --- messages → units ---------------------------------------------------------------------

  /** @param {Buffer} next */
  #takeMessage(next) {
    switch (next[0]) {
      case Client.QUERY:
        return this.#takeQuery(next);
      case Client.PARSE:
        return this.#takeParse(next);
      case Client.BIND:
        return this.#takeBind(next);
      case Client.DESCRIBE:
      case Client.CLOSE:
        return this.#takeDescribeOrClose(next);
      case Client.EXECUTE:
        return this.#takeExecute(next);
      case Client.SYNC:
      case Client.FUNCTION_CALL:
        this.#input.push(next);
        return this.#finish('ready');
      case Client.FLUSH:
        // Responses are never held back, so a Flush is but the end of a unit. With nothing in front
        // of it (psycopg sends one behind its last Sync) there is nothing to hold the backend for.
        return this.#isDraftEmpty() ? undefined : this.#finish('hold');
      case Client.COPY_DATA:
      case Client.COPY_DONE:
      case Client.COPY_FAIL:
        return undefined; // the rest of a copy that has failed
      case Client.TERMINATE:
        this.#socket.end();
        return this.#leave();
      default:
        throw new ProtocolError(`message type ${next[0]}`);
    }
  }

  /** @param {Buffer} next */
  #takeQuery(next) {
    const traits = inspect(next.toString('utf8', 5, Math.min(next.length - 1, INSPECTED_BYTES)));
    this.#draft.traits.push(traits);
    this.#draft.setsUnnamed = true;
    this.unnamedParse = null; // a simple query drops it
    if (traits.copyFromStdin) return this.#awaitCopy(new Copy(next, traits.copyFromStdin.binary));

    const dropped = this.#deallocated(traits.deallocates);
    if (dropped) {
      const tag = traits.deallocates === '*' ? 'DEALLOCATE ALL' : 'DEALLOCATE';
      this.#dropStatements(dropped, { responseFirst: commandComplete(tag) });
      this.#input.push(SYNC);
      return this.#finish('ready');
    }
    if (traits.discardsAll) {
      this.#dropStatements(this.#ownStatements());
      this.#input.push(query('RESET ALL'));
    } else {
      this.#input.push(next);
    }
    return this.#finish('ready');
  }

  /** @param {Buffer} next */
  #takeParse(next) {
    const name = readCString(next, 5);
    const sql = readCString(next, name.next);
    const traits = inspect(sql.bytes.toString('utf8', 0, INSPECTED_BYTES));
    this.#draft.traits.push(traits);
    const key = name.bytes.toString();
    this.#copyStatements.delete(key);
    if (traits.copyFromStdin) this.#copyStatements.set(key, traits.copyFromStdin.binary);

    let text = sql.bytes;
    const dropped = this.#deallocated(traits.deallocates);
    if (dropped) {
      this.#dropStatements(dropped);
      text = Buffer.from('UNLISTEN "deallocated"'); // does nothing, and says so in one message
    } else if (traits.discardsAll) {
      this.#dropStatements(this.#ownStatements());
      text = Buffer.from('RESET ALL');
    }
    const rewritten = message(
      Client.PARSE,
      cString(this.#private(name.bytes)),
      cString(text),
      next.subarray(sql.next),
    );
    if (key === '') {
      this.#draft.setsUnnamed = true;
      this.unnamedParse = rewritten;
    } else {
      this.statements.add(`${this.#prefix}${key}`);
    }
    this.#input.push(rewritten);
  }

  /** @param {Buffer} next */
  #takeBind(next) {
    const portal = readCString(next, 5);
    const statement = readCString(next, portal.next);
    const binary = this.#copyStatements.get(statement.bytes.toString());
    if (binary === undefined) this.#copyPortals.delete(portal.bytes.toString());
    else this.#copyPortals.set(portal.bytes.toString(), binary);
    if (statement.bytes.length === 0) {
      this.#useUnnamed();
      this.#input.push(next);
      return;
    }
    const head = [cString(portal.bytes), cString(this.#private(statement.bytes))];
    this.#input.push(message(Client.BIND, ...head, next.subarray(statement.next)));
  }

  /** @param {Buffer} next */
  #takeDescribeOrClose(next) {
    const name = readCString(next, 6).bytes;
    if (next[5] !== STATEMENT_KIND) {
      this.#input.push(next);
      return;
    }
    const isClose = next[0] === Client.CLOSE;
    if (isClose) this.statements.delete(`${this.#prefix}${name}`);
    if (name.length === 0) {
      if (isClose) this.unnamedParse = null;
      else this.#useUnnamed();
    }
    const own = cString(this.#private(name));
    this.#input.push(message(next[0], Buffer.from([STATEMENT_KIND]), own));
  }

  /** @param {Buffer} next */
  #takeExecute(next) {
    const binary = this.#copyPortals.get(readCString(next, 5).bytes.toString());
    if (binary === undefined) this.#input.push(next);
    else this.#awaitCopy(new Copy(next, binary));
  }

  // --- copy ---------------------------------------------------------------------------------

  /** @param {Copy} copy */
  #awaitCopy(copy) {
    this.#copy = copy;
    this.#state = 'awaiting copy';
    this.#finish('copy');
  }

  /** @param {Buffer} next */
  #takeCopyMessage(next) {
    const copy = /** @type {Copy} */ (this.#copy);
    switch (next[0]) {
      case Client.COPY_DATA:
        copy.data.push(next);
        return;
      case Client.FLUSH:
      case Client.SYNC:
        return; // without meaning during a copy
      case Client.COPY_DONE:
      case Client.COPY_FAIL: {
        this.#copy = null;
        this.#state = 'open';
        // The backend gets statement and data in one piece: it has no way to wait for more. It
        // responds with a CopyInResponse of its own; the client has had ours.
        this.#step({ hide: [Server.COPY_IN] }, [copy.head, ...copy.data, next]);
        this.#finish(copy.isExtended ? 'hold' : 'ready');
        return;
      }
      default:
        throw new ProtocolError(`message type ${next[0]} during a copy`);
    }
  }

  // --- helpers ------------------------------------------------------------------------------

  get #prefix() {
    return `c${this.id}_`;
  }

  /**
   * @param {Buffer} name of a statement, as the client calls it
   * @returns {Buffer} as the backend does
   */
  #private(name) {
    return name.length === 0 ? name : Buffer.concat([Buffer.from(this.#prefix), name]);
  }

  #ownStatements() {
    return [...this.statements];
  }

  /**
   * What a DEALLOCATE means for this client alone.
   * @param {string | null} name
   * @returns {string[] | null} null: none of ours, the backend is to say what it thinks
   */
  #deallocated(name) {
    if (name === null) return null;
    if (name === '*') return this.#ownStatements();
    const own = `${this.#prefix}${name}`;
    return this.statements.has(own) ? [own] : null;
  }

  /**
   * @param {string[]} names
   * @param {{ responseFirst?: Buffer }} [options]
   */
  #dropStatements(names, { responseFirst } = {}) {
    const closes = names.map(closeStatement);
    this.#step({ hide: [Server.CLOSE_COMPLETE], responseFirst }, closes);
    for (const name of names) this.statements.delete(name);
  }

  #isDraftEmpty() {
    return this.#input.length === 0 && this.#draft.steps.length === 0;
  }

  #useUnnamed() {
    if (!this.#draft.setsUnnamed) this.#draft.needsUnnamed = true;
  }

  /**
   * Adds a step of its own kind behind what has been gathered.
   * @param {Omit<Step, 'input'>} kind
   * @param {Buffer[]} input
   */
  #step(kind, input) {
    if (this.#input.length > 0) this.#draft.steps.push({ input: this.#input });
    this.#input = [];
    this.#draft.steps.push({ ...kind, input });
  }

  /** @param {Unit['ends']} ends */
  #finish(ends) {
    if (this.#input.length > 0) this.#draft.steps.push({ input: this.#input });
    const unit = { ...this.#draft, ends };
    this.#input = [];
    this.#draft = emptyUnit();
    this.#submit(unit);
  }

  /** @param {Unit} unit */
  #submit(unit) {
    this.units.push(unit);
    this.#context.scheduler?.wake(this);
  }
}

/** @returns {Unit} */
function emptyUnit() {
  return { steps: [], ends: 'ready', traits: [], setsUnnamed: false, needsUnnamed: false };
}

/**
 * @param {Buffer} request
 * @returns {Map<string, string>}
 */
function startupParameters(request) {
  const fields = request.toString('utf8', 8).split('\0');
  const parameters = new Map();
  for (let index = 0; index + 1 < fields.length && fields[index]; index += 2) {
    parameters.set(fields[index], fields[index + 1]);
  }
  return parameters;
}
