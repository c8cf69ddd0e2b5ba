// lseek(2): holes, data, and the size of block devices. openat2(2): a file below a folder, whatever happens to the names meanwhile.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "errors.h"
#include "topics.h"

namespace {

/// (descriptor, position, whence) → the new position, or -1 where lseek answers ENXIO: nothing of the kind behind `position`.
Napi::Value seek(const Napi::CallbackInfo& info, int whence) {
  const Napi::Env env = info.Env();
  const int descriptor = info[0].As<Napi::Number>().Int32Value();
  const off_t position = info[1].As<Napi::Number>().Int64Value();
  const off_t found = lseek(descriptor, position, whence);
  if (found < 0 && errno != ENXIO) throw system_error(env, "lseek", errno);
  return Napi::Number::New(env, static_cast<double>(found));
}

Napi::Value seek_data(const Napi::CallbackInfo& info) { return seek(info, SEEK_DATA); }
Napi::Value seek_hole(const Napi::CallbackInfo& info) { return seek(info, SEEK_HOLE); }

/// (descriptor) → bytes, for files and block devices alike.
Napi::Value size_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const off_t end = check(env, "lseek", lseek(info[0].As<Napi::Number>().Int32Value(), 0, SEEK_END));
  return Napi::Number::New(env, static_cast<double>(end));
}

int open_way(int folder, const char* path, uint64_t flags, uint64_t resolve) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | flags;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve;
  return static_cast<int>(syscall(SYS_openat2, folder, path, &how, sizeof how));
}

/// (folder, name) → an O_PATH descriptor of what has that name below the folder. Neither may go through a link.
Napi::Value find_beneath(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string folder = info[0].As<Napi::String>();
  const std::string name = info[1].As<Napi::String>();
  const int root = check(env, "openat2", open_way(AT_FDCWD, folder.c_str(), O_DIRECTORY, 0));
  const int found = open_way(root, name.c_str(), 0, RESOLVE_BENEATH);
  const int reason = errno;
  close(root);
  if (found < 0) throw system_error(env, "openat2", reason);
  return Napi::Number::New(env, found);
}

}  // namespace

void export_files(Napi::Env env, Napi::Object exports) {
  exports.Set("seekData", Napi::Function::New(env, seek_data, "seekData"));
  exports.Set("seekHole", Napi::Function::New(env, seek_hole, "seekHole"));
  exports.Set("sizeOf", Napi::Function::New(env, size_of, "sizeOf"));
  exports.Set("findBeneath", Napi::Function::New(env, find_beneath, "findBeneath"));
}
