import { createRequire } from "node:module";

/** What the addon exports: positional, already checked, numbers and buffers only. Errors have `code` and `syscall` like those of node:fs. */
export interface Binding {
  /** mount(2). */
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  /** umount2(2) with UMOUNT_NOFOLLOW, and MNT_DETACH if `detach`. */
  unmount(target: string, detach: boolean): void;
  /** umount2(2) with UMOUNT_NOFOLLOW and MNT_EXPIRE: unmounts what nobody came near since the last such call; otherwise EAGAIN, or EBUSY while it is in use. */
  expire(target: string): void;
  /** A second descriptor of the FUSE connection `device` with a queue of its own. */
  cloneDevice(device: number): number;
  /**
   * The length of the next FUSE request from `device`, which is then in `target`; -1 when the file system is gone. Waits for one: awake for `patience`
   * microseconds (unless another thread does so already), then asleep.
   */
  receiveRequest(device: number, target: Uint8Array, patience: number): number;
  /** A connected pair of sockets. */
  socketPair(): [ours: number, theirs: number];
  /** The descriptor sent over `socket`, or -1 if it was closed without one. */
  receiveDescriptor(socket: number): number;
  /** Where the next data at or behind `position` starts; -1 if there is none. */
  seekData(descriptor: number, position: number): number;
  /** Where the next hole at or behind `position` starts (the end of the file is one); -1 if `position` is past the end. */
  seekHole(descriptor: number, position: number): number;
  /** Bytes of a file or block device. */
  sizeOf(descriptor: number): number;
  /**
   * openat2(2): an O_PATH descriptor of what is called `name` below `folder`, a path without links. ELOOP or EXDEV if the way goes through a link of any kind
   * or leads out; ENOSYS where the kernel has no such call.
   */
  findBeneath(folder: string, name: string): number;
  /** Whether a raw deflate stream at the start of `packed` decodes to exactly `target`; bytes behind the stream are ignored. */
  inflateRaw(packed: Uint8Array, target: Uint8Array): boolean;
  /** The same for a zlib stream. */
  inflateZlib(packed: Uint8Array, target: Uint8Array): boolean;
  /** Whether one or more whole zstd frames at the start of `packed` decode to exactly `target`; bytes behind them are ignored. */
  zstd(packed: Uint8Array, target: Uint8Array): boolean;
}

/** Where the addon may be: what was built here, and in an installed package what was built for this kind of machine. */
const places = ["../../native-bindings/build/Release/flatmount.node", `../native/${process.platform}-${process.arch}.node`];

const loaded = load();

/** The addon, or undefined where there is none that can be loaded. */
export const binding: Binding | undefined = loaded.binding;

/** Why an addon that is there cannot be loaded, in one line: such as a C library that is too old for it. */
export const bindingFailure: string | undefined = loaded.failure;

function load(): { readonly binding?: Binding; readonly failure?: string } {
  if (process.env["FLATMOUNT_NO_ADDON"]) return {};
  const require = createRequire(import.meta.url);
  let failure: string | undefined;
  for (const place of places) {
    try {
      return { binding: require(place) as Binding };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") continue;
      const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
      failure ??= line;
    }
  }
  return failure === undefined ? {} : { failure };
}
