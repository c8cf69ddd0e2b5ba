// mount(2) and umount2(2).
#include <sys/mount.h>

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

}  // namespace

void export_mount(Napi::Env env, Napi::Object exports) {
  exports.Set("mount", Napi::Function::New(env, mount_filesystem, "mount"));
  exports.Set("unmount", Napi::Function::New(env, unmount_filesystem, "unmount"));
}
