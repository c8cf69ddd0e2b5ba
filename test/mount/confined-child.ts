// What a thread that serves can still do, tried before it is confined and after: built by confinement.test.ts, run as a process of its own.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { openSync, readdirSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { confineOnceManned } from "../../src/daemon/confinement.js";
import type { MountWish } from "../../src/daemon/wish.js";

interface Task {
  readonly folder: string;
  /** A file of the folder, open. */
  readonly file: number;
  readonly port: number;
}

export type Tried = Record<string, string>;

function codeOf(action: () => unknown): string {
  try {
    action();
    return "done";
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

async function tryAll({ folder, file, port }: Task): Promise<Tried> {
  const socket = connect(port, "127.0.0.1");
  const connecting = await once(socket, "connect").then(
    () => "done",
    (error: unknown) => String((error as NodeJS.ErrnoException).code),
  );
  socket.destroy();
  return {
    "read a file of the machine": codeOf(() => readFileSync("/etc/passwd")),
    "read a file beside the image": codeOf(() => readFileSync(join(folder, "image"))),
    "read it by its descriptor": codeOf(() => readSync(file, Buffer.alloc(4), 0, 4, 0)),
    "list a folder": codeOf(() => readdirSync("/")),
    "write a file": codeOf(() => writeFileSync(join(folder, "new"), "")),
    "signal another process": codeOf(() => process.kill(process.ppid, 0)),
    "start a program": spawnSync("/bin/true").error === undefined ? "done" : "EACCES",
    connect: connecting,
    "load a library": codeOf(() => readFileSync(process.argv[3] ?? "")),
  };
}

async function main(folder: string): Promise<void> {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const worker = new Worker(__filename, { argv: process.argv.slice(2) });
  const task: Task = { folder, file: openSync(join(folder, "image"), "r"), port: (server.address() as AddressInfo).port };
  const ask = async () => {
    worker.postMessage(task);
    const [tried] = (await once(worker, "message")) as [Tried];
    return tried;
  };
  const before = await ask();
  let restrictions: readonly string[] = [];
  const session = { ended: Promise.resolve(), unmount: () => Promise.resolve() };
  await confineOnceManned({} as MountWish, session, undefined, (given) => (restrictions = given));
  console.log(JSON.stringify({ restrictions, before, after: await ask() }));
  process.exit();
}

if (isMainThread) void main(process.argv[2] ?? "");
else parentPort?.on("message", (task: Task) => void tryAll(task).then((tried) => parentPort?.postMessage(tried)));
