// Loop devices (loop(4)): a block device over a file.
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "errors.h"
#include "topics.h"

// linux/loop.h of kernel 5.8; named here because older headers lack it.
#ifndef LOOP_CONFIGURE
#define LOOP_CONFIGURE 0x4C0A
struct loop_config {
  __u32 fd;
  __u32 block_size;
  struct loop_info64 info;
  __u64 __reserved[8];
};
#endif

namespace {

/// Others may take the free device before we do.
constexpr int kTries = 64;

int open_loop(Napi::Env env, int number) {
  const std::string path = "/dev/loop" + std::to_string(number);
  return check(env, "open", open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

/// (file, offset, size, sectorSize, flags, name) → the device's number. Flags are those of the kernel (LO_FLAGS_*).
Napi::Value attach_loop(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  loop_config config{};
  config.fd = info[0].As<Napi::Number>().Uint32Value();
  config.info.lo_offset = static_cast<__u64>(info[1].As<Napi::Number>().Int64Value());
  config.info.lo_sizelimit = static_cast<__u64>(info[2].As<Napi::Number>().Int64Value());
  config.block_size = info[3].As<Napi::Number>().Uint32Value();
  config.info.lo_flags = info[4].As<Napi::Number>().Uint32Value();
  const std::string name = info[5].As<Napi::String>();
  std::strncpy(reinterpret_cast<char*>(config.info.lo_file_name), name.c_str(), LO_NAME_SIZE - 1);
  const int control = check(env, "open", open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  int reason = EBUSY;
  for (int tries = 0; tries < kTries && reason == EBUSY; tries += 1) {
    const int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) {
      reason = errno;
      break;
    }
    int device;
    try {
      device = open_loop(env, number);
    } catch (...) {
      close(control);
      throw;
    }
    const int result = ioctl(device, LOOP_CONFIGURE, &config);
    reason = result < 0 ? errno : 0;
    close(device);
    if (result == 0) {
      close(control);
      return Napi::Number::New(env, number);
    }
  }
  close(control);
  throw system_error(env, "ioctl", reason);
}

/// (number): gone at once, or when its last user is.
void detach_loop(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int device = open_loop(env, info[0].As<Napi::Number>().Int32Value());
  const int reason = ioctl(device, LOOP_CLR_FD, 0) < 0 ? errno : 0;
  close(device);
  if (reason != 0) throw system_error(env, "ioctl", reason);
}

}  // namespace

void export_loop(Napi::Env env, Napi::Object exports) {
  exports.Set("attachLoop", Napi::Function::New(env, attach_loop, "attachLoop"));
  exports.Set("detachLoop", Napi::Function::New(env, detach_loop, "detachLoop"));
}
