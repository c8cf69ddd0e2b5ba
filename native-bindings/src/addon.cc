#include <cstring>
#include <string>

#include "errors.h"
#include "topics.h"

#if defined(__linux__)
#include <string.h>
#endif

Napi::Error system_error(Napi::Env env, const char* call, int number) {
  const char* name = strerrorname_np(number);
  const std::string code = name != nullptr ? name : "EIO";
  Napi::Error error = Napi::Error::New(env, code + ": " + std::strerror(number) + ", " + call);
  error.Set("code", Napi::String::New(env, code));
  error.Set("errno", Napi::Number::New(env, -number));
  error.Set("syscall", Napi::String::New(env, call));
  return error;
}

static Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  export_mount(env, exports);
  export_fuse(env, exports);
  export_files(env, exports);
  export_packed(env, exports);
  export_gzip(env, exports);
  export_streams(env, exports);
  export_copying(env, exports);
  export_loop(env, exports);
  export_confinement(env, exports);
  return exports;
}

NODE_API_MODULE(flatmount, initialise)
