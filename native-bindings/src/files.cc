// lseek(2): holes, data, and the size of block devices.
#include <unistd.h>

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

}  // namespace

void export_files(Napi::Env env, Napi::Object exports) {
  exports.Set("seekData", Napi::Function::New(env, seek_data, "seekData"));
  exports.Set("seekHole", Napi::Function::New(env, seek_hole, "seekHole"));
  exports.Set("sizeOf", Napi::Function::New(env, size_of, "sizeOf"));
}
