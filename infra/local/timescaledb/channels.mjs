// @ts-check
/**
 * LISTEN and NOTIFY for many clients on one backend: the backend listens to what any of them
 * wants, and each notification goes to those that listen.
 */
import { Server, messagesIn, readCString } from './wire.mjs';

/**
 * @typedef {object} Listener
 * @property {number} id stands for the backend's process id
 * @property {(bytes: Buffer) => void} send
 */

export class Channels {
  /** @type {Map<string, Set<Listener>>} */
  #listeners = new Map();

  /** @returns {string[]} */
  get wanted() {
    return [...this.#listeners.keys()];
  }

  /**
   * @param {Listener} listener
   * @param {{ listen: boolean, channel: string }} change channel '*': all of them
   */
  apply(listener, { listen, channel }) {
    if (listen) {
      const set = this.#listeners.get(channel) ?? new Set();
      this.#listeners.set(channel, set.add(listener));
      return;
    }
    for (const name of channel === '*' ? this.wanted : [channel]) {
      const set = this.#listeners.get(name);
      set?.delete(listener);
      if (set?.size === 0) this.#listeners.delete(name);
    }
  }

  /**
   * Takes the notifications out of what the backend wrote and sends them on.
   * @param {Listener} sender whose statement raised them
   * @param {Buffer} output
   * @returns {Buffer} what is for the sender: its own notifications stay where they stood
   */
  deliver(sender, output) {
    if (this.#listeners.size === 0) return output; // the backend listens to nothing
    const remaining = [];
    for (const each of messagesIn(output)) {
      if (each[0] !== Server.NOTIFICATION) {
        remaining.push(each);
        continue;
      }
      each.writeInt32BE(sender.id, 5);
      const channel = readCString(each, 9).bytes.toString();
      for (const listener of this.#listeners.get(channel) ?? []) {
        if (listener === sender) remaining.push(each);
        else listener.send(each);
      }
    }
    return Buffer.concat(remaining);
  }
}
