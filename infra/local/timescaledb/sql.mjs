// @ts-check
/**
 * What a statement's text says about the session around it. The one backend serves every client,
 * so the statements that act on "the session" have to be recognised. This reads beginnings of
 * statements; it is no SQL parser and does not need to be one: what it misses behaves as the docs
 * describe for shared sessions, and a missed COPY gets an error, not a hang.
 */

/**
 * @typedef {object} Traits
 * @property {{ binary: boolean } | null} copyFromStdin
 * @property {{ listen: boolean, channel: string }[]} channels LISTEN and UNLISTEN; '*' means all
 * @property {boolean} changesSettings a SET that outlives its transaction
 * @property {boolean} resetsSettings RESET ALL or DISCARD ALL
 * @property {boolean} discardsAll DISCARD ALL
 * @property {string | null} deallocates a statement's name, or '*' for ALL
 */

/** @type {Readonly<Traits>} */
const PLAIN = Object.freeze({
  copyFromStdin: null,
  channels: [],
  changesSettings: false,
  resetsSettings: false,
  discardsAll: false,
  deallocates: null,
});

/** Far more than any session statement needs; a query of 30 MB is not scanned to its end. */
export const INSPECTED_BYTES = 8192;

const WORTH_A_LOOK = /\b(?:copy|listen|unlisten|deallocate|discard|reset|set|set_config)\b/i;
const LEADING_BLANKS = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/|;)+/;

const IDENTIFIER = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
const COPY_FROM_STDIN = new RegExp(
  String.raw`^copy\s+(binary\s+)?${IDENTIFIER}(?:\s*\.\s*${IDENTIFIER})*\s*` +
    String.raw`(?:\([^)]*\)\s*)?from\s+stdin\b([^]*)`,
  'iu',
);
const BINARY_OPTION = /\bformat\s*'?binary\b|^\s*(?:with\s+)?binary\b/i;
const CHANNEL = new RegExp(String.raw`(?:^|;)\s*(un)?listen\s+(${IDENTIFIER}|\*)`, 'giu');
const SESSION_SETTING =
  /(?:^|;)\s*(?:set\s+(?!local\b|transaction\b|constraints\b)|reset\s)|\bset_config\s*\(/i;
const RESET_ALL = /(?:^|;)\s*(?:reset|discard)\s+all\b/i;
const DISCARD_ALL = /^discard\s+all\s*;?\s*$/i;
const DEALLOCATE = new RegExp(
  String.raw`^deallocate\s+(?:prepare\s+)?(${IDENTIFIER})\s*;?\s*$`,
  'iu',
);

/**
 * An identifier as the server knows it: folded to lower case unless quoted.
 * @param {string} written
 */
const folded = (written) =>
  written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase();

/** @param {string} text */
export const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

/**
 * @param {string} written the beginning of a query's text
 * @returns {Readonly<Traits>}
 */
export function inspect(written) {
  if (!WORTH_A_LOOK.test(written)) return PLAIN;
  const sql = written.replace(LEADING_BLANKS, '');
  const copy = COPY_FROM_STDIN.exec(sql);
  const deallocate = DEALLOCATE.exec(sql);
  return {
    copyFromStdin: copy && { binary: Boolean(copy[1]) || BINARY_OPTION.test(copy[2]) },
    channels: [...sql.matchAll(CHANNEL)].map(([, un, name]) => ({
      listen: !un,
      channel: folded(name),
    })),
    changesSettings: SESSION_SETTING.test(sql),
    resetsSettings: RESET_ALL.test(sql),
    discardsAll: DISCARD_ALL.test(sql),
    deallocates: deallocate && (/^all$/i.test(deallocate[1]) ? '*' : folded(deallocate[1])),
  };
}
