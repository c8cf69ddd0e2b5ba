// A thread that reads one image for `openImageAsync`: opens it, tells what it is, and answers calls until it is ended.
import { basename } from "node:path";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { checkShown } from "../tree/check.js";
import type { FlatFile } from "../tree/node.js";
import { openView, type View } from "../tree/view.js";
import { imageErrorRecord, recordOf } from "./errors.js";
import { extentsOf } from "./extents.js";
import type { Calls, ExtentRecord, Reply, Request, WorkerTask } from "./messages.js";
import { fileAtPath } from "./paths.js";
import { shapeOf } from "./shape.js";
import { listAt, statAt } from "./tree.js";

/** Runs in one answer: other calls want their turn, too. */
const EXTENTS_LIMIT = 1024;

function serve(port: MessagePort, { view: request }: WorkerTask): void {
  const tell = (reply: Reply, transfer: readonly ArrayBuffer[] = []) => port.postMessage(reply, transfer);
  let view: View;
  try {
    view = openView(request, (step) => tell({ kind: "progress", ...step }));
    tell({ kind: "opened", files: view.disk.files, shape: shapeOf(view.shown) });
  } catch (error) {
    tell({ kind: "failed", error: recordOf(error) });
    return;
  }
  const handlers = handlersOf(view);
  port.on("message", ({ number, name, ask }: Request) => {
    try {
      const answer = (handlers[name] as (ask: unknown) => unknown)(ask);
      // A buffer of its own, so it can be handed over rather than copied.
      tell({ kind: "answer", number, answer }, answer instanceof Uint8Array ? [answer.buffer as ArrayBuffer] : []);
    } catch (error) {
      tell({ kind: "error", number, error: recordOf(error) });
    }
  });
}

type Handlers = { readonly [Name in keyof Calls]: (ask: Calls[Name]["ask"]) => Calls[Name]["answer"] };

function handlersOf({ tree, shown, description }: View): Handlers {
  const nodeOf = (id: number) => {
    const node = tree.node(id);
    if (!node) throw new Error(`there is no node ${id}`);
    return node;
  };
  const fileOf = (id: number): FlatFile => {
    const node = nodeOf(id);
    if (node.kind !== "file") throw new Error(`node ${id} is no file`);
    return node.file;
  };
  return {
    read({ id, offset, length }) {
      const target = Buffer.allocUnsafeSlow(length);
      if (length > 0) fileOf(id).read(target, offset);
      return new Uint8Array(target.buffer);
    },
    extents({ id, start, end }) {
      const found: ExtentRecord[] = [];
      for (const { error, ...extent } of extentsOf(fileOf(id), start, end)) {
        found.push({ ...extent, ...(error && { error: imageErrorRecord(error) }) });
        if (found.length === EXTENTS_LIMIT) break;
      }
      return found;
    },
    list: ({ root, path }) => listAt(nodeOf(root), path),
    stat: ({ root, path, follow }) => statAt(nodeOf(root), path, follow),
    open({ root, path }) {
      const { id, file } = fileAtPath(nodeOf(root), path);
      return { id, size: file.size };
    },
    check: () => checkShown(shown, basename(description.image), () => undefined),
  };
}

if (parentPort) serve(parentPort, workerData as WorkerTask);
