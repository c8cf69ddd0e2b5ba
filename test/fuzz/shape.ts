// Bytes that are put into an input, or taken out: what follows in the same file moves.
import type { InputFile, Piece } from "./input.js";

/** An input that is being changed. */
export interface Shaped {
  files: readonly InputFile[];
  data: Uint8Array;
}

/** Bytes of an input, whatever is put into it. */
const DATA_LIMIT = 2 ** 18;

/** Puts `content` into the data at `at`: the file there gets longer, and what follows in it moves. */
export function insert(draft: Shaped, at: number, content: Uint8Array): void {
  const { data, files } = draft;
  if (data.length + content.length > DATA_LIMIT || content.length === 0) return;
  const grown = new Uint8Array(data.length + content.length);
  grown.set(data.subarray(0, at));
  grown.set(content, at);
  grown.set(data.subarray(at), at + content.length);
  const owner = files.findIndex(({ pieces }) => pieces.some((piece) => at >= piece.at && at <= piece.at + piece.length));
  if (owner < 0) return;
  draft.files = files.map((file, index) => {
    if (index === owner) return growFile(file, at, content.length);
    return index < owner ? file : { ...file, pieces: file.pieces.map((piece) => shift(piece, content.length, 0)) };
  });
  draft.data = grown;
}

function growFile(file: InputFile, at: number, count: number): InputFile {
  let behind = false;
  const pieces = file.pieces.map((piece) => {
    if (behind) return shift(piece, count, count);
    if (at < piece.at || at > piece.at + piece.length) return piece;
    behind = true;
    return { ...piece, length: piece.length + count };
  });
  return { ...file, size: file.size + count, pieces };
}

function shift(piece: Piece, data: number, file: number): Piece {
  return { position: piece.position + file, at: piece.at + data, length: piece.length };
}

/** Takes bytes of one piece out of the data: the file gets shorter. */
export function cut(draft: Shaped, at: number, wanted: number): void {
  const { data, files } = draft;
  const owner = files.find(({ pieces }) => pieces.some((piece) => at >= piece.at && at < piece.at + piece.length));
  const from = owner?.pieces.find((piece) => at >= piece.at && at < piece.at + piece.length);
  if (!owner || !from) return;
  const count = Math.min(wanted, from.at + from.length - at);
  const shrunk = new Uint8Array(data.length - count);
  shrunk.set(data.subarray(0, at));
  shrunk.set(data.subarray(at + count), at);
  draft.data = shrunk;
  draft.files = files.map((file) => {
    const own = file === owner;
    const pieces = file.pieces
      .map((piece) => {
        if (piece === from) return { ...piece, length: piece.length - count };
        return piece.at > at ? shift(piece, -count, own ? -count : 0) : piece;
      })
      .filter(({ length }) => length > 0);
    return { ...file, size: own ? file.size - count : file.size, pieces };
  });
}
