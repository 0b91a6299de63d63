// @ts-check
/**
 * PostgreSQL's wire protocol, version 3, as bytes: cutting a stream into messages and building the
 * few messages this server writes itself. Nothing here knows about sessions or the database.
 *
 * A message is one type byte, an int32 length that counts itself and the body, and the body. Only a
 * client's first message (start-up, SSL, GSS or cancel request) has no type byte.
 */

/** @param {string} letter */
const code = (letter) => letter.charCodeAt(0);

/** Types of messages that clients send. */
export const Client = Object.freeze({
  BIND: code('B'),
  CLOSE: code('C'),
  COPY_DATA: code('d'),
  COPY_DONE: code('c'),
  COPY_FAIL: code('f'),
  DESCRIBE: code('D'),
  EXECUTE: code('E'),
  FLUSH: code('H'),
  FUNCTION_CALL: code('F'),
  PARSE: code('P'),
  QUERY: code('Q'),
  SYNC: code('S'),
  TERMINATE: code('X'),
});

/** Types of messages that the server sends. */
export const Server = Object.freeze({
  AUTHENTICATION: code('R'),
  BACKEND_KEY: code('K'),
  CLOSE_COMPLETE: code('3'),
  COMMAND_COMPLETE: code('C'),
  COPY_IN: code('G'),
  ERROR: code('E'),
  NEGOTIATE_VERSION: code('v'),
  NOTIFICATION: code('A'),
  PARAMETER_STATUS: code('S'),
  PARSE_COMPLETE: code('1'),
  READY: code('Z'),
});

/** What stands where a start-up message has its protocol version. */
export const StartupCode = Object.freeze({
  CANCEL: 80877102,
  SSL: 80877103,
  GSS: 80877104,
});

/** In Describe and Close: the name that follows is a statement's, not a portal's. */
export const STATEMENT_KIND = code('S');

/** Transaction status in ReadyForQuery: idle. The others are T (open) and E (open and failed). */
export const IDLE = code('I');

const EMPTY = Buffer.alloc(0);
const HEADER = 5;
const MAX_STARTUP = 10_000; // PostgreSQL's own limit
const MAX_MESSAGE = 0x3fffffff; // 1 GB, PostgreSQL's own limit

/** The client's bytes are not the protocol: nothing that follows can be trusted. */
export class ProtocolError extends Error {}

/**
 * @param {number} type
 * @param {...Buffer} parts
 * @returns {Buffer}
 */
export function message(type, ...parts) {
  const length = parts.reduce((total, part) => total + part.length, 0);
  const header = Buffer.allocUnsafe(HEADER);
  header[0] = type;
  header.writeInt32BE(4 + length, 1);
  return Buffer.concat([header, ...parts], HEADER + length);
}

/** @param {string | Buffer} text */
export function cString(text) {
  return Buffer.concat([typeof text === 'string' ? Buffer.from(text) : text, Buffer.from([0])]);
}

/** @param {number} value */
export function int32(value) {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** @param {string} sql */
export const query = (sql) => message(Client.QUERY, cString(sql));

/**
 * @param {string} name
 * @param {string} sql
 */
export const parse = (name, sql) =>
  message(Client.PARSE, cString(name), cString(sql), Buffer.from([0, 0]));

/** @param {string} name */
export const closeStatement = (name) =>
  message(Client.CLOSE, Buffer.from([STATEMENT_KIND]), cString(name));

export const SYNC = message(Client.SYNC);

/** @param {string} reason */
export const copyFail = (reason) => message(Client.COPY_FAIL, cString(reason));

/** @param {string} tag */
export const commandComplete = (tag) => message(Server.COMMAND_COMPLETE, cString(tag));

/**
 * @param {string} name
 * @param {string} value
 */
export const parameterStatus = (name, value) =>
  message(Server.PARAMETER_STATUS, cString(name), cString(value));

/** @param {number} status */
export const readyForQuery = (status) => message(Server.READY, Buffer.from([status]));

/**
 * The response to COPY … FROM STDIN. The column count is left at 0: the statement has not run yet,
 * and clients go by the overall format.
 * @param {boolean} binary
 */
export const copyInResponse = (binary) =>
  message(Server.COPY_IN, Buffer.from([binary ? 1 : 0, 0, 0]));

/**
 * @param {'ERROR' | 'FATAL'} severity
 * @param {string} sqlState
 * @param {string} text
 */
export function errorResponse(severity, sqlState, text) {
  const fields = [`S${severity}`, `V${severity}`, `C${sqlState}`, `M${text}`].map(cString);
  return message(Server.ERROR, ...fields, Buffer.from([0]));
}

/**
 * The messages in a buffer that holds whole ones only, as the backend writes them.
 * @param {Buffer} buffer
 * @returns {Generator<Buffer>}
 */
export function* messagesIn(buffer) {
  let offset = 0;
  while (offset < buffer.length) {
    const end = offset + 1 + buffer.readInt32BE(offset + 1);
    yield buffer.subarray(offset, end);
    offset = end;
  }
}

/**
 * @param {Buffer} buffer
 * @param {number[]} types
 */
export function withoutTypes(buffer, types) {
  const remaining = [...messagesIn(buffer)].filter((each) => !types.includes(each[0]));
  return Buffer.concat(remaining);
}

/**
 * A NUL-terminated name or text inside a message.
 * @param {Buffer} buffer
 * @param {number} start
 * @returns {{ bytes: Buffer, next: number }} next: the offset behind the NUL
 */
export function readCString(buffer, start) {
  const end = buffer.indexOf(0, start);
  if (end < 0) throw new ProtocolError('a text without its end');
  return { bytes: buffer.subarray(start, end), next: end + 1 };
}

/**
 * Cuts a stream into messages. A message that spans many chunks is put together once, when its
 * last byte is here: joining on each arrival would cost the square of its size.
 */
export class MessageReader {
  /** @type {Buffer} */
  #buffer = EMPTY;
  #offset = 0;
  /** @type {Buffer[]} */
  #later = [];
  #laterSize = 0;

  /** @param {Buffer} chunk */
  push(chunk) {
    if (this.#offset === this.#buffer.length && this.#later.length === 0) {
      this.#buffer = chunk;
      this.#offset = 0;
    } else {
      this.#later.push(chunk);
      this.#laterSize += chunk.length;
    }
  }

  /**
   * The next message, or null while its end has not arrived.
   * @param {{ startup: boolean }} kind
   * @returns {Buffer | null}
   */
  next({ startup }) {
    const typeBytes = startup ? 0 : 1;
    if (!this.#gather(typeBytes + 4)) return null;
    const length = this.#buffer.readInt32BE(this.#offset + typeBytes);
    const limit = startup ? MAX_STARTUP : MAX_MESSAGE;
    if (length < (startup ? 8 : 4) || length > limit) {
      throw new ProtocolError(`a message of ${length} bytes`);
    }
    const size = typeBytes + length;
    if (!this.#gather(size)) return null;
    const start = this.#offset;
    this.#offset += size;
    return this.#buffer.subarray(start, this.#offset);
  }

  /**
   * Makes the next `size` bytes contiguous.
   * @param {number} size
   * @returns {boolean} false while they have not all arrived
   */
  #gather(size) {
    const here = this.#buffer.length - this.#offset;
    if (here >= size) return true;
    if (here + this.#laterSize < size) return false;
    this.#buffer = Buffer.concat([this.#buffer.subarray(this.#offset), ...this.#later]);
    this.#offset = 0;
    this.#later = [];
    this.#laterSize = 0;
    return true;
  }
}
