import { initBody, lseekBody, name, op, readBody, request } from "../../fuse/requests.js";
import { type Input, inputOf } from "../input.js";

const nodes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 159, 2 ** 45 + 10, 77] as const;

/** Conversations: each file is a request, named by its place. */
export function requests(): readonly Input[] {
  const one = (...list: readonly Buffer[]) => inputOf(Object.fromEntries(list.map((bytes, index) => [`request ${index}`, bytes])));
  const init = request(op.init, 0, initBody(7, 40, 131_072, 0xffffffff));
  const unknown = Array.from({ length: 56 }, (_, opcode) => request(opcode, 1, Buffer.alloc(64)));
  return [
    one(init, ...nodes.map((node) => request(op.getattr, node))),
    one(init, ...nodes.map((node) => request(op.read, node, readBody(0, 4096)))),
    one(init, ...nodes.map((node) => request(op.readdir, node, readBody(0, 600)))),
    one(init, ...nodes.map((node) => request(op.readdirplus, node, readBody(1, 4096)))),
    one(init, ...nodes.map((node) => request(op.readlink, node))),
    one(init, ...nodes.map((node) => request(op.lseek, node, lseekBody(5000, 3)))),
    one(init, ...nodes.map((node) => request(op.lseek, node, lseekBody(100, 4)))),
    one(init, ...nodes.map((node) => request(op.open, node, Buffer.alloc(8))), request(op.release, 2, Buffer.alloc(24))),
    one(init, ...["disk.raw", "link", "no", "déjà"].map((each) => request(op.lookup, 1, name(each))), request(op.lookup, 2, name("x"))),
    one(
      init,
      request(op.statfs, 1),
      request(op.opendir, 1),
      request(op.interrupt, 0, Buffer.alloc(8)),
      request(op.forget, 1, Buffer.alloc(8)),
    ),
    one(init, request(op.lookup, 1, Buffer.from("disk.raw")), request(op.read, 2, readBody(9990, 100).subarray(0, 19))),
    one(request(op.init, 0, initBody(8, 0, 0, 0)), request(op.init, 0, initBody(7, 8, 0, 0)), request(op.destroy, 0)),
    one(...unknown),
  ];
}
