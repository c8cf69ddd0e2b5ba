// mount(2) and umount2(2); and mounts that have no place in the tree of files (fsopen(2), fsconfig(2), fsmount(2), move_mount(2)).
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "errors.h"
#include "topics.h"

namespace {

/// (source, target, type, flags, data)
void mount_filesystem(const Napi::CallbackInfo& info) {
  const std::string source = info[0].As<Napi::String>();
  const std::string target = info[1].As<Napi::String>();
  const std::string type = info[2].As<Napi::String>();
  const auto flags = static_cast<unsigned long>(info[3].As<Napi::Number>().Int64Value());
  const std::string data = info[4].As<Napi::String>();
  check(info.Env(), "mount", mount(source.c_str(), target.c_str(), type.c_str(), flags, data.c_str()));
}

/// (target, detach)
void unmount_filesystem(const Napi::CallbackInfo& info) {
  const std::string target = info[0].As<Napi::String>();
  const int flags = UMOUNT_NOFOLLOW | (info[1].As<Napi::Boolean>().Value() ? MNT_DETACH : 0);
  check(info.Env(), "umount2", umount2(target.c_str(), flags));
}

/// (target): gone if nobody came near it since the last call; else EAGAIN
void expire_filesystem(const Napi::CallbackInfo& info) {
  const std::string target = info[0].As<Napi::String>();
  check(info.Env(), "umount2", umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_EXPIRE));
}

// linux/mount.h; named here because it cannot be included beside sys/mount.h everywhere.
constexpr unsigned kOpenCloexec = 1;
constexpr unsigned kSetFlag = 0;
constexpr unsigned kSetString = 1;
constexpr unsigned kCreate = 6;
constexpr unsigned kMountCloexec = 1;
constexpr unsigned kMoveFromEmptyPath = 4;

/// The last line that the kernel had to say, such as "e erofs: device 1 is missing", or nothing.
std::string last_words(int context) {
  std::string words;
  char line[1024];
  for (;;) {
    const ssize_t length = read(context, line, sizeof line);
    if (length <= 0) return words;
    words.assign(line, static_cast<std::size_t>(length));
  }
}

/// (type, parameters, attributes) → a descriptor of the root of the mount. Parameters: key, value, key, value; an empty value stands for a flag.
Napi::Value mount_detached(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string type = info[0].As<Napi::String>();
  const Napi::Array parameters = info[1].As<Napi::Array>();
  const unsigned attributes = info[2].As<Napi::Number>().Uint32Value();
  const int context = static_cast<int>(check(env, "fsopen", syscall(SYS_fsopen, type.c_str(), kOpenCloexec)));
  const auto fail = [&](const char* call) {
    const int reason = errno;
    const std::string words = last_words(context);
    close(context);
    Napi::Error error = system_error(env, call, reason);
    error.Set("detail", Napi::String::New(env, words));
    throw error;
  };
  for (std::uint32_t index = 0; index + 1 < parameters.Length(); index += 2) {
    const std::string key = parameters.Get(index).As<Napi::String>();
    const std::string value = parameters.Get(index + 1).As<Napi::String>();
    const long result = value.empty() ? syscall(SYS_fsconfig, context, kSetFlag, key.c_str(), nullptr, 0)
                                      : syscall(SYS_fsconfig, context, kSetString, key.c_str(), value.c_str(), 0);
    if (result < 0) fail("fsconfig");
  }
  if (syscall(SYS_fsconfig, context, kCreate, nullptr, nullptr, 0) < 0) fail("fsconfig");
  const int mount = static_cast<int>(syscall(SYS_fsmount, context, kMountCloexec, attributes));
  if (mount < 0) fail("fsmount");
  close(context);
  return Napi::Number::New(env, mount);
}

/// (mount, target): gives a detached mount its place.
void place_mount(const Napi::CallbackInfo& info) {
  const int mount = info[0].As<Napi::Number>().Int32Value();
  const std::string target = info[1].As<Napi::String>();
  check(info.Env(), "move_mount", syscall(SYS_move_mount, mount, "", AT_FDCWD, target.c_str(), kMoveFromEmptyPath));
}

}  // namespace

void export_mount(Napi::Env env, Napi::Object exports) {
  exports.Set("mount", Napi::Function::New(env, mount_filesystem, "mount"));
  exports.Set("unmount", Napi::Function::New(env, unmount_filesystem, "unmount"));
  exports.Set("expire", Napi::Function::New(env, expire_filesystem, "expire"));
  exports.Set("mountDetached", Napi::Function::New(env, mount_detached, "mountDetached"));
  exports.Set("placeMount", Napi::Function::New(env, place_mount, "placeMount"));
}
