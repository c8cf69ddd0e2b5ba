/** The formats that can be read, in the order in which their drivers look at a file. Raw takes anything, so it is last. */
export const formatNames = ["qcow2", "qcow", "raw"] as const;
export type FormatName = (typeof formatNames)[number];
