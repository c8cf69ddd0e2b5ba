// How EC2 bundles are encrypted: AES-128-CBC over the whole, its key encrypted with RSA, once for whoever bundled it and once for the cloud.
import { constants, createDecipheriv, createPrivateKey, type KeyObject, privateDecrypt } from "node:crypto";
import { checkRange, readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Secrets } from "./manifest.js";

const BLOCK = 16;
/** Read and decrypted at once, in bytes: a multiple of a block. */
const PIECE = 2 ** 20;

export const keyHint = "Give the private key of the user that the bundle was made for with --key-file FILE.";

/** Key and initialisation vector, by the first of `secrets` that `key` fits; throws `KEY_NEEDED` if it fits none. */
export function decryptSecrets(secrets: readonly Secrets[], key: KeyObject, file: string): { readonly key: Buffer; readonly iv: Buffer } {
  for (const each of secrets) {
    const found = { key: decryptSecret(each.key, key), iv: decryptSecret(each.iv, key) };
    if (found.key && found.iv) return { key: found.key, iv: found.iv };
  }
  throw new ImageError("KEY_NEEDED", "the private key is not the one that the bundle was made for", { file, hint: keyHint });
}

/** What one of the manifest's texts holds: 16 bytes, themselves as hexadecimal text. Undefined if the key does not fit. */
function decryptSecret(encrypted: string, key: KeyObject): Buffer | undefined {
  let block: Buffer;
  try {
    // The padding is taken off here: Node refuses to, since servers that tell whether it is right give keys away. Nobody asks us twice.
    block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, Buffer.from(encrypted, "hex"));
  } catch {
    // Of another size, or no RSA key at all.
    return undefined;
  }
  // PKCS #1 v1.5 (RFC 8017, 7.2.2): 00 02, eight or more bytes that are not 0, 00, the message.
  const end = block.indexOf(0, 2);
  if (block[0] !== 0 || block[1] !== 2 || end < 10) return undefined;
  const secret = block.toString("latin1", end + 1).trim();
  return /^[0-9a-f]{32}$/i.test(secret) ? Buffer.from(secret, "hex") : undefined;
}

/** The private key in `pem`; throws `KEY_NEEDED` if it is none. */
export function privateKeyOf(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    // OpenSSL finds out about the passphrase in a different place for each kind of PEM.
    if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
      const hint = "Make a file without one, such as with: openssl pkey -in FILE -out PLAIN";
      throw new ImageError("KEY_NEEDED", "the private key of --key-file is protected by a passphrase", { file, hint, cause });
    }
    throw new ImageError("KEY_NEEDED", "the file of --key-file holds no private key in PEM", { file, hint: keyHint, cause });
  }
}

/** What `inner` decrypts to with AES-128-CBC, read at any position: each block needs only the one before it. Closing it closes `inner`. */
export function decryptedSource(inner: Source, key: Buffer, iv: Buffer): Source {
  if (inner.size === 0 || inner.size % BLOCK !== 0) {
    throw new ImageError("CORRUPT", `the parts together have ${inner.size} bytes, which is no multiple of ${BLOCK}`, { file: inner.name });
  }
  /** Whole blocks: `position` and `length` are multiples. */
  const decrypt = (position: number, length: number): Buffer => {
    // Where there is a block before them, both come with one read.
    const lead = position === 0 ? 0 : BLOCK;
    const stored = readBytes(inner, position - lead, lead + length);
    const before = lead === 0 ? iv : stored.subarray(0, BLOCK);
    return createDecipheriv("aes-128-cbc", key, before).setAutoPadding(false).update(stored.subarray(lead));
  };
  const last = decrypt(inner.size - BLOCK, BLOCK);
  const padding = last[BLOCK - 1] ?? 0;
  // PKCS #7.
  if (padding < 1 || padding > BLOCK || last.subarray(BLOCK - padding).some((byte) => byte !== padding)) {
    throw new ImageError(
      "CORRUPT",
      "the end of the bundle does not decrypt: its last part is damaged, or the key in the manifest is not its own",
      {
        file: inner.name,
      },
    );
  }
  const source: Source = {
    name: inner.name,
    size: inner.size - padding,
    read(target, position) {
      checkRange(source, target.length, position);
      for (let done = 0; done < target.length; ) {
        const skip = (position + done) % BLOCK;
        const length = Math.min(target.length - done, PIECE - skip);
        const blocks = decrypt(position + done - skip, Math.ceil((skip + length) / BLOCK) * BLOCK);
        target.set(blocks.subarray(skip, skip + length), done);
        done += length;
      }
    },
    close: () => inner.close(),
  };
  return source;
}
