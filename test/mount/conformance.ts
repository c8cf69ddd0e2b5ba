// What every transport owes its users.
import { describe } from "vitest";
import { describeMounts, useMounts } from "../support/mount.js";
import { requireProgram } from "../support/qemu.js";
import { attributes } from "./attributes.js";
import type { Capabilities } from "./capabilities.js";
import { containers } from "./containers.js";
import { damage } from "./damage.js";
import { holes } from "./holes.js";
import { images } from "./images.js";
import { leaving } from "./leaving.js";
import { partitions } from "./partitions.js";
import { reading } from "./reading.js";
import { refusals } from "./refusals.js";
import { snapshots } from "./snapshots.js";
import { staying } from "./staying.js";
import { users } from "./users.js";

const topics = { reading, attributes, holes, refusals, images, containers, partitions, snapshots, damage, leaving, staying, users };

/** Mounts images through one transport and looks at them as other programs do. */
export function describeTransport(capabilities: Capabilities): void {
  const { always } = capabilities;
  describeMounts(`mounts by ${capabilities.transport}${always ? `, ${always.title}` : ""}`, () => {
    const qemu = requireProgram("qemu-img");
    for (const [topic, tests] of Object.entries(topics)) {
      describe.skipIf(!qemu)(topic, () => tests(useMounts(capabilities.transport, always?.options), capabilities));
    }
  });
}
