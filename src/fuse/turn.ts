/**
 * Which worker lists directories; the same memory in every thread: the number of that thread, 0 for none, and how many pieces it has listed.
 * A listing comes in many requests, and whoever answers one has to read the whole directory: that should not be everybody.
 */
export type TurnTable = Int32Array<SharedArrayBuffer>;

export function createTurnTable(): TurnTable {
  return new Int32Array(new SharedArrayBuffer(8));
}

const owner = 0;
const pieces = 1;

/** Milliseconds without a piece from the other, after which a worker no longer leaves the listing to it. */
const HOLD = 20;

/**
 * For the thread with that number, above 0: to be called after each reply, with whether that was a piece of a listing. If it was, and it is another's turn,
 * this thread waits as long as that one lists and is asked for nothing else.
 */
export function createTurn(table: TurnTable, thread: number): (listing: boolean) => void {
  let mine = false;
  return (listing) => {
    if (listing) {
      const other = Atomics.compareExchange(table, owner, 0, thread);
      mine = other === 0 || other === thread;
      if (mine) Atomics.add(table, pieces, 1);
      else holdBack(table, other);
    } else if (mine) {
      mine = false;
      Atomics.store(table, owner, 0);
      Atomics.notify(table, owner);
    }
  };
}

function holdBack(table: TurnTable, other: number): void {
  for (let seen = -1; seen !== Atomics.load(table, pieces); ) {
    seen = Atomics.load(table, pieces);
    if (Atomics.wait(table, owner, other, HOLD) !== "timed-out") return;
  }
}
