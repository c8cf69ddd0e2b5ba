// Which cipher a LUKS header names. Reference: LUKS1 On-Disk Format Specification, section 5.1; crypto/block-luks.c in the QEMU sources.
import { quote } from "../../util/text.js";
import { hashNamed, sizeOfHash } from "./hashes.js";
import { cbc, ctr, ecb, type SectorCipher, xts } from "./sector-ciphers.js";
import { essivVectors, plainVectors, type SectorVectors } from "./sector-numbers.js";

const modes = { ecb, cbc, xts, ctr } as const;
/** Bytes of the keys of AES. */
const keySizes: readonly number[] = [16, 24, 32];

/** A cipher that is read here. */
export interface CipherChoice {
  /** Its name, such as `aes-256-xts-plain64`. */
  readonly name: string;
  /** For a key of the length that it was chosen for. */
  create(key: Uint8Array): SectorCipher;
}

/** The cipher of these names for keys of `keyBytes` bytes; what is the matter, as the end of a sentence, if it is not read here. */
export function chooseCipher(cipherName: string, cipherMode: string, keyBytes: number): CipherChoice | string {
  if (cipherName !== "aes") return `the cipher is ${quote(cipherName)}; aes is the only one that is read here`;
  const [, modeName = "", vectorName] = /^([^-]*)(?:-(.*))?$/.exec(cipherMode) ?? [];
  const mode = Object.entries(modes).find(([name]) => name === modeName)?.[1];
  if (!mode) return `the cipher mode is ${quote(cipherMode)}; ${Object.keys(modes).join(", ")} are read here`;
  const oneKey = mode === xts ? keyBytes / 2 : keyBytes;
  if (!keySizes.includes(oneKey)) return `the key has ${keyBytes} bytes, which is no key of aes in the mode ${modeName}`;
  const vectors = chooseVectors(vectorName);
  if (!vectors && mode !== ecb) return `the cipher mode is ${quote(cipherMode)}; plain, plain64 and essiv with sha256 or md5 are read here`;
  return {
    name: `aes-${8 * oneKey}-${mode === ecb ? "ecb" : cipherMode}`,
    create: (key) => (vectors ? mode(key, vectors(key)) : ecb(key)),
  };
}

function chooseVectors(name: string | undefined): ((key: Uint8Array) => SectorVectors) | undefined {
  if (name === "plain") return () => plainVectors(32);
  if (name === "plain64") return () => plainVectors(64);
  const hash = hashNamed(/^essiv:(.+)$/.exec(name ?? "")?.[1] ?? "");
  if (!hash || !keySizes.includes(sizeOfHash(hash))) return undefined;
  return (key) => essivVectors(key, hash);
}
