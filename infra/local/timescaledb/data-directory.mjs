// @ts-check
/**
 * The data directory: one live process at a time, and no half-made database.
 *
 *   DIR/server.lock    who uses it: process id and what distinguishes it from a later process with that id
 *   DIR/initialising   there while the database is being created for the first time
 *   DIR/pgdata/        PostgreSQL's own files
 *
 * PostgreSQL's postmaster.pid can't do this: inside WebAssembly every server has the same id, -42.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A live process holds the directory. */
export class DirectoryInUse extends Error {}

/** The directory holds something that is no whole database. */
export class DamagedDirectory extends Error {}

/** @typedef {{ pid: number, started: string | null }} Owner */

const FROM_EMPTY = 'begun in an empty directory';
const ATTEMPTS = 20;
const SETTLE_MS = 50;

export class DataDirectory {
  #lock;
  #marker;
  /** @type {string} */
  #mine;

  /** @param {string} root */
  constructor(root) {
    this.root = path.resolve(root);
    this.database = path.join(this.root, 'pgdata');
    this.#lock = path.join(this.root, 'server.lock');
    this.#marker = path.join(this.root, 'initialising');
    this.#mine = JSON.stringify({ pid: process.pid, started: startOf(process.pid) });
  }

  /**
   * Acquires the lock or reports who holds it. A lock whose owner is gone (kill -9, power loss) is taken
   * over.
   * @throws {DirectoryInUse}
   */
  async acquire() {
    mkdirSync(this.root, { recursive: true });
    const candidate = `${this.#lock}.${process.pid}`;
    writeFileSync(candidate, this.#mine);
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        if (createdBy(() => linkSync(candidate, this.#lock))) {
          // A process that judged the former lock stale may just have moved ours aside and be
          // putting it back. Only a lock that is still ours afterwards is held.
          await sleep(SETTLE_MS);
          if (read(this.#lock) === this.#mine) return;
        } else {
          this.#clearStale();
        }
        await sleep(Math.random() * SETTLE_MS);
      }
    } finally {
      rmSync(candidate, { force: true });
    }
    throw new DirectoryInUse(`${this.root}: its lock keeps changing hands; try again`);
  }

  release() {
    if (read(this.#lock) === this.#mine) rmSync(this.#lock, { force: true });
  }

  /**
   * Call with the lock held. Nothing that is not empty is deleted: files of a creation that was cut
   * short are moved aside.
   * @throws {DamagedDirectory}
   * @returns {string | null} where files were moved, or null
   */
  beginInitialisation() {
    const complete = existsSync(path.join(this.database, 'PG_VERSION'));
    const begun = read(this.#marker);
    // The marker says that the directory was empty when the creation began.
    if (begun !== null && (begun === FROM_EMPTY || isEmpty(this.database))) {
      const aside = isEmpty(this.database) ? null : this.#moveAside();
      writeFileSync(this.#marker, FROM_EMPTY);
      mkdirSync(this.database, { recursive: true });
      return aside;
    }
    if (begun !== null && complete) rmSync(this.#marker, { force: true });
    if (complete) return null;
    if (!isEmpty(this.database)) {
      throw new DamagedDirectory(
        `${this.database} holds files but no PG_VERSION: it is damaged, or no database. Nothing ` +
          'was changed. Put the file back, or move the directory away and restore a backup: a ' +
          'start without it makes a new, empty database',
      );
    }
    writeFileSync(this.#marker, FROM_EMPTY);
    mkdirSync(this.database, { recursive: true });
    return null;
  }

  #moveAside() {
    const time = new Date().toISOString().replaceAll(/[:.]/g, '-');
    const aside = `${this.database}.unfinished-${time}`;
    renameSync(this.database, aside);
    return aside;
  }

  endInitialisation() {
    rmSync(this.#marker, { force: true });
  }

  #clearStale() {
    const found = read(this.#lock);
    if (found === null) return;
    const owner = parseOwner(found);
    if (owner && isAlive(owner)) {
      throw new DirectoryInUse(
        `the data directory ${this.root} is in use by process ${owner.pid}; ` +
          'stop it or choose another directory',
      );
    }
    // Renaming decides which of several processes removes it.
    const aside = `${this.#lock}.stale.${process.pid}`;
    if (!createdBy(() => renameSync(this.#lock, aside))) return;
    if (read(aside) !== found) createdBy(() => linkSync(aside, this.#lock)); // a new one: give back
    rmSync(aside, { force: true });
  }
}

/**
 * @param {() => void} action on the file system
 * @returns {boolean} false if another process was faster
 */
function createdBy(action) {
  try {
    action();
    return true;
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  }
}

/** @param {string} directory */
function isEmpty(directory) {
  return !existsSync(directory) || readdirSync(directory).length === 0;
}

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * @param {string} text
 * @returns {Owner | null}
 */
function parseOwner(text) {
  try {
    const owner = JSON.parse(text);
    return Number.isInteger(owner?.pid) && owner.pid > 0 ? owner : null;
  } catch {
    return null; // written by a crash in mid-write; no live server leaves it so
  }
}

/** @param {Owner} owner */
function isAlive({ pid, started }) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is such a process, of another user.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EPERM') return false;
  }
  // The id may belong to another process by now, or to one after a reboot.
  const now = startOf(pid);
  return started === null || now === null || started === now;
}

/**
 * What distinguishes a process from a later one with the same id: the boot it belongs to and its start in
 * clock ticks since then. Null where there is no /proc.
 * @param {number} pid
 * @returns {string | null}
 */
function startOf(pid) {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in brackets and may hold blanks. The third is the
    // state (Z: killed, but its parent has not noticed yet), the 22nd the start.
    const [state, ...others] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? 'dead' : `${boot}/${others[18]}`;
  } catch {
    return null;
  }
}
