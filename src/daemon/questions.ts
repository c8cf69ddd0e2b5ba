// What a daemon has counted is asked at a socket beside its record: whoever connects gets one JSON document. Only its owner may connect.
import { chmodSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { basename, dirname } from "node:path";
import type { Stats } from "../fuse/counters.js";
import { debug } from "../util/debug.js";

const log = debug("questions");

/** Milliseconds that an answer may take. A daemon does nothing that takes long but read, and with libfuse it does that itself. */
const PATIENCE_MS = 2000;
/** Characters of an answer: many times what it has. */
const ANSWER_LIMIT = 2 ** 20;

export interface Answering {
  stop(): void;
}

/** Answers with what `stats` tells, until it is stopped. A mount whose socket cannot be made is as good as any other. */
export function answerQuestions(path: string, stats: () => Stats): Answering {
  const server = createServer((socket) => {
    socket.unref();
    socket.on("error", (error) => log("%o", error));
    socket.end(JSON.stringify(stats()));
  });
  server.on("error", (error) => log("%s: %o", path, error));
  server.unref();
  try {
    // Of a daemon that was killed, and had the same number.
    rmSync(path, { force: true });
    withShortName(path, (name) => server.listen(name));
    chmodSync(path, 0o600);
  } catch (error) {
    log("%s: %o", path, error);
  }
  return { stop: () => void server.close() };
}

/** What the daemon at `path` has counted. Rejects if it does not answer. */
export async function askDaemon(path: string): Promise<Stats> {
  return JSON.parse(await readAnswer(path)) as Stats;
}

function readAnswer(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = withShortName(path, (name) => connect(name));
    let answer = "";
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    socket.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
      if (answer.length > ANSWER_LIMIT) socket.destroy(new Error("the answer has no end"));
    });
    socket.once("end", () => resolve(answer));
    socket.once("error", reject);
    socket.once("close", () => clearTimeout(timer));
  });
}

/** The name of a socket has at most 107 bytes (unix(7)): its folder is named by a descriptor. `use` needs the name only until it returns. */
function withShortName<T>(path: string, use: (name: string) => T): T {
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return use(`/proc/self/fd/${folder}/${basename(path)}`);
  } finally {
    closeSync(folder);
  }
}
