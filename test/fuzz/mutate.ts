import type { Input, Piece } from "./input.js";
import type { Random } from "./random.js";
import { cut, insert, type Shaped } from "./shape.js";

/** Something to start from. */
export interface Parent {
  readonly input: Input;
  /** Ranges of its data that the reader looks at to know what is where: start, end, start, end ... */
  readonly hot: readonly number[];
  /** Milliseconds that it takes. */
  readonly cost: number;
}

export interface Vocabulary {
  readonly words: readonly Uint8Array[];
  readonly numbers: readonly number[];
}

/** A copy of `parent` with a few changes. `other` lends bytes to it. */
export function mutate(parent: Parent, other: Input, random: Random, vocabulary: Vocabulary): Input {
  const draft: Draft = { files: parent.input.files, data: Uint8Array.from(parent.input.data), hot: parent.hot, random, vocabulary, other };
  const rounds = 1 + random.below(random.pick([1, 2, 4, 8]));
  for (let round = 0; round < rounds; round += 1) random.pick(changes)(draft);
  return { files: draft.files, data: draft.data };
}

interface Draft extends Shaped {
  readonly hot: readonly number[];
  readonly random: Random;
  readonly vocabulary: Vocabulary;
  readonly other: Input;
}

/** Where to change something: mostly where the reader looks. */
function place({ data, hot, random }: Draft): number {
  if (hot.length > 0 && !random.once(8)) {
    const range = 2 * random.below(hot.length / 2);
    const [start, end] = [hot[range]!, hot[range + 1]!];
    if (start < data.length)
      return Math.min(data.length - 1, start + random.below(random.once(2) ? Math.min(64, end - start) : end - start));
  }
  return random.below(data.length);
}

const widths = [1, 2, 4, 4, 8, 8] as const;

function putNumber(data: Uint8Array, at: number, width: number, value: number, little: boolean): void {
  let rest = Math.floor(Math.abs(value));
  if (at + width > data.length) return;
  for (let index = 0; index < width; index += 1) {
    data[little ? at + index : at + width - 1 - index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  if (value >= 0) return;
  // The complement of two.
  let carry = 1;
  for (let index = 0; index < width; index += 1) {
    const where = little ? at + index : at + width - 1 - index;
    const byte = (data[where]! ^ 255) + carry;
    data[where] = byte & 255;
    carry = byte >> 8;
  }
}

function getNumber(data: Uint8Array, at: number, width: number, little: boolean): number {
  let value = 0;
  for (let index = 0; index < width; index += 1) value = value * 256 + (data[little ? at + width - 1 - index : at + index] ?? 0);
  return value;
}

const edges = [
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  9,
  12,
  15,
  16,
  31,
  32,
  63,
  64,
  127,
  128,
  255,
  256,
  511,
  512,
  513,
  1024,
  2048,
  4096,
  65_535,
  65_536,
  2 ** 20,
];
const farEdges = [
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 40,
  2 ** 44,
  2 ** 52,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 56,
  2 ** 63,
  -1,
  -2,
  -512,
  2 ** 62,
];

/** A number that means something: an edge, a constant of the reader, a size or a place in the input, in bytes or in sectors. */
function telling({ random, vocabulary, files }: Draft): number {
  switch (random.below(6)) {
    case 0:
      return random.pick(farEdges) + random.below(3) - 1;
    case 1:
      return vocabulary.numbers.length > 0 ? random.pick(vocabulary.numbers) : random.pick(edges);
    case 2: {
      const { size, pieces } = random.pick(files);
      const bytes = random.once(3) || pieces.length === 0 ? size : random.pick(pieces).position;
      return Math.floor(bytes / random.pick([1, 1, 512, 2048, 4096, 65_536])) + random.below(3) - 1;
    }
    case 3:
      return random.below(2 ** random.below(34));
    default:
      return random.pick(edges);
  }
}

type Change = (draft: Draft) => void;

const flipBit: Change = (draft) => {
  const at = place(draft);
  if (at < draft.data.length) draft.data[at]! ^= 1 << draft.random.below(8);
};

const setByte: Change = (draft) => {
  const at = place(draft);
  if (at < draft.data.length) draft.data[at] = draft.random.below(256);
};

const setNumber: Change = (draft) => {
  const { data, random } = draft;
  const width = random.pick(widths);
  const at = random.once(3) ? place(draft) : place(draft) & -Math.min(width, 4);
  putNumber(data, at, width, telling(draft), random.once(2));
};

const addNumber: Change = (draft) => {
  const { data, random } = draft;
  const width = random.pick(widths);
  const at = random.once(3) ? place(draft) : place(draft) & -Math.min(width, 4);
  const little = random.once(2);
  const step = random.pick([1, 1, 1, 2, 8, 16, 512, 4096, 65_536]) * (random.once(2) ? 1 : -1);
  putNumber(data, at, width, getNumber(data, at, width, little) + step, little);
};

const putWord: Change = ({ data, random, vocabulary, ...draft }) => {
  if (vocabulary.words.length === 0) return;
  const word = random.pick(vocabulary.words);
  const at = Math.min(place({ data, random, vocabulary, ...draft }), data.length - word.length);
  if (at >= 0) data.set(word, at);
};

const insertWord: Change = (draft) => {
  const { random, vocabulary } = draft;
  if (vocabulary.words.length > 0) insert(draft, place(draft), random.pick(vocabulary.words));
};

const copyRange: Change = (draft) => {
  const { data, random } = draft;
  const length = 1 + random.below(random.pick([8, 64, 512, 4096]));
  const [from, to] = [place(draft), place(draft)];
  data.copyWithin(to, from, Math.min(from + length, from + data.length - to));
};

const duplicate: Change = (draft) => {
  const { data, random } = draft;
  const at = place(draft);
  insert(draft, random.once(2) ? at : place(draft), data.slice(at, at + 1 + random.below(random.pick([16, 64, 512]))));
};

const remove: Change = (draft) => {
  const { random } = draft;
  cut(draft, place(draft), 1 + random.below(random.pick([2, 16, 128, 600])));
};

const fillRange: Change = (draft) => {
  const { data, random } = draft;
  const at = place(draft);
  data.fill(random.pick([0, 0, 255, 0x20, random.below(256)]), at, at + 1 + random.below(random.pick([8, 64, 512])));
};

const swapEntries: Change = (draft) => {
  const { data, random } = draft;
  const width = random.pick([2, 4, 8, 16, 32, 128, 512]);
  const aligned = (at: number) => at - (at % Math.min(width, 8));
  const [a, b] = [aligned(place(draft)), aligned(place(draft))];
  if (Math.max(a, b) + width > data.length || Math.abs(a - b) < width) return;
  const kept = data.slice(a, a + width);
  data.copyWithin(a, b, b + width);
  data.set(kept, b);
};

/** Bytes of another input: from the same place, or anywhere. */
const splice: Change = (draft) => {
  const { data, random, other } = draft;
  const at = place(draft);
  const from = random.once(2) ? at : random.below(other.data.length);
  const part = other.data.subarray(from, from + 1 + random.below(random.pick([16, 256, 4096])));
  data.set(part.subarray(0, data.length - at), at);
};

const resize: Change = (draft) => {
  const { random, files } = draft;
  const index = random.once(2) ? 0 : random.below(files.length);
  const file = files[index];
  if (!file) return;
  const near = file.pieces.length > 0 ? random.pick(file.pieces).position + random.below(3) * 512 : 0;
  const sizes = [
    random.below(file.size),
    near,
    file.size - 1 - random.below(1024),
    file.size + 1 + random.below(4096),
    file.size & -512,
    0,
  ];
  const size = Math.max(0, random.pick(random.once(10) ? sizes : sizes.slice(0, 5)));
  const pieces = file.pieces.filter(({ position }) => position < size).map((piece) => within(piece, size));
  draft.files = files.map((each, place) => (place === index ? { ...file, size, pieces } : each));
};

function within(piece: Piece, size: number): Piece {
  return piece.position + piece.length <= size ? piece : { ...piece, length: size - piece.position };
}

/** Another number in a text. */
const setDigits: Change = (draft) => {
  const { random } = draft;
  const found = digitsFrom(draft.data, place(draft));
  if (!found) return;
  const [start, end] = found;
  const value = Math.abs(
    random.once(3) ? Number(Buffer.from(draft.data.subarray(start, end)).toString("latin1")) + random.below(5) - 2 : telling(draft),
  );
  const text = Buffer.from(random.once(4) ? value.toString(16) : value.toLocaleString("en", { useGrouping: false }));
  if (text.length === end - start) draft.data.set(text, start);
  else if (random.once(2))
    draft.data.set(
      Buffer.from(
        text
          .toString()
          .padStart(end - start, "0")
          .slice(-(end - start)),
      ),
      start,
    );
  else {
    cut(draft, start, end - start);
    insert(draft, start, text);
  }
};

function digitsFrom(data: Uint8Array, from: number): readonly [start: number, end: number] | undefined {
  const digit = (at: number) => data[at]! >= 48 && data[at]! <= 57;
  const limit = Math.min(data.length, from + 300);
  for (let start = from; start < limit; start += 1) {
    if (!digit(start)) continue;
    let end = start;
    while (end < data.length && digit(end) && end - start < 20) end += 1;
    return [start, end];
  }
  return undefined;
}

/** A line of a text twice, elsewhere, or not at all. */
const moveLine: Change = (draft) => {
  const { data, random } = draft;
  const line = lineAt(data, place(draft));
  if (!line) return;
  const [start, end] = line;
  const content = data.slice(start, end);
  const target = lineAt(data, place(draft))?.[0] ?? 0;
  if (random.once(2)) cut(draft, start, end - start);
  if (!random.once(3)) insert(draft, Math.min(target, draft.data.length), content);
};

function lineAt(data: Uint8Array, at: number): readonly [start: number, end: number] | undefined {
  const start = at === 0 ? 0 : data.lastIndexOf(10, at - 1) + 1;
  const found = data.indexOf(10, at);
  const end = found < 0 ? data.length : found + 1;
  return end - start <= 400 && end > start ? [start, end] : undefined;
}

const changes: readonly Change[] = [
  ...[flipBit, setByte, setByte, setNumber, setNumber, setNumber, addNumber, addNumber, putWord, putWord, insertWord],
  ...[copyRange, duplicate, remove, fillRange, swapEntries, splice, resize, setDigits, setDigits, moveLine],
];
