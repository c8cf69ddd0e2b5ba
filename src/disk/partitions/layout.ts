// MBR and EBR: no standard; the fields are those of UEFI 2.10, section 5.2.1, table 5.1 and 5.2.
// GPT: UEFI 2.10, section 5.3, tables 5.5 and 5.6. Apple: Inside Macintosh: Devices, chapter 3, "Data Organization on SCSI Devices".
import { ascii, big64, bytes, struct, u8, u16, u32 } from "../../util/struct.js";

export const bootRecord = struct("boot record", "little", 512, {
  uniqueMbrSignature: [440, u32],
  partitionRecords: [446, bytes(64)],
  signature: [510, u16],
});

export const partitionRecord = struct("partition record", "little", 16, {
  bootIndicator: [0, u8],
  startingChs: [1, bytes(3)],
  osType: [4, u8],
  endingChs: [5, bytes(3)],
  startingLba: [8, u32],
  sizeInLba: [12, u32],
});

export const gptHeader = struct("GPT header", "little", 92, {
  signature: [0, ascii(8)],
  revision: [8, u32],
  headerSize: [12, u32],
  headerCrc32: [16, u32],
  myLba: [24, big64],
  alternateLba: [32, big64],
  firstUsableLba: [40, big64],
  lastUsableLba: [48, big64],
  diskGuid: [56, bytes(16)],
  partitionEntryLba: [72, big64],
  numberOfPartitionEntries: [80, u32],
  sizeOfPartitionEntry: [84, u32],
  partitionEntryArrayCrc32: [88, u32],
});

export const gptEntry = struct("GPT partition entry", "little", 128, {
  partitionTypeGuid: [0, bytes(16)],
  uniquePartitionGuid: [16, bytes(16)],
  startingLba: [32, big64],
  endingLba: [40, big64],
  attributes: [48, big64],
  partitionName: [56, bytes(72)],
});

export const driverDescriptorMap = struct("driver descriptor map", "big", 18, {
  sbSig: [0, u16],
  sbBlkSize: [2, u16],
  sbBlkCount: [4, u32],
});

export const partitionMapEntry = struct("partition map entry", "big", 136, {
  pmSig: [0, u16],
  pmMapBlkCnt: [4, u32],
  pmPyPartStart: [8, u32],
  pmPartBlkCnt: [12, u32],
  pmPartName: [16, ascii(32)],
  pmParType: [48, ascii(32)],
});
