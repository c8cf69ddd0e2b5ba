// The whole set.
import type { Sample } from "../sample.js";
import { dmgSamples, ewfSamples, gzSamples, xzSamples } from "./packed.js";
import { qcow2Samples } from "./qcow2.js";
import { qedSamples, vdiSamples, vhdSamples, vhdxSamples } from "./tables.js";
import { isoSamples, ovaSamples, tarGzSamples, tarSamples, zipSamples } from "./trees.js";
import { vmdkDescriptorSamples, vmdkSamples, vmdkStreamSamples } from "./vmdk.js";

/** Of each format. Made when asked for: some are large. */
export const diskSets: Readonly<Record<string, () => Sample[]>> = {
  qcow2: qcow2Samples,
  qed: qedSamples,
  vdi: vdiSamples,
  vhd: vhdSamples,
  vhdx: vhdxSamples,
  vmdk: vmdkSamples,
  "vmdk stream": vmdkStreamSamples,
  "vmdk descriptor": vmdkDescriptorSamples,
  ewf: ewfSamples,
  dmg: dmgSamples,
  gz: gzSamples,
  xz: xzSamples,
};

export const treeSets: Readonly<Record<string, () => Sample[]>> = {
  iso: isoSamples,
  tar: tarSamples,
  "tar.gz": tarGzSamples,
  zip: zipSamples,
  ova: ovaSamples,
};
