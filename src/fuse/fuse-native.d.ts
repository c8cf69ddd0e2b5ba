// The part of fuse-native 2.2.6 that we use; the package has no types of its own. Read off its index.js and fuse-native.c.
declare module "fuse-native" {
  class Fuse {
    /** `timeout: false`: otherwise it answers for us after 15 s, and hands back the buffer that a read may still write to. */
    constructor(mountpoint: string, operations: Fuse.Operations, options: { readonly timeout: false });
    /** Builds the one argument that libfuse gets. */
    _fuseOptions: () => string;
    /** Calls back when the kernel has made contact. */
    mount(callback: Fuse.Callback): void;
    /** Calls `Fuse.unmount`, then lets go of what keeps the process alive. */
    unmount(callback: Fuse.Callback): void;
    static unmount: (mountpoint: string, callback: Fuse.Callback) => void;
  }

  namespace Fuse {
    type Callback = (error?: Error | null) => void;

    /** The first argument is 0, or an errno as a negative number. To be called once. */
    type Reply<T extends readonly unknown[]> = (errno: number, ...values: T | []) => void;

    /** What the file system does. `path` begins with `/`. What is missing is answered with ENOSYS. */
    interface Operations {
      getattr(path: string, reply: Reply<[Stat]>): void;
      readdir(path: string, reply: Reply<[names: readonly string[], stats: readonly Stat[]]>): void;
      readlink(path: string, reply: Reply<[target: string]>): void;
      statfs(path: string, reply: Reply<[Statfs]>): void;
      open(path: string, flags: number, reply: Reply<[descriptor: number]>): void;
      /** The number of bytes goes where other operations put the errno. The kernel has `buffer` back once that is answered. */
      read(path: string, descriptor: number, buffer: Buffer, length: number, offset: number, reply: (bytesOrErrno: number) => void): void;
    }

    /** Numbers below 2^32; only `size`, `blocks` and the times may be larger. */
    interface Stat {
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly size: number;
      readonly nlink: number;
      readonly blksize: number;
      /** Units of 512 bytes. */
      readonly blocks: number;
      /** Milliseconds since 1970, not negative. */
      readonly atime: number;
      readonly mtime: number;
      readonly ctime: number;
    }

    /** Numbers below 2^32. */
    interface Statfs {
      readonly bsize: number;
      readonly frsize: number;
      readonly blocks: number;
      readonly namemax: number;
    }
  }

  export = Fuse;
}
