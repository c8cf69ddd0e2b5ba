// The socket at which a daemon tells what it has counted.
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Answering, answerQuestions, askDaemon } from "../../src/daemon/questions.js";
import { createCounters, type Stats, summarise } from "../../src/fuse/counters.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();
const stats = (passedFiles: number): Stats => summarise(createCounters(1), { opensAsked: true, passedFiles });
const running: (Answering | { stop(): void })[] = [];
afterEach(() => {
  for (const each of running.splice(0)) each.stop();
});

function answering(path: string, tell: () => Stats): void {
  running.push(answerQuestions(path, tell));
}

/** A daemon that does something else. */
async function misbehaving(path: string, onConnection: (socket: Socket) => void): Promise<void> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket.on("error", () => undefined));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  running.push({
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
}

describe("a daemon that is asked", () => {
  test("answers as often as it is asked, with what holds then, and only its owner", async () => {
    const path = join(subdirectory(directory), "1.sock");
    let files = 0;
    answering(path, () => stats((files += 1)));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => askDaemon(path)));
    expect(answers.map(({ passedFiles }) => passedFiles).toSorted()).toEqual([1, 2, 3, 4, 5]);
    expect(await askDaemon(path)).toEqual(stats(6));
  });

  test("in a folder whose path is longer than the name of a socket may be", async () => {
    const folder = join(subdirectory(directory), "f".repeat(100), "g".repeat(100));
    mkdirSync(folder, { recursive: true });
    const path = join(folder, "1.sock");
    answering(path, () => stats(3));
    expect(existsSync(path)).toBe(true);
    expect(await askDaemon(path)).toEqual(stats(3));
  });

  test("where a killed one of the same number has left its socket, or anything else stands", async () => {
    const path = join(subdirectory(directory), "1.sock");
    writeFileSync(path, "no socket");
    answering(path, () => stats(1));
    expect(await askDaemon(path)).toEqual(stats(1));
  });

  test("a socket that cannot be made keeps nobody from mounting", async () => {
    const path = join(directory, "missing", "1.sock");
    answering(path, () => stats(1));
    await expect(askDaemon(path)).rejects.toThrow(/ENOENT/);
  });
});

describe("whoever asks a daemon that does not answer is told so", () => {
  const cases = [
    { title: "it says nothing", act: () => undefined, reason: /no answer within 2000 ms/ },
    { title: "it closes at once", act: (socket: Socket) => void socket.end(), reason: /JSON/ },
    { title: "it stops in the middle", act: (socket: Socket) => void socket.end('{"requests":'), reason: /JSON/ },
    { title: "it never ends", act: (socket: Socket) => void socket.write("1".repeat(3 * 2 ** 20)), reason: /no end/ },
  ];
  test.each(cases)("$title", async ({ act, reason }) => {
    const path = join(subdirectory(directory), "1.sock");
    await misbehaving(path, act);
    await expect(askDaemon(path)).rejects.toThrow(reason);
  });

  test("its socket is left, and nobody listens", async () => {
    const path = join(subdirectory(directory), "1.sock");
    writeFileSync(path, "");
    await expect(askDaemon(path)).rejects.toThrow(/ECONNREFUSED|ENOTSOCK/);
  });
});
