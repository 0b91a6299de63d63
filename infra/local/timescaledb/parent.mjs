// @ts-check
/**
 * Ends this process when the one that started it is gone, so that a killed supervisor leaves
 * nothing behind.
 *
 * The watch runs on a thread of its own: a long statement keeps the main thread from noticing
 * anything. It requests an orderly shutdown first and, where that takes too long, kills. Killing loses
 * no acknowledged row.
 */
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

const POLL_MS = 500;
const GRACE_MS = 5000;

/** @param {() => void} onGone called once */
export function watchParent(onGone) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { parent: process.ppid } });
  worker.once('message', onGone);
  worker.unref();
}

if (!isMainThread && parentPort && typeof workerData?.parent === 'number') {
  const port = parentPort;
  const poll = setInterval(() => {
    if (process.ppid === workerData.parent) return;
    clearInterval(poll);
    port.postMessage('gone');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS);
  }, POLL_MS);
}
