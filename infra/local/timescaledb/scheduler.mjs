// @ts-check
/**
 * Many clients, one backend. Sessions submit units of work; this decides whose unit runs next.
 *
 * - A session with work stands in one FIFO queue and runs one unit a turn.
 * - While a session has a transaction open it owns the backend, and only its units run.
 * - A unit runs to its end without a pause, so there is nothing to interleave with and no lock.
 *   The departure of a client is a unit too: it waits its turn, and finds no one half-way.
 *
 * What PostgreSQL keeps per connection and we keep once is put right here, between units: the
 * unnamed prepared statement, channels listened to, settings.
 */
import { performance } from 'node:perf_hooks';

import { Channels } from './channels.mjs';
import { quoted } from './sql.mjs';
import { IDLE, SYNC, Server, closeStatement, messagesIn, withoutTypes } from './wire.mjs';

/** @typedef {import('./backend.mjs').Backend} Backend */
/** @typedef {import('./session.mjs').Session} Session */

/**
 * Messages given to the backend in one call.
 * @typedef {object} Step
 * @property {Buffer[]} input
 * @property {number[]} [hide] message types that the client did not request
 * @property {Buffer} [responseFirst] the response in place of what was replaced
 */

/**
 * A piece of a client's work that can't be divided.
 * @typedef {object} Unit
 * @property {Step[]} steps
 * @property {'ready' | 'hold' | 'copy' | 'leave'} ends ready: by ReadyForQuery. hold: by Flush, the
 *   batch goes on. copy: the client is to send copy data. leave: the client is gone.
 * @property {import('./sql.mjs').Traits[]} traits of the statements in it
 * @property {boolean} setsUnnamed leaves its own unnamed statement in the backend, or none
 * @property {boolean} needsUnnamed begins with a use of the unnamed statement of an earlier unit
 */

const YIELD_AFTER_MS = 10;
const WARN_AFTER_MS = 5000;
const NOTHING = Buffer.alloc(0);
const HELD = 0; // the status of a batch whose Sync is still to come

export class Scheduler {
  #backend;
  #idleTransactionMs;
  #log;
  #channels = new Channels();
  /** @type {Set<Session>} */
  #sessions = new Set();
  /** @type {Set<Session>} Sessions with work, in the order of their turns. */
  #queue = new Set();
  /** @type {Session | null} */
  #owner = null;
  #ownerIdleSince = 0;
  #ownerWarned = false;
  /** @type {Session | null} Whose unnamed statement the backend has. */
  #unnamedOf = null;
  #restoreChannels = false;
  #restoreSettings = false;
  #running = false;
  #stopped = false;
  #ticker;

  /**
   * @param {{ backend: Backend, idleTransactionMs: number, log: (line: string) => void }} options
   */
  constructor({ backend, idleTransactionMs, log }) {
    this.#backend = backend;
    this.#idleTransactionMs = idleTransactionMs;
    this.#log = log;
    const period = Math.max(20, Math.min(1000, idleTransactionMs / 4));
    this.#ticker = setInterval(() => this.#watchOwner(), period);
  }

  /** @returns {Session[]} */
  get sessions() {
    return [...this.#sessions];
  }

  /** @param {Session} session */
  join(session) {
    this.#sessions.add(session);
  }

  /**
   * The session has a new unit.
   * @param {Session} session
   */
  wake(session) {
    this.#queue.add(session);
    this.#run();
  }

  /** No unit runs after this. */
  stop() {
    this.#stopped = true;
    clearInterval(this.#ticker);
    if (this.#owner) this.#backend.rollback();
    this.#owner = null;
  }

  #run() {
    if (this.#running) return; // a unit's response can end a session, which submits a unit
    this.#running = true;
    const start = performance.now();
    try {
      for (let next = this.#next(); next; next = this.#next()) {
        this.#runUnit(next.session, next.unit);
        if (performance.now() - start > YIELD_AFTER_MS && this.#queue.size > 0) {
          setImmediate(() => this.#run()); // let timers, signals and other sockets have a word
          return;
        }
      }
    } finally {
      this.#running = false;
    }
  }

  /** @returns {{ session: Session, unit: Unit } | null} */
  #next() {
    if (this.#stopped) return null;
    for (const session of this.#owner ? [this.#owner] : this.#queue) {
      const unit = session.units.shift();
      this.#queue.delete(session);
      if (!unit) continue;
      if (session.units.length > 0) this.#queue.add(session); // at the end: one unit a turn
      return { session, unit };
    }
    return null;
  }

  /**
   * @param {Session} session
   * @param {Unit} unit
   */
  #runUnit(session, unit) {
    if (unit.ends === 'leave') {
      this.#leave(session);
    } else {
      const status = this.#execute(session, unit);
      this.#owner = status === IDLE ? null : session;
    }
    this.#ownerIdleSince = performance.now();
    this.#ownerWarned = false;
    if (!this.#owner) this.#restoreShared();
  }

  /**
   * @param {Session} session
   * @param {Unit} unit
   * @returns {number} the transaction's status afterwards
   */
  #execute(session, unit) {
    /** @type {Buffer} */
    let last = NOTHING;
    const responses = [];
    for (const step of [...this.#unnamedFor(session, unit), ...unit.steps]) {
      last =
        step.input.length === 0
          ? NOTHING
          : this.#channels.deliver(session, this.#backend.execute(step.input));
      if (step.responseFirst) responses.push(step.responseFirst);
      responses.push(step.hide ? withoutTypes(last, step.hide) : last);
    }
    if (unit.setsUnnamed) this.#unnamedOf = session;
    for (const traits of unit.traits) this.#note(session, traits);

    if (unit.ends === 'copy') return this.#startCopy(session, responses);
    session.send(responses.length === 1 ? responses[0] : Buffer.concat(responses));
    return unit.ends === 'ready' ? endStatus(last) : HELD;
  }

  /**
   * @param {Session} session
   * @param {Buffer[]} responses to what came before the copy in its batch
   */
  #startCopy(session, responses) {
    const wasIdle = this.#owner !== session && responses.length === 0;
    const failed = responses.some((response) =>
      [...messagesIn(response)].some((each) => each[0] === Server.ERROR),
    );
    session.send(Buffer.concat(responses));
    session.startCopy({ accepted: !failed });
    // The data of a plain COPY is gathered without keeping the backend from others.
    return wasIdle ? IDLE : HELD;
  }

  /**
   * Steps that put the session's unnamed statement back, if another's has replaced it.
   * @param {Session} session
   * @param {Unit} unit
   * @returns {Step[]}
   */
  #unnamedFor(session, unit) {
    if (!unit.needsUnnamed || this.#unnamedOf === session) return [];
    this.#unnamedOf = session;
    const input = [session.unnamedParse ?? closeStatement('')];
    return [{ input, hide: [Server.PARSE_COMPLETE, Server.CLOSE_COMPLETE] }];
  }

  /**
   * @param {Session} session
   * @param {import('./sql.mjs').Traits} traits
   */
  #note(session, traits) {
    for (const change of traits.channels) {
      this.#channels.apply(session, change);
      if (!change.listen) this.#restoreChannels = true;
    }
    if (traits.discardsAll) {
      this.#channels.apply(session, { listen: false, channel: '*' });
      this.#restoreChannels = true;
    }
    if (traits.changesSettings) session.changedSettings = true;
    if (traits.resetsSettings) this.#restoreSettings = true;
  }

  /**
   * The client is gone: its transaction is rolled back, its statements are dropped.
   * @param {Session} session
   */
  #leave(session) {
    if (this.#owner === session) {
      this.#backend.rollback();
      this.#owner = null;
      this.#unnamedOf = null;
    }
    this.#sessions.delete(session);
    if (this.#unnamedOf === session) this.#unnamedOf = null;
    if (session.statements.size > 0) {
      this.#backend.execute([...[...session.statements].map(closeStatement), SYNC]);
    }
    const before = this.#channels.wanted.length;
    this.#channels.apply(session, { listen: false, channel: '*' });
    if (this.#channels.wanted.length < before) this.#restoreChannels = true;
    // Settings are one for all. They go back once no one is left who has changed them: sooner
    // would take them from clients that made the same change.
    if (session.changedSettings && !this.sessions.some((each) => each.changedSettings)) {
      this.#backend.statement('RESET ALL');
      this.#restoreSettings = true;
    }
  }

  /** Undoes what one client's RESET, UNLISTEN or departure did to the others. */
  #restoreShared() {
    if (this.#restoreSettings) {
      this.#restoreSettings = false;
      this.#backend.applySessionDefaults();
      this.#unnamedOf = null; // a simple query drops the unnamed statement
    }
    if (this.#restoreChannels) {
      this.#restoreChannels = false;
      const wanted = this.#channels.wanted.map((channel) => `LISTEN ${quoted(channel)}`);
      this.#backend.statement(['UNLISTEN *', ...wanted].join(';'));
      this.#unnamedOf = null;
    }
  }

  /** Ends a transaction whose client says nothing: everybody else waits for it. */
  #watchOwner() {
    const owner = this.#owner;
    if (!owner || owner.units.length > 0) return;
    const idle = performance.now() - Math.max(this.#ownerIdleSince, owner.lastHeard);
    if (idle >= this.#idleTransactionMs) {
      this.#log(`${owner.label}: transaction idle for ${Math.round(idle)} ms, ended`);
      owner.terminate('25P03', 'terminating connection due to idle-in-transaction timeout');
    } else if (idle >= WARN_AFTER_MS && this.#queue.size > 0 && !this.#ownerWarned) {
      this.#ownerWarned = true;
      this.#log(`${owner.label}: idle in a transaction, ${this.#queue.size} others wait for it`);
    }
  }
}

/**
 * The transaction's status as ReadyForQuery has it, which ends the response.
 * @param {Buffer} response
 */
function endStatus(response) {
  const isReady = response.length >= 6 && response[response.length - 6] === Server.READY;
  return isReady ? response[response.length - 1] : HELD;
}
