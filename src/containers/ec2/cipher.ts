// How EC2 bundles are encrypted: AES-128-CBC over the whole, its key encrypted with RSA for whoever bundled it.
import { constants, createDecipheriv, createPrivateKey, type KeyObject, privateDecrypt } from "node:crypto";
import { checkRange, readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";

const BLOCK = 16;

/** Decrypts one of the manifest's hexadecimal texts: it holds 16 bytes, themselves as hexadecimal text. `what`: for messages. */
export function decryptSecret(encrypted: string, key: KeyObject, what: string, file: string): Buffer {
  const wrong = (message: string) =>
    new ImageError("KEY_NEEDED", `${what} of the bundle cannot be decrypted: ${message}`, {
      file,
      hint: "Give the private key of the user that the bundle was made for with --key-file FILE.",
    });
  let block: Buffer;
  try {
    // The padding is taken off here: Node refuses to, since servers that tell whether it is right give keys away. Nobody asks us twice.
    block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, Buffer.from(encrypted, "hex"));
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
  // PKCS #1 v1.5 (RFC 8017, 7.2.2): 00 02, eight or more bytes that are not 0, 00, the message.
  const end = block.indexOf(0, 2);
  if (block[0] !== 0 || block[1] !== 2 || end < 10) throw wrong("the key does not fit");
  const secret = block.toString("latin1", end + 1).trim();
  if (!/^[0-9a-f]{32}$/i.test(secret)) throw wrong("what it gives is no key of 128 bits");
  return Buffer.from(secret, "hex");
}

/** The private key in `pem`; throws `KEY_NEEDED` if it is none. */
export function privateKeyOf(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new ImageError("KEY_NEEDED", "the file of --key-file holds no private key in PEM", { file, cause });
  }
}

/** What `inner` decrypts to with AES-128-CBC, read at any position: each block needs only the one before it. Closing it closes `inner`. */
export function decryptedSource(inner: Source, key: Buffer, iv: Buffer): Source {
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: inner.name });
  if (inner.size === 0 || inner.size % BLOCK !== 0)
    throw fail(`the parts together have ${inner.size} bytes, which is no multiple of ${BLOCK}`);

  /** Whole blocks: `position` and `length` are multiples. */
  const decrypt = (position: number, length: number): Buffer => {
    const before = position === 0 ? iv : readBytes(inner, position - BLOCK, BLOCK);
    return createDecipheriv("aes-128-cbc", key, before)
      .setAutoPadding(false)
      .update(readBytes(inner, position, length));
  };
  const last = decrypt(inner.size - BLOCK, BLOCK);
  const padding = last[BLOCK - 1] ?? 0;
  if (padding < 1 || padding > BLOCK || last.subarray(BLOCK - padding).some((byte) => byte !== padding)) {
    throw new ImageError("KEY_NEEDED", "the end of the bundle does not decrypt: the key is another one, or a part is missing", {
      file: inner.name,
    });
  }
  const source: Source = {
    name: inner.name,
    size: inner.size - padding,
    read(target, position) {
      checkRange(source, target.length, position);
      if (target.length === 0) return;
      const start = position - (position % BLOCK);
      const end = Math.ceil((position + target.length) / BLOCK) * BLOCK;
      decrypt(start, end - start).copy(target, 0, position - start, position - start + target.length);
    },
    close: () => inner.close(),
  };
  return source;
}
