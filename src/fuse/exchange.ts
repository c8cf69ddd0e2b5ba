import { inHeader, little, outHeader } from "./protocol.js";
import { getUint64 } from "./uint64.js";

/** A request and the reply that is being written to it. The buffers are used again for every request. */
export interface Exchange {
  readonly request: Buffer;
  readonly requestView: DataView;
  /** Bytes of the request. */
  length: number;
  readonly reply: Buffer;
  readonly replyView: DataView;
}

/** Where the operation's own structure starts in the request, and in the reply. */
const BODY = inHeader.size;
export const OUT = outHeader.size;

export function createExchange(request: Buffer, reply: Buffer): Exchange {
  return {
    request,
    requestView: new DataView(request.buffer, request.byteOffset, request.length),
    length: 0,
    reply,
    replyView: new DataView(reply.buffer, reply.byteOffset, reply.length),
  };
}

/** A u32 or u64 of the operation's own structure. Throws if the request ends before it. */
export function in32(exchange: Exchange, at: number): number {
  checkLength(exchange, at + 4);
  return exchange.requestView.getUint32(BODY + at, little);
}

export function in64(exchange: Exchange, at: number): number {
  checkLength(exchange, at + 8);
  return getUint64(exchange.requestView, BODY + at);
}

/** The name that the operation's structure ends with, or is. */
export function inName({ request, length }: Exchange): string {
  const end = request.indexOf(0, BODY);
  return request.toString("utf8", BODY, end < 0 || end > length ? length : end);
}

/** Sets the content of the reply to `bytes` zeros. */
export function clear({ reply }: Exchange, bytes: number): void {
  reply.fill(0, OUT, OUT + bytes);
}

/** Writes the header: `result` bytes of content follow it, or it tells the errno -`result`. Returns the length of the reply. */
export function finish({ request, reply, replyView }: Exchange, result: number): number {
  const length = OUT + Math.max(0, result);
  replyView.setUint32(outHeader.length, length, little);
  replyView.setInt32(outHeader.error, Math.min(0, result), little);
  request.copy(reply, outHeader.unique, inHeader.unique, inHeader.unique + 8);
  return length;
}

function checkLength({ length }: Exchange, end: number): void {
  if (BODY + end > length) throw new RangeError(`a request of ${length} bytes is shorter than its structure`);
}
